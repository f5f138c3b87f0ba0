//! Rules about features, sizes and addresses.

use millrace_drivers::testing::{FakeMachine, NetDevice, Setup, Violation};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::transport::QueuePlace;

use super::by_hand::{ByHand, RING_PACKED};
use crate::rules::by_hand::{ACKNOWLEDGE, DRIVER, FEATURES_OK, RX, TX, VERSION_1};

#[test]
fn packed_queues_are_accepted_where_they_are_offered() {
    let packed = Features::RING_PACKED;
    let without = Setup::default();
    assert!(!without.offered.contains(packed) && Setup::default().packed().offered.contains(packed));
    // A legacy device has no bit 34, whatever is said about it.
    for setup in [without, Setup::default().packed().legacy()] {
        let device = NetDevice::new(&FakeMachine::new(), setup);
        device.write_status(ACKNOWLEDGE);
        device.write_status(ACKNOWLEDGE | DRIVER);
        device.write_features(RING_PACKED);
        assert_eq!(device.violations(), [Violation::FeaturesNotOffered]);
    }
    let driver = ByHand::negotiated(RING_PACKED, 8);
    driver.expect_none();
    assert_eq!(driver.device.accepted_features(), VERSION_1 | RING_PACKED);
    assert_ne!(driver.device.read_status() & FEATURES_OK, 0);
}

/// Complaints about a queue with a changed place, at a device that offers queues of `offered` entries.
fn with_place(features: u64, offered: u16, change: impl Fn(&mut QueuePlace)) -> Vec<Violation> {
    let driver = ByHand::negotiated(features, offered);
    let mut place = driver.place(TX);
    change(&mut place);
    driver.device.write_queue_size(TX, place.size);
    driver.device.write_queue_addresses(TX, place);
    driver.device.enable_queue(TX);
    driver.device.violations()
}

#[test]
fn a_queue_lies_where_it_may() {
    let broken = |change: fn(&mut QueuePlace)| with_place(RING_PACKED, 8, change);
    let (without, misaligned, outside) = (
        [Violation::QueueWithoutAddresses { queue: TX }],
        [Violation::QueueMisaligned { queue: TX }],
        [Violation::QueueOutsideMemory { queue: TX }],
    );
    assert_eq!(broken(|_| {}), []);
    assert_eq!(broken(|place| place.descriptors = 0), without);
    assert_eq!(broken(|place| place.available = 0), without);
    assert_eq!(broken(|place| place.used = 0), without);
    assert_eq!(broken(|place| place.descriptors += 8), misaligned);
    assert_eq!(broken(|place| place.available += 2), misaligned);
    assert_eq!(broken(|place| place.used += 2), misaligned);
    assert_eq!(broken(|place| place.descriptors += 1 << 30), outside);
    assert_eq!(broken(|place| place.available += 1 << 30), outside);
    assert_eq!(broken(|place| place.used += 1 << 30), outside);
}

/// The structures for events are four bytes each: they may be the last in memory.
#[test]
fn the_parts_of_a_queue_are_as_long_as_the_format_has_them() {
    let parts: [fn(&mut QueuePlace) -> &mut u64; 3] =
        [|place| &mut place.descriptors, |place| &mut place.available, |place| &mut place.used];
    for (part, bytes) in parts.into_iter().zip([16 * 256, 4, 4]) {
        let with_room = |room| {
            with_place(RING_PACKED, 256, |place| {
                let end = place.descriptors - u64::from(TX) * (16 * 256 + 16) + 3 * (16 * 256 + 16);
                *part(place) = end - room;
            })
        };
        assert_eq!(with_room(bytes), []);
        let step = if bytes == 4 { 4 } else { 16 };
        assert_eq!(with_room(bytes - step), [Violation::QueueOutsideMemory { queue: TX }]);
    }
}

#[test]
fn a_queue_has_any_size_up_to_what_is_offered_and_to_32768() {
    let wrong = [Violation::QueueSize { queue: TX }];
    let sized = |offered, size| with_place(RING_PACKED, offered, |place| place.size = size);
    for size in [1, 3, 100, 255, 256] {
        assert_eq!(sized(256, size), [], "{size}");
    }
    assert_eq!(sized(256, 257), wrong);
    assert_eq!(sized(256, 0), wrong);
    assert_eq!(sized(0xffff, 0x8000), []);
    assert_eq!(sized(0xffff, 0x8001), wrong);
    // Not so without the feature.
    let driver = ByHand::negotiated(0, 256);
    driver.device.write_queue_size(TX, 100);
    driver.expect(Violation::QueueSize { queue: TX });
}

#[test]
fn queue_memory_stays_while_the_device_runs() {
    let driver = ByHand::running(0, 4);
    let ByHand { device, rings, .. } = driver;
    drop(rings);
    device.fetch();
    let gone = |queue| Violation::QueueOutsideMemory { queue };
    assert_eq!(device.violations(), [gone(RX), gone(TX)]);
    device.complete_falsely(TX, 0, 0);
    device.jump(TX, 1);
    device.scribble(TX, 0, 0);
    device.driver_sleeps(TX, 0);
    assert_eq!(device.violations(), [gone(RX), gone(TX), gone(TX), gone(TX), gone(TX), gone(TX)]);
}
