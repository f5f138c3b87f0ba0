//! The packed queue against a device that is played by hand.

mod commands;
mod device;
mod hostile;
mod notifications;
mod racing;

use std::collections::VecDeque;

use millrace_drivers::virtio::queue::{
    Direction, Events, FromDevice, PackedQueue, Segment, ToDevice, Used, Virtqueue,
};
use proptest::prelude::*;

use self::device::{AVAIL, DISABLE, Descriptor, Device, NEXT, Turn, USED, WRITE, pair};
use crate::virtqueue::{pop, pop_expected, pop_run, post, post_run};

const SIZES: [u16; 4] = [1, 2, 4, 256];

/// The address that goes with a number, and with no other.
fn address(number: u32) -> u64 {
    0xfedc_0000_0000 + 0x1_0001 * u64::from(number)
}

#[test]
fn a_descriptor_is_available_once_it_is_posted_and_nothing_else_is_written() {
    let (mut queue, device, _) = pair::<FromDevice>(4, Events::Flag);
    let unused = Descriptor { address: 0, bytes: 0, id: 0, flags: 0 };
    for position in 0..4 {
        assert_eq!(device.read(position), unused, "the ring starts with zeros (section 2.8.13)");
    }
    post(&mut queue, 3, 0x1234_5678_9abc_def0, 0x8765_4321);
    let posted =
        Descriptor { address: 0x1234_5678_9abc_def0, bytes: 0x8765_4321, id: 3, flags: AVAIL | WRITE };
    assert_eq!((device.read(0), device.read(1)), (posted, unused));

    let (mut queue, device, _) = pair::<ToDevice>(1, Events::Flag);
    for flags in [AVAIL, USED, AVAIL] {
        post(&mut queue, 0, 1, 2);
        assert_eq!(device.read(0), Descriptor { address: 1, bytes: 2, id: 0, flags });
        device.write(0, 0, 0, if flags == AVAIL { AVAIL | USED } else { 0 });
        assert!(pop(&mut queue).is_some());
    }
}

/// Fills the queue, and lets the device use everything in the order in which it came.
fn turn_in_order<D: Direction>(queue: &mut PackedQueue<D>, device: &mut Device, turn: u32) {
    let size = queue.size();
    // Of what the device reads it says nothing of meaning.
    let is_expected = |written: u32| written == 7 || !D::IS_WRITTEN;
    let segments = (0..size).map(|_| (address(turn), 100 + turn));
    assert_eq!(post_run(queue, 0, segments), u32::from(size));
    for id in 0..size {
        let found = device.take().unwrap();
        let expected = (address(turn), 100 + turn, id);
        assert_eq!((found.address, found.bytes, found.id), expected, "turn {turn}");
        assert_eq!(found.flags & !(AVAIL | USED), if D::IS_WRITTEN { WRITE } else { 0 });
    }
    assert_eq!(device.take(), None, "no descriptor is new that is not");
    // The first half one by one, the second as one run.
    for id in 0..size / 2 {
        assert_eq!((queue.peek(), pop_expected(queue, id)), (None, None));
        device.complete(id, 7, 1);
        assert!(pop_expected(queue, id).is_some_and(is_expected), "turn {turn}");
    }
    for id in size / 2..size {
        device.complete(id, 7, 1);
    }
    let all = |written: u32| {
        assert!(is_expected(written), "turn {turn}");
        true
    };
    assert_eq!(pop_run(queue, size / 2, 1000, all), u32::from(size - size / 2));
    assert_eq!(queue.peek(), None);
}

#[test]
fn buffers_pass_in_order_for_thousands_of_turns() {
    for size in SIZES {
        let (mut queue, mut device, _) = pair::<ToDevice>(size, Events::Index);
        let (mut receive, mut sender, _) = pair::<FromDevice>(size, Events::Index);
        // Past 65536, too.
        for turn in 0..2000.max(70_000 / u32::from(size)) {
            turn_in_order(&mut queue, &mut device, turn);
            turn_in_order(&mut receive, &mut sender, turn);
        }
        assert_eq!(queue.health(), (0, false));
    }
}

/// The device is done with them from the last to the first, and overwrites what it has taken.
#[test]
fn buffers_come_back_in_another_order() {
    for size in SIZES {
        let (mut queue, mut device, _) = pair::<FromDevice>(size, Events::Index);
        for turn in 0..1000 {
            (0..size).for_each(|id| post(&mut queue, id, address(turn), 1 + u32::from(id)));
            let taken: Vec<_> = std::iter::from_fn(|| device.take()).collect();
            assert_eq!(taken.len(), usize::from(size));
            for Descriptor { id, bytes, .. } in taken.into_iter().rev() {
                device.complete(id, bytes, 1);
                assert_eq!(pop_expected(&mut queue, id ^ 1), None, "it is another");
                assert_eq!(pop(&mut queue), Some(Used { id: id.into(), written: bytes }));
            }
        }
    }
}

/// A run ends at what it does not expect, which stays the next.
#[test]
fn a_run_ends_where_either_side_ends_it() {
    let (mut queue, mut device, _) = pair::<FromDevice>(8, Events::Index);
    assert_eq!(post_run(&mut queue, 0, []), 0);
    assert_eq!(device.take(), None);
    let segments = (0..6).map(|number| (address(number), 60));
    assert_eq!(post_run(&mut queue, 2, segments), 6);
    assert_eq!(
        std::iter::from_fn(|| device.take()).map(|found| found.id).collect::<Vec<_>>(),
        [2, 3, 4, 5, 6, 7]
    );
    for (id, written) in [(2, 20), (3, 21), (4, 22), (6, 23), (5, 24)] {
        device.complete(id, written, 1);
    }
    let mut seen = Vec::new();
    let mut take = |limit: u32, queue: &mut PackedQueue<FromDevice>, first, max| {
        pop_run(queue, first, max, |written| {
            let is_accepted = written < limit;
            seen.extend(is_accepted.then_some(written));
            is_accepted
        })
    };
    assert_eq!(take(100, &mut queue, 2, 1), 1, "no more than are wanted");
    assert_eq!(take(22, &mut queue, 3, 9), 1, "what was not accepted stays");
    assert_eq!(take(22, &mut queue, 4, 9), 0);
    assert_eq!(take(100, &mut queue, 4, 9), 1, "the id behind it is not the next");
    assert_eq!(seen, [20, 21, 22]);
    assert_eq!(pop(&mut queue), Some(Used { id: 6, written: 23 }));
    assert_eq!((pop_expected(&mut queue, 5), queue.peek()), (Some(24), None));
}

/// Through the trait, as a card uses it that does not know the format.
#[test]
fn a_packed_queue_is_a_virtqueue() {
    fn send(mut queue: impl Virtqueue<Direction = ToDevice>, device: &mut Device) {
        assert_eq!(queue.size(), 2);
        post(&mut queue, 1, 4096, 60);
        assert!(queue.kick());
        device.take().unwrap();
        assert!(queue.enable_notifications(1));
        device.complete(1, 0, 1);
        assert!(device.is_interrupt_due(Turn::START) && !queue.enable_notifications(1));
        queue.disable_notifications();
        assert_eq!(device.driver_wants().0, DISABLE);
        assert_eq!(pop(&mut queue).map(|used| used.id), Some(1));
        assert_eq!(queue.health(), (0, false));
    }
    let (queue, mut device, _) = pair(2, Events::Index);
    send(queue, &mut device);
}

/// The device's next buffer of so many descriptors: its id, which the last has, and address and length of each. All but the last
/// continue.
fn take_chain(device: &mut Device, descriptors: usize) -> (u16, Vec<Segment>) {
    let found: Vec<_> = (0..descriptors).map(|_| device.take().expect("all of a chain is there")).collect();
    for (number, descriptor) in (1..).zip(&found) {
        let next = if number < descriptors { NEXT } else { 0 };
        assert_eq!(descriptor.flags & !(AVAIL | USED), next);
    }
    (found[descriptors - 1].id, found.iter().map(|found| (found.address, found.bytes)).collect())
}

/// No size is a multiple of three: the ring's end comes at each part of a chain.
#[test]
fn chains_pass_wherever_the_end_of_the_ring_is() {
    for size in [4, 8, 64] {
        let (mut queue, mut device, _) = pair::<ToDevice>(size, Events::Index);
        for round in 0..30_000u32 {
            let parts: Vec<Segment> = (0..3).map(|part| (address(round + part), 1 + round + part)).collect();
            let id = (round % u32::from(size)) as u16;
            queue.post_chain(id, &parts);
            assert_eq!(take_chain(&mut device, 3), (id, parts), "round {round} of {size}");
            assert_eq!(device.take(), None);
            assert_eq!(queue.peek(), None);
            device.complete(id, 0, 3);
            assert_eq!(queue.peek().map(|used| used.id), Some(id.into()));
            assert!(queue.advance(1, 3));
            assert_eq!(queue.peek(), None, "one completion for all of it");
        }
        assert_eq!(queue.health(), (0, false));
    }
}

proptest! {
    /// Any interleaving of posting, taking, completing in any order, and looking, with buffers of one to three descriptors.
    #[test]
    fn any_order_of_steps(
        power in 0..6u32,
        steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>(), 1..4usize), 1..400),
    ) {
        let size = 1u16 << power;
        let (mut queue, mut device, _) = pair::<ToDevice>(size, Events::Index);
        let mut free: Vec<u16> = (0..size).collect();
        let (mut posted, mut taken) = (VecDeque::new(), Vec::new());
        let mut completed = VecDeque::new();
        for (count, (step, choice, descriptors)) in (1u32..).zip(steps) {
            match step {
                0 if free.len() >= descriptors => {
                    let ids: Vec<u16> =
                        (0..descriptors).map(|_| free.swap_remove(choice.index(free.len()))).collect();
                    let parts: Vec<Segment> =
                        (0..descriptors as u32).map(|part| (address(4 * count + part), count + part)).collect();
                    match parts[..] {
                        [(address, bytes)] => post(&mut queue, ids[0], address, bytes),
                        _ => queue.post_chain(ids[0], &parts),
                    }
                    posted.push_back((ids, parts));
                }
                1 => match posted.pop_front() {
                    Some((ids, parts)) => {
                        prop_assert_eq!(take_chain(&mut device, parts.len()), (ids[0], parts));
                        taken.push(ids);
                    }
                    None => prop_assert_eq!(device.take(), None),
                },
                2 if !taken.is_empty() => {
                    let ids: Vec<u16> = taken.swap_remove(choice.index(taken.len()));
                    device.complete(ids[0], 0, ids.len() as u16);
                    completed.push_back(ids);
                }
                _ => {
                    let used = queue.peek().map(|used| used.id);
                    prop_assert_eq!(used, completed.front().map(|ids| ids[0].into()));
                    if let Some(ids) = completed.pop_front() {
                        prop_assert!(queue.advance(1, ids.len() as u32));
                        free.extend(ids);
                    }
                }
            }
        }
        prop_assert_eq!(queue.health(), (0, false));
    }
}
