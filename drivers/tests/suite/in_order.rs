//! A device that uses buffers in order, and reports batches by their last buffer.

use millrace_drivers::virtio::features::Features;
use nm_core::nic::{Armed, Content, Nic, QueueHealth, Received};
use proptest::prelude::*;

use crate::bench::{Bench, CAPACITY, RECEIVE, TRANSMIT, frame};
use crate::ways::Way;

in_every_way_in_order!(
    a_batch_comes_back_one_by_one_in_the_order_of_posting,
    skipped_buffers_are_filled_and_the_last_has_its_length,
    batches_of_any_size_past_65536,
    an_id_in_a_batch_is_outstanding_until_it_is_taken,
    a_batch_wakes_who_waits_for_one_of_its_buffers,
    a_batch_that_was_not_taken_whole_is_not_waited_for,
    a_number_that_is_not_outstanding_breaks_the_queue,
    a_device_that_does_not_keep_the_order_loses_no_buffer_twice,
);

fn reclaim_all<W: Way>(bench: &mut Bench<W>) -> Vec<u16> {
    std::iter::from_fn(|| bench.tx.reclaim()).collect()
}

fn a_batch_comes_back_one_by_one_in_the_order_of_posting<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    // Ids in no order: the caller's slots, not the queue's numbers.
    for (round, ids) in [[5, 0, 7, 2, 6, 1], [3, 4, 2, 7, 0, 5], [1, 6, 5, 4, 3, 2]].into_iter().enumerate() {
        let frames = ids.map(|id| frame(round as u32, 60 + usize::from(id)));
        for (id, frame) in ids.into_iter().zip(&frames) {
            assert!(bench.put(id, frame));
        }
        bench.tx.kick();
        assert_eq!(bench.device.transmit_batch(4), frames[..4]);
        assert_eq!(reclaim_all(&mut bench), ids[..4]);
        assert_eq!(bench.device.transmit_batch(1), frames[4..5]);
        assert_eq!(bench.device.transmit_batch(1), frames[5..]);
        assert_eq!(reclaim_all(&mut bench), ids[4..], "two batches at once");
    }
    bench.finish();
}

fn skipped_buffers_are_filled_and_the_last_has_its_length<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    for id in [3, 1, 2, 0] {
        assert!(bench.give(id));
    }
    bench.rx.kick();
    assert!(bench.device.receive_batch(2, 0x5a, b"the last"));
    for id in [3, 1] {
        assert_eq!(bench.take(), Some((id, vec![0x5a; CAPACITY.into()])));
    }
    assert_eq!(bench.take(), Some((2, b"the last".to_vec())));
    assert_eq!(bench.take(), None);
    assert!(bench.device.receive(b"alone", 0));
    assert_eq!(bench.take(), Some((0, b"alone".to_vec())));
    bench.finish();
}

fn batches_of_any_size_past_65536<W: Way>() {
    for setup in [W::with_slots(8, 8), W::with_slots(8, 8).without(Features::RING_EVENT_IDX)] {
        let mut bench = Bench::<W>::new(setup);
        for round in 0..66_000 / 7 {
            let sent: Vec<_> = (0..7).map(|id| frame(round + id, 60)).collect();
            for (id, frame) in (0..).zip(&sent) {
                assert!(bench.put(id, frame) && bench.give(id));
            }
            bench.tx.kick();
            bench.rx.kick();
            let first = round as usize % 7;
            assert_eq!(bench.device.transmit_batch(first), sent[..first]);
            assert_eq!(bench.device.transmit_batch(7), sent[first..]);
            assert_eq!(reclaim_all(&mut bench), (0..7).collect::<Vec<_>>());
            assert!(bench.device.receive_batch(first, round as u8, &sent[0]));
            for id in 0..first as u16 {
                assert_eq!(bench.rx.take(), Some(Received { id, content: Content::Frame(CAPACITY) }));
            }
            assert_eq!(bench.take(), Some((first as u16, sent[0].clone())));
            assert!(first == 6 || bench.device.receive_batch(7, 1, b"rest"));
            assert_eq!(std::iter::from_fn(|| bench.rx.take()).count(), 6 - first);
        }
        bench.finish();
    }
}

fn an_id_in_a_batch_is_outstanding_until_it_is_taken<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(4, 4));
    (0..4).for_each(|id| assert!(bench.put(id, b"frame")));
    bench.tx.kick();
    assert_eq!(bench.device.transmit_batch(4).len(), 4);
    assert_eq!(bench.tx.reclaim(), Some(0));
    assert!(!bench.put(1, b"in the batch") && bench.put(0, b"again") && !bench.put(0, b"again"));
    bench.tx.kick();
    assert_eq!(reclaim_all(&mut bench), [1, 2, 3]);
    assert_eq!(bench.device.transmit_all(), [b"again".to_vec()]);
    assert_eq!(reclaim_all(&mut bench), [0]);
    bench.finish();
}

fn a_batch_wakes_who_waits_for_one_of_its_buffers<W: Way>() {
    for batches in [&[6][..], &[1, 5], &[3, 3], &[1, 2, 3]] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        (0..8).for_each(|id| assert!(bench.put(id, b"frame")));
        bench.tx.kick();
        assert_eq!(bench.tx.arm(4), Armed::Yes);
        let mut sent = 0;
        for &count in batches {
            bench.device.transmit_batch(count);
            sent += count;
            assert_eq!(bench.device.interrupts(TRANSMIT), u64::from(sent >= 4), "{sent} of {batches:?}");
        }
        bench.device.driver_sleeps(TRANSMIT, 0);
        assert_eq!(reclaim_all(&mut bench).len(), 6);
        assert_eq!(bench.tx.arm(1), Armed::Yes);
        bench.device.transmit_batch(2);
        bench.device.driver_sleeps(TRANSMIT, 6);
        assert_eq!((bench.device.interrupts(TRANSMIT), reclaim_all(&mut bench).len()), (2, 2));
        bench.finish();
    }
}

fn a_batch_that_was_not_taken_whole_is_not_waited_for<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    (0..8).for_each(|id| assert!(bench.give(id)));
    bench.rx.kick();
    assert!(bench.device.receive_batch(2, 1, b"last"));
    assert_eq!(bench.rx.arm(), Armed::Late, "a batch is there");
    for left in [2, 1] {
        assert!(bench.rx.take().is_some());
        assert_eq!(bench.rx.arm(), Armed::Late, "{left} of it are left");
    }
    assert!(bench.rx.take().is_some());
    assert_eq!(bench.rx.arm(), Armed::Yes);
    bench.device.driver_sleeps(RECEIVE, 3);

    // Of a batch that is there, the place of the fourth buffer does not tell.
    (0..8).for_each(|id| assert!(bench.put(id, b"frame")));
    bench.tx.kick();
    bench.device.transmit_batch(6);
    assert_eq!(bench.tx.arm(4), Armed::Late);
    assert_eq!((reclaim_all(&mut bench).len(), bench.tx.arm(2)), (6, Armed::Yes));
    bench.finish();
}

fn a_number_that_is_not_outstanding_breaks_the_queue<W: Way>() {
    for number in [4, 7, 8, 0xffff] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        (0..4).for_each(|id| assert!(bench.put(id, b"frame")));
        bench.tx.kick();
        bench.device.complete_falsely(TRANSMIT, number, 0);
        bench.device.complete_falsely(TRANSMIT, 1, 0);
        assert_eq!(bench.tx.reclaim(), None);
        assert_eq!(bench.tx.health(), QueueHealth { refused: 1, is_broken: true }, "{number}");
        assert!(bench.put(4, b"posted") && !bench.tx.kick(), "a broken queue is left alone");
        let mut queues = bench.nic.start().unwrap();
        assert_eq!(queues.tx.remove(0).health(), QueueHealth::default());
    }
}

/// It names one buffer three times. The first is the last of a batch of three; for the others there is nothing outstanding any
/// more.
fn a_device_that_does_not_keep_the_order_loses_no_buffer_twice<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    (0..6).for_each(|id| assert!(bench.put(5 - id, b"frame")));
    bench.tx.kick();
    (0..3).for_each(|_| bench.device.complete_falsely(TRANSMIT, 2, 0));
    assert_eq!(reclaim_all(&mut bench), [5, 4, 3]);
    assert_eq!(bench.tx.health(), QueueHealth::default());
    // The fourth place, or entry, names it once more.
    bench.device.complete_falsely(TRANSMIT, 2, 0);
    assert_eq!(bench.tx.reclaim(), None);
    assert_eq!(bench.tx.health(), QueueHealth { refused: 1, is_broken: true });
    // A batch that goes beyond the index of a split queue.
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    (0..6).for_each(|id| assert!(bench.put(id, b"frame")));
    bench.tx.kick();
    bench.device.complete_falsely(TRANSMIT, 3, 0);
    let (taken, is_broken) = (reclaim_all(&mut bench), bench.tx.health().is_broken);
    assert_eq!((taken, is_broken), if W::IS_PACKED { (vec![0, 1, 2, 3], false) } else { (vec![], true) });
}

proptest! {
    /// Any interleaving of posting and batches, against a plain list.
    #[test]
    fn any_batches_in_split_queues(steps in steps()) {
        any_batches::<crate::ways::InOrder>(&steps)?;
    }

    #[test]
    fn any_batches_in_packed_queues(steps in steps()) {
        any_batches::<crate::ways::PackedInOrder>(&steps)?;
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u16)>> {
    prop::collection::vec((0..4u8, 0..8u16), 1..300)
}

fn any_batches<W: Way>(steps: &[(u8, u16)]) -> Result<(), TestCaseError> {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    let (mut posted, mut done) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
    for &(step, number) in steps {
        match step {
            0 | 1 => {
                let is_free = !posted.contains(&number) && !done.contains(&number);
                prop_assert_eq!(bench.put(number, b"frame"), is_free);
                posted.extend(is_free.then_some(number));
                bench.tx.kick();
            }
            2 => {
                let count = bench.device.transmit_batch(number.into()).len();
                done.extend(posted.drain(..count));
            }
            _ => prop_assert_eq!(bench.tx.reclaim(), done.pop_front()),
        }
    }
    prop_assert_eq!(bench.device.violations(), vec![]);
    Ok(())
}
