//! The rules of a receive burst, one by one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, FRAME_MIN};
use nm_driver::slots::SlotValue;

use crate::memory::{CAPACITY, Rx, post, slot};

const NONE: SlotFlags = SlotFlags::empty();
const MORE: SlotFlags = SlotFlags::MOREFRAG;

/// Lengths of the frames that were received, by slot.
fn lengths(frames: &[Vec<SlotValue>]) -> Vec<Vec<u16>> {
    frames.iter().map(|frame| frame.iter().map(|slot| slot.len).collect()).collect()
}

fn only_ids(posted: &[(u32, u32)]) -> Vec<u32> {
    posted.iter().map(|(id, _)| *id).collect()
}

#[test]
fn whole_frames_come_in_runs_across_the_wrap_of_slots_and_of_ids() {
    for (slots, capacity, wrap) in [(5, 5, 8), (4, 4, 4), (5, 16, 16)] {
        let mut ring = Rx::posted(slots, capacity);
        ring.flags = SlotFlags::NO_LEARN;
        let (mut oldest, mut posted) = (0u32, slots - 1);
        for round in 0..if cfg!(miri) { 12 } else { 40 } {
            let count = 1 + round % (slots - 1);
            let mut left = count;
            let report = ring.sync(|burst| {
                assert_eq!(u32::from(burst.expected()), oldest % wrap);
                while left > 0 {
                    let entries = vec![60 + left; left as usize];
                    let taken = burst.receive_run(&entries, 0, |len, id| {
                        assert_eq!(id, oldest % wrap);
                        oldest += 1;
                        Some(*len)
                    });
                    assert!((1..=left).contains(&taken));
                    left -= taken;
                }
            });
            assert_eq!((report.packets, report.short, report.long, report.damaged), (count, 0, 0, 0));
            let frames = ring.take();
            let bytes: u64 = frames.iter().flatten().map(|slot| u64::from(slot.len)).sum();
            assert_eq!((frames.len() as u32, report.bytes), (count, bytes));
            assert!(
                frames.iter().all(|frame| frame.len() == 1 && frame[0].flags == SlotFlags::NO_LEARN.bits())
            );
            let (ids, _) = ring.post();
            assert!(only_ids(&ids).into_iter().eq((posted..posted + count).map(|id| id % wrap)));
            posted += count;
            ring.check_restored();
        }
    }
}

#[test]
fn a_run_ends_in_front_of_a_length_that_no_whole_frame_has() {
    let shortest = u32::from(FRAME_MIN);
    for len in [0, 1, shortest - 1, 101, u32::from(CAPACITY) + 1, 0x1_0000 + 60, u32::MAX] {
        let mut ring = Rx::posted(8, 8);
        ring.receive_len = 100;
        let report = ring.sync(|burst| {
            let taken = burst.receive_run(&[shortest, 100, len, 60], 0, |len, _| Some(*len));
            assert_eq!(taken, 2, "{len} bytes");
            assert_eq!(burst.receive_run(&[None, Some(60)], 0, |len, _| *len), 0, "another id");
        });
        assert_eq!((report.packets, report.bytes), (2, u64::from(shortest) + 100));
        assert_eq!(lengths(&ring.take()), [[14], [100]]);
    }
}

/// The id behind the last is that of no buffer, although another buffer is outstanding.
#[test]
fn a_run_ends_with_the_last_id() {
    let mut ring = Rx::posted(5, 8);
    ring.receive(&[0, 1, 2, 3], 60);
    ring.take();
    ring.post();
    ring.receive(&[4, 5, 6], 60);
    ring.take();
    ring.post();
    ring.sync(|burst| {
        let lens = |(claimed, len): &(u32, u32), id| (*claimed == id).then_some(*len);
        assert_eq!(burst.receive_run(&[(7, 60), (8, 61)], 0, lens), 1);
        assert!(!burst.fragment(8, 0, 61, false));
        assert_eq!(burst.receive_run(&[(0, 60), (1, 61)], 0, lens), 2);
    });
}

#[test]
fn no_frame_is_whole_where_the_device_writes_less_than_the_shortest() {
    for receive_len in [0, 1, FRAME_MIN - 1] {
        let mut ring = Rx::posted(4, 4);
        ring.receive_len = receive_len;
        ring.sync(|burst| {
            for len in 0..20 {
                assert_eq!(burst.receive_run(&[len], 0, |len, _| Some(*len)), 0);
            }
        });
    }
}

#[test]
fn a_device_cannot_report_more_than_a_buffer_holds() {
    let mut ring = Rx::posted(4, 4);
    ring.receive_len = u16::MAX;
    let report = ring.sync(|burst| {
        assert_eq!(burst.receive_len(), CAPACITY);
        assert_eq!(burst.receive_run(&[u32::from(CAPACITY) + 1], 0, |len, _| Some(*len)), 0);
        assert!(burst.fragment(0, 0, u32::from(CAPACITY) + 1, false));
        post(burst, 8);
    });
    assert_eq!((report.long, report.packets), (1, 0));
    ring.check_restored();
}

#[test]
fn frames_out_of_order_are_received_as_they_come() {
    let mut ring = Rx::posted(5, 8);
    let (posted, report) = ring.receive(&[2, 0, 3], 60);
    assert_eq!((posted.len(), report.packets), (0, 3));
    let buffers: Vec<_> = ring.take().concat().iter().map(|slot| slot.buf_idx).collect();
    assert_eq!(buffers, [4, 2, 5], "each with the buffer that was posted under its id");
    ring.check_restored();
    // The free ids are used in the order in which they became free, the four that were never used first.
    let (posted, _) = ring.post();
    assert_eq!(posted, [(4, 6), (5, 4), (6, 2)]);
    ring.check_restored();
}

#[test]
fn an_id_comes_back_once_and_only_if_it_is_outstanding() {
    for is_unordered in [false, true] {
        let mut ring = Rx::posted(5, 8);
        ring.sync(|burst| {
            if is_unordered {
                assert!(burst.fragment(1, 0, 60, false));
                assert!(!burst.fragment(1, 0, 60, false));
            }
            for id in [4, 7, 8, 0x1_0000, u32::MAX] {
                assert!(!burst.fragment(id, 0, 60, false), "{id} is not outstanding");
                assert!(!burst.damaged(id, false));
                assert_eq!(burst.buffers_through(id), None);
            }
            assert!(burst.fragment(0, 0, 60, false));
            assert!(!burst.fragment(0, 0, 60, false) && !burst.damaged(0, false));
        });
        assert_eq!(ring.track.outstanding(), if is_unordered { 2 } else { 3 });
        ring.check_restored();
    }
}

#[test]
fn a_ring_returns_to_order_when_all_ids_up_to_the_latest_are_back() {
    let mut ring = Rx::posted(5, 8);
    ring.sync(|burst| {
        assert!(burst.fragment(2, 0, 60, false));
        for id in [0, 1] {
            assert_eq!(burst.receive_run(&[60], 0, |len, _| Some(*len)), 0, "it is on the slow path");
            assert!(burst.fragment(id, 0, 60, false));
        }
        assert_eq!(burst.outstanding(), 1);
        assert_eq!(burst.receive_run(&[60], 0, |len, id| (id == 3).then_some(*len)), 1, "in order again");
    });
    ring.take();
    let (posted, _) = ring.post();
    assert_eq!(only_ids(&posted), [4, 5, 6, 7], "ids go on in order");
    ring.sync(|burst| {
        // Two runs: the slots wrap.
        assert_eq!(burst.receive_run(&[60; 4], 0, |len, _| Some(*len)), 1);
        assert_eq!(burst.receive_run(&[60; 3], 0, |len, _| Some(*len)), 3);
    });
    ring.check_restored();
}

#[test]
fn ids_stay_within_the_capacity_while_unordered() {
    let mut ring = Rx::posted(4, 4);
    for round in 0..if cfg!(miri) { 10 } else { 50u32 } {
        let outstanding: Vec<u32> = {
            let mut ids: Vec<u32> = (0..4).collect();
            ring.sync(|burst| ids.retain(|&id| burst.buffers_through(id).is_some()));
            ids
        };
        let id =
            if outstanding.is_empty() { round % 4 } else { outstanding[round as usize % outstanding.len()] };
        let mut was = false;
        ring.sync(|burst| was = burst.fragment(id, 0, 60, false));
        ring.take();
        let (posted, _) = ring.post();
        assert!(only_ids(&posted).iter().all(|id| *id < 4));
        assert_eq!((posted.len() as u32, ring.track.outstanding()), (u32::from(was), 3));
        ring.check_restored();
    }
}

#[test]
fn a_damaged_buffer_is_posted_again_in_the_same_sync() {
    for ids in [vec![0], vec![0, 1, 2, 3], vec![1], vec![3, 0], vec![3, 1, 2, 0], vec![2, 2, 9]] {
        let mut ring = Rx::posted(5, 8);
        let mut posted = Vec::new();
        let mut taken = 0;
        let report = ring.sync(|burst| {
            taken = ids.iter().filter(|&&id| burst.damaged(id, false)).count();
            posted = post(burst, 8);
        });
        assert_eq!((report.damaged, posted.len(), report.packets), (taken as u32, taken, 0));
        assert_eq!((report.tail.get(), ring.track.outstanding()), (0, 4), "{ids:?}");
        ring.check_restored();
    }
}

#[test]
fn a_damaged_buffer_between_frames_leaves_no_gap() {
    for ids in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let mut ring = Rx::posted(5, 8);
        let report = ring.sync(|burst| {
            assert!(burst.fragment(ids[0], 0, 60, false));
            assert!(burst.damaged(ids[1], false));
            assert!(burst.fragment(ids[2], 0, 61, false));
            post(burst, 8);
        });
        assert_eq!((report.packets, report.damaged), (2, 1));
        assert_eq!((lengths(&ring.take()), ring.track.outstanding()), (vec![vec![60], vec![61]], 2));
        ring.check_restored();
    }
}

#[test]
fn a_frame_of_several_buffers_is_published_when_it_is_whole() {
    for ids in [[0, 1, 2], [2, 0, 1]] {
        let mut ring = Rx::posted(5, 8);
        ring.flags = SlotFlags::FORWARD;
        for id in &ids[..2] {
            // In a sync of its own: the frame survives between them.
            let report = ring.sync(|burst| {
                assert!(burst.fragment(*id, 0, 100, true));
                assert_eq!(burst.receive_run(&[60], 0, |len, _| Some(*len)), 0, "no whole frame is expected");
            });
            assert_eq!((report.tail.get(), report.packets, report.bytes), (0, 0, 0));
            assert_eq!(ring.take().len(), 0);
            ring.check_restored();
        }
        let report = ring.sync(|burst| assert!(burst.fragment(ids[2], 0, 1, false)));
        assert_eq!((report.tail.get(), report.packets, report.bytes), (3, 1, 201));
        let forward = SlotFlags::FORWARD;
        let expected = [
            slot(ids[0] + 2, 100, forward | MORE),
            slot(ids[1] + 2, 100, forward | MORE),
            slot(ids[2] + 2, 1, forward),
        ];
        assert_eq!(ring.take(), [expected]);
        ring.check_restored();
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of slots take minutes")]
fn a_frame_of_the_most_buffers_passes_and_one_more_buffer_drops_it_with_its_rest() {
    for (count, passes) in
        [(FRAGMENTS_MAX - 1, true), (FRAGMENTS_MAX, true), (FRAGMENTS_MAX + 1, false), (150, false)]
    {
        let mut ring = Rx::posted(200, 256);
        let report = ring.sync(|burst| {
            for id in 0..count {
                assert!(burst.fragment(id, 0, 10, id + 1 < count));
            }
            assert!(burst.fragment(count, 0, 60, false));
            post(burst, 256);
        });
        assert_eq!(
            (report.long, report.packets),
            (u32::from(!passes), 1 + u32::from(passes)),
            "{count} buffers"
        );
        let frames = ring.take();
        assert_eq!(frames.last().map(Vec::len), Some(1));
        assert_eq!(frames.len(), 1 + usize::from(passes));
        assert_eq!(ring.track.outstanding(), if passes { 198 - count } else { 198 });
        ring.check_restored();
    }
}

#[test]
fn a_frame_that_would_fill_the_ring_is_dropped_with_its_rest() {
    for slots in [2, 3, 4, 9] {
        for (count, passes) in [(slots - 1, true), (slots, false), (slots + 2, false)] {
            let mut ring = Rx::posted(slots, slots as u16);
            let (mut packets, mut long) = (0, 0);
            for k in 1..=count {
                // Posted again as it comes back: what was dropped takes part in the rest.
                let report = ring.sync(|burst| {
                    let id = burst.expected();
                    assert!(burst.fragment(id.into(), 0, 20, k < count));
                    post(burst, 16);
                });
                (packets, long) = (packets + report.packets, long + report.long);
            }
            assert_eq!((packets, long), (u32::from(passes), u32::from(!passes)), "{count} of {slots}");
            ring.take();
            ring.post();
            assert_eq!(ring.track.outstanding(), slots - 1);
            ring.check_restored();
        }
    }
}

#[test]
fn damage_anywhere_in_a_frame_drops_all_of_it_once() {
    for ids in [[0, 1, 2, 3], [3, 1, 0, 2]] {
        for place in 0..3 {
            let mut ring = Rx::posted(6, 8);
            let report = ring.sync(|burst| {
                for (k, &id) in ids[..3].iter().enumerate() {
                    let more = k < 2;
                    let taken =
                        if k == place { burst.damaged(id, more) } else { burst.fragment(id, 0, 100, more) };
                    assert!(taken);
                }
                assert!(burst.fragment(ids[3], 0, 60, false), "the next frame is whole");
                post(burst, 8);
            });
            assert_eq!(
                (report.damaged, report.long, report.short, report.packets),
                (1, 0, 0, 1),
                "{ids:?}, {place}"
            );
            assert_eq!((lengths(&ring.take()), ring.track.outstanding()), (vec![vec![60]], 4));
            ring.check_restored();
        }
    }
}

#[test]
fn the_rest_of_a_dropped_frame_is_dropped_in_later_syncs_and_counted_once() {
    let mut ring = Rx::posted(6, 8);
    let mut damaged = 0;
    for more in [true, true, true, true, false] {
        let report = ring.sync(|burst| {
            if more {
                assert!(burst.damaged(burst.expected().into(), more));
                assert_eq!(burst.receive_run(&[60], 0, |len, _| Some(*len)), 0, "the rest is no frame");
            } else {
                assert!(burst.fragment(burst.expected().into(), 0, 60, more));
                assert_eq!(burst.receive_run(&[61], 0, |len, _| Some(*len)), 1, "the next one is");
            }
            post(burst, 8);
        });
        damaged += report.damaged;
    }
    assert_eq!((damaged, lengths(&ring.take()), ring.track.outstanding()), (1, vec![vec![61]], 4));
}

#[test]
fn each_length_is_received_or_counted_as_what_it_is() {
    let capacity = u32::from(CAPACITY);
    // Length, then packets, short, long, damaged.
    for (len, expected) in [
        (0, [0, 1, 0, 0]),
        (1, [0, 1, 0, 0]),
        (13, [0, 1, 0, 0]),
        (14, [1, 0, 0, 0]),
        (capacity, [1, 0, 0, 0]),
        (capacity + 1, [0, 0, 1, 0]),
        (0x1_0000 + 60, [0, 0, 1, 0]),
        (u32::MAX, [0, 0, 1, 0]),
    ] {
        for id in [0, 2] {
            let mut ring = Rx::posted(5, 8);
            let (_, report) = ring.receive(&[id], len);
            let found = [report.packets, report.short, report.long, report.damaged];
            assert_eq!(found, expected, "{len} bytes in {id}");
            assert_eq!(ring.track.outstanding(), 4 - expected[0]);
            ring.check_restored();
        }
    }
}

#[test]
fn a_fragment_without_data_damages_its_frame() {
    for (first, last) in [(0, 60), (60, 0)] {
        let mut ring = Rx::posted(5, 8);
        let report = ring.sync(|burst| {
            assert!(burst.fragment(0, 0, first, true));
            assert!(burst.fragment(1, 0, last, false));
            post(burst, 8);
        });
        assert_eq!((report.damaged, report.packets, report.long, report.short), (1, 0, 0, 0));
        assert_eq!(ring.track.outstanding(), 4);
        ring.check_restored();
    }
}

#[test]
fn a_frame_is_short_or_not_by_all_of_its_fragments() {
    for (last, passes) in [(1, false), (6, false), (7, true)] {
        let mut ring = Rx::posted(5, 8);
        let report = ring.sync(|burst| {
            assert!(burst.fragment(0, 0, 7, true));
            assert!(burst.fragment(1, 0, last, false));
            post(burst, 8);
        });
        assert_eq!((report.packets, report.short), (u32::from(passes), u32::from(!passes)));
        assert_eq!(ring.track.outstanding(), if passes { 2 } else { 4 });
        ring.check_restored();
    }
}

#[test]
fn data_in_the_headroom_is_moved_to_the_payload() {
    let mut ring = Rx::posted(5, 8);
    let bytes: Vec<u8> = (1..=100).collect();
    ring.memory.write(2, 12, &bytes);
    ring.memory.write(3, 0, &bytes);
    ring.sync(|burst| {
        assert!(burst.fragment(0, 12, 100, false));
        assert!(burst.fragment(1, 0, 100, false));
    });
    assert_eq!((ring.memory.read(2, 100), ring.memory.read(3, 100)), (bytes.clone(), bytes));
}

/// Miri sees an access beyond the memory of a buffer.
#[test]
fn no_more_is_moved_than_headroom_and_payload_have() {
    let mut ring = Rx::posted(5, 8);
    ring.sync(|burst| {
        assert!(burst.fragment(0, u16::MAX, CAPACITY.into(), false));
        assert!(burst.fragment(1, 1, CAPACITY.into(), false));
    });
    assert_eq!(ring.take().len(), 2);
}

#[test]
fn a_slot_that_names_no_buffer_ends_posting_and_is_reported() {
    for buf_idx in [0, 1, 2 + 5, u32::MAX] {
        let mut ring = Rx::new(5, 8);
        ring.memory.store(2, slot(buf_idx, 0, NONE));
        let (posted, report) = ring.post();
        assert_eq!((posted, report.bad_buffer), (vec![(0, 2), (1, 3)], Some(buf_idx)));
        let (posted, report) = ring.post();
        assert_eq!((posted.len(), report.bad_buffer), (0, Some(buf_idx)), "until it is put right");
        ring.memory.store(2, slot(4, 0, NONE));
        let (posted, report) = ring.post();
        assert_eq!((posted, report.bad_buffer), (vec![(2, 4), (3, 5)], None));
        ring.check_restored();
    }
}

#[test]
fn buffers_are_counted_up_to_an_id_while_they_come_back_in_order() {
    let mut ring = Rx::posted(5, 8);
    ring.receive(&[0], 60);
    ring.sync(|burst| {
        let through = [0, 1, 2, 3, 4, 8, u32::MAX].map(|id| burst.buffers_through(id));
        assert_eq!(through, [None, Some(1), Some(2), Some(3), None, None, None]);
        assert!(burst.fragment(2, 0, 60, false));
        assert_eq!(burst.buffers_through(1), None, "there is no order any more");
    });
}

#[test]
fn each_buffer_is_in_one_slot_after_a_reset_at_any_moment() {
    // (ids that come back, whether more of the frame follows)
    let histories: [&[(u32, bool)]; 8] = [
        &[],
        &[(0, false), (1, false)],
        &[(2, false)],
        &[(2, false), (0, false)],
        &[(0, true)],
        &[(0, true), (1, true)],
        &[(3, true), (1, true)],
        &[(0, false), (1, true), (3, true)],
    ];
    for history in histories {
        for is_taken in [false, true] {
            let mut ring = Rx::posted(6, 8);
            for &(id, more) in history {
                ring.sync(|burst| {
                    assert!(burst.fragment(id, 0, 60, more));
                });
            }
            if is_taken {
                ring.take();
            }
            ring.check_restored();
            let published = ring.memory.size.distance(ring.head, ring.hwtail);
            ring.reset();
            assert_eq!(ring.memory.named(), ring.memory.all());
            let (posted, _) = ring.post();
            assert_eq!(posted.len() as u32, 5 - published, "{history:?}");
            ring.check_restored();
        }
    }
}

/// What the driver was about to commit has not happened.
#[test]
fn no_buffer_is_lost_or_in_two_places_when_a_driver_panics() {
    for ids in [[0, 1], [4, 1]] {
        for at in 0..4 {
            let mut ring = Rx::posted(8, 8);
            ring.sync(|burst| ids.iter().for_each(|id| assert!(burst.fragment(*id, 0, 60, false))));
            ring.take();
            let mut left = at;
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                ring.sync(|burst| {
                    let mut tick = || {
                        assert_ne!(left, 0, "the driver panics");
                        left -= 1;
                    };
                    while burst.has_free() && burst.post_run(&[(); 8], |(), _, _| tick()) > 0 {}
                    burst.receive_run(&[60; 2], 0, |len, _| {
                        tick();
                        Some(*len)
                    });
                });
            }));
            assert!(panicked.is_err() || at >= 2);
            ring.check_restored();
        }
    }
}

/// A raw program may write any slot at any time. What it writes to slots that it has not released does nothing.
mod raw_programs {
    use super::*;

    /// Writes `value` to all slots that are the core's: outstanding ones and those of a frame that is not whole.
    fn rewrite(ring: &Rx, value: SlotValue) {
        let size = ring.memory.size;
        let mut at = ring.hwtail;
        while at != ring.track.posted() {
            ring.memory.slots().store(at, value);
            at = size.next(at);
        }
    }

    fn lies() -> [SlotValue; 3] {
        [slot(3, 60, NONE), slot(u32::MAX, u16::MAX, SlotFlags::all()), slot(0, 0, NONE)]
    }

    #[test]
    fn rewriting_the_slots_of_posted_buffers_changes_nothing() {
        for lie in lies() {
            for ids in [[0, 1, 2], [2, 0, 1]] {
                let mut ring = Rx::posted(5, 8);
                rewrite(&ring, lie);
                let report = ring.sync(|burst| {
                    assert!(burst.fragment(ids[0], 0, 60, false));
                    assert!(burst.damaged(ids[1], false));
                    assert!(burst.fragment(ids[2], 0, 60, false));
                    post(burst, 8);
                });
                assert_eq!((report.packets, report.damaged, report.bad_buffer), (2, 1, None));
                let frames = ring.take().concat();
                assert_eq!(frames, [slot(ids[0] + 2, 60, NONE), slot(ids[2] + 2, 60, NONE)]);
                rewrite(&ring, lie);
                ring.check_restored();
            }
        }
    }

    #[test]
    fn rewriting_the_slots_of_a_frame_that_is_dropped_loses_and_doubles_no_buffer() {
        for lie in lies() {
            for ids in [[0, 1, 2], [2, 0, 1]] {
                let mut ring = Rx::posted(5, 8);
                ring.sync(|burst| {
                    assert!(burst.fragment(ids[0], 0, 60, true));
                    assert!(burst.fragment(ids[1], 0, 60, true));
                });
                rewrite(&ring, lie);
                let mut posted = Vec::new();
                let report = ring.sync(|burst| {
                    assert!(burst.damaged(ids[2], false));
                    posted = post(burst, 8);
                });
                assert_eq!((report.damaged, report.bad_buffer, posted.len()), (1, None, 3));
                let mut buffers: Vec<_> = posted.iter().map(|(_, buffer)| *buffer).collect();
                buffers.sort_unstable();
                assert_eq!(buffers, [2, 3, 4]);
                ring.check_restored();
            }
        }
    }

    #[test]
    fn rewriting_the_slots_of_a_frame_that_is_not_whole_does_not_outlast_a_reset() {
        for lie in lies() {
            for ids in [[0, 1], [2, 0]] {
                let mut ring = Rx::posted(5, 8);
                ring.sync(|burst| {
                    assert!(burst.fragment(ids[0], 0, 60, true));
                    assert!(burst.fragment(ids[1], 0, 60, true));
                });
                rewrite(&ring, lie);
                ring.reset();
                assert_eq!(ring.memory.named(), ring.memory.all());
            }
        }
    }

    #[test]
    fn a_slot_that_is_rewritten_while_it_is_posted_is_posted_as_it_was_read() {
        for lie in lies() {
            let mut ring = Rx::new(5, 8);
            let slots = ring.memory.slots();
            ring.sync(|burst| {
                let count = burst.post_run(&[(); 8], |(), id, _| {
                    for raw in 0..=id {
                        slots.store(slots.size().index(raw).unwrap(), lie);
                    }
                });
                assert_eq!(count, 4);
            });
            ring.check_restored();
            rewrite(&ring, lie);
            ring.receive(&[0, 1, 2, 3], 60);
            let buffers: Vec<_> = ring.take().concat().iter().map(|slot| slot.buf_idx).collect();
            assert_eq!(buffers, [2, 3, 4, 5]);
        }
    }

    #[test]
    fn a_slot_that_is_rewritten_while_frames_come_in_holds_the_buffer_that_came() {
        for lie in lies() {
            let mut ring = Rx::posted(5, 8);
            let slots = ring.memory.slots();
            ring.sync(|burst| {
                let count = burst.receive_run(&[60, 61, 62], 0, |len, id| {
                    for raw in id..5 {
                        slots.store(slots.size().index(raw).unwrap(), lie);
                    }
                    Some(*len)
                });
                assert_eq!(count, 3);
            });
            let expected = [slot(2, 60, NONE), slot(3, 61, NONE), slot(4, 62, NONE)];
            assert_eq!(ring.take().concat(), expected);
        }
    }
}
