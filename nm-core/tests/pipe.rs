//! A pipe-shaped back end and a null one: what is behind an adapter need not be a card.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::thread;

use common::{assert_all_home, frame, netmap};
use nm_core::abi::SlotFlags;
use nm_core::poll::Timeout;
use nm_core::raw::RawOptions;
use nm_core::testing::pipe;
use nm_core::tunables::Sizes;
use nm_core::{Attachment, Netmap, NullRings, Port, RxRing, SyncError, TxRing};
use proptest::prelude::*;

const SLOTS: u16 = 8;

fn piped() -> (Netmap, Port, Port) {
    let (_, netmap) = netmap(4096);
    let (one, other) = pipe(SLOTS);
    netmap.attach_as("p0", one).unwrap();
    netmap.attach_as("p1", other).unwrap();
    let (a, b) = (netmap.open("p0").unwrap(), netmap.open("p1").unwrap());
    (netmap, a, b)
}

fn put(tx: &mut TxRing, frames: &[Vec<u8>]) {
    for (mut slot, frame) in tx.slots().zip(frames) {
        slot.copy_from(frame).unwrap();
    }
    tx.advance(frames.len() as u32);
    tx.txsync().unwrap();
}

fn take(rx: &mut RxRing) -> Vec<Vec<u8>> {
    rx.rxsync().unwrap();
    let frames: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
    rx.advance(frames.len() as u32);
    frames
}

fn frames(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(|number| frame(number, 60 + number as usize)).collect()
}

#[test]
fn frames_pass_both_ways_without_a_copy() {
    let (netmap, mut a, mut b) = piped();
    let sent: Vec<u32> = a.tx_rings()[0].slots().take(3).map(|slot| slot.buf_idx()).collect();
    put(&mut a.tx_rings()[0], &frames(0..3));
    b.rx_rings()[0].rxsync().unwrap();
    let seen: Vec<u32> = b.rx_rings()[0].slots().map(|slot| slot.buf_idx()).collect();
    assert_eq!(seen, sent, "the buffers themselves have moved");
    assert_eq!(take(&mut b.rx_rings()[0]), frames(0..3));
    put(&mut b.tx_rings()[0], &frames(3..5));
    assert_eq!(take(&mut a.rx_rings()[0]), frames(3..5));
    let (tx, rx) = (a.tx_rings()[0].counters().clone(), b.rx_rings()[0].counters().clone());
    assert_eq!((tx.packets.get(), tx.bytes.get()), (rx.packets.get(), rx.bytes.get()));
    assert_eq!((tx.packets.get(), tx.bytes.get()), (3, 183));
    drop((a, b));
    assert_all_home(&netmap, &[]);
}

#[test]
fn what_finds_no_room_waits_and_nothing_is_overtaken() {
    let (netmap, mut a, mut b) = piped();
    put(&mut a.tx_rings()[0], &frames(0..5));
    put(&mut a.tx_rings()[0], &frames(5..10));
    assert_eq!(a.tx_rings()[0].pending(), 3, "the other end holds seven");
    assert_eq!(take(&mut b.rx_rings()[0]), frames(0..7));
    a.tx_rings()[0].txsync().unwrap();
    assert_eq!(take(&mut b.rx_rings()[0]), [[0; 0]; 0], "what was released is free from the next sync on");
    a.tx_rings()[0].txsync().unwrap();
    assert_eq!(take(&mut b.rx_rings()[0]), frames(7..10));
    drop((a, b));
    assert_all_home(&netmap, &[]);
}

/// Netmap publishes whole frames only, so the slots of one are seen together.
#[test]
fn a_frame_of_several_slots_passes_whole() {
    let (_, netmap) = netmap(4096);
    let (one, other) = pipe(SLOTS);
    netmap.attach_as("p0", one).unwrap();
    netmap.attach_as("p1", other).unwrap();
    let open = |name| netmap.open_raw(name, RawOptions::default()).unwrap();
    let (a, b) = (open("p0"), open("p1"));
    let (tx, rx) = (raw::Ring::of(a.tx_ring(0)), raw::Ring::of(b.rx_ring(0)));
    (0..3).for_each(|at| tx.set(at, 100, if at < 2 { SlotFlags::MOREFRAG.bits() } else { 0 }));
    tx.set_head(2);
    a.txsync().unwrap();
    b.rxsync().unwrap();
    assert_eq!((tx.tail(), rx.tail()), (7, 0), "the frame has no end yet");
    tx.set_head(3);
    a.txsync().unwrap();
    b.rxsync().unwrap();
    assert_eq!((tx.tail(), rx.tail()), (2, 3));
    let flags: Vec<u16> = (0..3).map(|at| rx.get(at).1).collect();
    assert_eq!(flags, [SlotFlags::MOREFRAG.bits(), SlotFlags::MOREFRAG.bits(), 0]);
    // A slot that names no buffer never reaches the other end.
    tx.set_buffer(3, 0);
    tx.set(3, 60, 0);
    tx.set_head(4);
    a.txsync().unwrap();
    b.rxsync().unwrap();
    assert_eq!(rx.tail(), 3);
}

#[test]
fn a_reader_that_sleeps_is_woken_and_so_is_a_writer() {
    let (_netmap, mut a, mut b) = piped();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (rx, mut seen) = (&mut b.rx_rings()[0], Vec::new());
            while seen.len() < 1000 {
                rx.poll(Timeout::Never).unwrap();
                seen.extend(rx.slots().map(|slot| slot.frame()[0]));
                rx.advance(rx.window());
            }
            // Tells the lane of the last slots.
            rx.rxsync().unwrap();
            seen
        });
        let (tx, mut sent) = (&mut a.tx_rings()[0], 0u32);
        while sent < 1000 {
            tx.poll(Timeout::Never).unwrap();
            let count = tx.window().min(1000 - sent);
            for (mut slot, number) in tx.slots().take(count as usize).zip(sent..) {
                slot.copy_from(&[number as u8; 60]).unwrap();
            }
            tx.advance(count);
            tx.txsync().unwrap();
            sent += count;
        }
        while !reader.is_finished() {
            tx.txsync().unwrap();
            thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), (0..1000u32).map(|number| number as u8).collect::<Vec<_>>());
    });
}

#[test]
fn an_end_that_closes_leaves_the_other_its_frames() {
    let (netmap, mut a, b) = piped();
    put(&mut a.tx_rings()[0], &frames(0..2));
    drop(b);
    put(&mut a.tx_rings()[0], &frames(2..4));
    assert_eq!(a.tx_rings()[0].pending(), 2, "they wait for a receiver");
    let mut b = netmap.open("p1").unwrap();
    a.tx_rings()[0].txsync().unwrap();
    assert_eq!(take(&mut b.rx_rings()[0]), frames(2..4));
    netmap.reset("p1").unwrap();
    put(&mut a.tx_rings()[0], &frames(4..5));
    netmap.reset("p1").unwrap();
    assert_eq!(take(&mut b.rx_rings()[0]), frames(4..5), "a reset loses nothing");
    netmap.detach("p1").unwrap();
    assert_eq!(b.rx_rings()[0].rxsync(), Err(SyncError::Gone));
    put(&mut a.tx_rings()[0], &frames(5..6));
    assert_eq!(a.tx_rings()[0].pending(), 1);
    drop((a, b));
    assert_all_home(&netmap, &[]);
}

#[test]
fn ends_of_different_regions_exchange_nothing() {
    let (_, netmap) = netmap(4096);
    let (one, other) = pipe(SLOTS);
    let sizes = Sizes { if_num: 2, ring_num: 4, buf_num: 64, ..Sizes::default() };
    let region = netmap.regions().create("p", sizes).unwrap();
    netmap.attach_as("p0", one).unwrap();
    netmap.attach_as("p1", other.in_region(&region)).unwrap();
    let (mut a, mut b) = (netmap.open("p0").unwrap(), netmap.open("p1").unwrap());
    put(&mut a.tx_rings()[0], &frames(0..2));
    assert_eq!(a.tx_rings()[0].counters().drop_refused.get(), 2);
    assert_eq!(take(&mut b.rx_rings()[0]), [[0; 0]; 0]);
}

#[test]
fn a_null_port_has_rings_and_moves_nothing() {
    let (_, netmap) = netmap(4096);
    let rings = NullRings { tx: 2, rx: 1, slots: SLOTS };
    netmap.attach_as("null0", Attachment::null(rings)).unwrap();
    let mut port = netmap.open("null0").unwrap();
    assert_eq!((port.tx_rings().len(), port.rx_rings().len()), (2, 1));
    put(&mut port.tx_rings()[0], &frames(0..3));
    assert_eq!(port.tx_rings()[0].pending(), 3, "nothing leaves");
    assert_eq!(take(&mut port.rx_rings()[0]), [[0; 0]; 0]);
    netmap.reset("null0").unwrap();
    port.tx_rings()[0].txsync().unwrap();
    assert_eq!(port.tx_rings()[0].pending(), 3);
    assert_eq!(port.rx_rings()[0].poll(Timeout::Now).unwrap(), 0);
    drop(port);
    assert_all_home(&netmap, &[]);
    let none = NullRings { tx: 0, rx: 1, slots: 8 };
    assert!(netmap.attach_as("null1", Attachment::null(none)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 64 }))]

    /// Against a queue: what comes out is what went in, in order, and the buffers add up.
    #[test]
    fn a_pipe_is_a_bounded_queue(steps in prop::collection::vec((0u8..4, 1u32..8), 0..60)) {
        let (netmap, mut a, mut b) = piped();
        let (mut next_in, mut next_out) = (0u64, 0u64);
        for (step, count) in steps {
            match step {
                0 => {
                    let count = u64::from(count.min(a.tx_rings()[0].window()));
                    put(&mut a.tx_rings()[0], &(next_in..next_in + count).map(|n| frame(n, 60)).collect::<Vec<_>>());
                    next_in += count;
                }
                1 => a.tx_rings()[0].txsync().unwrap(),
                2 => netmap.reset(if count % 2 == 0 { "p0" } else { "p1" }).unwrap(),
                _ => {
                    for seen in take(&mut b.rx_rings()[0]) {
                        prop_assert_eq!(seen, frame(next_out, 60));
                        next_out += 1;
                    }
                }
            }
            prop_assert!(next_out <= next_in);
        }
        drop((a, b));
        assert_all_home(&netmap, &[]);
    }
}

/// Rings of raw ports, slot by slot.
mod raw {
    #![allow(unsafe_code, reason = "a raw port is used through memory")]

    use std::ptr::NonNull;

    use nm_core::abi::{RingHeader, SLOTS_OFFSET, Slot};

    pub struct Ring(NonNull<RingHeader>);

    impl Ring {
        pub fn of(header: Option<NonNull<RingHeader>>) -> Self {
            Self(header.unwrap())
        }

        fn slot(&self, at: usize) -> *mut Slot {
            // SAFETY: the ring has more slots than any test names.
            unsafe { self.0.as_ptr().byte_add(SLOTS_OFFSET).cast::<Slot>().add(at) }
        }

        pub fn set(&self, at: usize, len: u16, flags: u16) {
            // SAFETY: the port is open, and no sync is under way.
            unsafe { ((*self.slot(at)).len, (*self.slot(at)).flags) = (len, flags) };
        }

        pub fn set_buffer(&self, at: usize, buf_idx: u32) {
            // SAFETY: as in `set`.
            unsafe { (*self.slot(at)).buf_idx = buf_idx };
        }

        pub fn get(&self, at: usize) -> (u16, u16) {
            // SAFETY: as in `set`.
            unsafe { ((*self.slot(at)).len, (*self.slot(at)).flags) }
        }

        pub fn set_head(&self, head: u32) {
            // SAFETY: as in `set`.
            unsafe { ((*self.0.as_ptr()).head, (*self.0.as_ptr()).cur) = (head, head) };
        }

        pub fn tail(&self) -> u32 {
            // SAFETY: as in `set`.
            unsafe { (*self.0.as_ptr()).tail }
        }
    }
}
