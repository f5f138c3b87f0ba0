//! What a device can do to a packed queue: it may waste places, but nothing outside those that are posted is looked at. (What it
//! can do to slots and buffers is in the tests of rings, `crate::hostile`.)

use std::collections::BTreeSet;

use millrace_drivers::virtio::queue::{Events, FromDevice, ToDevice, Used, Virtqueue};
use proptest::prelude::*;

use super::device::{AVAIL, USED, pair};
use crate::virtqueue::{pop, pop_expected, pop_run, post};

const SIZE: u16 = 4;

/// Each place that is refused is one that a buffer cannot come back in. What is left is as good as ever.
#[test]
fn places_that_are_refused_are_counted_and_passed() {
    let (mut queue, mut device, _) = pair::<ToDevice>(SIZE, Events::Index);
    (0..SIZE).for_each(|id| post(&mut queue, id, 4096, 9));
    for id in [SIZE, 0x100, u16::MAX] {
        device.complete(id, 0, 1);
        assert_eq!(
            (pop_expected(&mut queue, 0), queue.peek()),
            (None, Some(Used { id: id.into(), written: 0 }))
        );
        queue.refuse();
    }
    assert_eq!((queue.peek(), queue.health()), (None, (3, false)));
    for _ in 0..50_000 {
        device.complete(3, 0, 1);
        assert_eq!(pop(&mut queue).map(|used| used.id), Some(3));
        assert_eq!(queue.health(), (3, true), "three are outstanding, and no place is posted");
        post(&mut queue, 3, 4096, 9);
        assert_eq!(queue.health(), (3, false));
    }
}

#[test]
fn a_queue_whose_places_were_all_refused_is_broken() {
    for size in [1, SIZE] {
        let (mut queue, mut device, bell) = pair::<ToDevice>(size, Events::Index);
        (0..size).for_each(|id| post(&mut queue, id, 4096, 9));
        for refused in 1..=size {
            assert_eq!(queue.health(), (u32::from(refused) - 1, false));
            device.complete(size, 0, 1);
            queue.refuse();
        }
        let broken = (size.into(), true);
        assert_eq!(queue.health(), broken);
        // It stays so, whatever comes.
        for id in 0..size {
            post(&mut queue, id, 4096, 9);
            device.complete(id, 0, 1);
            assert_eq!((queue.peek(), pop_expected(&mut queue, id)), (None, None));
        }
        assert!(!queue.kick());
        assert_eq!((queue.health(), bell.rings()), (broken, 0));
    }
}

/// A batch or chain of more descriptors than are posted and not used.
#[test]
fn a_buffer_of_more_places_than_there_are_breaks_the_queue() {
    for (posted, descriptors) in [(1, 2), (3, 4), (3, 1000), (4, 5), (4, 0x1_0001)] {
        let (mut queue, mut device, _) = pair::<ToDevice>(SIZE, Events::Index);
        (0..posted).for_each(|id| post(&mut queue, id, 4096, 9));
        device.complete(0, 0, 1);
        assert!(queue.peek().is_some() && !queue.advance(1, descriptors));
        assert_eq!((queue.peek(), pop_expected(&mut queue, 0), queue.health()), (None, None, (0, true)));
    }
}

#[test]
fn places_that_were_not_posted_are_not_looked_at() {
    let (mut queue, device, _) = pair::<ToDevice>(SIZE, Events::Index);
    for flags in [0, AVAIL, USED, AVAIL | USED] {
        (0..SIZE).for_each(|position| device.write(position, 0, 0, flags));
        assert_eq!((queue.peek(), pop_expected(&mut queue, 0)), (None, None));
        assert!(queue.enable_notifications(1), "it would be asked for ever");
    }
    post(&mut queue, 0, 4096, 9);
    assert_eq!((queue.peek(), pop_expected(&mut queue, 0)), (None, None), "what was there is overwritten");
    assert!(queue.enable_notifications(1));
    device.write(0, 0, 0, AVAIL | USED);
    assert!(!queue.enable_notifications(1));
    assert!(!queue.enable_notifications(2), "one is posted: there is nothing to wait for behind it");
    // Those behind it look used, too.
    (1..SIZE).for_each(|position| device.write(position, position, 0, AVAIL | USED));
    assert_eq!(pop_run(&mut queue, 0, 9, |_| true), 1);
    assert_eq!((queue.peek(), queue.health()), (None, (0, false)));
}

/// Used and used again: the flags of another turn, and flags that are no state at all.
#[test]
fn flags_that_mean_nothing_mean_not_yet() {
    let (mut queue, device, _) = pair::<ToDevice>(1, Events::Index);
    for used in [AVAIL | USED, 0, AVAIL | USED] {
        post(&mut queue, 0, 4096, 9);
        for flags in (0..=u16::MAX).filter(|flags| flags & (AVAIL | USED) != used) {
            device.write(0, 0, 0, flags);
            assert_eq!((queue.peek(), pop_expected(&mut queue, 0)), (None, None));
        }
        // Flags that are reserved here do not matter.
        device.write(0, 0, 0, used | !(AVAIL | USED));
        assert_eq!((queue.peek(), pop_expected(&mut queue, 0)), (Some(Used { id: 0, written: 0 }), Some(0)));
    }
}

/// One that marks the last of several before the first is not asked for ever about nothing.
#[test]
fn a_completion_behind_one_that_is_not_there_is_waited_for() {
    let (mut queue, mut device, _) = pair::<ToDevice>(SIZE, Events::Index);
    (0..3).for_each(|id| post(&mut queue, id, 4096, 9));
    device.write(2, 2, 0, AVAIL | USED);
    assert_eq!(queue.peek(), None);
    assert!(queue.enable_notifications(3));
    device.complete(0, 0, 1);
    assert!(!queue.enable_notifications(3) && pop(&mut queue).is_some());
}

proptest! {
    /// A device that writes anything anywhere. There are never more completions than places posted, and asking comes to an end.
    #[test]
    fn whatever_a_device_writes(
        power in 0..4u32,
        steps in prop::collection::vec((0..3u8, any::<u16>(), any::<u16>(), any::<u16>()), 1..300),
    ) {
        let size = 1u16 << power;
        let (mut queue, device, _) = pair::<FromDevice>(size, Events::Index);
        // Ids, and how many places are posted and not used.
        let (mut outstanding, mut places) = (BTreeSet::new(), 0);
        for (count, (step, one, two, flags)) in (1u32..).zip(steps) {
            match step {
                0 => {
                    let id = one % size;
                    if outstanding.insert(id) {
                        post(&mut queue, id, 4096, count);
                        places += 1;
                    }
                }
                1 => {
                    device.write(one % size, two % (size + 1), count, flags);
                    device.want(two, flags);
                    queue.kick();
                }
                _ => {
                    while !queue.enable_notifications(1 + two % size) {
                        let Some(used) = queue.peek() else { break };
                        prop_assert!(places > 0, "a completion in a place that is not posted");
                        places -= 1;
                        match u16::try_from(used.id) {
                            Ok(id) if outstanding.remove(&id) => prop_assert!(queue.advance(1, 1)),
                            _ => queue.refuse(),
                        }
                    }
                }
            }
            let (refused, is_broken) = queue.health();
            prop_assert_eq!(refused + places, outstanding.len() as u32);
            prop_assert!(is_broken || places > 0 || outstanding.is_empty());
        }
    }
}
