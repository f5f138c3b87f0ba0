//! What a device can do to a packed queue: it may lose buffers, but reports none that it was not given.

use std::collections::BTreeMap;

use millrace_drivers::virtio::queue::{Completion, Events, FromDevice, ToDevice, Virtqueue};
use nm_core::nic::QueueHealth;
use proptest::prelude::*;

use super::device::{AVAIL, USED, pair};

const SIZE: u16 = 4;

fn refused(refused: u64) -> QueueHealth {
    QueueHealth { refused, is_broken: false }
}

/// The same, and none of the outstanding buffers has a place to come back in.
fn broken(refused: u64) -> QueueHealth {
    QueueHealth { refused, is_broken: true }
}

#[test]
fn ids_that_are_not_outstanding_are_counted_and_passed() {
    let (mut queue, mut device, _) = pair::<ToDevice>(SIZE, Events::Index);
    (0..3).for_each(|id| queue.post(id, 4096, 9).unwrap());
    for id in [3, SIZE, u16::MAX] {
        device.complete(id, 0, 1);
    }
    assert_eq!((queue.pop(), queue.health()), (None, broken(3)));

    // One place and one id are left, and are as good as ever.
    for _ in 0..100_000 {
        assert!(queue.post(2, 4096, 9).is_err(), "it is still the device's");
        queue.post(3, 4096, 9).unwrap();
        assert_eq!((queue.pop(), queue.health()), (None, refused(3)));
        device.complete(3, 0, 1);
        assert_eq!(queue.pop(), Some(Completion { id: 3, written: 0, posted: 9 }));
    }
    assert_eq!(queue.health(), broken(3));
}

#[test]
fn an_id_comes_back_once_for_each_time_it_was_posted() {
    let (mut queue, mut device, _) = pair::<FromDevice>(SIZE, Events::Index);
    queue.post(0, 4096, 9).unwrap();
    queue.post(1, 4096, 9).unwrap();
    device.complete(0, 5, 1);
    device.complete(0, 5, 1);
    assert_eq!(queue.pop(), Some(Completion { id: 0, written: 5, posted: 9 }));
    assert_eq!((queue.pop(), queue.health()), (None, broken(1)));

    // The one that was left out can come back in the place of another, and that other is left out then.
    queue.post(0, 4096, 8).unwrap();
    device.complete(1, 5, 1);
    assert_eq!(queue.pop(), Some(Completion { id: 1, written: 5, posted: 9 }));
    device.complete(0, 5, 1);
    assert_eq!((queue.pop(), queue.health()), (None, broken(1)));
    assert!(queue.post(0, 4096, 8).is_err());
}

/// As many buffers as a ring with its empty slot has outstanding at most.
#[test]
fn a_queue_that_has_lost_all_its_buffers_is_broken() {
    let (mut queue, mut device, _) = pair::<FromDevice>(SIZE, Events::Index);
    (0..SIZE - 1).for_each(|id| queue.post(id, 4096, 9).unwrap());
    for lost in 1..SIZE {
        assert!(!queue.health().is_broken);
        device.complete(SIZE, 0, 1);
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.health(), if lost == SIZE - 1 { broken(3) } else { refused(lost.into()) });
    }
}

#[test]
fn a_queue_whose_places_were_all_refused_is_broken() {
    for size in [1, SIZE] {
        let (mut queue, mut device, bell) = pair::<ToDevice>(size, Events::Index);
        for id in 0..size {
            queue.post(id, 4096, 9).unwrap();
            assert!(!queue.health().is_broken);
            device.complete(size, 0, 1);
            assert_eq!(queue.pop(), None);
        }
        let broken = broken(size.into());
        assert_eq!(queue.health(), broken);
        for id in 0..size {
            assert!(queue.post(id, 4096, 9).is_err());
            device.complete(id, 0, 1);
        }
        assert!(queue.kick(), "what was posted before");
        assert!(!queue.kick() && queue.enable_notifications(1));
        assert_eq!((queue.pop(), queue.health(), bell.rings()), (None, broken, 1));
    }
}

#[test]
fn places_that_were_not_posted_are_not_looked_at() {
    let (mut queue, device, _) = pair::<ToDevice>(SIZE, Events::Index);
    for flags in [0, AVAIL, USED, AVAIL | USED] {
        (0..SIZE).for_each(|position| device.write(position, 0, 0, flags));
        assert_eq!(queue.pop(), None);
        assert!(queue.enable_notifications(1), "it would be asked for ever");
    }
    queue.post(0, 4096, 9).unwrap();
    assert_eq!(queue.pop(), None, "what was there is overwritten");
    assert!(queue.enable_notifications(1));
    device.write(0, 0, 0, AVAIL | USED);
    assert!(!queue.enable_notifications(1));
    assert!(!queue.enable_notifications(2), "one is posted: there is nothing to wait for behind it");
    assert!(queue.pop().is_some());
    assert_eq!((queue.pop(), queue.health()), (None, refused(0)));
}

/// Used and used again: the flags of another turn, and flags that are no state at all.
#[test]
fn flags_that_mean_nothing_mean_not_yet() {
    let (mut queue, device, _) = pair::<ToDevice>(1, Events::Index);
    for used in [AVAIL | USED, 0, AVAIL | USED] {
        queue.post(0, 4096, 9).unwrap();
        for flags in (0..=u16::MAX).filter(|flags| flags & (AVAIL | USED) != used) {
            device.write(0, 0, 0, flags);
            assert_eq!(queue.pop(), None);
        }
        // Flags that are reserved here do not matter.
        device.write(0, 0, 0, used | !(AVAIL | USED));
        assert_eq!(queue.pop(), Some(Completion { id: 0, written: 0, posted: 9 }));
    }
}

/// One that marks the last of several before the first is not asked for ever about nothing.
#[test]
fn a_completion_behind_one_that_is_not_there_is_waited_for() {
    let (mut queue, mut device, _) = pair::<ToDevice>(SIZE, Events::Index);
    (0..3).for_each(|id| queue.post(id, 4096, 9).unwrap());
    device.write(2, 2, 0, AVAIL | USED);
    assert_eq!(queue.pop(), None);
    assert!(queue.enable_notifications(3));
    device.complete(0, 0, 1);
    assert!(!queue.enable_notifications(3) && queue.pop().is_some());
}

proptest! {
    /// A device that writes anything anywhere. Whatever comes back was posted, and asking comes to an end.
    #[test]
    fn whatever_a_device_writes(
        power in 0..4u32,
        steps in prop::collection::vec((0..3u8, any::<u16>(), any::<u16>(), any::<u16>()), 1..300),
    ) {
        let size = 1u16 << power;
        let (mut queue, device, _) = pair::<FromDevice>(size, Events::Index);
        let mut outstanding = BTreeMap::new();
        for (count, (step, one, two, flags)) in (1u32..).zip(steps) {
            match step {
                0 => {
                    let is_free = one < size + 2 && !outstanding.contains_key(&one);
                    let is_posted = queue.post(one, 4096, count).is_ok();
                    prop_assert_eq!(is_posted, is_free && one < size);
                    if is_posted {
                        outstanding.insert(one, count);
                    }
                }
                1 => {
                    device.write(one % size, two % (size + 1), count, flags);
                    device.want(two, flags);
                    queue.kick();
                }
                _ => {
                    let before = outstanding.len();
                    while !queue.enable_notifications(1 + two % size) {
                        let had = (outstanding.len(), queue.health().refused);
                        if let Some(completion) = queue.pop() {
                            prop_assert_eq!(outstanding.remove(&completion.id), Some(completion.posted));
                        }
                        prop_assert!((outstanding.len(), queue.health().refused) != had, "it goes on");
                    }
                    prop_assert!(outstanding.len() <= before);
                }
            }
            prop_assert!(queue.health().refused <= outstanding.len() as u64);
        }
    }
}
