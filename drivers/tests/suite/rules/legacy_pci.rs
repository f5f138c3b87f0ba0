//! Rules about the registers of PCI's legacy interface.

use std::sync::Arc;

use millrace_drivers::registers::IoRegion;
use millrace_drivers::testing::{FakeMachine, NetDevice, Setup, Violation};
use nm_driver::platform::{DmaMemory, Platform};

use super::by_hand::{ACKNOWLEDGE, DRIVER, SIZE, TX};

const DRIVER_FEATURES: usize = 0x04;
const QUEUE_PAGE: usize = 0x08;
const QUEUE_SIZE: usize = 0x0c;
const QUEUE_SELECT: usize = 0x0e;
const STATUS: usize = 0x12;
const CONFIG: usize = 0x14;

fn card(machine: &Arc<FakeMachine>) -> (NetDevice, Arc<dyn IoRegion>) {
    let device = NetDevice::new(machine, Setup::with_queues(SIZE, SIZE).legacy());
    let bank = device.legacy_pci_registers();
    bank.write8(STATUS, ACKNOWLEDGE);
    bank.write8(STATUS, ACKNOWLEDGE | DRIVER);
    (device, bank)
}

#[test]
fn ports_are_accessed_as_a_whole_and_in_their_direction() {
    type Access = fn(&dyn IoRegion);
    let cases: [(Access, usize); 7] = [
        (|bank| _ = bank.read32(DRIVER_FEATURES), DRIVER_FEATURES),
        (|bank| _ = bank.read8(QUEUE_SIZE), QUEUE_SIZE),
        (|bank| _ = bank.read16(STATUS), STATUS),
        (|bank| bank.write16(QUEUE_SIZE, 4), QUEUE_SIZE),
        (|bank| bank.write16(STATUS, 0), STATUS),
        (|bank| bank.write8(CONFIG, 0), CONFIG),
        (|bank| bank.write32(0, 0), 0),
    ];
    for (access, offset) in cases {
        let (device, bank) = card(&FakeMachine::new());
        access(bank.as_ref());
        assert_eq!(device.violations(), [Violation::RegisterAccess { offset }]);
    }
}

#[test]
fn a_queue_is_looked_at_before_it_gets_its_page_which_is_not_0() {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let memory = DmaMemory::allocate(&platform, 8192, 4096).unwrap();
    let page = u32::try_from(memory.phys() / 4096).unwrap();
    let (device, bank) = card(&machine);
    bank.write16(QUEUE_SELECT, TX);
    assert_eq!((bank.read16(QUEUE_SIZE), bank.read32(QUEUE_PAGE)), (SIZE, 0));
    bank.write32(QUEUE_PAGE, page);
    assert_eq!((bank.read32(QUEUE_PAGE), device.violations()), (page, vec![]));
    // The page is gone with a reset.
    bank.write8(STATUS, 0);
    bank.write16(QUEUE_SELECT, TX);
    assert_eq!(bank.read32(QUEUE_PAGE), 0);

    let (device, bank) = card(&machine);
    bank.read32(QUEUE_PAGE);
    bank.write16(QUEUE_SELECT, TX);
    bank.write32(QUEUE_PAGE, page);
    assert_eq!(device.violations(), [Violation::QueueNotLookedAt { queue: TX }]);

    let (device, bank) = card(&machine);
    bank.read32(QUEUE_PAGE);
    bank.write32(QUEUE_PAGE, 0);
    assert_eq!(device.violations(), [Violation::PageZero { queue: 0 }]);

    let (device, bank) = card(&machine);
    bank.read32(QUEUE_PAGE);
    bank.write32(QUEUE_PAGE, page + 1);
    assert_eq!(device.violations(), [Violation::QueueOutsideMemory { queue: 0 }], "the used ring is beyond");
}

#[test]
fn a_field_of_several_parts_is_read_twice() {
    for (times, expected) in [(1, vec![Violation::ConfigUnchecked]), (2, vec![])] {
        let (device, bank) = card(&FakeMachine::new());
        (0..6 * times).for_each(|read| _ = bank.read8(CONFIG + read % 6));
        bank.write8(STATUS, 0);
        assert_eq!(device.violations(), expected);
    }
}
