//! The model of the card complains when a driver breaks a rule: each rule is broken here once, on purpose.

use std::sync::Arc;

use millrace_drivers::e1000::{Model, Offset};
use millrace_drivers::testing::{FakeMachine, IntelDevice, IntelSetup, IntelViolation, Ring, Slow};
use nm_driver::platform::{DmaMemory, Platform};

const EN: u32 = 1 << 1;
const RESET: u32 = 1 << 26;
const RX: Ring = Ring::Receive;
const TX: Ring = Ring::Transmit;
/// EOP, IFCS and RS.
const SEND: u64 = 1 << 24 | 1 << 25 | 1 << 27;
const LEN: u16 = 8;

/// A driver that does what it is told, by hand.
struct ByHand {
    machine: Arc<FakeMachine>,
    device: IntelDevice,
    /// Two rings of eight descriptors, a page each.
    rings: DmaMemory,
    /// Sixteen buffers of 2048 bytes.
    buffers: DmaMemory,
}

impl ByHand {
    /// At a card after its reset.
    fn new(model: Model) -> Self {
        let machine = FakeMachine::new();
        let device = IntelDevice::new(&machine, IntelSetup::of(model));
        let platform: Arc<dyn Platform> = machine.clone();
        let rings = DmaMemory::allocate(&platform, 8192, 4096).unwrap();
        let buffers = DmaMemory::allocate(&platform, 16 * 2048, 4096).unwrap();
        Self { machine, device, rings, buffers }
    }

    /// Tells the card where the rings are.
    fn describe(&self) {
        for (ring, [low, high, length]) in [
            (RX, [Offset::Rdbal, Offset::Rdbah, Offset::Rdlen]),
            (TX, [Offset::Tdbal, Offset::Tdbah, Offset::Tdlen]),
        ] {
            self.device.write(low, self.base(ring) as u32);
            self.device.write(high, (self.base(ring) >> 32) as u32);
            self.device.write(length, u32::from(LEN) * 16);
        }
    }

    /// At a card that knows all that it needs to be switched on.
    fn described() -> Self {
        let driver = Self::new(Model::I82540em);
        driver.describe();
        driver.device.write(Offset::Tipg, 10);
        driver
    }

    /// At a running card.
    fn running() -> Self {
        let driver = Self::described();
        driver.device.write(Offset::Rctl, EN);
        driver.device.write(Offset::Tctl, EN);
        driver.expect(&[]);
        driver
    }

    fn base(&self, ring: Ring) -> u64 {
        self.rings.phys() + if ring == RX { 0 } else { 4096 }
    }

    fn buffer(&self, number: u64) -> u64 {
        self.buffers.phys() + 2048 * number
    }

    fn descriptor(&self, ring: Ring, position: u16, address: u64, word: u64) {
        let bytes = [address.to_le_bytes(), word.to_le_bytes()].concat();
        self.machine.write(self.base(ring) + 16 * u64::from(position), &bytes).unwrap();
    }

    fn tail(&self, ring: Ring, tail: u32) {
        self.device.write(if ring == RX { Offset::Rdt } else { Offset::Tdt }, tail);
    }

    /// Posts a buffer of the ring's own, as it should be done.
    fn post(&self, ring: Ring, position: u16) {
        let (first, word) = if ring == RX { (8, 0) } else { (0, SEND | 60) };
        self.descriptor(ring, position, self.buffer(first + u64::from(position)), word);
        self.tail(ring, u32::from((position + 1) % LEN));
    }

    #[track_caller]
    fn expect(&self, violations: &[IntelViolation]) {
        assert_eq!(self.device.violations(), violations);
    }
}

#[test]
fn a_driver_that_keeps_the_rules_hears_nothing() {
    let driver = ByHand::running();
    for round in 0..40 {
        driver.post(TX, round % LEN);
        driver.post(RX, round % LEN);
        assert_eq!(driver.device.transmit().unwrap().len(), 60);
        assert!(driver.device.receive(&[7; 64]));
    }
    driver.expect(&[]);
}

#[test]
fn reserved_bits_stay_clear() {
    for (model, offset, bits) in [
        (Model::I82540em, Offset::Rctl, 1),
        (Model::I82540em, Offset::Rctl, 1 << 27),
        (Model::I82540em, Offset::Ctrl, 1 << 2),
        (Model::I82574l, Offset::Ctrl, 1 << 3),
        (Model::I82574l, Offset::Rctl, 1 << 31),
        (Model::I82540em, Offset::Tctl, 1),
        (Model::I82540em, Offset::Tipg, 1 << 30),
        (Model::I82540em, Offset::Rdt, 1 << 16),
        (Model::I82540em, Offset::Tdh, 1 << 31),
        (Model::I82540em, Offset::Txdctl, 1 << 22),
        (Model::I82540em, Offset::Rah0, 1 << 20),
        (Model::I82540em, Offset::Tdlen, 1 << 20),
    ] {
        let driver = ByHand::new(model);
        driver.device.write(offset, bits);
        let violations = driver.device.violations();
        assert_eq!(violations.first(), Some(&IntelViolation::ReservedBits { offset, bits }), "{model}");
    }
}

#[test]
fn registers_are_those_of_the_card() {
    let driver = ByHand::new(Model::I82540em);
    driver.device.write(Offset::Rfctl, 0);
    driver.device.write(Offset::Status, 0);
    driver.expect(&[
        IntelViolation::NotOfThisCard { offset: Offset::Rfctl },
        IntelViolation::ReadOnly { offset: Offset::Status },
    ]);
}

#[test]
fn a_reset_comes_to_a_quiet_card_and_is_waited_for() {
    let driver = ByHand::running();
    driver.device.change_setup(|setup| setup.quirks.slow_reset = Slow::Looks(2));
    driver.device.write(Offset::Ctrl, RESET);
    driver.expect(&[IntelViolation::ResetWhileBusy]);
    driver.device.write(Offset::Rxcsum, 0);
    driver.device.read(Offset::Status);
    let late = |offset| IntelViolation::ResetNotAwaited { offset };
    driver.expect(&[IntelViolation::ResetWhileBusy, late(Offset::Rxcsum), late(Offset::Status)]);

    let driver = ByHand::new(Model::I82574l);
    driver.device.write(Offset::Ctrl, RESET);
    driver.expect(&[IntelViolation::ResetWhileBusy]);
    let driver = ByHand::new(Model::I82574l);
    driver.device.write(Offset::Ctrl, 1 << 2);
    driver.device.write(Offset::Ctrl, RESET | 1 << 2);
    driver.expect(&[]);
}

#[test]
fn gaps_are_set_before_transmission() {
    let driver = ByHand::new(Model::I82540em);
    driver.describe();
    driver.device.write(Offset::Tctl, EN);
    driver.expect(&[IntelViolation::GapsUndefined]);
    let driver = ByHand::new(Model::I82574l);
    driver.describe();
    driver.device.write(Offset::Tctl, EN);
    driver.expect(&[]);
}

#[test]
fn the_receive_control_is_written_once() {
    let driver = ByHand::running();
    driver.device.write(Offset::Rctl, EN | 1 << 5);
    driver.expect(&[IntelViolation::ControlWrittenTwice]);
    let driver = ByHand::running();
    driver.device.write(Offset::Rctl, 0);
    driver.device.write(Offset::Rctl, EN);
    driver.expect(&[]);
}

#[test]
fn a_ring_lies_where_it_may_and_stays_there() {
    let broken = |offset, value| {
        let driver = ByHand::described();
        driver.device.write(offset, value);
        driver.device.write(Offset::Rctl, EN);
        driver.device.violations()
    };
    let base = |driver: &ByHand| driver.base(RX) as u32;
    let aligned = base(&ByHand::described());
    assert!(broken(Offset::Rdbal, aligned + 8).contains(&IntelViolation::RingMisaligned { ring: RX }));
    for length in [0, 64, 130] {
        assert!(broken(Offset::Rdlen, length).contains(&IntelViolation::RingLength { ring: RX }), "{length}");
    }
    assert_eq!(broken(Offset::Rdbah, 0), [IntelViolation::RingOutsideMemory { ring: RX }]);
    assert_eq!(broken(Offset::Rdlen, 16384), [IntelViolation::RingOutsideMemory { ring: RX }]);

    for offset in [Offset::Rdbal, Offset::Rdbah, Offset::Rdlen, Offset::Rdh, Offset::Tdbal, Offset::Tdh] {
        let driver = ByHand::running();
        driver.device.write(offset, 0);
        driver.expect(&[IntelViolation::RingMovedWhileOn { offset }]);
    }
}

#[test]
fn a_ring_is_not_freed_while_it_is_on() {
    let driver = ByHand::running();
    let ByHand { device, rings, buffers, .. } = driver;
    drop(rings);
    device.write(Offset::Rdt, 1);
    assert_eq!(device.violations(), [IntelViolation::RingOutsideMemory { ring: RX }]);
    drop(buffers);
}

#[test]
fn tails_move_forward_within_the_ring() {
    for ring in [RX, TX] {
        let driver = ByHand::running();
        driver.tail(ring, LEN.into());
        driver.expect(&[IntelViolation::TailOutOfRange { ring }]);

        let driver = ByHand::running();
        driver.post(ring, 0);
        driver.post(ring, 1);
        driver.tail(ring, 1);
        driver.expect(&[IntelViolation::TailMovedBack { ring }]);

        // All eight would make the ring look empty.
        let driver = ByHand::running();
        (0..7).for_each(|position| driver.post(ring, position));
        driver.expect(&[]);
        driver.post(ring, 7);
        driver.expect(&[IntelViolation::TailMovedBack { ring }]);
    }
}

#[test]
fn a_doorbell_brings_something_and_rings_while_the_ring_is_on() {
    for ring in [RX, TX] {
        let driver = ByHand::running();
        driver.post(ring, 0);
        driver.tail(ring, 1);
        driver.expect(&[IntelViolation::DoorbellWithoutDescriptors { ring }]);

        let driver = ByHand::described();
        driver.post(ring, 0);
        driver.expect(&[IntelViolation::DoorbellWhileOff { ring }]);

        let driver = ByHand::running();
        let control = if ring == RX { Offset::Rctl } else { Offset::Tctl };
        driver.device.write(control, 0);
        driver.post(ring, 0);
        driver.expect(&[IntelViolation::DoorbellWhileOff { ring }]);
    }
}

#[test]
fn what_the_card_owns_is_left_alone() {
    for ring in [RX, TX] {
        let driver = ByHand::running();
        driver.post(ring, 0);
        driver.descriptor(ring, 0, driver.buffer(5), if ring == RX { 0 } else { SEND | 61 });
        driver.device.complete_falsely(ring, 0);
        driver.expect(&[IntelViolation::DescriptorChanged { ring, position: 0 }]);
    }
    let driver = ByHand::running();
    driver.post(TX, 0);
    driver.machine.write(driver.buffer(0) + 50, b"too early").unwrap();
    driver.device.transmit().unwrap();
    driver.expect(&[IntelViolation::BufferChanged { position: 0 }]);
}

#[test]
fn a_buffer_is_given_once_and_lies_in_memory() {
    for ring in [RX, TX] {
        let word = if ring == RX { 0 } else { SEND | 60 };
        let driver = ByHand::running();
        driver.post(ring, 0);
        let first = driver.buffer(if ring == RX { 8 } else { 0 });
        driver.descriptor(ring, 1, first + 59, word);
        driver.tail(ring, 2);
        driver.expect(&[IntelViolation::BufferGivenTwice { ring, position: 1 }]);

        let driver = ByHand::running();
        driver.descriptor(ring, 0, driver.buffer(16) - 59, word);
        driver.tail(ring, 1);
        driver.expect(&[IntelViolation::BufferOutsideMemory { ring, position: 0 }]);

        let driver = ByHand::running();
        driver.post(ring, 0);
        let ByHand { device, buffers, .. } = driver;
        drop(buffers);
        device.complete_falsely(ring, 0);
        assert_eq!(device.violations(), [IntelViolation::BufferOutsideMemory { ring, position: 0 }]);
    }
    // One buffer to both rings.
    let driver = ByHand::running();
    driver.post(TX, 0);
    driver.descriptor(RX, 0, driver.buffer(0), 0);
    driver.tail(RX, 1);
    driver.expect(&[IntelViolation::BufferGivenTwice { ring: RX, position: 0 }]);
}

/// The last buffer ends where its memory does: 1984 bytes are enough for a card that drops what is longer than 1522, and
/// not for one that takes long frames into 2048 bytes.
#[test]
fn a_buffer_has_room_for_all_that_the_card_may_write() {
    for (control, is_enough) in [(EN, true), (EN | 1 << 5, false), (EN | 1 << 5 | 1 << 16, true)] {
        let driver = ByHand::described();
        driver.device.write(Offset::Rctl, control);
        driver.descriptor(RX, 0, driver.buffer(16) - 1984, 0);
        driver.tail(RX, 1);
        let violation = IntelViolation::BufferOutsideMemory { ring: RX, position: 0 };
        driver.expect(if is_enough { &[] } else { std::slice::from_ref(&violation) });
    }
}

#[test]
fn descriptors_say_what_was_agreed_on() {
    let complaint = |ring, word| {
        let driver = ByHand::running();
        driver.descriptor(ring, 0, driver.buffer(0), word);
        driver.tail(ring, 1);
        driver.device.violations()
    };
    for status in [1 << 32, 1 << 33, 60] {
        assert_eq!(complaint(RX, status), [IntelViolation::StatusNotClear { ring: RX, position: 0 }]);
    }
    assert_eq!(
        complaint(TX, SEND | 60 | 1 << 32),
        [IntelViolation::StatusNotClear { ring: TX, position: 0 }]
    );
    // IC, RPS, DEXT, VLE, IDE, a checksum's place, a tag.
    for bit in [26, 28, 29, 30, 31, 16, 40, 48] {
        assert_eq!(
            complaint(TX, SEND | 60 | 1 << bit),
            [IntelViolation::WrongCommand { position: 0 }],
            "{bit}"
        );
    }
    let without_checksum = SEND & !(1 << 25) | 60;
    assert_eq!(complaint(TX, without_checksum), [IntelViolation::WrongCommand { position: 0 }]);
}

#[test]
fn frames_are_neither_empty_nor_too_short_nor_too_long() {
    let complaint = |len: u64| {
        let driver = ByHand::running();
        driver.descriptor(TX, 0, driver.buffer(0), SEND | len);
        driver.tail(TX, 1);
        driver.device.violations()
    };
    let short = IntelViolation::TooShort { position: 0 };
    assert_eq!(complaint(0), [IntelViolation::Empty { position: 0 }, short]);
    assert_eq!(complaint(47), [short]);
    assert_eq!(complaint(48), []);
    assert_eq!(complaint(16288), []);
    assert_eq!(complaint(16289), [IntelViolation::TooLong { position: 0 }]);
}

#[test]
fn a_batch_ends_with_a_whole_frame_and_its_report() {
    let driver = ByHand::running();
    driver.descriptor(TX, 0, driver.buffer(0), 1 << 27 | 60);
    driver.tail(TX, 1);
    driver.expect(&[IntelViolation::FrameNotEnded]);

    let driver = ByHand::running();
    driver.descriptor(TX, 0, driver.buffer(0), SEND & !(1 << 27) | 60);
    driver.tail(TX, 1);
    driver.expect(&[IntelViolation::BatchNotReported]);
}

#[test]
fn who_sleeps_has_asked_to_be_woken() {
    for (ring, cause) in [(RX, 1 << 7), (TX, 1)] {
        let driver = ByHand::running();
        driver.device.write(Offset::Ims, cause);
        driver.device.driver_sleeps(ring);
        driver.expect(&[]);
        driver.device.write(Offset::Imc, cause);
        driver.device.driver_sleeps(ring);
        driver.expect(&[IntelViolation::SleepsUnarmed { ring }]);
    }
}
