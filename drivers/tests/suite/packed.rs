//! The packed queue against a device that is played by hand.

mod commands;
mod device;
mod hostile;
mod notifications;
mod racing;

use std::collections::VecDeque;

use millrace_drivers::virtio::queue::{
    Completion, Direction, Events, FromDevice, PackedQueue, ToDevice, Virtqueue,
};
use nm_core::nic::QueueHealth;
use proptest::prelude::*;

use self::device::{AVAIL, DISABLE, Descriptor, Device, Turn, USED, WRITE, pair};

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
    queue.post(3, 0x1234_5678_9abc_def0, 0x8765_4321).unwrap();
    let posted =
        Descriptor { address: 0x1234_5678_9abc_def0, bytes: 0x8765_4321, id: 3, flags: AVAIL | WRITE };
    assert_eq!((device.read(0), device.read(1)), (posted, unused));

    let (mut queue, device, _) = pair::<ToDevice>(1, Events::Flag);
    for flags in [AVAIL, USED, AVAIL] {
        queue.post(0, 1, 2).unwrap();
        assert_eq!(device.read(0), Descriptor { address: 1, bytes: 2, id: 0, flags });
        device.write(0, 0, 0, if flags == AVAIL { AVAIL | USED } else { 0 });
        assert!(queue.pop().is_some());
    }
}

/// Fills the queue, and lets the device use everything in the order in which it came.
fn turn_in_order<D: Direction>(queue: &mut PackedQueue<D>, device: &mut Device, turn: u32) {
    let size = queue.size();
    let written = if D::IS_WRITTEN { 7 } else { 0 };
    for id in 0..size {
        queue.post(id, address(turn), 100 + turn).unwrap();
        assert!(queue.post(id, address(turn), 100).is_err(), "it is outstanding");
    }
    for id in 0..size {
        let found = device.take().unwrap();
        let expected = (address(turn), 100 + turn, id);
        assert_eq!((found.address, found.bytes, found.id), expected, "turn {turn}");
        assert_eq!(found.flags & !(AVAIL | USED), if D::IS_WRITTEN { WRITE } else { 0 });
    }
    assert_eq!(device.take(), None, "no descriptor is new that is not");
    for id in 0..size {
        assert_eq!(queue.pop(), None);
        device.complete(id, 7, 1);
        assert_eq!(queue.pop(), Some(Completion { id, written, posted: 100 + turn }), "turn {turn}");
    }
    assert_eq!(queue.pop(), None);
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
        assert_eq!(queue.health(), QueueHealth::default());
    }
}

/// The device is done with them from the last to the first, and overwrites what it has taken.
#[test]
fn buffers_come_back_in_another_order() {
    for size in SIZES {
        let (mut queue, mut device, _) = pair::<ToDevice>(size, Events::Index);
        for turn in 0..1000 {
            (0..size).for_each(|id| queue.post(id, address(turn), 1 + u32::from(id)).unwrap());
            let taken: Vec<_> = std::iter::from_fn(|| device.take()).collect();
            assert_eq!(taken.len(), usize::from(size));
            for Descriptor { id, bytes, .. } in taken.into_iter().rev() {
                device.complete(id, 0, 1);
                assert_eq!(queue.pop(), Some(Completion { id, written: 0, posted: bytes }));
            }
        }
    }
}

#[test]
fn what_cannot_be_posted_is_refused() {
    let (mut queue, mut device, _) = pair::<ToDevice>(4, Events::Flag);
    for (id, bytes) in [(4, 1), (u16::MAX, 1), (0, 0)] {
        assert!(queue.post(id, 4096, bytes).is_err());
    }
    assert_eq!(device.take(), None);
    assert!(queue.post(0, 4096, 1).is_ok() && queue.post(0, 4096, 1).is_err());
    assert_eq!(device.take().map(|found| found.id), Some(0));
    assert_eq!(device.take(), None);
}

/// Through the trait, as a card uses it that does not know the format.
#[test]
fn a_packed_queue_is_a_virtqueue() {
    fn send(mut queue: impl Virtqueue<Direction = ToDevice>, device: &mut Device) {
        assert_eq!(queue.size(), 2);
        queue.post(1, 4096, 60).unwrap();
        assert!(queue.kick());
        device.take().unwrap();
        assert!(queue.enable_notifications(1));
        device.complete(1, 0, 1);
        assert!(device.is_interrupt_due(Turn::START) && !queue.enable_notifications(1));
        queue.disable_notifications();
        assert_eq!(device.driver_wants().0, DISABLE);
        assert_eq!(queue.pop().map(|completion| completion.id), Some(1));
        assert_eq!(queue.health(), QueueHealth::default());
    }
    let (queue, mut device, _) = pair(2, Events::Index);
    send(queue, &mut device);
}

proptest! {
    /// Any interleaving of posting, taking, completing in any order, and looking.
    #[test]
    fn any_order_of_steps(
        power in 0..6u32,
        steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 1..400),
    ) {
        let size = 1u16 << power;
        let (mut queue, mut device, _) = pair::<FromDevice>(size, Events::Index);
        let mut free: Vec<u16> = (0..size).collect();
        let (mut posted, mut taken) = (VecDeque::new(), Vec::new());
        let mut completed = VecDeque::new();
        for (count, (step, choice)) in (1u32..).zip(steps) {
            match step {
                0 if !free.is_empty() => {
                    let id = free.swap_remove(choice.index(free.len()));
                    queue.post(id, address(count), count).unwrap();
                    posted.push_back((id, count));
                }
                1 => {
                    let found = device.take().map(|found| (found.id, found.bytes, found.address));
                    let expected = posted.pop_front();
                    prop_assert_eq!(found, expected.map(|(id, count)| (id, count, address(count))));
                    taken.extend(expected);
                }
                2 if !taken.is_empty() => {
                    let (id, posted) = taken.swap_remove(choice.index(taken.len()));
                    device.complete(id, count, 1);
                    completed.push_back(Completion { id, written: count, posted });
                }
                _ => {
                    let completion = queue.pop();
                    prop_assert_eq!(completion, completed.pop_front());
                    free.extend(completion.map(|completion| completion.id));
                }
            }
        }
        prop_assert_eq!(queue.health(), QueueHealth::default());
    }
}
