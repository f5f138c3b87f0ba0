//! Transparent mode: what the application releases with a mark goes on to the other side, in both directions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::collections::VecDeque;

use common::{Hosted, assert_all_home, frame, with_stack};
use nm_core::host::{HostRings, Outgoing, TransmitError};
use nm_core::testing::Order;
use nm_core::{Port, RxRing, SyncError};
use proptest::prelude::*;

const ONE: HostRings = HostRings { tx: 1, rx: 1, slots: 8 };

/// Marks the frames of the window that `is_marked` says, by place, and releases `count`.
fn release(ring: &mut RxRing, count: u32, is_marked: impl Fn(usize) -> bool) -> u32 {
    for (place, mut slot) in ring.slots().enumerate() {
        slot.set_forward(is_marked(place));
    }
    ring.advance(count)
}

fn set_transparent(port: &mut Port) {
    let all = port.all_rings();
    all.rx.iter_mut().chain(all.host_rx).for_each(|ring| ring.set_transparent(true));
}

fn frames(numbers: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|number| frame(number, 60 + number as usize)).collect()
}

#[test]
fn marked_frames_of_the_card_go_up_when_they_are_released() {
    for order in [Order::Posted, Order::Reversed, Order::Shuffled(5)] {
        let Hosted { netmap, wire, stack, .. } = with_stack(8, order, ONE);
        let mut port = netmap.open("em0").unwrap();
        let rx = &mut port.rx_rings()[0];
        frames(0..6).iter().for_each(|frame| wire.send(frame));
        rx.rxsync().unwrap();
        let in_ring: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
        release(rx, 2, |_| true);
        rx.rxsync().unwrap();
        assert_eq!(stack.received(), [[0u8; 0]; 0], "not unless the ring is in transparent mode");
        rx.set_transparent(true);
        release(rx, 3, |place| place != 1);
        assert_eq!(stack.received().len(), 0, "not before the sync");
        rx.rxsync().unwrap();
        assert_eq!(stack.received(), [in_ring[2].clone(), in_ring[4].clone()]);
        rx.rxsync().unwrap();
        assert_eq!(stack.received().len(), 0, "each goes once");
        // The stack may refuse; the slot is the card's again all the same.
        stack.set_room(Some(0));
        release(rx, 1, |_| true);
        rx.rxsync().unwrap();
        let c = rx.counters();
        assert_eq!((c.forwarded.get(), c.drop_refused.get()), (2, 1));
        frames(10..17).iter().for_each(|frame| wire.send(frame));
        rx.rxsync().unwrap();
        assert_eq!(rx.window(), 7);
        assert!(rx.slots().all(|slot| !slot.is_forward()), "a received frame has no mark");
        assert_eq!(
            netmap.counters()[1].to_string().split_once(" refused=0").unwrap().1,
            " forwarded=2 drop_refused=1"
        );
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn marked_frames_of_the_stack_go_down_without_a_copy() {
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    set_transparent(&mut port);
    frames(0..5).iter().for_each(|frame| host.transmit(Outgoing::new(frame)).unwrap());
    port.forward().unwrap();
    let rx = &mut port.host_rx_rings()[0];
    let buffers: Vec<_> = rx.slots().map(|slot| slot.buf_idx()).collect();
    release(rx, 4, |place| place != 2);
    port.forward().unwrap();
    assert_eq!(wire.sent(), frames([0, 1, 3]), "and the one without a mark was dropped");
    assert_eq!(port.host_rx_rings()[0].counters().forwarded.get(), 3);
    assert_eq!(port.tx_rings()[0].head(), 3);
    // The buffers changed places: those of the sent frames are in the slots that have come back, 3 to 7 and 0 to 1.
    let tx = &mut port.tx_rings()[0];
    tx.txsync().unwrap();
    let now: Vec<_> = tx.slots().map(|slot| slot.buf_idx()).collect();
    assert_eq!(now[5..], buffers[..2]);
    assert!(tx.slots().all(|slot| !slot.is_forward()), "the mark was for one way");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn what_finds_no_room_waits_in_its_slot() {
    let Hosted { netmap, wire, host, .. } = with_stack(4, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    set_transparent(&mut port);
    wire.hold_completions();
    frames(0..7).iter().for_each(|frame| host.transmit(Outgoing::new(frame)).unwrap());
    port.forward().unwrap();
    assert_eq!(release(&mut port.host_rx_rings()[0], 7, |_| true), 7);
    port.forward().unwrap();
    assert_eq!(wire.sent(), frames(0..3), "a ring of four slots holds three");
    let late = frame(9, 60);
    (0..3).for_each(|_| host.transmit(Outgoing::new(&late)).unwrap());
    assert_eq!(host.transmit(Outgoing::new(&late)), Err(TransmitError::Full), "the others still take room");
    port.forward().unwrap();
    assert_eq!(wire.sent().len(), 0);
    assert_eq!(port.host_rx_rings()[0].window(), 3, "new frames come in meanwhile");
    wire.complete(2);
    port.forward().unwrap();
    assert_eq!(wire.sent(), frames(3..5));
    // A sync that cannot take them down lets them go, and counts them.
    port.host_rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.host_rx_rings()[0].counters().drop_refused.get(), 2);
    wire.complete(100);
    port.forward().unwrap();
    assert_eq!(wire.sent().len(), 0);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn the_knob_makes_everything_go_marked_or_not() {
    let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, ONE);
    netmap.knobs().set("fwd", true.into()).unwrap();
    let mut port = netmap.open("em0*").unwrap();
    frames(0..3).iter().for_each(|frame| host.transmit(Outgoing::new(frame)).unwrap());
    frames(10..13).iter().for_each(|frame| wire.send(frame));
    port.forward().unwrap();
    let all = port.all_rings();
    assert_eq!((all.rx[0].advance(9), all.host_rx[0].advance(9)), (3, 3));
    port.forward().unwrap();
    assert_eq!((wire.sent(), stack.received()), (frames(0..3), frames(10..13)));
    netmap.knobs().set("fwd", false.into()).unwrap();
    wire.send(&frame(20, 60));
    port.forward().unwrap();
    port.rx_rings()[0].advance(1);
    port.forward().unwrap();
    assert_eq!(stack.received().len(), 0);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_ring_may_mark_what_arrives_so_that_the_application_chooses_what_to_keep() {
    let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    set_transparent(&mut port);
    let all = port.all_rings();
    for ring in all.rx.iter_mut().chain(all.host_rx) {
        ring.mark_arrivals(true).unwrap();
    }
    frames(0..3).iter().for_each(|frame| host.transmit(Outgoing::new(frame)).unwrap());
    frames(10..13).iter().for_each(|frame| wire.send(frame));
    port.forward().unwrap();
    let all = port.all_rings();
    for ring in all.rx.iter_mut().chain(all.host_rx) {
        assert!(ring.slots().all(|slot| slot.is_forward()));
        ring.slots().nth(1).unwrap().set_forward(false);
        ring.advance(3);
    }
    port.forward().unwrap();
    assert_eq!((wire.sent(), stack.received()), (frames([0, 2]), frames([10, 12])));
    drop(port);
    // Who opens the rings next finds them as they were at first.
    let _keeps_running = netmap.open("em0^").unwrap();
    let mut port = netmap.open("em0").unwrap();
    wire.send(&frame(20, 60));
    port.rx_rings()[0].rxsync().unwrap();
    assert!(port.rx_rings()[0].slots().all(|slot| !slot.is_forward()));
    drop((port, _keeps_running));
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_port_without_the_cards_rings_sends_nothing_down() {
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let _card = netmap.open("em0").unwrap();
    let mut port = netmap.open("em0^").unwrap();
    set_transparent(&mut port);
    frames(0..3).iter().for_each(|frame| host.transmit(Outgoing::new(frame)).unwrap());
    port.forward().unwrap();
    release(&mut port.host_rx_rings()[0], 3, |place| place == 0);
    port.forward().unwrap();
    let rx = &mut port.host_rx_rings()[0];
    assert_eq!((rx.counters().forwarded.get(), rx.counters().drop_refused.get()), (0, 1));
    assert_eq!(wire.sent().len(), 0);
}

#[test]
fn transparent_mode_ends_with_the_port_that_asked_for_it() {
    let Hosted { netmap, wire, stack, .. } = with_stack(8, Order::Posted, ONE);
    // This port keeps the interface in netmap mode.
    let _host = netmap.open("em0^").unwrap();
    let mut port = netmap.open("em0").unwrap();
    let rx = &mut port.rx_rings()[0];
    rx.set_transparent(true);
    wire.send(&frame(1, 60));
    rx.rxsync().unwrap();
    release(rx, 1, |_| true);
    drop(port);
    // A frame that no ring takes goes nowhere, whatever the tunable says.
    wire.send(&frame(2, 60));
    netmap.knobs().set("fwd", true.into()).unwrap();
    let mut port = netmap.open("em0").unwrap();
    netmap.knobs().set("fwd", false.into()).unwrap();
    let rx = &mut port.rx_rings()[0];
    assert_eq!((rx.counters().drop_unbound.get(), rx.counters().forwarded.get()), (1, 0));
    for number in 0..20 {
        wire.send(&frame(number, 60));
        rx.rxsync().unwrap();
        release(rx, 1, |_| true);
    }
    assert_eq!(stack.received().len(), 0);
}

#[test]
fn an_error_on_one_ring_keeps_no_other_from_its_work() {
    let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    set_transparent(&mut port);
    wire.send(&frame(1, 60));
    host.transmit(Outgoing::new(&frame(2, 60))).unwrap();
    port.forward().unwrap();
    let all = port.all_rings();
    release(&mut all.rx[0], 1, |_| true);
    release(&mut all.host_rx[0], 1, |_| true);
    wire.break_down();
    assert_eq!(port.forward(), Err(SyncError::DeviceFailed));
    assert_eq!(stack.received(), [frame(1, 60)]);
    assert_eq!(port.host_rx_rings()[0].counters().forwarded.get(), 1);
}

#[derive(Debug, Clone)]
enum Op {
    FromStack(u8),
    FromWire(u8),
    Release { up: u32, down: u32, marks: u8 },
    Forward,
    Complete(u32),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1u8..6).prop_map(Op::FromStack),
        3 => (1u8..6).prop_map(Op::FromWire),
        4 => (0u32..8, 0u32..8, any::<u8>()).prop_map(|(up, down, marks)| Op::Release { up, down, marks }),
        6 => Just(Op::Forward),
        3 => (0u32..6).prop_map(Op::Complete),
        1 => Just(Op::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    /// Against a model that knows nothing of rings: of what the application saw, what it released with a mark arrives at
    /// the other side, once, whole and in the order of release; nothing else does, and no buffer is lost.
    #[test]
    fn what_is_released_with_a_mark_and_only_that_arrives(
        slots in 3u16..9,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let Hosted { netmap, wire, stack, host } = with_stack(slots, Order::Posted, ONE);
        let mut port = netmap.open("em0*").unwrap();
        set_transparent(&mut port);
        wire.hold_completions();
        let (mut expected_up, mut expected_down) = (VecDeque::new(), VecDeque::new());
        let mut next = 0u64;
        let mut number = || { next += 1; next };
        for op in ops {
            match op {
                Op::FromStack(count) => (0..count).for_each(|_| {
                    let _ = host.transmit(Outgoing::new(&frame(number(), 64)));
                }),
                Op::FromWire(count) => (0..count).for_each(|_| wire.send(&frame(number(), 64))),
                Op::Release { up, down, marks } => {
                    let is_marked = |place: usize| marks >> (place % 8) & 1 == 1;
                    let all = port.all_rings();
                    for (ring, count, expected) in
                        [(&mut all.rx[0], up, &mut expected_up), (&mut all.host_rx[0], down, &mut expected_down)]
                    {
                        let seen: Vec<_> = ring.slots().map(|slot| slot.frame().to_vec()).collect();
                        let released = release(ring, count, is_marked) as usize;
                        let marked = seen.into_iter().take(released).enumerate().filter(|(at, _)| is_marked(*at));
                        expected.extend(marked.map(|(_, frame)| frame));
                    }
                }
                Op::Forward => port.forward().unwrap(),
                Op::Complete(count) => wire.complete(count),
                Op::Reset => netmap.reset("em0").unwrap(),
            }
            for (arrived, expected) in [(stack.received(), &mut expected_up), (wire.sent(), &mut expected_down)] {
                for frame in arrived {
                    prop_assert_eq!(Some(frame), expected.pop_front());
                }
            }
        }
        // With room, all that is owed arrives.
        wire.complete(10_000);
        (0..20).for_each(|_| port.forward().unwrap());
        prop_assert!(expected_up == stack.received() && expected_down == wire.sent());
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}
