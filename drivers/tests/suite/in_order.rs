//! A device that uses buffers in order, and reports batches by their last buffer.

use std::collections::VecDeque;

use millrace_drivers::virtio::features::Features;
use nm_driver::nic::{Armed, QueueStatus};
use proptest::prelude::*;

use crate::bench::{Bench, CAPACITY, RECEIVE, TRANSMIT, frame};
use crate::ways::Way;

in_every_way_in_order!(
    a_batch_comes_back_as_a_whole_in_the_order_of_posting,
    skipped_buffers_are_filled_and_the_last_has_its_length,
    batches_of_any_size_past_65536,
    a_batch_makes_room_in_the_sync_that_takes_it,
    a_batch_may_end_with_a_frame_of_several_slots,
    a_batch_wakes_who_waits_for_one_of_its_buffers,
    a_batch_that_is_there_is_not_waited_for,
    a_number_that_is_not_outstanding_breaks_the_queue,
    a_device_that_does_not_keep_the_order_loses_no_buffer_twice,
);

fn a_batch_comes_back_as_a_whole_in_the_order_of_posting<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    for round in 0..30 {
        let frames: Vec<_> = (0..6).map(|number| frame(round, 60 + number)).collect();
        assert!(frames.iter().all(|frame| bench.tx.push(frame)));
        assert_eq!(bench.tx.sync().packets, 6);
        assert_eq!(bench.device.transmit_batch(4), frames[..4]);
        assert_eq!(bench.tx.sync().released, 4);
        assert_eq!(bench.device.transmit_batch(1), frames[4..5]);
        assert_eq!(bench.device.transmit_batch(1), frames[5..]);
        assert_eq!(bench.tx.sync().released, 2, "two batches at once");
        assert_eq!(bench.tx.outstanding(), 0);
    }
    bench.finish();
}

fn skipped_buffers_are_filled_and_the_last_has_its_length<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    let (last, alone) = (frame(1, 20), frame(2, 30));
    for _ in 0..30 {
        bench.rx.sync();
        assert!(bench.device.receive_batch(2, 0x5a, &last));
        let full = vec![0x5a; CAPACITY.into()];
        assert_eq!(bench.rx.receive(), [full.clone(), full, last.clone()]);
        assert!(bench.device.receive(&alone, 0));
        assert_eq!(bench.rx.receive().concat(), alone);
        assert!(bench.rx.is_complete());
    }
    bench.finish();
}

fn batches_of_any_size_past_65536<W: Way>() {
    for setup in [W::with_slots(8, 8), W::with_slots(8, 8).without(Features::RING_EVENT_IDX)] {
        let mut bench = Bench::<W>::new(setup);
        bench.rx.sync();
        for round in 0..66_000 / 7 {
            let sent: Vec<_> = (0..7).map(|id| frame(round + id, 60)).collect();
            assert!(sent.iter().all(|frame| bench.tx.push(frame)));
            assert_eq!(bench.tx.sync().packets, 7);
            let first = round as usize % 7;
            assert_eq!(bench.device.transmit_batch(first), sent[..first]);
            assert_eq!(bench.device.transmit_batch(7), sent[first..]);
            assert_eq!(bench.tx.sync().released, 7);
            // One buffer at least is left.
            let first = round as usize % 6;
            assert!(bench.device.receive_batch(first, round as u8, &sent[0]));
            let mut expected = vec![vec![round as u8; CAPACITY.into()]; first];
            expected.push(sent[0].clone());
            assert_eq!(bench.rx.receive(), expected);
            assert!(bench.device.receive_batch(7, 1, &sent[1]));
            let report = bench.rx.sync();
            let rest = expected.len() as u32;
            assert_eq!(report.packets, 7 - rest, "those that were posted: the others were not released");
            assert_eq!(bench.rx.take().pop(), Some(sent[1].clone()));
            assert_eq!(bench.rx.receive(), Vec::<Vec<u8>>::new());
        }
        bench.finish();
    }
}

fn a_batch_makes_room_in_the_sync_that_takes_it<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    let push = |bench: &mut Bench<W>, first: u32, count: u32| {
        assert!((first..first + count).all(|number| bench.tx.push(&frame(number, 60))));
    };
    push(&mut bench, 0, 4);
    bench.tx.sync();
    for round in 4..100 {
        assert_eq!((bench.device.transmit_batch(3).len(), bench.tx.pending()), (3, 0));
        push(&mut bench, 3 * round, 3);
        let report = bench.tx.sync();
        assert_eq!((report.released, report.packets, report.is_full), (3, 3, false));
        assert_eq!((bench.tx.outstanding(), bench.tx.free()), (4, 3));
    }
    bench.device.transmit_all();
    push(&mut bench, 0, 1);
    let report = bench.tx.sync();
    assert_eq!((report.released, report.packets), (4, 1));
    bench.device.transmit_all();
    push(&mut bench, 1, 1);
    let report = bench.tx.sync();
    assert_eq!(
        (report.released, report.packets),
        (0, 1),
        "with less than half of the ring outstanding it can wait"
    );
    bench.device.transmit_all();
    assert_eq!((bench.tx.sync().released, bench.tx.free()), (2, 7));
    bench.finish();
}

/// Each frame of a batch has its own number of descriptors; the device names the first of the last.
fn a_batch_may_end_with_a_frame_of_several_slots<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(16, 16));
    for round in 0..100u32 {
        let mut expected = Vec::new();
        let mut slots = 0;
        for fragments in [1 + round % 3, 1, 1 + round % 4] {
            let parts: Vec<_> = (0..fragments).map(|part| frame(round + part, 40)).collect();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            assert!(bench.tx.push_fragments(&parts));
            expected.push(parts.concat());
            slots += fragments;
        }
        assert_eq!(bench.tx.sync().packets, 3);
        assert_eq!(bench.device.transmit_batch(3), expected);
        assert_eq!((bench.tx.sync().released, bench.tx.outstanding()), (slots, 0));
    }
    bench.finish();
}

/// The interrupt comes with a batch that has what is waited for, or before: once for each request.
fn a_batch_wakes_who_waits_for_one_of_its_buffers<W: Way>() {
    for batches in [&[6][..], &[1, 5], &[3, 3], &[1, 2, 3]] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        assert!((0..7).all(|_| bench.tx.push(b"frame")));
        bench.tx.sync();
        assert_eq!(bench.tx.queue.arm(4), Armed::Yes);
        let mut sent = 0;
        for &count in batches {
            bench.device.transmit_batch(count);
            sent += count;
            let interrupts = bench.device.interrupts(TRANSMIT);
            assert!(interrupts == 1 || interrupts == 0 && sent < 4, "{interrupts}: {sent} of {batches:?}");
        }
        bench.device.driver_sleeps(TRANSMIT, 0);
        assert_eq!(bench.tx.sync().released, 6);
        assert_eq!(bench.tx.queue.arm(1), Armed::Yes);
        bench.device.transmit_batch(1);
        bench.device.driver_sleeps(TRANSMIT, 6);
        assert_eq!((bench.device.interrupts(TRANSMIT), bench.tx.sync().released), (2, 1));
        bench.finish();
    }
}

fn a_batch_that_is_there_is_not_waited_for<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    bench.rx.sync();
    assert!(bench.device.receive_batch(2, 1, &frame(0, 60)));
    assert_eq!(bench.rx.queue.arm(), Armed::Pending, "a batch is there");
    assert_eq!(bench.rx.sync().packets, 3);
    assert_eq!(bench.rx.queue.arm(), Armed::Yes);
    bench.device.driver_sleeps(RECEIVE, 3);

    // Of a batch that is there, the place of the fourth buffer does not tell.
    assert!((0..7).all(|_| bench.tx.push(b"frame")));
    bench.tx.sync();
    bench.device.transmit_batch(5);
    assert_eq!(bench.tx.queue.arm(4), Armed::Pending);
    assert_eq!((bench.tx.sync().released, bench.tx.queue.arm(2)), (5, Armed::Yes));
    bench.finish();
}

fn a_number_that_is_not_outstanding_breaks_the_queue<W: Way>() {
    for number in [4, 7, 8, 0xffff] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        assert!((0..4).all(|_| bench.tx.push(b"frame")));
        bench.tx.sync();
        bench.device.complete_falsely(TRANSMIT, number, 0);
        bench.device.complete_falsely(TRANSMIT, 1, 0);
        assert_eq!(bench.tx.sync().released, 0);
        let broken = QueueStatus { is_broken: true, ..QueueStatus::default() };
        assert_eq!(bench.tx.status, broken, "{number}");
        assert!(bench.tx.push(b"posted"));
        assert_eq!((bench.tx.sync().released, bench.tx.status), (0, broken), "a broken queue is left alone");

        bench.rx.sync();
        bench.device.complete_falsely(RECEIVE, number | 8, 72);
        assert_eq!((bench.rx.sync().packets, bench.rx.status.is_broken), (0, true), "{number}");
        assert!(bench.tx.is_complete() && bench.rx.is_complete());
        bench.restart();
        assert!(bench.tx.push(b"works again"));
        assert_eq!((bench.tx.sync().packets, bench.device.transmit_all().len()), (1, 1));
        assert!(!bench.tx.status.is_broken);
    }
}

/// It names one buffer three times. The first is the last of a batch of three; for the others there is nothing outstanding any
/// more.
fn a_device_that_does_not_keep_the_order_loses_no_buffer_twice<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    assert!((0..6).all(|_| bench.tx.push(b"frame")));
    bench.tx.sync();
    (0..3).for_each(|_| bench.device.complete_falsely(TRANSMIT, 2, 0));
    assert_eq!((bench.tx.sync().released, bench.tx.status), (3, QueueStatus::default()));
    // The fourth place, or entry, names it once more.
    bench.device.complete_falsely(TRANSMIT, 2, 0);
    assert_eq!((bench.tx.sync().released, bench.tx.status.is_broken), (0, true));
    // A batch that goes beyond the index of a split queue.
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    assert!((0..6).all(|_| bench.tx.push(b"frame")));
    bench.tx.sync();
    bench.device.complete_falsely(TRANSMIT, 3, 0);
    let (released, is_broken) = (bench.tx.sync().released, bench.tx.status.is_broken);
    assert_eq!((released, is_broken), if W::IS_PACKED { (4, false) } else { (0, true) });
    // The same for a queue that receives.
    bench.rx.sync();
    bench.device.complete_falsely(RECEIVE, 3, 72);
    let (received, is_broken) = (bench.rx.sync().packets, bench.rx.status.is_broken);
    assert_eq!((received, is_broken), if W::IS_PACKED { (4, false) } else { (0, true) });
    assert!(bench.rx.is_complete());
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

fn steps() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..4u8, 0..8usize), 1..300)
}

/// Frames of one to three slots, in an account of its own: what is posted, and how many slots the next sync brings back.
fn any_batches<W: Way>(steps: &[(u8, usize)]) -> Result<(), TestCaseError> {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    let (mut posted, mut done) = (VecDeque::new(), 0);
    for (count, &(step, number)) in (0..).zip(steps) {
        match step {
            0 | 1 => {
                let part = frame(count, 30);
                let slots = 1 + number % 3;
                // Half of the ring.
                let is_reclaiming = bench.tx.outstanding() >= 4;
                if bench.tx.push_fragments(&vec![part.as_slice(); slots]) {
                    let report = bench.tx.sync();
                    let expected = if is_reclaiming { std::mem::take(&mut done) } else { 0 };
                    prop_assert_eq!((report.packets, report.released), (1, expected));
                    posted.push_back((part.repeat(slots), slots as u32));
                }
            }
            2 => {
                let sent = bench.device.transmit_batch(number);
                let expected: Vec<_> = posted.drain(..number.min(posted.len())).collect();
                done += expected.iter().map(|(_, slots)| slots).sum::<u32>();
                prop_assert_eq!(sent, expected.into_iter().map(|(frame, _)| frame).collect::<Vec<_>>());
            }
            _ => prop_assert_eq!(bench.tx.sync().released, std::mem::take(&mut done)),
        }
    }
    prop_assert_eq!(bench.device.violations(), vec![]);
    Ok(())
}
