//! virtio over PCI: where the registers are found, and what is written to which.

use std::sync::Arc;

use crate::rings::queues_of;
use millrace_drivers::hal::{Hal, Handler, Message};
use millrace_drivers::pci::{Address, BarError, Claim, Command, ConfigSpace, Function};
use millrace_drivers::probe;
use millrace_drivers::registers::RegisterError;
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::pci::{Part, PciError, PciTransport};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{QueuePlace, Transport, TransportError, activate_queue};
use millrace_drivers::{Card, Options, ProbeError};
use nm_core::Netmap;
use nm_core::tunables::Tunables;
use nm_driver::nic::Nic;
use nm_driver::platform::Platform;
use proptest::prelude::*;

/// Where the card's memory BAR is.
const BAR: u64 = 0xfe00_0000;
const BAR_BYTES: usize = 0x4000;
/// Where the interrupt table is, on cards that have one.
const TABLE: u64 = 0xfd00_0000;
const COMMON: usize = 0x0000;
const DEVICE: usize = 0x2000;
const NOTIFY: usize = 0x3000;

const KIND_COMMON: u8 = 1;
const KIND_NOTIFY: u8 = 2;
const KIND_ISR: u8 = 3;
const KIND_DEVICE: u8 = 4;

/// The body of a virtio capability, behind id and next pointer.
fn capability(kind: u8, bar: u8, offset: u32, bytes: u32) -> Vec<u8> {
    let (length, multiplier) = if kind == KIND_NOTIFY { (20, &[4, 0, 0, 0][..]) } else { (16, &[][..]) };
    let head = [length, kind, bar, 0, 0, 0];
    [&head[..], &offset.to_le_bytes(), &bytes.to_le_bytes(), multiplier].concat()
}

/// A card as QEMU shows it: registers in BAR 4 of 16 KiB.
fn card() -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
    function.set_memory_bar(4, BAR, BAR_BYTES as u64, true);
    function.push_capability(0x84, 9, &capability(KIND_ISR, 4, 0x1000, 0x1000));
    function.push_capability(0x70, 9, &capability(KIND_DEVICE, 4, DEVICE as u32, 0x1000));
    function.push_capability(0x50, 9, &capability(KIND_NOTIFY, 4, NOTIFY as u32, 0x1000));
    function.push_capability(0x40, 9, &capability(KIND_COMMON, 4, COMMON as u32, 0x1000));
    function.push_capability(0xa0, 0x11, &[0x02, 0x00]);
    function
}

/// A machine with that function, and registers that hold what a card might say.
struct Slot {
    machine: Arc<FakeMachine>,
    hal: Arc<dyn Hal>,
    pci: Arc<FakePci>,
    config: Arc<dyn ConfigSpace>,
}

impl Slot {
    fn with(function: FakeFunction) -> Self {
        let mut registers = vec![0; BAR_BYTES];
        registers[COMMON + 0x12] = 3; // num_queues
        registers[COMMON + 0x18..COMMON + 0x1a].copy_from_slice(&256u16.to_le_bytes());
        registers[COMMON + 0x1e] = 5; // queue_notify_off
        registers[DEVICE..DEVICE + 8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 1, 0]);
        let machine = FakeMachine::new();
        machine.add_registers(BAR, &registers);
        let pci = Arc::new(FakePci::default());
        pci.insert(address(), function);
        Self { hal: machine.clone(), machine, config: pci.clone(), pci }
    }

    fn function(&self) -> Function {
        Function::read(self.config.as_ref(), address()).unwrap()
    }

    fn transport(&self) -> Result<PciTransport, PciError> {
        PciTransport::new(
            self.hal.as_ref(),
            Claim::new(self.hal.as_ref(), &self.config, &self.function()).unwrap(),
            2,
        )
    }

    fn probe(&self) -> Option<Result<Card, ProbeError>> {
        probe(&self.hal, &self.config, &self.function(), Options::default())
    }

    /// Bytes of the card's registers.
    fn registers<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.machine.registers(BAR)[offset..offset + N].try_into().unwrap()
    }

    fn command(&self) -> u16 {
        self.pci.function(address()).unwrap().get(4) as u16
    }
}

fn address() -> Address {
    Address::new(0, 3, 0).unwrap()
}

/// What a changed card is refused for.
fn refusal(change: impl FnOnce(&mut FakeFunction)) -> PciError {
    let mut function = card();
    change(&mut function);
    Slot::with(function).transport().map(|_| ()).unwrap_err()
}

#[test]
fn registers_lie_where_the_capabilities_say() {
    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    assert_eq!(slot.command(), (Command::MEMORY | Command::BUS_MASTER | Command::INTERRUPT_DISABLE).bits());

    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    assert_eq!(slot.registers(COMMON + 0x14), [3]);
    assert_eq!(transport.status(), Status::ACKNOWLEDGE | Status::DRIVER);

    transport.accept_features(Features::VERSION_1 | Features::NET_MAC);
    assert_eq!(slot.registers(COMMON + 0x08), [1, 0, 0, 0, 1, 0, 0, 0], "the upper half is written last");

    assert_eq!((transport.queue_size(2), transport.queue_size(3)), (256, 0), "three queues, numbers 0 to 2");
    assert_eq!((transport.config_u8(2), transport.config_u16(6)), (Ok(3), Ok(1)));
    let beyond = RegisterError::OutOfRange { offset: 0x1000, bytes: 0x1000 };
    assert_eq!(transport.config_u8(0x1000), Err(TransportError::Register(beyond)));
}

#[test]
fn a_queue_is_described_and_its_doorbell_is_its_own() {
    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    let place =
        QueuePlace { size: 128, descriptors: 0x1_2345_6000, available: 0x2_0000_1000, used: 0x3_0000_2000 };
    let doorbell = activate_queue(&mut transport, 1, place).unwrap();
    assert_eq!(slot.registers(COMMON + 0x10), [0xff, 0xff], "no vector for the configuration");
    assert_eq!(slot.registers(COMMON + 0x16), [1, 0], "selected");
    assert_eq!(slot.registers(COMMON + 0x18), [128, 0], "size");
    assert_eq!(slot.registers(COMMON + 0x1a), [0xff, 0xff], "no vector for the queue");
    assert_eq!(slot.registers(COMMON + 0x1c), [1, 0], "enabled");
    assert_eq!(u64::from_le_bytes(slot.registers(COMMON + 0x20)), place.descriptors);
    assert_eq!(u64::from_le_bytes(slot.registers(COMMON + 0x28)), place.available);
    assert_eq!(u64::from_le_bytes(slot.registers(COMMON + 0x30)), place.used);

    assert_eq!(slot.registers(NOTIFY + 5 * 4), [0, 0]);
    doorbell.notify();
    assert_eq!(slot.registers(NOTIFY + 5 * 4), [1, 0], "queue_notify_off times the multiplier");
}

/// The card with an interrupt table of so many entries, in BAR 1.
fn with_table(entries: u16) -> FakeFunction {
    let mut function = card();
    function.set_memory_bar(1, TABLE, 0x1000, false);
    let [low, high] = (entries - 1).to_le_bytes();
    function.push_capability(0xb0, 0x11, &[low, high, 1, 0, 0, 0]);
    function.set_writable(0xb0, 0xc000_0000);
    function
}

#[test]
fn a_queue_has_the_vector_of_its_number_and_its_interrupt_is_netmaps() {
    let slot = Slot::with(with_table(4));
    slot.machine.add_registers(TABLE, &[0xff; 0x1000]);
    slot.machine.set_lines(8);
    let window = slot.hal.map(BAR, BAR_BYTES).unwrap();
    window.write32(COMMON + 4, 1);
    let Some(Ok(Card::VirtioNet(nic))) = slot.probe() else { panic!("it is a card") };
    let platform: Arc<dyn Platform> = slot.machine.clone();
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    netmap.attach("vtnet0", nic).unwrap();
    assert_eq!(slot.machine.free_lines(), 6, "one for each queue");
    let table = slot.machine.registers(TABLE);
    let message = |entry: usize| {
        let word = |at: usize| u32::from_le_bytes(table[16 * entry + at..][..4].try_into().unwrap());
        Message { address: u64::from(word(0)) | u64::from(word(4)) << 32, data: word(8) }
    };
    assert!((0..2).all(|entry| slot.machine.send_message(message(entry))));

    drop(netmap);
    let mut transport = slot.transport().unwrap();
    let place = QueuePlace { size: 128, descriptors: 0x1000, available: 0x2000, used: 0x3000 };
    transport.connect((0..2).map(|_| -> Handler { Box::new(|| ()) }).collect());
    for queue in [1, 0] {
        // These registers only keep what is written: those of one queue stand for those of the other.
        window.write16(COMMON + 0x1c, 0);
        let _ = activate_queue(&mut transport, queue, place).unwrap();
        assert_eq!(slot.registers(COMMON + 0x1a), queue.to_le_bytes());
        assert_eq!(slot.registers(COMMON + 0x10), [0xff, 0xff], "none for the configuration");
        assert!(transport.has_interrupt(queue));
    }
    // A device that cannot do it puts "no vector" there.
    window.write16(COMMON + 0x1a, 0xffff);
    assert!(!transport.has_interrupt(0));
}

#[test]
fn quiesce_takes_bus_mastering_away() {
    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    assert!(transport.quiesce());
    assert_eq!(slot.command(), (Command::MEMORY | Command::INTERRUPT_DISABLE).bits());

    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    let mut stubborn = slot.pci.function(address()).unwrap();
    stubborn.set_writable(0x04, 0);
    slot.pci.insert(address(), stubborn);
    assert!(!transport.quiesce());
}

#[test]
fn a_doorbell_outside_its_window_is_refused() {
    let mut function = card();
    function.push_capability(0xc0, 9, &capability(KIND_NOTIFY, 4, NOTIFY as u32, 21));
    let slot = Slot::with(function);
    let place = QueuePlace { size: 256, descriptors: 0x1000, available: 0x2000, used: 0x3000 };
    let outside = RegisterError::OutOfRange { offset: 20, bytes: 21 };
    assert_eq!(
        activate_queue(&mut slot.transport().unwrap(), 0, place).map(|_| ()),
        Err(TransportError::Register(outside))
    );
    assert_eq!(slot.registers(COMMON + 0x1c), [0, 0], "not enabled");
}

#[test]
fn of_several_capabilities_the_first_that_can_be_used_counts() {
    let mut function = card();
    function.set_port_bar(0, 0xc000, 32);
    // In front of the usable ones: in io ports, in a BAR that is none, with a reserved number.
    function.push_capability(0xc0, 9, &capability(KIND_COMMON, 0, 0, 0x1000));
    function.push_capability(0xd4, 9, &capability(KIND_COMMON, 2, 0, 0x1000));
    function.push_capability(0xe8, 9, &capability(KIND_COMMON, 6, 0, 0x1000));
    let slot = Slot::with(function);
    slot.transport().unwrap().set_status(Status::ACKNOWLEDGE);
    assert_eq!(slot.registers(COMMON + 0x14), [1]);
}

#[test]
fn what_is_wrong_with_a_card_is_said() {
    let without =
        |kind: u16| move |function: &mut FakeFunction| function.set(kind, function.get(kind) & !0xff00_0000);
    assert_eq!(refusal(without(0x40)), PciError::Missing(Part::Common));
    assert_eq!(refusal(without(0x50)), PciError::Missing(Part::Notify));
    assert_eq!(refusal(|function| function.set(0x34, 0)), PciError::LegacyOnly);
    assert_eq!(
        refusal(|function| function.set_memory_bar(4, 0, 0x4000, true)),
        PciError::Bar { part: Part::Common, bar: 4, error: BarError::Unassigned }
    );
    assert_eq!(
        refusal(|function| function.set(0x20, 2)),
        PciError::Bar { part: Part::Common, bar: 4, error: BarError::ReservedType }
    );
    assert_eq!(
        refusal(|function| function.set(0x20, 1)),
        PciError::Bar { part: Part::Common, bar: 4, error: BarError::IoPorts }
    );
    assert_eq!(
        refusal(|function| function.set(0x48, 0x3001)),
        PciError::BeyondBar { part: Part::Common, bar: 4 }
    );
    assert_eq!(
        refusal(|function| function.set(0x48, !0)),
        PciError::BeyondBar { part: Part::Common, bar: 4 }
    );
    assert_eq!(
        refusal(|function| function.set(0x4c, 0x37)),
        PciError::TooShort { part: Part::Common, bytes: 0x37 }
    );
    let short_notify =
        |function: &mut FakeFunction| function.set(0x50, function.get(0x50) & !0x00ff_0000 | 16 << 16);
    assert_eq!(refusal(short_notify), PciError::TooShort { part: Part::Notify, bytes: 16 });
    let unmapped = |function: &mut FakeFunction| function.set_memory_bar(4, 0xfd00_0000, 0x4000, true);
    let error = RegisterError::Unmappable { phys: 0xfd00_0000, bytes: 56 };
    assert_eq!(refusal(unmapped), PciError::Register(error));
    assert_eq!(
        refusal(|function| function.set(0x48, 2)),
        PciError::Register(RegisterError::Misaligned { offset: 0 })
    );
}

#[test]
fn a_card_without_configuration_has_none() {
    let mut function = card();
    function.set(0x70, function.get(0x70) & !0xff00_0000);
    assert_eq!(Slot::with(function).transport().unwrap().config_u8(0), Err(TransportError::NoConfig));
}

// Probing.

#[test]
fn our_cards_are_recognised_and_others_are_not() {
    for device in [0x1041, 0x1000] {
        let mut function = card();
        function.set(0, device << 16 | 0x1af4);
        let slot = Slot::with(function);
        // Registers that only keep what is written say VERSION_1 in neither half.
        assert!(matches!(slot.probe(), Some(Err(ProbeError::Net(_)))), "{device:#x}");
    }
    for (vendor, device) in [(0x1af4, 0x1042), (0x8086, 0x1041), (0x1041, 0x1af4)] {
        let mut function = card();
        function.set(0, device << 16 | vendor);
        let slot = Slot::with(function);
        assert!(slot.probe().is_none());
        assert_eq!(slot.pci.writes(), [], "a foreign card is not touched");
    }
}

/// Registers that keep what is written are enough of a card to be looked at, if the feature register says so.
#[test]
fn a_card_is_looked_at_and_named() {
    let mut function = card();
    function.set(0, 0x1041_1af4);
    let slot = Slot::with(function);
    let window = slot.hal.map(BAR, BAR_BYTES).unwrap();
    // The same word for both halves: bit 0 is CSUM below and VERSION_1 above; bit 5 is MAC below.
    window.write32(COMMON + 4, 1 | 1 << 5);
    let Some(Ok(card)) = slot.probe() else { panic!("it is a card") };
    assert_eq!(card.name_prefix(), "vtnet");
    let Card::VirtioNet(nic) = card else { panic!("it is on PCI") };
    assert_eq!(nic.info().mac, [1, 2, 3, 4, 5, 6]);
    assert_eq!((nic.info().tx_slots, nic.info().rx_slots), (256, 256));

    drop(nic);
    window.write32(COMMON + 4, 1);
    let Some(Ok(Card::VirtioNet(nic))) = slot.probe() else { panic!("it is a card") };
    assert_eq!(nic.info().mac, [0x02, b'm', b'r', 0, 0, 3 << 3], "made from 00:03.0");
}

#[test]
fn a_card_of_version_1_without_registers_is_refused() {
    let mut function = card();
    function.set(0x34, 0);
    let Some(Err(error)) = Slot::with(function).probe() else { panic!("it is ours, and cannot be driven") };
    assert_eq!(error, ProbeError::Pci(PciError::LegacyOnly));
    assert!(error.to_string().contains("does not say where its registers are"));
}

// Regions.

#[test]
fn an_access_reaches_a_whole_aligned_register_or_nothing() {
    let slot = Slot::with(card());
    let region = slot.hal.map(BAR + 0x10, 0x10).unwrap();
    let outside = |offset| Err(RegisterError::OutOfRange { offset, bytes: 0x10 });
    assert_eq!((region.bytes(), region.check(0xc, 4), region.check(0xf, 1)), (0x10, Ok(()), Ok(())));
    assert_eq!((region.check(0xd, 4), region.check(0x10, 1)), (outside(0xd), outside(0x10)));
    assert_eq!(region.check(3, 2), Err(RegisterError::Misaligned { offset: 3 }));
    assert_eq!(region.check(usize::MAX, 2), outside(usize::MAX));

    let before = slot.registers::<0x30>(0);
    for offset in [0xd, 0x10, 1, usize::MAX - 3] {
        region.write32(offset, 0);
        assert_eq!(region.read32(offset), !0, "{offset:#x}");
    }
    assert_eq!((region.read16(0xf), region.read8(0x10)), (!0, !0));
    assert_eq!(slot.registers::<0x30>(0), before, "nothing was written");

    region.write64(4, 0x0102_0304_0506_0708);
    assert_eq!(slot.registers(0x14), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((region.read32(8), region.read16(4), region.read8(0xb)), (0x0102_0304, 0x0708, 1));
    assert!(slot.hal.map(BAR, BAR_BYTES + 1).is_err());

    // The register's address counts, not its offset.
    let odd = slot.hal.map(BAR + 2, 8).unwrap();
    assert_eq!((odd.check(0, 4), odd.check(2, 4)), (Err(RegisterError::Misaligned { offset: 0 }), Ok(())));
}

proptest! {
    /// Whatever a function's capabilities and BARs hold, finding the registers ends, and all that is mapped lies
    /// within a BAR.
    #[test]
    fn whatever_a_card_says_about_itself(
        dwords in prop::collection::vec((4..64u16, any::<u32>(), any::<u32>()), 0..20),
    ) {
        let mut function = card();
        for (register, value, writable) in dwords {
            function.set(4 * register, value);
            function.set_writable(4 * register, writable);
        }
        let slot = Slot::with(function);
        if let Some(Ok(Card::VirtioNet(mut nic))) = slot.probe() {
            let _ = queues_of(&mut nic);
        }
    }
}
