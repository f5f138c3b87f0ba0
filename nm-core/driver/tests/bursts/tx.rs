//! The rules of a transmit burst, one by one.

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, Lengths};

use crate::memory::{CAPACITY, Sent, Tx, number, slot, submit};

const NONE: SlotFlags = SlotFlags::empty();

fn ids(sent: &[Sent]) -> Vec<u16> {
    sent.iter().map(|sent| sent.id).collect()
}

/// Runs are consecutive in slots, ids and descriptors, which `submit` checks; here it is their order across both wraps.
#[test]
fn plain_frames_go_in_runs_across_the_wrap_of_slots_and_of_ids() {
    for (slots, capacity, wrap) in [(5, 5, 8), (4, 4, 4), (5, 16, 16)] {
        let mut ring = Tx::new(slots, capacity);
        let (mut next, mut oldest) = (0u32, 0u32);
        for round in 0..if cfg!(miri) { 12 } else { 40 } {
            let count = 1 + round % (slots - 1);
            for k in 0..count {
                ring.push(60 + k as u16, NONE);
            }
            let (sent, report) = ring.submit();
            let expected = (0..count).map(|k| Sent {
                id: ((next + k) % wrap) as u16,
                fragments: vec![((next + k) % slots + 2, 60 + k as u16)],
            });
            assert_eq!(sent, expected.collect::<Vec<_>>());
            assert_eq!(
                (report.packets, report.invalid, report.unsupported, report.released),
                (count, 0, 0, 0)
            );
            assert_eq!(report.bytes, u64::from((0..count).map(|k| 60 + k).sum::<u32>()));
            next += count;
            let report = ring.sync(|burst| {
                while burst.outstanding() > 0 {
                    let count = burst.complete_run(&[(); 3], |(), id| {
                        id == oldest % wrap && {
                            oldest += 1;
                            true
                        }
                    });
                    assert!((1..=3).contains(&count));
                }
            });
            assert_eq!((report.released, oldest), (count, next));
        }
    }
}

#[test]
fn a_run_of_completions_ends_at_the_first_id_that_is_not_reported() {
    let mut ring = Tx::new(8, 8);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.submit();
    let report = ring.sync(|burst| {
        assert_eq!(burst.complete_run(&[0, 1, 7], |entry, id| *entry == id), 2);
        assert_eq!(burst.complete_run(&[7], |entry, id| *entry == id), 0);
        assert_eq!(
            burst.complete_run(&[2, 3, 4], |entry, id| *entry == id),
            1,
            "no more than is outstanding"
        );
        assert_eq!(burst.complete_run(&[3], |entry, id| *entry == id), 0);
    });
    assert_eq!(report.released, 3);
}

/// The id behind the last is that of no frame, although another frame is outstanding.
#[test]
fn a_run_of_completions_ends_with_the_last_id() {
    let mut ring = Tx::new(4, 4);
    for _ in 0..3 {
        ring.push_frame(1, 60);
    }
    ring.submit();
    ring.complete(&[0, 1, 2]);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.submit();
    let report = ring.sync(|burst| {
        assert_eq!(burst.complete_run(&[3, 4], |entry, id| *entry == id), 1);
        assert_eq!(burst.complete(4), None);
        assert_eq!(burst.complete_run(&[0, 1], |entry, id| *entry == id), 1);
    });
    assert_eq!(report.released, 2);
}

#[test]
fn a_flagged_slot_ends_the_run_and_goes_as_a_frame() {
    for bits in [0x0001, 0x0002, 0x0004, 0x0008, 0x4000, 0x8000u16] {
        let mut ring = Tx::new(8, 8);
        let flags = SlotFlags::from_bits_retain(bits);
        ring.push(60, NONE);
        let flagged = ring.push(61, flags);
        ring.push(62, NONE);
        ring.sync(|burst| {
            assert_eq!(burst.submit_run(&[(); 8], Lengths::ANY, |(), _, _, _| {}), 1, "flags {bits:#x}");
            assert_eq!(burst.submit_run(&[(); 8], Lengths::ANY, |(), _, _, _| {}), 0);
            let frame = burst.next_frame(1).unwrap();
            assert_eq!(
                (frame.first_id(), frame.fragments(), frame.len(), frame.is_empty()),
                (1, 1, 61, false)
            );
            frame.commit();
            assert_eq!(
                burst.submit_run(&[(); 8], Lengths::ANY, |(), _, _, _| {}),
                1,
                "the run goes on behind it"
            );
        });
        let kept = flags - (SlotFlags::REPORT | SlotFlags::BUF_CHANGED);
        assert_eq!(ring.memory.load(flagged), slot(flagged + 2, 61, kept), "flags {bits:#x}");
    }
}

#[test]
fn flags_of_one_submission_are_cleared_in_each_slot_of_a_frame() {
    let mut ring = Tx::new(8, 8);
    let once = SlotFlags::REPORT | SlotFlags::BUF_CHANGED;
    ring.push(60, once | SlotFlags::MOREFRAG);
    ring.push(60, once | SlotFlags::NO_LEARN);
    ring.push(0, once);
    let (sent, report) = ring.submit();
    assert_eq!((ids(&sent), report.invalid), (vec![0], 1));
    let flags: Vec<_> = (0..3).map(|at| ring.memory.load(at).flags).collect();
    assert_eq!(flags, [0, SlotFlags::NO_LEARN.bits(), 0], "also those of a frame that is dropped");
}

/// A slot that cannot be sent, each with its own reason.
fn invalid_slots() -> Vec<(u32, u16, SlotFlags)> {
    vec![
        (0, 60, NONE),
        (1, 60, NONE),
        (2 + 8, 60, NONE),
        (u32::MAX, 60, NONE),
        (5, 0, NONE),
        (5, CAPACITY + 1, NONE),
        (5, u16::MAX, NONE),
        (5, 60, SlotFlags::INDIRECT),
    ]
}

#[test]
fn the_slot_of_an_invalid_frame_comes_back_with_the_frame_in_front_of_it() {
    for (buf_idx, len, flags) in invalid_slots() {
        let mut ring = Tx::new(8, 8);
        ring.push_frame(1, 60);
        ring.push_value(slot(buf_idx, len, flags));
        ring.push_value(slot(buf_idx, len, flags));
        ring.push_frame(1, 70);
        ring.push_value(slot(buf_idx, len, flags));
        let (sent, report) = ring.submit();
        assert_eq!((ids(&sent), report.submitted.get()), (vec![0, 1], 5));
        assert_eq!((report.packets, report.invalid, report.released, report.bytes), (2, 3, 0, 130));
        assert_eq!(ring.complete(&[1]).1.released, 0);
        assert_eq!(ring.complete(&[0]).1.released, 5);
    }
}

#[test]
fn the_slot_of_an_invalid_frame_comes_back_at_once_when_nothing_is_outstanding() {
    for (buf_idx, len, flags) in invalid_slots() {
        let mut ring = Tx::new(8, 8);
        ring.push_value(slot(buf_idx, len, flags));
        let (sent, report) = ring.submit();
        assert_eq!((sent.len(), report.invalid, report.released, ring.free()), (0, 1, 1, 7));
    }
}

#[test]
fn a_frame_with_one_invalid_fragment_is_dropped_whole() {
    for (buf_idx, len, flags) in invalid_slots() {
        for place in 0..3 {
            let mut ring = Tx::new(8, 8);
            ring.push_frame(1, 60);
            for k in 0..3 {
                let more = if k == 2 { NONE } else { SlotFlags::MOREFRAG };
                if k == place {
                    ring.push_value(slot(buf_idx, len, flags | more));
                } else {
                    ring.push(60, more);
                }
            }
            ring.push_frame(1, 60);
            let (sent, report) = ring.submit();
            assert_eq!((ids(&sent), report.invalid, report.submitted.get()), (vec![0, 1], 1, 5));
            assert_eq!(ring.complete(&[0]).1.released, 4);
        }
    }
}

#[test]
fn a_length_that_the_driver_excludes_from_runs_goes_as_a_frame() {
    let lengths = Lengths { shortest: 17, longest: 100 };
    for (len, is_run) in [(1, false), (16, false), (17, true), (100, true), (101, false), (CAPACITY, false)] {
        let mut ring = Tx::new(4, 4);
        ring.push(len, NONE);
        ring.sync(|burst| {
            let count = burst.submit_run(&[()], lengths, |(), _, _, _| {});
            assert_eq!(count, u32::from(is_run), "{len} bytes");
            assert_eq!(burst.next_frame(1).is_some(), !is_run);
        });
    }
}

#[test]
fn a_run_takes_no_longer_frame_than_a_buffer_holds() {
    for (longest, shortest) in [(u16::MAX, 0), (u16::MAX, 1), (CAPACITY, 1), (10, 20)] {
        let mut ring = Tx::new(8, 8);
        for len in [0, CAPACITY + 1, u16::MAX] {
            ring.push(len, NONE);
            ring.sync(|burst| {
                let lengths = Lengths { shortest, longest };
                assert_eq!(burst.submit_run(&[()], lengths, |(), _, _, _| {}), 0, "{len} bytes");
                assert!(burst.next_frame(64).is_none());
            });
        }
    }
}

#[test]
fn a_frame_of_several_slots_goes_whole_or_not_at_all() {
    let mut ring = Tx::new(8, 8);
    ring.push_frame(1, 60);
    ring.submit();
    ring.push_frame(3, 50);
    for room in [0, 1, 2] {
        let mut sent = Vec::new();
        let report = ring.sync(|burst| sent = submit(burst, 8, room));
        assert_eq!((report.is_full, report.submitted.get(), report.invalid), (true, 1, 0), "room {room}");
    }
    let mut sent = Vec::new();
    let report = ring.sync(|burst| sent = submit(burst, 8, 3));
    assert_eq!(sent, [Sent { id: 1, fragments: vec![(3, 50), (4, 50), (5, 50)] }]);
    assert_eq!((report.is_full, report.packets, report.bytes), (false, 1, 150));
    assert_eq!(ring.track.outstanding(), 4);
}

#[test]
fn a_frame_waits_until_the_queue_has_as_many_free_descriptors() {
    let mut ring = Tx::new(9, 4);
    for _ in 0..3 {
        ring.push_frame(1, 60);
    }
    ring.push_frame(2, 60);
    let (sent, report) = ring.submit();
    assert_eq!((ids(&sent), report.is_full), (vec![0, 1, 2], true));
    ring.complete(&[1]);
    assert!(ring.submit().1.is_full, "a completion behind an older frame frees nothing");
    ring.complete(&[0]);
    let (sent, report) = ring.submit();
    assert_eq!((ids(&sent), report.is_full), (vec![3], false));
}

#[test]
fn a_driver_reports_its_queue_full() {
    let mut ring = Tx::new(4, 4);
    ring.push(60, SlotFlags::BUF_CHANGED);
    let report = ring.sync(|burst| burst.next_frame(1).unwrap().postpone());
    assert_eq!((report.is_full, report.submitted.get(), report.packets), (true, 0, 0));
    assert_eq!(ring.memory.load(0).flags, SlotFlags::BUF_CHANGED.bits(), "it is pending as it was");
    assert!(!ring.submit().1.is_full);
}

#[test]
fn a_frame_whose_last_slot_is_not_submitted_yet_stays_pending() {
    let mut ring = Tx::new(9, 9);
    ring.push_frame(1, 60);
    ring.push(60, SlotFlags::MOREFRAG);
    ring.push(60, SlotFlags::MOREFRAG);
    for _ in 0..3 {
        ring.submit();
        assert_eq!((ring.hwcur.get(), ring.track.outstanding()), (1, 1));
    }
    ring.push(60, NONE);
    let (sent, report) = ring.submit();
    assert_eq!((ids(&sent), sent[0].fragments.len()), (vec![1], 3));
    assert_eq!((report.invalid, report.is_full), (0, false));
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of slots take minutes")]
fn a_frame_of_the_most_slots_passes_and_one_more_slot_drops_it_whole() {
    for (slots, passes) in
        [(FRAGMENTS_MAX - 1, true), (FRAGMENTS_MAX, true), (FRAGMENTS_MAX + 1, false), (150, false)]
    {
        let mut ring = Tx::new(200, 256);
        ring.push_frame(1, 60);
        ring.push_frame(slots, 2);
        ring.push_frame(1, 70);
        let (sent, report) = ring.submit();
        let counts: Vec<_> = sent.iter().map(|sent| sent.fragments.len() as u32).collect();
        let expected = if passes { vec![1, slots, 1] } else { vec![1, 1] };
        assert_eq!((counts, report.invalid), (expected, u32::from(!passes)), "{slots} slots");
        assert_eq!(ring.hwcur, ring.head);
        // All slots come back.
        for sent in &sent {
            ring.complete(&[sent.id.into()]);
        }
        assert_eq!(ring.free(), 199);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of slots take minutes")]
fn the_rest_of_a_frame_with_too_many_slots_is_dropped_in_later_syncs() {
    for batch in [1, 2, 7, 64, 65] {
        let mut ring = Tx::new(200, 256);
        let (mut invalid, mut sent) = (0, Vec::new());
        for k in 1..=130 {
            ring.push(60, if k == 130 { NONE } else { SlotFlags::MOREFRAG });
            if k % batch == 0 || k == 130 {
                let (more, report) = ring.submit();
                sent.extend(more);
                invalid += report.invalid;
            }
        }
        assert_eq!((sent.len(), invalid, ring.free()), (0, 1, 199), "{batch} slots a sync");
        ring.push_frame(1, 60);
        assert_eq!(ids(&ring.submit().0), [0], "the next frame passes");
    }
}

#[test]
fn a_frame_that_fills_the_ring_is_dropped_with_its_rest() {
    for slots in [2, 3, 4, 9] {
        let mut ring = Tx::new(slots, slots as u16);
        for _ in 0..slots - 1 {
            ring.push(60, SlotFlags::MOREFRAG);
        }
        let (sent, report) = ring.submit();
        assert_eq!((sent.len(), report.invalid, ring.free()), (0, 1, slots - 1), "a ring of {slots}");
        ring.push(60, NONE);
        let (sent, report) = ring.submit();
        assert_eq!((sent.len(), report.invalid, report.released), (0, 0, 1), "the rest is no frame");
        ring.push(60, NONE);
        assert_eq!(ring.submit().0.len(), 1);
    }
}

#[test]
fn a_frame_of_all_slots_but_one_passes() {
    for slots in [3, 4, 9] {
        let mut ring = Tx::new(slots, slots as u16);
        ring.push_frame(slots - 1, 60);
        let (sent, report) = ring.submit();
        assert_eq!((sent.len(), report.invalid), (1, 0));
        assert_eq!(ring.complete(&[0]), (vec![Some(slots - 1)], report_released(report, slots - 1)));
    }
}

/// A report of nothing but released slots.
fn report_released(of: nm_driver::burst::TxReport, released: u32) -> nm_driver::burst::TxReport {
    nm_driver::burst::TxReport { released, packets: 0, bytes: 0, ..of }
}

#[test]
fn a_frame_that_the_device_cannot_send_is_counted_apart_and_comes_back_in_turn() {
    let mut ring = Tx::new(9, 9);
    ring.push_frame(1, 60);
    ring.push_frame(2, 60);
    ring.push(60, NONE);
    let report = ring.sync(|burst| {
        assert_eq!(burst.submit_run(&[(); 9], Lengths::ANY, |(), _, _, _| {}), 1);
        burst.next_frame(64).unwrap().refuse();
        burst.next_frame(64).unwrap().refuse();
        assert!(!burst.is_pending());
    });
    assert_eq!((report.packets, report.unsupported, report.invalid, report.released), (1, 2, 0, 0));
    assert_eq!(ring.complete(&[0]).1.released, 4);
    ring.push(60, NONE);
    let report = ring.sync(|burst| burst.next_frame(64).unwrap().refuse());
    assert_eq!((report.unsupported, report.released), (1, 1), "at once when nothing is outstanding");
}

#[test]
fn slots_come_back_in_order_however_frames_complete() {
    let mut ring = Tx::new(9, 9);
    ring.push_frame(1, 60);
    ring.push_frame(3, 60);
    ring.push_frame(1, 60);
    ring.push_frame(2, 60);
    assert_eq!(ids(&ring.submit().0), [0, 1, 4, 5]);
    let released: Vec<_> = [(5, 2), (1, 3), (4, 1), (0, 1)]
        .map(|(id, fragments)| {
            let (answers, report) = ring.complete(&[id]);
            assert_eq!(answers, [Some(fragments)]);
            report.released
        })
        .to_vec();
    assert_eq!(released, [0, 0, 0, 7]);
    assert_eq!((ring.track.outstanding(), ring.free()), (0, 8));
}

#[test]
fn an_id_completes_once_and_only_if_a_frame_begins_with_it() {
    let mut ring = Tx::new(9, 9);
    assert_eq!(ring.complete(&[0, 1, 15, 16, u32::MAX]).0, [None; 5], "nothing is outstanding");
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.push_frame(3, 60);
    ring.submit();
    // 3 and 4 are in the middle of the frame that begins with 2; ids count up to 15.
    assert_eq!(ring.complete(&[3, 4, 5, 15, 16, 17, 0x1_0000, 0x1_0001, u32::MAX]).0, [None; 9]);
    assert_eq!(ring.complete(&[1, 1]).0, [Some(1), None]);
    assert_eq!(ring.complete(&[2, 1, 2, 3]).0, [Some(3), None, None, None]);
    assert_eq!(ring.complete(&[0, 0, 1, 2]).0, [Some(1), None, None, None]);
    assert_eq!(ring.free(), 8);
}

#[test]
fn in_order_completions_of_plain_frames_are_each_taken_once() {
    let mut ring = Tx::new(9, 9);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.submit();
    let (answers, report) = ring.complete(&[0, 0, 2, 1, 1]);
    assert_eq!((answers, report.released), (vec![Some(1), None, None, Some(1), None], 2));
}

/// Whether the ring is on the fast path: a plain frame goes in a run, and completes in one.
#[track_caller]
fn assert_is_plain(ring: &mut Tx, is_plain: bool) {
    ring.push_frame(1, 60);
    let mut count = 0;
    ring.sync(|burst| count = burst.submit_run(&[()], Lengths::ANY, |(), _, _, _| {}));
    assert_eq!(count, u32::from(is_plain));
    ring.submit();
}

#[test]
fn the_fast_path_returns_when_nothing_unusual_is_outstanding() {
    // Out of order.
    let mut ring = Tx::new(17, 17);
    for _ in 0..3 {
        ring.push_frame(1, 60);
    }
    ring.submit();
    ring.complete(&[1]);
    assert_is_plain(&mut ring, false);
    ring.complete(&[0]);
    assert_is_plain(&mut ring, true);
    assert_eq!(ring.track.outstanding(), 3, "frames behind the gap are still outstanding");
    // A frame of several slots.
    ring.push_frame(2, 60);
    assert_eq!(ids(&ring.submit().0), [5]);
    assert_is_plain(&mut ring, false);
    ring.complete(&[2, 3, 4]);
    assert_is_plain(&mut ring, false);
    ring.complete(&[5]);
    assert_is_plain(&mut ring, true);
    // An invalid frame behind one that is outstanding.
    ring.push(0, NONE);
    ring.submit();
    assert_is_plain(&mut ring, false);
    let mut ids_left: Vec<u32> = (7..=10).collect();
    ids_left.retain(|&id| ring.complete(&[id]).0 == [None]);
    assert_eq!(ids_left, [] as [u32; 0]);
    assert_is_plain(&mut ring, true);
}

#[test]
fn a_batch_is_counted_up_to_the_frame_with_an_id() {
    let mut ring = Tx::new(17, 17);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.submit();
    ring.sync(|burst| {
        let through = [0, 1, 2, 31, 32, u32::MAX].map(|id| burst.frames_through(id));
        assert_eq!(through, [Some((1, 1)), Some((2, 2)), None, None, None, None]);
    });
    ring.push_frame(3, 60);
    ring.push_frame(1, 60);
    ring.submit();
    ring.sync(|burst| {
        let through = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|id| burst.frames_through(id));
        let expected = [Some((1, 1)), Some((2, 2)), Some((3, 5)), None, None, Some((4, 6)), None, None];
        assert_eq!(through, expected);
    });
}

/// A device that keeps the order has no such completions; a driver that mixes both ways must not complete what is not.
#[test]
fn a_batch_does_not_count_frames_that_are_complete_already() {
    let mut ring = Tx::new(17, 17);
    for _ in 0..4 {
        ring.push_frame(1, 60);
    }
    ring.submit();
    ring.complete(&[1]);
    ring.sync(|burst| {
        assert_eq!(burst.frames_through(1), None);
        let (frames, _) = burst.frames_through(2).unwrap();
        burst.complete_oldest(frames);
        assert_eq!(burst.outstanding(), 1);
    });
}

#[test]
fn the_oldest_frames_complete_with_all_their_slots_and_no_more_than_there_are() {
    for frames in 0..6 {
        let mut ring = Tx::new(17, 17);
        ring.push_frame(1, 60);
        ring.push(0, NONE);
        ring.push_frame(3, 60);
        ring.push_frame(1, 60);
        ring.submit();
        let report = ring.sync(|burst| burst.complete_oldest(frames));
        assert_eq!(report.released, [0, 2, 5, 6, 6, 6][frames as usize]);
        assert_eq!(ring.track.outstanding(), [5, 4, 1, 0, 0, 0][frames as usize]);

        let mut plain = Tx::new(17, 17);
        plain.push_frame(1, 60);
        plain.push_frame(1, 60);
        plain.submit();
        assert_eq!(plain.sync(|burst| burst.complete_oldest(frames)).released, frames.min(2));
    }
}

#[test]
fn a_report_is_wanted_while_the_frame_of_a_report_slot_is_outstanding() {
    for slots in [1, 3] {
        let mut ring = Tx::new(17, 17);
        ring.push_frame(1, 60);
        for k in 1..=slots {
            let more = if k == slots { NONE } else { SlotFlags::MOREFRAG };
            ring.push(60, if k == slots { SlotFlags::REPORT } else { more });
        }
        ring.push_frame(1, 60);
        assert!(!ring.track.has_report());
        ring.submit();
        assert!(ring.track.has_report());
        ring.complete(&[0]);
        assert!(ring.track.has_report());
        ring.complete(&[1]);
        assert!(!ring.track.has_report());
    }
}

#[test]
fn frames_are_counted_that_the_device_has_not_completed() {
    let mut ring = Tx::new(17, 17);
    ring.push_frame(1, 60);
    ring.push_frame(1, 60);
    ring.submit();
    assert_eq!(ring.track.frames(), 2);
    ring.push_frame(3, 60);
    ring.push(0, NONE);
    ring.submit();
    assert_eq!((ring.track.frames(), ring.track.outstanding()), (3, 5));
    ring.complete(&[1]);
    assert_eq!((ring.track.frames(), ring.track.outstanding()), (2, 5));
    ring.complete(&[0, 2]);
    assert_eq!((ring.track.frames(), ring.track.outstanding()), (0, 0));
}

#[test]
fn completions_are_looked_for_when_half_of_the_ring_is_outstanding_or_nothing_is_pending() {
    let mut ring = Tx::new(8, 8);
    for (outstanding, is_wanted) in [(0, false), (1, false), (2, false), (3, false), (4, true), (5, true)] {
        ring.push_frame(1, 60);
        let mut wanted = false;
        ring.sync(|burst| wanted = burst.has_reclaim());
        assert_eq!(wanted, is_wanted, "{outstanding} outstanding");
        ring.submit();
        ring.sync(|burst| wanted = burst.has_reclaim());
        assert!(wanted);
    }
}

/// Else a frame that waits could keep completions from being seen that it waits for.
#[test]
fn completions_are_looked_for_when_the_last_sync_left_slots_pending() {
    let mut ring = Tx::new(8, 8);
    ring.push_frame(1, 60);
    ring.submit();
    let mut wanted = Vec::new();
    ring.push(60, SlotFlags::MOREFRAG);
    for _ in 0..3 {
        ring.sync(|burst| wanted.push(burst.has_reclaim()));
    }
    ring.push(60, NONE);
    ring.sync(|burst| {
        wanted.push(burst.has_reclaim());
        submit(burst, 8, 8);
    });
    ring.push_frame(1, 60);
    ring.sync(|burst| wanted.push(burst.has_reclaim()));
    assert_eq!(wanted, [false, true, true, true, false]);
}

/// A raw program may write any slot at any time.
mod raw_programs {
    use super::*;

    /// Slots in front of and behind the one that is submitted are rewritten in the middle of a run.
    #[test]
    fn a_slot_is_checked_as_it_is_read_and_what_was_read_is_used() {
        for (buf_idx, len, flags) in invalid_slots() {
            let mut ring = Tx::new(8, 8);
            for _ in 0..4 {
                ring.push_frame(1, 60);
            }
            let slots = ring.memory.slots();
            let mut sent = Vec::new();
            let report = ring.sync(|burst| {
                let at = |raw| slots.size().index(raw).unwrap();
                let count = burst.submit_run(&[(); 8], Lengths::ANY, |(), id, buffer, found| {
                    sent.push((id, number(&buffer), found));
                    if id == 1 {
                        (0..4).for_each(|raw| slots.store(at(raw), slot(buf_idx, len, flags)));
                    }
                });
                assert_eq!(count, 2);
                assert!(burst.next_frame(64).is_none());
            });
            assert_eq!(sent, [(0, 2, 60), (1, 3, 60)]);
            assert_eq!((report.packets, report.invalid, report.bytes), (2, 2, 120));
            assert_eq!(ring.complete(&[0, 1]).1.released, 4);
        }
    }

    #[test]
    fn a_fragment_that_was_rewritten_since_its_check_is_refused_or_cut_to_its_buffer() {
        for (buf_idx, len, found) in [
            (0, 60, None),
            (1, 60, None),
            (10, 60, None),
            (u32::MAX, 60, None),
            (5, 0, None),
            (5, 60, Some((5, 60))),
            (5, CAPACITY + 1, Some((5, CAPACITY))),
            (5, u16::MAX, Some((5, CAPACITY))),
        ] {
            let mut ring = Tx::new(8, 8);
            ring.push_frame(2, 60);
            let slots = ring.memory.slots();
            ring.sync(|burst| {
                let mut frame = burst.next_frame(2).unwrap();
                slots.store(slots.size().index(1).unwrap(), slot(buf_idx, len, NONE));
                let fragment = frame.fragment(1).map(|(buffer, len)| (number(&buffer), len));
                assert_eq!(fragment, found, "buffer {buf_idx}, {len} bytes");
                assert!(frame.fragment(2).is_none(), "a frame has as many fragments as were checked");
                assert!(frame.fragment(u32::MAX).is_none());
                if found.is_none() {
                    frame.refuse();
                } else {
                    frame.commit();
                }
            });
            ring.complete(&[0]);
            assert_eq!((ring.free(), ring.track.outstanding()), (7, 0));
        }
    }

    #[test]
    fn a_frame_ends_where_it_ended_when_it_was_checked() {
        let mut ring = Tx::new(8, 8);
        ring.push_frame(2, 60);
        ring.push_frame(1, 60);
        let slots = ring.memory.slots();
        let report = ring.sync(|burst| {
            let frame = burst.next_frame(2).unwrap();
            for raw in 0..3 {
                slots.store(slots.size().index(raw).unwrap(), slot(raw + 2, 60, SlotFlags::MOREFRAG));
            }
            frame.commit();
        });
        assert_eq!((report.submitted.get(), report.packets), (2, 1));
        assert_eq!(ring.complete(&[0]), (vec![Some(2)], report_released(report, 2)));
    }

    #[test]
    fn rewriting_submitted_slots_changes_nothing() {
        let mut ring = Tx::new(8, 8);
        ring.push_frame(3, 60);
        ring.push_frame(1, 60);
        ring.submit();
        for raw in 0..8 {
            ring.memory.store(raw, slot(u32::MAX, u16::MAX, SlotFlags::all()));
        }
        assert_eq!(
            ring.complete(&[3, 0]),
            (vec![Some(1), Some(3)], {
                let (_, report) = Tx::new(2, 2).complete(&[]);
                nm_driver::burst::TxReport { submitted: ring.hwcur, ..report_released(report, 4) }
            })
        );
    }
}
