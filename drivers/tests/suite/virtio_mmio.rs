//! virtio-mmio: what is found in a place for a device, and what becomes of it.

use std::cell::Cell;
use std::sync::Arc;

use millrace_drivers::hal::Hal;
use millrace_drivers::registers::{IoRegion, RegisterError};
use millrace_drivers::testing::FakeMachine;
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::mmio::{MmioTransport, Slot, SlotError};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{
    QueuePlace, Transport, TransportError, activate_queue, read_stable,
};
use millrace_drivers::{Card, Options, ProbeError, probe_mmio};
use nm_driver::nic::Nic;

const AT: u64 = 0xfeb0_0200;
const BYTES: usize = 0x200;

/// A machine with registers that keep what is written to them, after `change`.
fn machine_with(change: impl FnOnce(&mut [u8])) -> Arc<FakeMachine> {
    let mut registers = vec![0; BYTES];
    registers[..4].copy_from_slice(b"virt");
    registers[4] = 2;
    registers[8] = 1;
    // The same word for both halves of the features: VERSION_1 above is CSUM below, MAC is bit 5.
    registers[0x10] = 1 | 1 << 5;
    registers[0x34..0x36].copy_from_slice(&256u16.to_le_bytes());
    registers[0x100..0x108].copy_from_slice(&[1, 2, 3, 4, 5, 6, 1, 0]);
    change(&mut registers);
    let machine = FakeMachine::new();
    machine.add_registers(AT, &registers);
    machine
}

fn window(machine: &Arc<FakeMachine>) -> Arc<dyn IoRegion> {
    machine.map_mmio(AT, BYTES).unwrap()
}

fn probed(machine: &Arc<FakeMachine>) -> Option<Result<Card, ProbeError>> {
    let hal: Arc<dyn Hal> = machine.clone();
    probe_mmio(&hal, AT, BYTES as u64, None, Options::default())
}

fn refusal(change: impl FnOnce(&mut [u8])) -> SlotError {
    match probed(&machine_with(change)) {
        Some(Err(ProbeError::Slot(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_is_found_and_named() {
    let Some(Ok(card)) = probed(&machine_with(|_| {})) else { panic!("it is a card") };
    assert_eq!(card.name_prefix(), "vtnet");
    let Card::VirtioNet(nic) = card else { panic!("it is a virtio card") };
    assert_eq!(nic.info().mac, [1, 2, 3, 4, 5, 6]);
    assert_eq!((nic.info().tx_slots, nic.info().rx_slots), (256, 256));

    let Some(Ok(Card::VirtioNet(nic))) = probed(&machine_with(|registers| registers[0x10] = 1)) else {
        panic!("it is a card")
    };
    assert_eq!(nic.info().mac, [0x02, b'm', b'm', 0xfe, 0xb0, 0x02], "made from 0xfeb00200");
}

#[test]
fn a_free_place_and_other_devices_are_passed_over() {
    for device in [0, 2, 3, 26] {
        let machine = machine_with(|registers| registers[8] = device);
        let before = machine.registers(AT);
        assert!(probed(&machine).is_none());
        assert_eq!(machine.registers(AT), before, "it is not touched");
    }
}

#[test]
fn what_is_no_device_is_told_apart() {
    assert_eq!(refusal(|registers| registers[0] = b'V'), SlotError::NoMagic { found: 0x7472_6956 });
    assert_eq!(refusal(|registers| registers[4] = 3), SlotError::UnknownVersion { found: 3 });
    let hal: Arc<dyn Hal> = machine_with(|_| {});
    let probe = |at, bytes| match probe_mmio(&hal, at, bytes, None, Options::default()) {
        Some(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(probe(AT, 0xff), ProbeError::Slot(SlotError::TooShort { bytes: 0xff }));
    let unmappable = RegisterError::Unmappable { phys: 0xfe00_0000, bytes: 0x200 };
    assert_eq!(probe(0xfe00_0000, 0x200), ProbeError::Slot(SlotError::Register(unmappable)));
    assert!(probe(AT, 0xff).to_string().contains("255 bytes"));
}

#[test]
fn registers_are_written_where_they_are() {
    let machine = machine_with(|_| {});
    let slot = Slot::find(machine.as_ref(), AT, BYTES).unwrap().unwrap();
    let mut transport = MmioTransport::new(slot);
    let register = |offset: usize| window(&machine).read32(offset);

    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    assert_eq!((register(0x70), transport.status()), (3, Status::ACKNOWLEDGE | Status::DRIVER));
    transport.accept_features(Features::VERSION_1 | Features::NET_MAC);
    assert_eq!((register(0x24), register(0x20)), (1, 1), "the upper half is written last");
    assert_eq!((transport.config_u8(2), transport.config_u16(6)), (Ok(3), Ok(1)));
    let beyond = RegisterError::OutOfRange { offset: BYTES, bytes: BYTES };
    assert_eq!(transport.config_u8(0x100), Err(TransportError::Register(beyond)));

    let place =
        QueuePlace { size: 128, descriptors: 0x1_2345_6000, available: 0x2_0000_1000, used: 0x3_0000_2000 };
    let doorbell = activate_queue(&mut transport, 1, place).unwrap();
    let parts =
        [register(0x80), register(0x84), register(0x90), register(0x94), register(0xa0), register(0xa4)];
    assert_eq!(parts, [0x2345_6000, 1, 0x1000, 2, 0x2000, 3]);
    assert_eq!([0x30, 0x38, 0x44, 0x50].map(register), [1, 128, 1, 0]);
    doorbell.notify();
    assert_eq!(register(0x50), 1);
    assert!(!transport.quiesce(), "nothing keeps such a device from memory");

    // A status of more than eight bits is not one of a device that works.
    window(&machine).write32(0x70, 0x10f);
    assert_eq!(transport.status().bits(), 0xff);
}

#[test]
fn version_1_is_told_of_a_page() {
    let machine = machine_with(|registers| registers[4] = 1);
    assert!(matches!(probed(&machine), Some(Ok(Card::VirtioNet(_)))), "it need not offer VERSION_1");
    let slot = Slot::find(machine.as_ref(), AT, BYTES).unwrap().unwrap();
    let mut transport = MmioTransport::new(slot);
    let register = |offset: usize| window(&machine).read32(offset);

    transport.accept_features(Features::NET_MAC | Features::VERSION_1);
    assert_eq!((register(0x24), register(0x20)), (0, 1 << 5), "the upper half is not there");
    let place =
        QueuePlace { size: 128, descriptors: 0x1_2345_6000, available: 0x1_2345_6800, used: 0x1_2345_7000 };
    activate_queue(&mut transport, 1, place).unwrap();
    assert_eq!([0x28, 0x30, 0x38, 0x3c, 0x40].map(register), [4096, 1, 128, 4096, 0x12_3456]);
    assert_eq!([0x44, 0x80, 0x90, 0xa0].map(register), [0; 4], "registers of version 2");

    let again = activate_queue(&mut transport, 1, place).map(|_| ());
    assert_eq!(again, Err(TransportError::InUse { queue: 1 }));
    window(&machine).write32(0x40, 0);
    let far = QueuePlace { descriptors: 1 << 44, ..place };
    let error = activate_queue(&mut transport, 1, far).map(|_| ()).unwrap_err();
    assert_eq!((error, register(0x40)), (TransportError::OutOfReach { queue: 1 }, 0));
    let last = QueuePlace { descriptors: (1 << 44) - 4096, ..place };
    activate_queue(&mut transport, 1, last).unwrap();
    assert_eq!(register(0x40), u32::MAX);
}

#[test]
fn the_generation_is_that_of_the_registers() {
    let machine = machine_with(|_| {});
    let slot = Slot::find(machine.as_ref(), AT, BYTES).unwrap().unwrap();
    let transport = MmioTransport::new(slot);
    let reads = Cell::new(0);
    let value = read_stable(&transport, |transport| {
        reads.set(reads.get() + 1);
        window(&machine).write32(0xfc, reads.get().min(3));
        transport.config_u8(0)
    });
    assert_eq!((value, reads.get()), (Ok(1), 4), "until two looks find the same");
}

#[test]
fn registers_outside_a_bank_are_all_ones_and_cannot_be_written() {
    let machine = machine_with(|_| {});
    let bank = window(&machine);
    assert_eq!((bank.bytes(), bank.read32(4), bank.read16(4), bank.read8(4)), (BYTES, 2, 2, 2));
    let before = machine.registers(AT);
    for offset in [BYTES, BYTES - 1, 0x101, usize::MAX] {
        assert_eq!((bank.read32(offset), bank.read16(offset)), (!0, !0), "{offset:#x}");
        bank.write32(offset, 0);
        bank.write16(offset, 0);
    }
    assert_eq!(bank.read8(BYTES), !0);
    bank.write8(BYTES, 0);
    assert_eq!(machine.registers(AT), before);
    bank.write8(0x101, 9);
    bank.write16(0x102, 0x0807);
    assert_eq!(bank.read32(0x100), 0x0807_0901);
}
