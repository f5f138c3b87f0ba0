//! Host rings of raw ports: found through memory, and written with anything.
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "raw ports are used through memory")]

mod common;

use std::ptr::NonNull;

use common::{Hosted, frame, with_stack};
use nm_core::abi::{DIR_RX, DIR_TX, RingFlags, RingHeader, SLOTS_OFFSET, Slot, SlotFlags};
use nm_core::host::{HostRings, Outgoing};
use nm_core::raw::{RawOptions, RawPort};
use nm_core::testing::Order;
use nm_core::{Offsets, SyncError};
use proptest::prelude::*;

const TWO: HostRings = HostRings { tx: 1, rx: 2, slots: 8 };

fn open(hosted: &Hosted) -> RawPort {
    open_with(hosted, None)
}

fn open_with(hosted: &Hosted, offsets: Option<Offsets>) -> RawPort {
    let options = RawOptions { offsets, ..RawOptions::default() };
    hosted.netmap.open_raw("netmap:em0*", options).unwrap()
}

/// Writes `head`, `cur` and the ring's flags.
fn write_ring(ring: NonNull<RingHeader>, head: u32, cur: u32, flags: u32) {
    let ring = ring.as_ptr();
    // SAFETY: the port that the ring belongs to is open, and any value may be written.
    unsafe {
        (&raw mut (*ring).head).write_volatile(head);
        (&raw mut (*ring).cur).write_volatile(cur);
        (&raw mut (*ring).flags).write_volatile(flags);
    }
}

fn slot(ring: NonNull<RingHeader>, at: u32) -> NonNull<Slot> {
    // SAFETY: `at` is below the eight slots of each ring.
    unsafe { ring.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(at as usize) }
}

#[test]
fn host_rings_follow_the_cards_in_number() {
    let hosted = with_stack(8, Order::Posted, TWO);
    let port = open(&hosted);
    let headers = |ring: Option<NonNull<RingHeader>>| {
        // SAFETY: the port is open.
        ring.map(|ring| unsafe { ring.read_volatile() }).map(|header| (header.dir, header.ringid))
    };
    let tx: Vec<_> = (0..3).map(|number| headers(port.tx_ring(number))).collect();
    let rx: Vec<_> = (0..4).map(|number| headers(port.rx_ring(number))).collect();
    assert_eq!(tx, [Some((DIR_TX, 0)), Some((DIR_TX, 1)), None]);
    assert_eq!(rx, [Some((DIR_RX, 0)), Some((DIR_RX, 1)), Some((DIR_RX, 2)), None]);
}

#[test]
fn a_programs_rxsync_carries_marked_frames_both_ways() {
    let hosted = with_stack(8, Order::Posted, TWO);
    let port = open(&hosted);
    let (card, host) = (port.rx_ring(0).unwrap(), port.rx_ring(1).unwrap());
    hosted.wire.send(&frame(1, 60));
    hosted.host.transmit(Outgoing::new(&frame(2, 70))).unwrap();
    port.rxsync().unwrap();
    for ring in [card, host] {
        // SAFETY: slot 0 is in the window of both.
        unsafe { (&raw mut (*slot(ring, 0).as_ptr()).flags).write_volatile(SlotFlags::FORWARD.bits()) };
        write_ring(ring, 1, 1, RingFlags::FORWARD.bits());
    }
    port.rxsync().unwrap();
    assert_eq!((hosted.stack.received(), hosted.wire.sent()), (vec![frame(1, 60)], vec![frame(2, 70)]));
}

#[derive(Debug, Clone)]
enum Hostile {
    Ring { is_tx: bool, ring: u16, head: u32, cur: u32, flags: u32 },
    Slot { is_tx: bool, ring: u16, at: u32, slot: (u32, u16, u16, u64) },
    Arrive(u8),
    Transmit(u8),
    Sync { is_tx: bool },
    Reset,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let index = || prop_oneof![6 => 0u32..9, 1 => any::<u32>()];
    let buffer = prop_oneof![4 => 0u32..60, 1 => 4090u32..4100, 1 => any::<u32>()];
    let len = prop_oneof![3 => 0u16..2100, 1 => any::<u16>()];
    let ptr = prop_oneof![3 => 0u64..110, 1 => any::<u64>()];
    let ring = || (any::<bool>(), 0u16..3);
    prop_oneof![
        4 => (ring(), index(), index(), 0u32..8).prop_map(|((is_tx, ring), head, cur, flags)| Hostile::Ring {
            is_tx, ring, head, cur: if flags % 2 == 0 { head } else { cur }, flags
        }),
        4 => (ring(), 0u32..8, (buffer, len, any::<u16>(), ptr))
            .prop_map(|((is_tx, ring), at, slot)| Hostile::Slot { is_tx, ring, at, slot }),
        1 => (0u8..9).prop_map(Hostile::Arrive),
        1 => (0u8..9).prop_map(Hostile::Transmit),
        5 => any::<bool>().prop_map(|is_tx| Hostile::Sync { is_tx }),
        1 => Just(Hostile::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Whatever is written to the rings of card and stack in transparent mode: no panic, no access out of bounds, no
    /// sync that does not end, what goes up is a frame that there can be, and at the end every buffer is back.
    #[test]
    fn anything_may_be_written_to_host_rings(
        ops in prop::collection::vec(hostile(), 1..150),
        all in any::<bool>(),
        max_offset in prop_oneof![Just(None), Just(Some(0u16)), Just(Some(100)), Just(Some(1900))],
    ) {
        let hosted = with_stack(8, Order::Posted, TWO);
        hosted.netmap.knobs().set("fwd", all.into()).unwrap();
        let offsets = |max_offset| Offsets { max_offset, initial_offset: max_offset / 2, offset_bits: 16 };
        let port = open_with(&hosted, max_offset.map(offsets));
        let view = |is_tx, ring| if is_tx { port.tx_ring(ring % 2) } else { port.rx_ring(ring) }.unwrap();
        for op in ops {
            match op {
                Hostile::Ring { is_tx, ring, head, cur, flags } => write_ring(view(is_tx, ring), head, cur, flags),
                Hostile::Slot { is_tx, ring, at, slot: (buf_idx, len, flags, ptr) } => {
                    // SAFETY: the slot is in the ring, and any value may be written to it.
                    unsafe { slot(view(is_tx, ring), at).write_volatile(Slot { buf_idx, len, flags, ptr }) }
                }
                Hostile::Arrive(frames) => (0..frames).for_each(|n| hosted.wire.send(&frame(n.into(), 60))),
                Hostile::Transmit(frames) => (0..frames).for_each(|n| {
                    let _ = hosted.host.transmit(Outgoing { queue: n.into(), ..Outgoing::new(&frame(n.into(), 99)) });
                }),
                Hostile::Sync { is_tx } => {
                    let outcome = if is_tx { port.txsync() } else { port.rxsync() };
                    let is_expected = matches!(
                        outcome,
                        Ok(()) | Err(
                            SyncError::BadIndices { .. } | SyncError::BadBuffer { .. }
                            | SyncError::DeviceFailed | SyncError::Gone
                        )
                    );
                    prop_assert!(is_expected, "{outcome:?}");
                }
                // It may fail: a card is not started with slots that name no buffers.
                Hostile::Reset => drop(hosted.netmap.reset("em0")),
            }
            prop_assert!(hosted.stack.received().iter().all(|frame| (14..=1984).contains(&frame.len())));
        }
        drop(port);
        prop_assert!(!hosted.wire.is_running());
        let report = hosted.netmap.memory();
        prop_assert_eq!((report.free, report.held), (report.total, 0), "{}", report);
    }
}
