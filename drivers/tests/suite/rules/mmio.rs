//! Rules about the registers of virtio-mmio.

use std::sync::Arc;

use millrace_drivers::registers::IoRegion;
use millrace_drivers::testing::{FakeMachine, MmioVersion, NetDevice, Setup, Violation};

use nm_driver::platform::{DmaMemory, Platform};

use super::by_hand::{ACKNOWLEDGE, DRIVER, FEATURES_OK, SIZE, TX};

const DRIVER_FEATURES: usize = 0x20;
const DRIVER_FEATURES_SEL: usize = 0x24;
const PAGE_SIZE: usize = 0x28;
const QUEUE_SEL: usize = 0x30;
const QUEUE_NUM: usize = 0x38;
const QUEUE_ALIGN: usize = 0x3c;
const QUEUE_PFN: usize = 0x40;
const QUEUE_READY: usize = 0x44;
const QUEUE_DESC: usize = 0x80;
const STATUS: usize = 0x70;
const GENERATION: usize = 0xfc;
const CONFIG: usize = 0x100;

fn card() -> (NetDevice, Arc<dyn IoRegion>) {
    let device = NetDevice::new(&FakeMachine::new(), Setup::with_queues(SIZE, SIZE));
    let bank = device.mmio_registers(MmioVersion::V2);
    (device, bank)
}

fn legacy_card(machine: &Arc<FakeMachine>) -> (NetDevice, Arc<dyn IoRegion>) {
    let device = NetDevice::new(machine, Setup::with_queues(SIZE, SIZE).legacy());
    let bank = device.mmio_registers(MmioVersion::V1);
    (device, bank)
}

/// At a device that has agreed on VERSION_1 alone.
fn negotiated() -> (NetDevice, Arc<dyn IoRegion>) {
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
    type Access = fn(&dyn IoRegion);
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
        access(bank.as_ref());
        assert_eq!(device.violations(), [Violation::RegisterAccess { offset }]);
    }
}

#[test]
fn each_version_has_registers_of_its_own() {
    for offset in [QUEUE_READY, QUEUE_DESC, GENERATION] {
        let (device, bank) = legacy_card(&FakeMachine::new());
        if offset == QUEUE_DESC {
            bank.write32(offset, 1)
        } else {
            _ = bank.read32(offset)
        }
        assert_eq!(device.violations(), [Violation::RegisterAccess { offset }]);
    }
    for offset in [PAGE_SIZE, QUEUE_ALIGN, QUEUE_PFN] {
        let (device, bank) = card();
        bank.write32(offset, 4096);
        assert_eq!(device.violations(), [Violation::RegisterAccess { offset }]);
    }
}

/// The page says where the queue is only to a device that knows the rest.
#[test]
fn a_legacy_queue_gets_its_page_last() {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let memory = DmaMemory::allocate(&platform, 8192, 4096).unwrap();
    let page = u32::try_from(memory.phys() / 4096).unwrap();
    let written = |order: &[(usize, u32)]| {
        let (device, bank) = legacy_card(&machine);
        for status in [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER] {
            bank.write32(STATUS, status.into());
        }
        bank.write32(QUEUE_SEL, TX.into());
        assert_eq!(bank.read32(QUEUE_PFN), 0);
        order.iter().for_each(|&(register, value)| bank.write32(register, value));
        let now = bank.read32(QUEUE_PFN);
        // The page is gone with a reset.
        bank.write32(STATUS, 0);
        assert_eq!(bank.read32(QUEUE_PFN), 0);
        (now, device.violations())
    };
    let all = [(PAGE_SIZE, 4096), (QUEUE_NUM, 8), (QUEUE_ALIGN, 4096), (QUEUE_PFN, page)];
    assert_eq!(written(&all), (page, vec![]));
    for missing in 0..3 {
        let mut some = all.to_vec();
        some.remove(missing);
        assert_eq!(written(&some), (0, vec![Violation::PageOutOfOrder { queue: TX }]), "{missing}");
    }
    let [page_size, entries, align, _] = all;
    let zero = [page_size, entries, align, (QUEUE_PFN, 0)];
    assert_eq!(written(&zero), (0, vec![Violation::PageZero { queue: TX }]));
    let odd = [page_size, entries, (QUEUE_ALIGN, 24), (QUEUE_PFN, page)];
    assert_eq!(written(&odd), (0, vec![Violation::PageOutOfOrder { queue: TX }]));
}

/// There is no generation: what was read counts if it was read twice.
#[test]
fn a_field_of_several_parts_of_a_legacy_device_is_read_twice() {
    for (times, expected) in [(1, vec![Violation::ConfigUnchecked]), (2, vec![])] {
        let (device, bank) = legacy_card(&FakeMachine::new());
        (0..6 * times).for_each(|read| _ = bank.read8(CONFIG + read % 6));
        bank.write32(STATUS, ACKNOWLEDGE.into());
        assert_eq!(device.violations(), expected);
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
