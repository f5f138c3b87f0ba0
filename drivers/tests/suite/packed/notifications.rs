//! Doorbells and interrupts of a packed queue: asked for, suppressed, and the look once more.

use millrace_drivers::virtio::queue::{Events, FromDevice, ToDevice, Virtqueue};

use super::device::{DESC, DISABLE, ENABLE, Turn, pair};
use crate::virtqueue::{pop, post};

/// Whether a doorbell rings for one buffer, when the device says this of doorbells.
fn rings(events: Events, flags: u16, place: u16) -> bool {
    let (mut queue, device, bell) = pair::<ToDevice>(4, events);
    device.want(flags, place);
    assert!(!queue.kick(), "nothing was posted");
    post(&mut queue, 2, 4096, 1);
    let is_rung = queue.kick();
    assert!(!queue.kick(), "nothing is new");
    assert_eq!(bell.rings(), u64::from(is_rung));
    is_rung
}

#[test]
fn a_doorbell_rings_unless_the_device_wants_none() {
    let (here, further) = (Turn::START.event(), Turn::START.after(1, 4).event());
    for events in [Events::Index, Events::Flag] {
        assert!(rings(events, ENABLE, further));
        assert!(!rings(events, DISABLE, here));
        assert!(rings(events, 3, further), "the value is reserved");
        assert!(!rings(events, 0xfffc | DISABLE, here), "the other bits are");
        for place in [here, further, here ^ 0x8000, further ^ 0x8000, 0x7fff] {
            assert!(rings(events, DESC, place), "a place does not matter, wherever the device left it");
        }
    }
}

#[test]
fn interrupts_are_off_at_the_start_and_when_they_are_disabled() {
    for events in [Events::Index, Events::Flag] {
        let (mut queue, mut device, _) = pair::<ToDevice>(4, events);
        for _ in 0..100 {
            assert_eq!(device.driver_wants().0, DISABLE);
            let from = device.done;
            post(&mut queue, 0, 4096, 1);
            device.complete(0, 0, 1);
            assert!(!device.is_interrupt_due(from));
            assert!(pop(&mut queue).is_some());
            assert!(queue.enable_notifications(1), "nothing is there, and nothing is posted");
            queue.disable_notifications();
        }
    }
}

/// The device is asked for the place of the last of several; without places, at the first.
#[test]
fn an_interrupt_comes_after_so_many_completions() {
    const SIZE: u16 = 4;
    for (events, is_early) in [(Events::Index, false), (Events::Flag, true)] {
        let (mut queue, mut device, _) = pair::<FromDevice>(SIZE, events);
        for round in 0..40_000u32 {
            let wanted = 1 + (round % 4) as u16;
            (0..SIZE).for_each(|id| post(&mut queue, id, 4096, 1));
            assert!(queue.enable_notifications(wanted), "round {round}: none is there");
            for done in 1..=SIZE {
                let from = device.done;
                device.complete(done - 1, 0, 1);
                let is_due = device.is_interrupt_due(from);
                assert_eq!(is_due, is_early || done == wanted, "round {round}: {done} of {wanted}");
                let is_there = done >= wanted || is_early;
                assert_eq!(queue.enable_notifications(wanted), !is_there, "the look once more");
            }
            // One that goes off the ring's end in the middle.
            let ahead = round % 3;
            (0..SIZE).for_each(|_| assert!(pop(&mut queue).is_some()));
            for id in 0..ahead as u16 {
                post(&mut queue, id, 4096, 1);
                device.complete(id, 0, 1);
                assert!(pop(&mut queue).is_some());
            }
        }
    }
}

/// What comes between the last look and the asking is seen by the look after it.
#[test]
fn a_completion_that_came_before_the_asking_is_not_slept_on() {
    for events in [Events::Index, Events::Flag] {
        let (mut queue, mut device, _) = pair::<ToDevice>(2, events);
        for _ in 0..1000 {
            post(&mut queue, 1, 4096, 1);
            assert!(queue.enable_notifications(1));
            queue.disable_notifications();
            assert_eq!(pop(&mut queue), None);
            device.complete(1, 0, 1);
            assert!(!queue.enable_notifications(1));
            assert!(pop(&mut queue).is_some() && queue.enable_notifications(1));
        }
    }
}

/// The device uses the second place before the first, and thinks of the interrupt for each when it has used it.
#[test]
fn the_first_of_several_may_be_used_last() {
    let (mut queue, mut device, _) = pair::<ToDevice>(4, Events::Index);
    for _ in 0..1000 {
        (0..2).for_each(|id| post(&mut queue, id, 4096, 1));
        let (first, second) = (device.done, device.done.after(1, 4));
        device.done = second;
        device.complete(1, 0, 1);
        assert!(!device.is_interrupt_due(second), "it was not armed");
        assert!(queue.enable_notifications(2), "the first is not there");
        device.done = first;
        device.complete(0, 0, 1);
        assert!(device.is_interrupt_due(first), "and is announced");
        assert!(!queue.enable_notifications(2));
        queue.disable_notifications();
        assert!(pop(&mut queue).is_some() && pop(&mut queue).is_some());
        device.done = device.done.after(1, 4);
    }
}

/// After a place was refused, fewer are left than buffers are outstanding.
#[test]
fn more_completions_than_places_are_left_are_all_that_can_come() {
    let (mut queue, mut device, _) = pair::<ToDevice>(4, Events::Index);
    (0..3).for_each(|id| post(&mut queue, id, 4096, 1));
    (0..2).for_each(|_| device.complete(9, 0, 1));
    while queue.peek().is_some() {
        queue.refuse();
    }
    assert!(queue.enable_notifications(2));
    let from = device.done;
    device.complete(0, 0, 1);
    assert!(device.is_interrupt_due(from));
}

#[test]
fn a_request_for_none_is_one_for_the_next() {
    let (mut queue, mut device, _) = pair::<ToDevice>(2, Events::Index);
    post(&mut queue, 0, 4096, 1);
    assert!(queue.enable_notifications(0));
    device.complete(0, 0, 1);
    assert!(device.is_interrupt_due(Turn::START) && !queue.enable_notifications(0));
}

/// A chain has one completion for several places: behind it the place of the last of several completions is not known.
#[test]
fn with_a_chain_outstanding_an_interrupt_comes_at_the_first_completion() {
    let (mut queue, mut device, _) = pair::<ToDevice>(8, Events::Index);
    for _ in 0..1000 {
        post(&mut queue, 0, 4096, 1);
        queue.post_chain(1, &[(4096, 1), (4096, 2), (4096, 3)]);
        post(&mut queue, 4, 4096, 1);
        assert!(queue.enable_notifications(3));
        let from = device.done;
        device.complete(0, 0, 1);
        assert!(device.is_interrupt_due(from) && !queue.enable_notifications(3));
        assert!(pop(&mut queue).is_some() && queue.enable_notifications(2));
        let from = device.done;
        device.complete(1, 0, 3);
        assert!(device.is_interrupt_due(from) && !queue.enable_notifications(2));
        assert!(queue.peek().is_some() && queue.advance(1, 3));
        device.complete(4, 0, 1);
        assert!(pop(&mut queue).is_some());
        // Once it was empty it counts again.
        (0..3).for_each(|id| post(&mut queue, id, 4096, 1));
        assert!(queue.enable_notifications(3));
        for (id, is_due) in [(0, false), (1, false), (2, true)] {
            let from = device.done;
            device.complete(id, 0, 1);
            assert_eq!(device.is_interrupt_due(from), is_due);
        }
        (0..3).for_each(|_| assert!(pop(&mut queue).is_some()));
    }
}
