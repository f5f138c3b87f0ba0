//! Rules about the registers of virtio-mmio.

use millrace_drivers::bank::RegisterBank;
use millrace_drivers::testing::{FakeMachine, MmioBank, NetDevice, Setup, Violation};

use super::by_hand::{ACKNOWLEDGE, DRIVER, FEATURES_OK, SIZE, TX};

const DRIVER_FEATURES: usize = 0x20;
const DRIVER_FEATURES_SEL: usize = 0x24;
const QUEUE_SEL: usize = 0x30;
const QUEUE_NUM: usize = 0x38;
const QUEUE_READY: usize = 0x44;
const QUEUE_DESC: usize = 0x80;
const STATUS: usize = 0x70;
const GENERATION: usize = 0xfc;
const CONFIG: usize = 0x100;

fn card() -> (NetDevice, MmioBank) {
    let device = NetDevice::new(&FakeMachine::new(), Setup::with_queues(SIZE, SIZE));
    let bank = device.mmio_bank();
    (device, bank)
}

/// At a device that has agreed on VERSION_1 alone.
fn negotiated() -> (NetDevice, MmioBank) {
    let (device, bank) = card();
    for status in [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER] {
        bank.write32(STATUS, status.into());
    }
    bank.write32(DRIVER_FEATURES_SEL, 1);
    bank.write32(DRIVER_FEATURES, 1);
    bank.write32(STATUS, (ACKNOWLEDGE | DRIVER | FEATURES_OK).into());
    assert_eq!((bank.read32(STATUS), device.violations()), (11, vec![]));
    (device, bank)
}

#[test]
fn registers_are_accessed_as_a_whole_and_in_their_direction() {
    type Access = fn(&MmioBank);
    let cases: [(Access, usize); 8] = [
        (|bank| _ = bank.read8(STATUS), STATUS),
        (|bank| _ = bank.read16(STATUS), STATUS),
        (|bank| bank.write8(STATUS, 1), STATUS),
        (|bank| bank.write16(STATUS, 1), STATUS),
        (|bank| _ = bank.read32(DRIVER_FEATURES), DRIVER_FEATURES),
        (|bank| bank.write32(0, 1), 0),
        (|bank| _ = bank.read32(0x40), 0x40),
        (|bank| bank.write32(0x28, 4096), 0x28),
    ];
    for (access, offset) in cases {
        let (device, bank) = card();
        access(&bank);
        assert_eq!(device.violations(), [Violation::RegisterAccess { offset }]);
    }
}

#[test]
fn a_queue_is_looked_at_before_it_is_set_up() {
    for register in [QUEUE_NUM, QUEUE_DESC] {
        let (device, bank) = negotiated();
        bank.write32(QUEUE_SEL, TX.into());
        bank.read32(QUEUE_READY);
        bank.write32(register, 4);
        assert_eq!(device.violations(), []);

        let (device, bank) = negotiated();
        bank.write32(QUEUE_SEL, 0);
        bank.read32(QUEUE_READY);
        bank.write32(QUEUE_SEL, TX.into());
        bank.write32(register, 4);
        assert_eq!(device.violations(), [Violation::QueueNotLookedAt { queue: TX }]);
    }
}

#[test]
fn a_field_of_several_parts_is_read_between_looks_at_the_generation() {
    let read = |looks: [bool; 2]| {
        let (device, bank) = card();
        let look = |index: usize| looks[index].then(|| bank.read32(GENERATION));
        look(0);
        (0..6).for_each(|byte| _ = bank.read8(CONFIG + byte));
        look(1);
        bank.write32(STATUS, ACKNOWLEDGE.into());
        device.violations()
    };
    assert_eq!(read([true, true]), []);
    for looks in [[false, true], [true, false], [false, false]] {
        assert_eq!(read(looks), [Violation::ConfigUnchecked]);
    }
}
