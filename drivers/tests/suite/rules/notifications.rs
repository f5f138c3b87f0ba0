//! Rules about doorbells and interrupts.

use millrace_drivers::testing::Violation;

use super::by_hand::{ByHand, EVENT_IDX, TX};

#[test]
fn no_doorbell_before_driver_ok_and_after_a_reset() {
    let driver = ByHand::negotiated(0);
    driver.device.ring_doorbell(TX);
    driver.expect(Violation::DoorbellAtWrongTime { queue: TX });

    let driver = ByHand::running(0);
    driver.device.write_status(0);
    driver.device.ring_doorbell(TX);
    driver.expect(Violation::DoorbellAtWrongTime { queue: TX });
}

/// The doorbell first and the index after it: the device looks, finds nothing, and sleeps.
#[test]
fn no_doorbell_before_its_index() {
    let driver = ByHand::running(0);
    driver.descriptor(TX, 0, driver.buffer(0), 100, 0);
    driver.device.ring_doorbell(TX);
    assert_eq!(driver.device.violations(), [Violation::DoorbellWithoutBuffers { queue: TX }]);
}

#[test]
fn no_second_doorbell_without_anything_new() {
    let driver = ByHand::running(0);
    driver.post(TX, 0, 0);
    driver.device.ring_doorbell(TX);
    driver.expect(Violation::DoorbellWithoutBuffers { queue: TX });
}

#[test]
fn no_doorbell_that_is_not_wanted() {
    for features in [0, EVENT_IDX] {
        let driver = ByHand::running(features);
        driver.device.set_quiet(TX, true);
        driver.post(TX, 0, 0);
        driver.expect(Violation::DoorbellUnwanted { queue: TX });
    }
}

#[test]
fn a_doorbell_that_is_wanted_is_not_left_out() {
    for features in [0, EVENT_IDX] {
        let driver = ByHand::running(features);
        driver.descriptor(TX, 0, driver.buffer(0), 100, 0);
        driver.publish(TX, 0, 0);
        driver.expect(Violation::DoorbellMissed { queue: TX });
    }
}

#[test]
fn the_interrupt_flag_is_not_used_with_event_idx() {
    let driver = ByHand::running(EVENT_IDX);
    driver.post(TX, 0, 0);
    driver.set_interrupt_flag(TX, 1);
    driver.device.transmit(0).unwrap();
    driver.expect(Violation::FlagWithEventIdx { queue: TX });
}

#[test]
fn who_sleeps_has_asked_to_be_woken() {
    let driver = ByHand::running(0);
    driver.set_interrupt_flag(TX, 1);
    driver.device.driver_sleeps(TX, 0);
    driver.expect(Violation::SleepsUnarmed { queue: TX });

    let driver = ByHand::running(EVENT_IDX);
    driver.set_used_event(TX, 0xffff);
    driver.device.driver_sleeps(TX, 0);
    driver.expect(Violation::SleepsUnarmed { queue: TX });
}

/// The classic lost wake-up: a completion comes after the driver's last look and before it asks for an interrupt; a
/// driver that asks and does not look again sleeps on.
#[test]
fn who_asks_to_be_woken_looks_once_more() {
    let driver = ByHand::running(0);
    driver.set_interrupt_flag(TX, 1);
    driver.post(TX, 0, 0);
    driver.device.transmit(0).unwrap();
    driver.set_interrupt_flag(TX, 0);
    driver.device.driver_sleeps(TX, 0);
    driver.expect(Violation::LostWakeUp { queue: TX });

    let driver = ByHand::running(EVENT_IDX);
    driver.set_used_event(TX, 0xffff);
    driver.post(TX, 0, 0);
    driver.device.transmit(0).unwrap();
    driver.set_used_event(TX, 0);
    driver.device.driver_sleeps(TX, 0);
    driver.expect(Violation::LostWakeUp { queue: TX });
}
