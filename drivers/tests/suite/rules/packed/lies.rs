//! What a device does that misbehaves.

use millrace_drivers::testing::{Quirks, Setup};

use super::by_hand::{AVAIL, ByHand, DISABLE, Entry, USED};
use crate::rules::by_hand::{EVENT_IDX, FLAG_WRITE, RX, TX};

const SIZE: u16 = 5;

#[test]
fn a_false_completion_is_a_used_descriptor_at_the_next_place() {
    let mut driver = ByHand::running(0, SIZE);
    (0..3).for_each(|id| driver.post(RX, id));
    driver.device.fetch();
    driver.device.complete_falsely(RX, 0x1_0007, 0x1234_5678);
    driver.device.complete_falsely(RX, 2, 0);
    let used = |driver: &ByHand, place| {
        let Entry { id, len, flags, .. } = driver.read(RX, place);
        (id, len, flags)
    };
    assert_eq!(used(&driver, 0), (7, 0x1234_5678, AVAIL | USED | FLAG_WRITE));
    assert_eq!(used(&driver, 1), (2, 0, AVAIL | USED));
    assert_eq!(driver.device.interrupts(RX), 2);
    // It goes on behind its lies, in the next lap too, and has what it had.
    assert_eq!(driver.device.owned(RX), 3);
    (0..3).for_each(|_| driver.device.complete_falsely(RX, 4, 1));
    driver.device.receive(b"", 0);
    assert_eq!(used(&driver, 0), (0, 12, FLAG_WRITE));
    // What the device wrote itself is not the driver's fault.
    driver.expect_none();
}

/// Nothing else says whether there is a length.
#[test]
fn a_device_may_leave_out_that_it_has_written() {
    for (omits_write_flag, flags) in [(false, AVAIL | USED | FLAG_WRITE), (true, AVAIL | USED)] {
        let quirks = Quirks { omits_write_flag, ..Quirks::default() };
        let setup = Setup { quirks, ..Setup::with_queues(SIZE, SIZE) };
        let mut driver = ByHand::running_at(setup, 0, SIZE);
        driver.post(RX, 0);
        assert!(driver.device.receive(b"frame", 0));
        assert_eq!(driver.take(RX).map(|used| (used.len, used.flags)), Some((17, flags)));
    }
}

#[test]
fn a_jump_has_places_look_used() {
    for (distance, ends) in [(0, 0), (1, 1), (4, 4), (5, 5), (6, 5), (0xffff, 5)] {
        let mut driver = ByHand::running(0, SIZE);
        (0..3).for_each(|id| driver.post(RX, id));
        driver.device.fetch();
        let before: Vec<_> = (0..SIZE).map(|place| driver.read(RX, place)).collect();
        driver.device.jump(RX, distance);
        for (place, entry) in (0..).zip(before) {
            let expected =
                if place < ends { Entry { flags: AVAIL | USED | entry.flags, ..entry } } else { entry };
            assert_eq!(driver.read(RX, place), expected, "{distance} and {place}");
        }
        assert_eq!(driver.device.interrupts(RX), 1);
        // The next one is behind it.
        driver.device.complete_falsely(RX, 4, 0);
        let flags = if ends == SIZE { 0 } else { AVAIL | USED };
        let place = ends % SIZE;
        assert_eq!((driver.read(RX, place).id, driver.read(RX, place).flags), (4, flags));
        driver.expect_none();
    }
}

#[test]
fn a_device_says_anything_about_doorbells() {
    for features in [0, EVENT_IDX] {
        let driver = ByHand::running(features, SIZE);
        for (flags, event) in [(DISABLE, 0), (3, 0xffff), (0xffff, 0x8003)] {
            driver.device.scribble(TX, flags, event);
            assert_eq!(driver.device_events(TX), [event, flags]);
        }
    }
}
