//! Rings and a bridge over simulated cards: several queues, each with delays of its own, short rings, completions out
//! of order, queues that are full for no reason, a cable that is pulled, cards that break down.
//!
//! Every property is checked over cards that a seed draws; a failure names the seed, which draws the same card again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

mod common;

use std::collections::VecDeque;

use common::{assert_all_home, frame, netmap};
use nm_core::nic::Link;
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::{Netmap, Port, RxRing, SyncError, TxRing};
use proptest::prelude::*;

/// How often the cable comes or goes: Miri takes a thousand times as long.
const CHANGES: usize = if cfg!(miri) { 2 } else { 40 };

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig::with_cases(if cfg!(miri) { 2 } else { count })
}

/// A netmap with these cards as `em0`, `em1`, …
fn attach(specs: Vec<CardSpec>) -> (Netmap, Vec<Wire>) {
    let (_, netmap) = netmap(8192);
    let wires = specs.into_iter().enumerate().map(|(number, spec)| {
        let (nic, wire) = card(spec);
        netmap.attach(&format!("em{number}"), nic).unwrap();
        wire
    });
    let wires = wires.collect();
    (netmap, wires)
}

/// What one ring of a card should carry.
#[derive(Default)]
struct Lane {
    submitted: VecDeque<Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Op {
    Arrive(u16, u8),
    Rxsync(u16),
    Release(u16, u8),
    Submit(u16, u8),
    Txsync(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let (queue, n) = (0u16..4, 0u8..30);
    prop_oneof![
        (queue.clone(), n.clone()).prop_map(|(q, n)| Op::Arrive(q, n)),
        queue.clone().prop_map(Op::Rxsync),
        (queue.clone(), n.clone()).prop_map(|(q, n)| Op::Release(q, n)),
        (queue.clone(), n).prop_map(|(q, n)| Op::Submit(q, n)),
        queue.prop_map(Op::Txsync),
    ]
}

/// The rings of one port against a pair of queues each.
struct Model {
    lanes: Vec<Lane>,
    number: u64,
}

impl Model {
    fn next_frame(&mut self) -> Vec<u8> {
        self.number += 1;
        frame(self.number, 14 + (self.number * 37 % 1500) as usize)
    }

    fn apply(&mut self, op: &Op, tx: &mut [TxRing], rx: &mut [RxRing], wire: &Wire) -> Result<(), SyncError> {
        match *op {
            Op::Arrive(queue, n) => (0..n).for_each(|_| {
                let (queue, frame) = (queue % rx.len() as u16, self.next_frame());
                wire.send_to(queue, &frame);
                self.lanes[usize::from(queue)].arrived.push_back(frame);
            }),
            Op::Rxsync(queue) => {
                let count = rx.len();
                rx[usize::from(queue) % count].rxsync()?;
            }
            Op::Release(queue, n) => {
                let queue = usize::from(queue) % rx.len();
                let (rx, lane) = (&mut rx[queue], &mut self.lanes[queue]);
                let count = rx.window().min(n.into());
                for slot in rx.slots().take(count as usize) {
                    assert_eq!(Some(slot.frame().to_vec()), lane.arrived.pop_front());
                }
                rx.advance(count);
            }
            Op::Submit(queue, n) => {
                let queue = usize::from(queue) % tx.len();
                let count = tx[queue].window().min(n.into());
                for mut slot in tx[queue].slots().take(count as usize) {
                    let frame = self.next_frame();
                    slot.copy_from(&frame).unwrap();
                    self.lanes[queue].submitted.push_back(frame);
                }
                tx[queue].advance(count);
            }
            Op::Txsync(queue) => {
                let count = tx.len();
                tx[usize::from(queue) % count].txsync()?;
            }
        }
        for (queue, sent) in wire.sent_with_queue() {
            assert_eq!(Some(sent), self.lanes[usize::from(queue)].submitted.pop_front(), "queue {queue}");
        }
        assert_eq!(wire.breaches(), Vec::<String>::new());
        Ok(())
    }

    fn is_done(&self, tx: &[TxRing]) -> bool {
        let is_empty = |lane: &Lane| lane.arrived.is_empty() && lane.submitted.is_empty();
        self.lanes.iter().all(is_empty) && tx.iter().all(|tx| tx.pending() == 0)
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// 1. Draw a card. 2. Apply operations to all its rings. 3. Let everything drain. What went into a ring came out of
    ///    its queue, in order and whole, and every buffer is home.
    #[test]
    fn every_ring_keeps_its_frames_whole_and_in_order(
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let (netmap, wires) = attach(vec![CardSpec::simulated(0, seed)]);
        let mut port = netmap.open("em0").unwrap();
        let mut model = Model { lanes: (0..4).map(|_| Lane::default()).collect(), number: 0 };
        let (tx, rx) = port.rings();
        for op in &ops {
            model.apply(op, tx, rx, &wires[0]).unwrap();
        }
        for round in 0.. {
            if model.is_done(tx) { break }
            prop_assert!(round < 10_000, "frames are stuck");
            for queue in 0..4 {
                for op in [Op::Rxsync(queue), Op::Release(queue, u8::MAX), Op::Txsync(queue)] {
                    model.apply(&op, tx, rx, &wires[0]).unwrap();
                }
            }
        }
        drop(port);
        assert_all_home(&netmap, &[&wires[0]]);
    }
}

/// Moves what is there by exchanging buffers, each receive ring to a transmit ring of its own choice.
fn forward(rx: &mut [RxRing], tx: &mut [TxRing]) -> Result<u32, SyncError> {
    let (queues, mut moved) = (tx.len(), 0);
    for (number, rx) in rx.iter_mut().enumerate() {
        let tx = &mut tx[number % queues];
        rx.rxsync()?;
        let count = rx.window().min(tx.window());
        for (mut from, mut to) in rx.slots().zip(tx.slots()).take(count as usize) {
            from.swap(&mut to).unwrap();
        }
        rx.advance(count);
        tx.advance(count);
        tx.txsync()?;
        moved += count;
    }
    Ok(moved)
}

fn bridge(a: &mut Port, b: &mut Port) -> Result<u32, SyncError> {
    let ((a_tx, a_rx), (b_tx, b_rx)) = (a.rings(), b.rings());
    Ok(forward(a_rx, b_tx)? + forward(b_rx, a_tx)?)
}

/// The frame that [`frame`] makes of `number`, told by its bytes.
fn numbered(number: u64) -> Vec<u8> {
    let mut frame = frame(number, 60 + number as usize % 1000);
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}

fn number_of(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().unwrap())
}

proptest! {
    #![proptest_config(cases(100))]

    /// Everything crosses, once; what came in by one queue leaves by one, in order.
    #[test]
    fn a_bridge_between_any_two_cards_loses_nothing(seeds in any::<[u64; 2]>(), frames in 0u64..(15 * CHANGES as u64)) {
        let (netmap, wires) = attach(vec![CardSpec::simulated(0, seeds[0]), CardSpec::simulated(1, seeds[1])]);
        let (mut a, mut b) = (netmap.open("em0").unwrap(), netmap.open("em1").unwrap());
        let queues = a.rx_rings().len() as u64;
        (0..frames).for_each(|number| wires[0].send_to((number % queues) as u16, &numbered(number)));
        let mut seen = Vec::new();
        for _ in 0..20_000 {
            if seen.len() as u64 == frames { break }
            bridge(&mut a, &mut b).unwrap();
            seen.extend(wires[1].sent());
        }
        prop_assert!(seen.iter().all(|frame| *frame == numbered(number_of(frame))));
        for queue in 0..queues {
            let of_queue = seen.iter().map(|frame| number_of(frame)).filter(|number| number % queues == queue);
            prop_assert!(of_queue.eq((0..frames).filter(|number| number % queues == queue)));
        }
        drop((a, b));
        assert_all_home(&netmap, &[&wires[0], &wires[1]]);
    }

    /// The cards break down again and again, the cable comes and goes. Each time the ports are opened anew; what crosses
    /// is whole, in order, never twice; and no buffer is missing at the end.
    #[test]
    fn a_bridge_outlives_cards_that_break_down(
        seeds in any::<[u64; 2]>(),
        breaks_after in (1u64..60, 1u64..60),
        pulled in prop::collection::vec(any::<bool>(), CHANGES),
    ) {
        let one_queue = |number, breaks_after| {
            let spec = CardSpec::simulated(number, seeds[usize::from(number)]).with_queues(1, 1);
            CardSpec { breaks_after: Some(breaks_after), ..spec }
        };
        let (netmap, wires) = attach(vec![one_queue(0, breaks_after.0), one_queue(1, breaks_after.1)]);
        let open = || (netmap.open("em0").unwrap(), netmap.open("em1").unwrap());
        let (mut seen, mut number) = (Vec::new(), 0);
        let mut ports = Some(open());
        for is_pulled in pulled {
            wires[0].set_link(if is_pulled { Link::Down } else { Link::Up });
            for _ in 0..10 {
                wires[0].send(&numbered(number));
                number += 1;
                let (a, b) = ports.as_mut().unwrap();
                if let Err(error) = bridge(a, b) {
                    prop_assert_eq!(error, SyncError::DeviceFailed);
                    drop(ports.take());
                    assert_all_home(&netmap, &[&wires[0], &wires[1]]);
                    ports = Some(open());
                }
                seen.extend(wires[1].sent().iter().map(|frame| {
                    assert_eq!(*frame, numbered(number_of(frame)));
                    number_of(frame)
                }));
            }
        }
        prop_assert!(seen.is_sorted_by(|a, b| a < b), "in order, none twice: {seen:?}");
        drop(ports);
        assert_all_home(&netmap, &[&wires[0], &wires[1]]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "many rounds of safe code, too slow under Miri")]
fn a_seed_draws_the_same_card_and_the_same_day() {
    let day = |seed| {
        let (netmap, wires) = attach(vec![CardSpec::simulated(0, seed), CardSpec::simulated(1, seed + 1)]);
        let (mut a, mut b) = (netmap.open("em0").unwrap(), netmap.open("em1").unwrap());
        (0..200).for_each(|number| wires[0].send(&numbered(number)));
        let trace = (0..100).map(|_| (bridge(&mut a, &mut b).unwrap(), wires[1].sent_with_queue()));
        trace.collect::<Vec<_>>()
    };
    let same = (0..20).map(|seed| (day(seed), day(seed))).all(|(first, second)| first == second);
    assert!(same && day(1) != day(2));
    let drawn = (0..200).map(|seed| CardSpec::simulated(0, seed)).collect::<Vec<_>>();
    let seen = |what: fn(&CardSpec) -> bool| drawn.iter().any(what);
    assert!(seen(|spec| spec.info.tx_queues == 4) && seen(|spec| spec.info.rx_queues == 1));
    assert!(seen(|spec| spec.info.tx_slots <= 4) && seen(|spec| spec.info.rx_slots >= 60));
    assert!(seen(|spec| spec.full_one_in > 0) && seen(|spec| spec.tx_delays.contains(&5)));
}

#[test]
fn a_delayed_queue_does_not_hold_up_the_others() {
    let spec = CardSpec { tx_delays: vec![1000], ..CardSpec::new(0, 8, Order::Posted).with_queues(2, 2) };
    let (netmap, wires) = attach(vec![spec]);
    let mut port = netmap.open("em0").unwrap();
    let tx = port.tx_rings();
    for ring in tx.iter_mut() {
        ring.slots().for_each(|mut slot| slot.copy_from(&frame(1, 60)).unwrap());
        ring.advance(7);
        ring.txsync().unwrap();
    }
    assert_eq!((tx[0].pending(), tx[1].pending()), (7, 0));
    assert_eq!(
        wires[0].sent_with_queue().iter().filter(|(queue, _)| *queue == 0).count(),
        7,
        "all have left"
    );
    while tx[0].pending() > 0 {
        tx[0].txsync().unwrap();
    }
}

#[test]
fn without_link_frames_wait_in_the_ring_and_arrivals_are_lost() {
    let (netmap, wires) = attach(vec![CardSpec::new(0, 8, Order::Posted)]);
    let mut port = netmap.open("em0").unwrap();
    wires[0].set_link(Link::Down);
    wires[0].send(&frame(1, 60));
    let tx = &mut port.tx_rings()[0];
    tx.slots().take(3).for_each(|mut slot| slot.copy_from(&frame(2, 60)).unwrap());
    tx.advance(3);
    tx.txsync().unwrap();
    assert_eq!((tx.pending(), wires[0].sent().len(), wires[0].lost()), (3, 0, 1));
    wires[0].set_link(Link::Up);
    tx.txsync().unwrap();
    assert_eq!((tx.pending(), wires[0].sent().len()), (0, 3));
    port.rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.rx_rings()[0].window(), 0);
}

#[test]
fn a_card_breaks_down_after_so_many_frames_and_again_after_each_start() {
    let spec = CardSpec { breaks_after: Some(10), ..CardSpec::new(0, 64, Order::Posted) };
    let (netmap, wires) = attach(vec![spec]);
    (0..25).for_each(|number| wires[0].send(&numbered(number)));
    for (expected, waiting) in
        [(Err(SyncError::DeviceFailed), 15), (Err(SyncError::DeviceFailed), 5), (Ok(()), 0)]
    {
        let mut port = netmap.open("em0").unwrap();
        let rx = &mut port.rx_rings()[0];
        assert_eq!((rx.rxsync(), wires[0].waiting()), (expected, waiting));
        assert_eq!(rx.rxsync(), expected, "until it is opened again");
    }
    assert_all_home(&netmap, &[&wires[0]]);
}
