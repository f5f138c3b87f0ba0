//! Rules about doorbells and interrupts: what each side says in its event suppression structure.

use millrace_drivers::testing::Violation;

use super::by_hand::{ByHand, Cursor, DESC, DISABLE, ENABLE, WRAP};
use crate::rules::by_hand::{EVENT_IDX, RX, TX};

const SIZE: u16 = 5;

/// At a device that has sent `count` packets and given all back.
fn after(features: u64, count: u16) -> ByHand {
    let mut driver = ByHand::running(features, SIZE);
    for number in 0..count {
        driver.post(TX, number % SIZE);
        driver.device.transmit(0).unwrap();
        driver.take(TX).unwrap();
    }
    driver.expect_none();
    driver
}

#[test]
fn the_device_asks_for_a_doorbell_at_the_next_place() {
    for (count, event) in
        [(0, WRAP), (2, 2 | WRAP), (4, 4 | WRAP), (5, 0), (9, 4), (10, WRAP), (12, 2 | WRAP)]
    {
        assert_eq!(after(EVENT_IDX, count).device_events(TX), [event, DESC], "{count}");
        assert_eq!(after(0, count).device_events(TX)[1], ENABLE);
    }
    for features in [0, EVENT_IDX] {
        let driver = after(features, 7);
        driver.device.set_quiet(TX, true);
        assert_eq!(driver.device_events(TX)[1], DISABLE);
        driver.device.fetch();
        assert_eq!(driver.device_events(TX)[1], DISABLE);
        driver.device.set_quiet(TX, false);
        assert_ne!(driver.device_events(TX)[1], DISABLE);
    }
}

#[test]
fn a_doorbell_that_is_wanted_is_not_left_out() {
    for features in [0, EVENT_IDX] {
        for count in [0, 3, 4, 5] {
            let mut driver = after(features, count);
            driver.make_available(TX, driver.good(TX, 0));
            driver.expect(Violation::DoorbellMissed { queue: TX });
        }
    }
}

#[test]
fn no_doorbell_that_is_not_wanted() {
    for features in [0, EVENT_IDX] {
        let mut driver = after(features, 4);
        driver.device.set_quiet(TX, true);
        driver.post(TX, 0);
        driver.post(TX, 1);
        driver.expect_none();
        assert_eq!(driver.device.doorbells(TX), 4);
        driver.make_available(TX, driver.good(TX, 2));
        driver.device.ring_doorbell(TX);
        driver.expect(Violation::DoorbellUnwanted { queue: TX });
    }
    // The device has been told that there is something, and has not looked since. A second doorbell tells nothing new, and is
    // not forbidden.
    let second = |features| {
        let mut driver = after(features, 4);
        driver.post(TX, 0);
        driver.make_available(TX, driver.good(TX, 1));
        driver.device.ring_doorbell(TX);
        driver.device.fetch();
        driver.device.violations()
    };
    assert_eq!((second(EVENT_IDX), second(0)), (vec![], vec![]));
    // Until the device has looked for the first time, its structure asks for all.
    let mut driver = ByHand::running(EVENT_IDX, SIZE);
    driver.post(TX, 0);
    driver.post(TX, 1);
    assert_eq!(driver.device.doorbells(TX), 2);
    driver.expect_none();
}

/// With a batch that ends in the next lap, and one that begins behind the event.
#[test]
fn one_doorbell_is_for_a_batch() {
    let mut driver = after(EVENT_IDX, 3);
    (0..4).for_each(|id| driver.make_available(TX, driver.good(TX, id)));
    driver.kick(TX);
    driver.post(TX, 4);
    assert_eq!(driver.device.doorbells(TX), 4);
    assert_eq!(driver.device.transmit_all().len(), 5);
    driver.expect_none();
}

#[test]
fn no_doorbell_without_anything_new_and_none_at_the_wrong_time() {
    for features in [0, EVENT_IDX] {
        let mut driver = after(features, 4);
        driver.device.ring_doorbell(TX);
        driver.expect(Violation::DoorbellWithoutBuffers { queue: TX });
        let mut again = after(features, 4);
        again.post(TX, 0);
        again.device.ring_doorbell(TX);
        again.expect(Violation::DoorbellWithoutBuffers { queue: TX });
        driver.post(TX, 0);
        driver.device.write_status(0);
        driver.device.ring_doorbell(TX);
        assert_eq!(driver.device.violations().last(), Some(&Violation::DoorbellAtWrongTime { queue: TX }));
    }
}

/// A queue that is filled and emptied while the device looks by itself comes to where it was, and has something new.
#[test]
fn a_doorbell_two_laps_on_is_one_with_buffers() {
    let mut driver = after(0, 5);
    driver.device.set_quiet(TX, true);
    for number in 0..2 * SIZE {
        driver.post(TX, number % SIZE);
        driver.device.transmit(0).unwrap();
        if number == 2 * SIZE - 2 {
            driver.device.set_quiet(TX, false);
        }
    }
    driver.expect_none();
    assert_eq!(driver.device.doorbells(TX), 6);
}

/// Interrupts for packets one by one, from the start, when the driver has said this.
fn interrupts(features: u64, said: impl Fn(&ByHand), count: u16) -> Vec<u64> {
    let mut driver = after(features, 0);
    said(&driver);
    let sent = (0..count).map(|number| {
        driver.post(TX, number % SIZE);
        driver.device.transmit(0).unwrap();
        driver.device.interrupts(TX)
    });
    let sent = sent.collect();
    driver.expect_none();
    sent
}

#[test]
fn interrupts_come_as_the_driver_wants_them() {
    for features in [0, EVENT_IDX] {
        assert_eq!(interrupts(features, |driver| driver.set_events(TX, 3, ENABLE), 3), [1, 2, 3]);
        assert_eq!(interrupts(features, |driver| driver.set_events(TX, 3, DISABLE), 3), [0, 0, 0]);
    }
    let at = |event| interrupts(EVENT_IDX, move |driver| driver.set_events(TX, event, DESC), 12);
    assert_eq!(at(WRAP), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
    assert_eq!(at(4 | WRAP), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(at(0), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(at(4), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn the_drivers_structure_has_what_was_agreed_on() {
    let sending = |features, event, flags| {
        let mut driver = after(features, 1);
        driver.set_events(TX, event, flags);
        driver.post(TX, 1);
        driver.device.transmit(0).unwrap();
        driver.device
    };
    let after_sending = |features, event, flags| sending(features, event, flags).violations();
    assert_eq!(after_sending(0, WRAP, DESC), [Violation::EventWithoutEventIdx { queue: TX }]);
    for features in [0, EVENT_IDX] {
        for flags in [3, 4, 0x8000, 0xffff] {
            let reserved = Violation::EventFlagsReserved { queue: TX, flags };
            assert_eq!(after_sending(features, 0, flags), [reserved]);
        }
        // Where it is not looked at, anything may stand there.
        assert_eq!(after_sending(features, 0xffff, ENABLE), []);
        assert_eq!(after_sending(features, 0xffff, DISABLE), []);
    }
    for event in [SIZE, SIZE | WRAP, 0xffff] {
        assert_eq!(after_sending(EVENT_IDX, event, DESC), [Violation::EventOutsideRing { queue: TX, event }]);
    }
    assert_eq!(after_sending(EVENT_IDX, SIZE - 1, DESC), []);
    // A device that does not know a place interrupts each time, and one that looks for a place that there is not never does.
    assert_eq!(sending(0, SIZE - 1, DESC).interrupts(TX), 2);
    assert_eq!(sending(EVENT_IDX, SIZE | WRAP, DESC).interrupts(TX), 1);
    // Who sleeps on it is told as well.
    let driver = after(0, 0);
    driver.set_events(RX, WRAP, DESC);
    driver.device.driver_sleeps(RX, 0);
    driver.expect(Violation::EventWithoutEventIdx { queue: RX });
}

#[test]
fn who_sleeps_has_asked_to_be_woken() {
    for features in [0, EVENT_IDX] {
        for count in [0, 4, 5, 9, 10, 11] {
            let driver = after(features, count);
            driver.set_events(TX, 0, ENABLE);
            driver.device.driver_sleeps(TX, count);
            driver.expect_none();
            driver.set_events(TX, 0, DISABLE);
            driver.device.driver_sleeps(TX, count);
            driver.expect(Violation::SleepsUnarmed { queue: TX });
        }
    }
    for count in [0, 4, 5, 9, 10, 11] {
        let mut right = after(EVENT_IDX, count);
        let next = right.side(TX).used;
        right.set_events(TX, next.event(), DESC);
        right.device.driver_sleeps(TX, count);
        right.expect_none();
        // In the other lap, or at another place.
        let others = [Cursor { wrap: !next.wrap, ..next }, Cursor { place: (next.place + 1) % SIZE, ..next }];
        for other in others {
            let driver = after(EVENT_IDX, count);
            driver.set_events(TX, other.event(), DESC);
            driver.device.driver_sleeps(TX, count);
            driver.expect(Violation::SleepsUnarmed { queue: TX });
        }
    }
}

/// The classic lost wake-up: a completion comes after the driver's last look and before it asks for an interrupt; a
/// driver that asks and does not look again sleeps on.
#[test]
fn who_asks_to_be_woken_looks_once_more() {
    for (features, flags) in [(0, ENABLE), (EVENT_IDX, ENABLE), (EVENT_IDX, DESC)] {
        for count in [0, 4, 5, 9] {
            let mut driver = after(features, count);
            // What came with the packets before is heard.
            driver.device.driver_sleeps(TX, count);
            let event = driver.side(TX).used.event();
            driver.set_events(TX, 0, DISABLE);
            driver.post(TX, 0);
            driver.device.transmit(0).unwrap();
            driver.set_events(TX, event, flags);
            driver.device.driver_sleeps(TX, count);
            driver.expect(Violation::LostWakeUp { queue: TX });
            // Who has looked may sleep.
            let mut driver = after(features, count);
            driver.device.driver_sleeps(TX, count);
            driver.set_events(TX, 0, DISABLE);
            driver.post(TX, 0);
            driver.device.transmit(0).unwrap();
            driver.take(TX).unwrap();
            driver.set_events(TX, driver.sides[usize::from(TX)].used.event(), flags);
            driver.device.driver_sleeps(TX, count + 1);
            driver.expect_none();
        }
    }
}

/// Who has asked for the second of two, and got it, may look at neither before it goes to sleep: it wakes at once.
#[test]
fn who_was_interrupted_does_not_sleep() {
    let mut driver = after(EVENT_IDX, 0);
    driver.set_events(TX, 1 | WRAP, DESC);
    for id in [0, 1] {
        driver.post(TX, id);
        driver.device.transmit(0).unwrap();
    }
    assert_eq!(driver.device.interrupts(TX), 1);
    driver.device.driver_sleeps(TX, 0);
    driver.expect_none();
}
