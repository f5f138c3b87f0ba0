//! Rings whose slots have offsets.

use nm_driver::abi::SlotFlags;
use nm_driver::buffers::{Buffer, HEADROOM};
use nm_driver::burst::{Lengths, TxBurst};
use nm_driver::offsets::SlotOffsets;
use proptest::prelude::*;

use crate::config;
use crate::memory::{CAPACITY, Rx, Tx, place, post_at};

const NONE: SlotFlags = SlotFlags::empty();
const MORE: SlotFlags = SlotFlags::MOREFRAG;
/// The largest offset, in the low 8 bits of `ptr`.
const MAX: u16 = 100;

fn offsets() -> SlotOffsets {
    SlotOffsets::new(MAX, 8).unwrap()
}

fn transmit(slots: u32) -> Tx {
    let mut ring = Tx::new(slots, slots as u16);
    ring.memory.set_offsets(offsets());
    ring
}

/// Submits a slot whose `ptr` is this. Returns the number of its buffer.
fn push(ring: &mut Tx, ptr: u64, len: u16, flags: SlotFlags) -> u32 {
    ring.memory.set_ptr(ring.head.get(), ptr);
    let at = ring.push(len, flags);
    ring.memory.load(at).buf_idx
}

/// Submits as a driver does. Returns number, offset and length of each fragment, frame by frame.
fn submit(burst: &mut TxBurst<'_>) -> Vec<Vec<(u32, u16, u16)>> {
    let mut sent = Vec::new();
    while burst.is_pending() {
        let run = burst.submit_run(&[(); 8], Lengths::ANY, |(), _, _, _| {});
        assert_eq!(run, 0, "no slot with an offset is in a run");
        let Some(mut frame) = burst.next_frame(u32::MAX) else { break };
        let fragments = frame.fragments();
        let fragment = |k| {
            let (buffer, len) = frame.fragment(k).unwrap();
            let (number, offset) = place(&buffer);
            (number, offset, len)
        };
        sent.push((0..fragments).map(fragment).collect());
        frame.commit();
    }
    sent
}

#[test]
fn a_frame_is_sent_from_the_offset_of_each_of_its_slots() {
    let mut ring = transmit(8);
    // Bits that hold no offset are the program's.
    let ptrs = [0, u64::from(MAX), 0xffff_ff00 | 7];
    let whole = push(&mut ring, ptrs[0], CAPACITY, NONE);
    let first = push(&mut ring, ptrs[1], CAPACITY - MAX, MORE);
    let last = push(&mut ring, ptrs[2], CAPACITY - 7, NONE);
    let mut sent = Vec::new();
    let report = ring.sync(|burst| sent = submit(burst));
    assert_eq!(sent, [vec![(whole, 0, 128)], vec![(first, 100, 28), (last, 7, 121)]]);
    assert_eq!((report.packets, report.bytes, report.invalid), (2, 128 + 28 + 121, 0));
    assert!((0..3).map(|at| ring.memory.ptr(at)).eq(ptrs), "no slot has lost its offset");
    // Completions come back in order, in runs.
    assert_eq!(ring.complete(&[0, 1]).0, [Some(1), Some(2)]);
}

#[test]
fn a_frame_with_an_invalid_offset_is_dropped_and_counted() {
    for (ptr, len) in
        [(u64::from(MAX) + 1, 20), (255, 20), (u64::from(MAX), 29), (1, CAPACITY), (90, u16::MAX)]
    {
        let mut ring = transmit(8);
        push(&mut ring, ptr, len, NONE);
        push(&mut ring, 50, 60, MORE);
        push(&mut ring, ptr, len, NONE);
        let valid = push(&mut ring, 68, 60, NONE);
        let mut sent = Vec::new();
        let report = ring.sync(|burst| sent = submit(burst));
        assert_eq!((sent, report.invalid), (vec![vec![(valid, 68, 60)]], 2), "{ptr} {len}");
        // The slots come back, with those behind them.
        assert_eq!((report.released, ring.complete(&[0]).1.released), (3, 1));
    }
}

/// The program rewrites the slot when it was checked: what the driver gets lies in the buffer all the same.
#[test]
fn an_offset_is_checked_again_when_the_driver_asks_for_the_fragment() {
    for (ptr, expected) in [(90, Some((90, 38))), (u64::from(MAX) + 1, None), (100, Some((100, 28)))] {
        let mut ring = transmit(4);
        push(&mut ring, 8, 60, NONE);
        let slots = ring.memory.slots();
        let size = ring.memory.size;
        ring.sync(|burst| {
            let mut frame = burst.next_frame(8).unwrap();
            slots.get(size.first()).unwrap().set_ptr(ptr);
            let fragment = frame.fragment(0).map(|(buffer, len)| (place(&buffer).1, len));
            assert_eq!(fragment, expected);
            frame.refuse();
        });
    }
}

/// What a driver writes to a buffer at an offset, and what it reads.
fn check_bytes(mut buffer: Buffer<'_>, bytes: &[u8]) {
    assert_eq!(buffer.copy_from(bytes), Some(bytes.len() as u16));
    buffer.write_header([0xee; 12]);
    let mut found = vec![0; bytes.len()];
    assert_eq!((buffer.copy_to(&mut found), &found[..]), (bytes.len(), bytes));
    assert_eq!(buffer.copy_from(&vec![0; usize::from(buffer.capacity()) + 1]), None);
}

#[test]
fn bytes_around_a_payload_and_its_header_stay_as_they_are() {
    for offset in 0..=MAX {
        for len in [0, 1, 7, 8, 9, 28] {
            let ring = transmit(2);
            ring.memory.write(2, HEADROOM, &[0x55; HEADROOM + CAPACITY as usize]);
            let view = ring.memory.view();
            let bytes: Vec<u8> = (1..=len).collect();
            check_bytes(view.buffers.get(2).unwrap().at_offset(offset).unwrap(), &bytes);
            // Where the payload begins with the buffer, the header is written by words.
            let in_front = usize::from(offset).saturating_sub(12);
            assert_eq!(ring.memory.read(2, in_front), vec![0x55; in_front]);
            let end = usize::from(offset) + usize::from(len);
            let all = ring.memory.read(2, CAPACITY.into());
            assert_eq!(all[usize::from(offset)..end], bytes);
            assert!(all[end..].iter().all(|byte| *byte == 0x55), "offset {offset}, {len} bytes");
            assert!(all[in_front..offset.into()].iter().all(|byte| *byte == 0xee));
        }
    }
    let view = transmit(2).memory.view();
    let at = |offset| view.buffers.get(2).unwrap().at_offset(offset).map(|buffer| buffer.capacity());
    assert_eq!((at(CAPACITY), at(CAPACITY + 1), at(u16::MAX)), (Some(0), None, None));
}

/// A ring of so many slots, each with this `ptr`, whose buffers are all posted. Returns id, buffer and offset of each.
fn receive(slots: u32, ptr: impl Fn(u32) -> u64) -> (Rx, Vec<(u32, u32, u16)>) {
    let mut ring = Rx::new(slots, slots as u16).with_offsets(offsets());
    (0..slots).for_each(|at| ring.memory.set_ptr(at, ptr(at)));
    let mut posted = Vec::new();
    let report = ring.sync(|burst| posted = post_at(burst, 8));
    assert_eq!((posted.len() as u32, report.bad_buffer), (slots - 1, None));
    (ring, posted)
}

#[test]
fn a_buffer_is_posted_at_the_offset_of_its_slot_or_at_the_largest() {
    let ptrs = [0, 1, u64::from(MAX), u64::from(MAX) + 1, 0xff, 0xabcd_0000 | 9, 0];
    let (mut ring, posted) = receive(8, |at| ptrs[at as usize % 7]);
    assert!(posted.into_iter().eq([0, 1, 100, 100, 100, 9, 0].into_iter().zip(0..).map(|(o, n)| (
        n,
        n + 2,
        o
    ))));
    let report = ring.sync(|burst| {
        // No frame is longer than the largest offset leaves.
        assert_eq!(burst.receive_len(), CAPACITY - MAX);
        assert_eq!(burst.receive_run(&[20], 0, |len, _| Some(*len)), 0);
        for id in 0..7 {
            assert!(burst.fragment(id, 0, if id == 1 { 29 } else { 28 }, false));
        }
    });
    assert_eq!((report.packets, report.long), (6, 1));
    let slots = (0..6).map(|at| (ring.memory.load(at).buf_idx, ring.memory.ptr(at)));
    // Buffer 3 is free again; the others keep their order. A slot keeps the bits that hold no offset.
    assert!(slots.eq(
        [(2, 0), (4, 100), (5, 100), (6, 100), (7, 9), (8, 0xabcd_0000)].into_iter().zip(0..).map(
            |((buf_idx, offset), at)| {
                let others = ptrs[at] & !0xff;
                (buf_idx, others | offset & 0xff)
            }
        )
    ));
}

/// A program may write to slots that are the core's. A slot gets the offset of the buffer that comes back in it.
#[test]
fn a_slot_gets_the_offset_that_its_buffer_was_posted_with() {
    let (mut ring, _) = receive(6, |at| 10 * u64::from(at));
    (0..6).for_each(|at| ring.memory.set_ptr(at, 99));
    ring.sync(|burst| {
        // Out of order, a frame of two slots, and one that is dropped and posted again.
        assert!(burst.fragment(3, 0, 20, false));
        assert!(burst.fragment(0, 0, 20, true));
        assert!(burst.fragment(4, 0, 20, false));
        assert!(burst.damaged(1, false));
        assert!(post_at(burst, 8).into_iter().map(|(_, number, offset)| (number, offset)).eq([(3, 10)]));
    });
    let slots: Vec<_> = (0..3).map(|at| (ring.memory.load(at).buf_idx, ring.memory.ptr(at))).collect();
    assert_eq!(slots, [(5, 30), (2, 0), (6, 40)]);
}

#[test]
fn a_reset_posts_each_buffer_at_its_offset_again() {
    let (mut ring, _) = receive(6, |at| 10 * u64::from(at));
    ring.sync(|burst| assert!(burst.fragment(0, 0, 20, true)));
    (0..6).for_each(|at| ring.memory.set_ptr(at, 99));
    ring.reset();
    let mut posted = Vec::new();
    ring.sync(|burst| posted = post_at(burst, 8));
    assert!(posted.into_iter().eq((0..5).map(|n| (n, n + 2, 10 * n as u16))));
}

#[test]
fn headers_and_moved_fragments_lie_in_front_of_the_offset() {
    for offset in [0u16, 1, 5, 12, 13, 64, 99] {
        let (mut ring, _) = receive(4, |_| u64::from(offset));
        let bytes: Vec<u8> = (1..=28).collect();
        // A device without a header in this buffer writes from 12 bytes in front of the payload on.
        let in_front = usize::from(offset).saturating_sub(12);
        let padded = [vec![0x55; in_front], bytes.clone()].concat();
        ring.memory.write(2, 12usize.saturating_sub(offset.into()), &padded);
        ring.sync(|burst| {
            assert_eq!(burst.headroom(0), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
            assert!(burst.fragment(0, 12, 28, false));
        });
        let all = ring.memory.read(2, CAPACITY.into());
        assert_eq!(all[usize::from(offset)..][..28], bytes, "offset {offset}");
        assert!(all[..in_front].iter().all(|byte| *byte == 0x55));
    }
}

proptest! {
    #![proptest_config(config())]

    /// Each slot is a frame of its own.
    #[test]
    fn a_frame_is_sent_if_it_lies_in_its_buffer(
        slots in prop::collection::vec((prop_oneof![0..130u64, any::<u64>()], prop_oneof![0..130u16, any::<u16>()]), 1..8)
    ) {
        let mut ring = transmit(9);
        let mut expected = Vec::new();
        for &(ptr, len) in &slots {
            let number = push(&mut ring, ptr, len, NONE);
            let offset = (ptr & 0xff) as u16;
            if offset <= MAX && (1..=CAPACITY - offset).contains(&len) {
                expected.push(vec![(number, offset, len)]);
            }
        }
        let mut sent = Vec::new();
        let report = ring.sync(|burst| sent = submit(burst));
        prop_assert_eq!(report.invalid as usize, slots.len() - expected.len());
        prop_assert_eq!(sent, expected);
    }
}
