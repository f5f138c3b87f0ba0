//! Rings against a naive model, over cards that complete in any order.
//!
//! An operation list drives one port. The model is two queues of frames: what went in must come out, in order, whole,
//! and never more than the ring has room for; at the end every buffer is back in the pool.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

mod common;

use std::collections::VecDeque;

use common::{assert_all_home, frame, one_card};
use nm_core::testing::{Order, Wire};
use nm_core::{RxRing, SyncError, TxRing};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    /// Frames arrive on the wire.
    Arrive(u8),
    Rxsync,
    /// The application looks at slots and keeps them.
    Look(u8),
    /// The application releases received slots.
    Release(u8),
    /// The application fills and submits transmit slots.
    Submit(u8),
    Txsync,
    /// The card reports some of what it has sent.
    Complete(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0u8..40;
    prop_oneof![
        1 => n.clone().prop_map(Op::Arrive),
        3 => Just(Op::Rxsync),
        1 => n.clone().prop_map(Op::Look),
        2 => n.clone().prop_map(Op::Release),
        2 => n.clone().prop_map(Op::Submit),
        3 => Just(Op::Txsync),
        2 => n.prop_map(Op::Complete),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Posted), Just(Order::Reversed), any::<u64>().prop_map(Order::Shuffled)]
}

/// The naive model: frames on their way in and out.
#[derive(Default)]
struct Model {
    number: u64,
    arrived: VecDeque<Vec<u8>>,
    submitted: VecDeque<Vec<u8>>,
}

impl Model {
    fn next_frame(&mut self) -> Vec<u8> {
        self.number += 1;
        frame(self.number, 14 + (self.number * 37 % 1500) as usize)
    }

    fn apply(&mut self, op: &Op, tx: &mut TxRing, rx: &mut RxRing, wire: &Wire) -> Result<(), SyncError> {
        match *op {
            Op::Arrive(n) => (0..n).for_each(|_| {
                let frame = self.next_frame();
                wire.send(&frame);
                self.arrived.push_back(frame);
            }),
            Op::Rxsync => rx.rxsync()?,
            Op::Look(n) => {
                let (cur, avail) = (rx.cur(), rx.avail());
                let moved = rx.look(n.into());
                assert_eq!(moved, avail.min(n.into()));
                assert_eq!(rx.cur(), (cur + moved) % rx.num_slots());
                assert_eq!(rx.avail() + rx.reserved(), rx.window());
            }
            Op::Release(n) => {
                let window = rx.window();
                let expected = self.arrived.iter().take(window as usize).cloned().collect::<Vec<_>>();
                let seen = rx.slots().map(|slot| slot.frame().to_vec()).collect::<Vec<_>>();
                assert_eq!(seen, expected);
                let released = rx.advance(n.into());
                assert_eq!(released, window.min(n.into()));
                assert_eq!(rx.window(), window - released);
                self.arrived.drain(..released as usize);
            }
            Op::Submit(n) => {
                let count = tx.window().min(n.into());
                for mut slot in tx.slots().take(count as usize) {
                    let frame = self.next_frame();
                    slot.copy_from(&frame).unwrap();
                    self.submitted.push_back(frame);
                }
                assert_eq!(tx.advance(count), count);
            }
            Op::Txsync => tx.txsync()?,
            Op::Complete(n) => wire.complete(n.into()),
        }
        Ok(())
    }

    fn check(&mut self, tx: &TxRing, wire: &Wire) {
        for sent in wire.sent() {
            assert_eq!(Some(sent), self.submitted.pop_front());
        }
        assert_eq!(tx.window() + tx.pending(), tx.num_slots() - 1);
        assert_eq!(wire.breaches(), Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

    #[test]
    fn frames_stay_whole_and_in_order(
        slots in 2u16..40,
        order in order(),
        is_held in any::<bool>(),
        room in 1usize..60,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let (netmap, mut port, wire) = one_card(slots, order);
        if is_held { wire.hold_completions() }
        wire.limit_queue(room);
        let mut model = Model::default();
        let (tx, rx) = port.rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        for op in &ops {
            model.apply(op, tx, rx, &wire).unwrap();
            model.check(tx, &wire);
        }
        // Everything that went in comes out once the application keeps up and the card reports.
        for round in 0.. {
            if model.arrived.is_empty() && model.submitted.is_empty() && tx.pending() == 0 { break }
            assert!(round < 10_000, "{} to come in, {} to go out, {} pending", model.arrived.len(), model.submitted.len(), tx.pending());
            wire.complete(8);
            for op in [Op::Rxsync, Op::Release(40), Op::Txsync] {
                model.apply(&op, tx, rx, &wire).unwrap();
            }
            model.check(tx, &wire);
        }
        let (received, sent) = (rx.counters().packets.get(), tx.counters().packets.get());
        prop_assert_eq!(received + sent, model.number);
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn the_tail_waits_for_the_oldest_unfinished_frame() {
    let (_netmap, mut port, wire) = one_card(8, Order::Reversed);
    wire.hold_completions();
    let tx = &mut port.tx_rings()[0];
    for (number, mut slot) in tx.slots().take(4).enumerate() {
        slot.copy_from(&frame(number as u64, 60)).unwrap();
    }
    assert_eq!(tx.advance(4), 4);
    tx.txsync().unwrap();
    assert_eq!((tx.window(), tx.pending()), (3, 4));
    wire.complete(3);
    tx.txsync().unwrap();
    assert_eq!(tx.pending(), 4, "the first frame is not finished, so none of the four comes back");
    wire.complete(1);
    tx.txsync().unwrap();
    assert_eq!((tx.window(), tx.pending()), (7, 0));
}

#[test]
fn frames_that_are_no_frames_are_counted_by_cause() {
    let (netmap, mut port, wire) = one_card(8, Order::Shuffled(5));
    for len in 1..14 {
        wire.send(&frame(0, len));
    }
    wire.send(&frame(1, 14));
    wire.send(&frame(2, 1523));
    // More buffers than the ring has: the card cuts it and says so.
    wire.send(&frame(2, 14000));
    wire.send(&frame(3, 1522));
    let rx = &mut port.rx_rings()[0];
    for _ in 0..4 {
        rx.rxsync().unwrap();
    }
    let frames: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
    assert_eq!(frames, [frame(1, 14), frame(3, 1522)]);
    assert_eq!(
        (rx.counters().drop_short.get(), rx.counters().drop_error.get(), rx.counters().drop_long.get()),
        (13, 1, 1)
    );
    let line = netmap.counters()[1].to_string();
    assert_eq!(
        line,
        "em0 rx0 packets=2 bytes=1536 syncs=4 kicks=4 interrupts=0 drop_short=13 drop_error=1 drop_unbound=0 refused=0 drop_long=1"
    );
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn slots_that_cannot_be_sent_are_dropped_and_counted() {
    let (netmap, mut port, wire) = one_card(8, Order::Posted);
    let tx = &mut port.tx_rings()[0];
    let error = tx.slots().next().unwrap().set_len(1985).unwrap_err();
    assert_eq!(error.to_string(), "a frame of 1985 bytes does not fit into a buffer of 1984");
    for (i, mut slot) in tx.slots().take(4).enumerate() {
        slot.copy_from(&frame(i as u64, if i == 1 { 0 } else { 60 })).unwrap();
    }
    tx.advance(4);
    tx.txsync().unwrap();
    assert_eq!(wire.sent(), [frame(0, 60), frame(2, 60), frame(3, 60)]);
    assert_eq!((tx.counters().drop_invalid.get(), tx.counters().packets.get(), tx.pending()), (1, 3, 0));
    assert_eq!(
        netmap.counters()[0].to_string(),
        "em0 tx0 packets=3 bytes=180 syncs=1 kicks=1 interrupts=0 drop_invalid=1 full=0 refused=0"
    );
}

#[test]
fn a_broken_device_is_an_error_and_a_new_start_mends_it() {
    let (netmap, mut port, wire) = one_card(8, Order::Posted);
    wire.break_down();
    assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::DeviceFailed));
    assert_eq!(port.tx_rings()[0].txsync(), Err(SyncError::DeviceFailed));
    assert_eq!(SyncError::DeviceFailed.errno(), nm_core::errno::EIO);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
    let mut port = netmap.open("em0").unwrap();
    wire.send(&frame(1, 60));
    port.rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.rx_rings()[0].window(), 1);
}
