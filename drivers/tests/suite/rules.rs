//! The model of the card complains when a driver breaks a rule: each rule is broken here once, on purpose.

mod buffers;
mod by_hand;
mod control;
mod legacy_pci;
mod mmio;
mod notifications;
mod packed;
mod registers;

use millrace_drivers::virtio::features::Features;

use self::by_hand::{ByHand, EVENT_IDX, RX, SIZE, TX, VERSION_1};

#[test]
fn a_driver_that_keeps_the_rules_hears_nothing() {
    for features in [0, EVENT_IDX] {
        let driver = ByHand::running(features);
        for index in 0..40 {
            let id = index * 3 % SIZE;
            driver.post(TX, index, id);
            driver.post(RX, index, 7 - id);
            driver.expect_none();
            driver.device.transmit(0).unwrap();
            assert!(driver.device.receive(b"frame", 0));
        }
        driver.device.write_status(0);
        driver.expect_none();
    }
}

#[test]
fn rules_are_checked_with_the_features_that_the_bits_stand_for() {
    assert_eq!((Features::VERSION_1.bits(), Features::RING_EVENT_IDX.bits()), (VERSION_1, EVENT_IDX));
}
