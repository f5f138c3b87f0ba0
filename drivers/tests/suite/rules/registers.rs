//! Rules about registers.

use millrace_drivers::testing::{Slow, Violation};
use millrace_drivers::virtio::transport::QueuePlace;

use super::by_hand::{ACKNOWLEDGE, ByHand, DRIVER, DRIVER_OK, EVENT_IDX, FEATURES_OK, RX, TX, VERSION_1};

#[test]
fn status_bits_have_an_order() {
    let driver = ByHand::new();
    driver.device.write_status(DRIVER);
    driver.expect(Violation::StatusOrder { from: 0, to: DRIVER });

    let driver = ByHand::new();
    driver.device.write_status(ACKNOWLEDGE);
    driver.device.write_status(ACKNOWLEDGE | DRIVER);
    let to = ACKNOWLEDGE | DRIVER | DRIVER_OK;
    driver.device.write_status(to);
    let violations = driver.device.violations();
    assert!(
        violations.contains(&Violation::StatusOrder { from: ACKNOWLEDGE | DRIVER, to }),
        "DRIVER_OK too early"
    );
}

#[test]
fn status_bits_are_cleared_by_a_reset_only() {
    let driver = ByHand::negotiated(0);
    driver.device.write_status(ACKNOWLEDGE);
    driver.expect(Violation::StatusCleared { from: ACKNOWLEDGE | DRIVER | FEATURES_OK, to: ACKNOWLEDGE });
}

#[test]
fn a_reset_is_waited_for() {
    let driver = ByHand::running(0);
    driver.device.change_setup(|setup| setup.quirks.slow_reset = Slow::Looks(2));
    driver.device.write_status(0);
    assert_ne!(driver.device.read_status(), 0);
    driver.device.write_status(ACKNOWLEDGE);
    driver.expect(Violation::ResetNotAwaited);
}

#[test]
fn features_are_accepted_of_those_offered_and_in_time() {
    let driver = ByHand::new();
    driver.device.write_status(ACKNOWLEDGE);
    driver.device.write_status(ACKNOWLEDGE | DRIVER);
    driver.device.write_features(VERSION_1 | 1 << 60);
    driver.expect(Violation::FeaturesNotOffered);
    driver.device.write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert_eq!(driver.device.read_status() & FEATURES_OK, 0);

    let driver = ByHand::new();
    driver.device.write_features(VERSION_1);
    driver.expect(Violation::FeaturesAtWrongTime);

    let driver = ByHand::negotiated(0);
    driver.device.write_features(VERSION_1 | EVENT_IDX);
    driver.expect(Violation::FeaturesAtWrongTime);
}

/// FEATURES_OK came with version 1: a legacy device takes features when they are written.
#[test]
fn a_legacy_device_does_not_know_features_ok() {
    let driver = ByHand::running_legacy(EVENT_IDX);
    driver.expect_none();

    let driver = ByHand::negotiated_legacy(0);
    let from = ACKNOWLEDGE | DRIVER;
    driver.device.write_status(from | FEATURES_OK);
    driver.expect(Violation::StatusOrder { from, to: from | FEATURES_OK });

    let driver = ByHand::negotiated_legacy(0);
    driver.set_up(RX, driver.place(RX));
    driver.device.enable_queue(RX);
    driver.device.write_features(EVENT_IDX);
    driver.expect(Violation::FeaturesAtWrongTime);
}

#[test]
fn a_queue_has_addresses_before_it_is_enabled() {
    let driver = ByHand::negotiated(0);
    driver.device.enable_queue(RX);
    driver.expect(Violation::QueueWithoutAddresses { queue: RX });
}

#[test]
fn a_queue_lies_where_it_may() {
    let broken = |change: fn(&mut QueuePlace)| {
        let driver = ByHand::negotiated(0);
        let mut place = driver.place(TX);
        change(&mut place);
        driver.set_up(TX, place);
        driver.device.enable_queue(TX);
        driver.device.violations()
    };
    assert_eq!(broken(|_| {}), []);
    assert_eq!(broken(|place| place.descriptors += 8), [Violation::QueueMisaligned { queue: TX }]);
    assert_eq!(broken(|place| place.available += 1), [Violation::QueueMisaligned { queue: TX }]);
    assert_eq!(broken(|place| place.used += 2), [Violation::QueueMisaligned { queue: TX }]);
    assert_eq!(broken(|place| place.used += 1 << 30), [Violation::QueueOutsideMemory { queue: TX }]);
    assert_eq!(broken(|place| place.size = 6), [Violation::QueueSize { queue: TX }]);
    assert_eq!(broken(|place| place.size = 16), [Violation::QueueSize { queue: TX }]);
}

#[test]
fn queues_are_set_up_between_features_ok_and_driver_ok() {
    let driver = ByHand::new();
    driver.device.write_queue_size(RX, 4);
    driver.expect(Violation::QueueAtWrongTime { queue: RX });

    let driver = ByHand::running(0);
    driver.device.write_queue_addresses(RX, driver.place(RX));
    driver.expect(Violation::QueueAtWrongTime { queue: RX });

    let driver = ByHand::negotiated(0);
    driver.set_up(RX, driver.place(RX));
    driver.device.enable_queue(RX);
    driver.device.enable_queue(RX);
    driver.expect(Violation::QueueAtWrongTime { queue: RX });
}

#[test]
fn all_queues_are_enabled_before_driver_ok() {
    let driver = ByHand::negotiated(0);
    driver.set_up(RX, driver.place(RX));
    driver.device.enable_queue(RX);
    driver.device.write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assert_eq!(driver.device.violations(), [Violation::NotAllQueuesEnabled]);
}

#[test]
fn queue_memory_stays_while_the_device_runs() {
    let driver = ByHand::running(0);
    let ByHand { device, queues, .. } = driver;
    drop(queues);
    device.fetch();
    let gone = |queue| Violation::QueueOutsideMemory { queue };
    assert_eq!(device.violations(), [gone(RX), gone(TX)]);
}
