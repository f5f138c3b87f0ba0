//! Frames of several slots: sent, received, forwarded and copied as a whole.
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]

mod common;

use common::{assert_all_home, frame, netmap, one_card};
use nm_core::host::HostRings;
use nm_core::nic::Mtu;
use nm_core::ring::{DifferentRegion, FRAGMENTS_MAX};
use nm_core::testing::{CardSpec, FakeStack, Order, Wire, card};
use nm_core::tunables::Sizes;
use nm_core::{Attachment, Netmap, Port, RxRing, TxRing};
use proptest::prelude::*;

/// Payload of a buffer.
const PART: usize = 1984;

/// Opens the interface `name` with rings of `slots` slots and jumbo frames, in a region with buffers of `buf_size` if that is not
/// the shared one's.
fn open(netmap: &Netmap, name: &str, slots: u16, buf_size: Option<u32>) -> (Port, Wire) {
    let (nic, wire) = card(CardSpec::new(slots as u8, slots, Order::Posted));
    let mut attachment = Attachment::rings(nic).with_mtu(Mtu::MAX);
    if let Some(buf_size) = buf_size {
        let region = netmap.regions().create(name, Sizes { buf_size, ..Sizes::default() }).unwrap();
        attachment = attachment.in_region(&region);
    }
    netmap.attach_as(name, attachment).unwrap();
    (netmap.open(name).unwrap(), wire)
}

/// Writes a frame into the first slots of a transmit window, `part` bytes in each, and gives them.
fn submit(tx: &mut TxRing, frame: &[u8], part: usize) {
    let slots = frame.len().div_ceil(part);
    assert!(tx.window() as usize >= slots);
    for (n, (mut slot, bytes)) in tx.slots().zip(frame.chunks(part)).enumerate() {
        slot.copy_from(bytes).unwrap();
        slot.set_more(n + 1 < slots);
        assert_eq!(slot.has_more(), n + 1 < slots);
    }
    tx.advance(slots as u32);
}

/// Takes the frames of a receive window.
fn received(rx: &mut RxRing) -> Vec<Vec<u8>> {
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    for slot in rx.slots() {
        frame.extend_from_slice(slot.frame());
        if !slot.has_more() {
            frames.push(std::mem::take(&mut frame));
        }
    }
    assert_eq!(frame, Vec::<u8>::new(), "a part of a frame was published");
    rx.advance(rx.window());
    frames
}

#[test]
fn a_frame_longer_than_a_buffer_comes_and_goes_as_one() {
    let (_, netmap) = netmap(4096);
    let (mut port, wire) = open(&netmap, "em0", 64, None);
    let (tx, rx) = port.rings();
    let (tx, rx) = (&mut tx[0], &mut rx[0]);
    for (number, len) in (1..).zip([14, PART, PART + 1, 2 * PART, 2 * PART + 1, 9022]) {
        let frame = frame(number, len);
        wire.send(&frame);
        rx.rxsync().unwrap();
        assert_eq!(rx.window() as usize, len.div_ceil(PART));
        assert_eq!(received(rx), [&frame[..]]);
        for part in [PART, 700, 1000] {
            submit(tx, &frame, part);
            tx.txsync().unwrap();
            assert_eq!(wire.sent(), [&frame[..]]);
            tx.txsync().unwrap();
            assert_eq!(tx.pending(), 0);
            assert!(tx.slots().all(|slot| !slot.has_more()), "the marks are cleared");
        }
    }
    assert_eq!((rx.counters().packets.get(), tx.counters().packets.get()), (6, 18));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_frame_waits_for_its_last_slot_and_one_that_is_too_long_is_dropped_whole() {
    let (netmap, mut port, wire) = one_card(128, Order::Posted);
    let tx = &mut port.tx_rings()[0];
    tx.slots().take(2).for_each(|mut slot| {
        slot.copy_from(&[1; 30]).unwrap();
        slot.set_more(true);
    });
    tx.advance(2);
    tx.txsync().unwrap();
    assert_eq!((wire.sent(), tx.pending()), (vec![], 2));
    submit(tx, &[1; 10], 10);
    tx.txsync().unwrap();
    assert_eq!(wire.sent(), [[1; 70]]);
    // Longer than the MTU allows, an empty slot, one slot more than a frame may have.
    submit(tx, &frame(1, 1523), 1000);
    submit(tx, &frame(2, 1522), 1000);
    for len in [40, 0, 40] {
        let mut slot = tx.slots().next().unwrap();
        slot.set_len(len).unwrap().fill(3);
        slot.set_more(len == 0);
        tx.advance(1);
    }
    submit(tx, &frame(4, FRAGMENTS_MAX as usize + 1), 1);
    tx.txsync().unwrap();
    assert_eq!(wire.sent(), [frame(2, 1522), vec![3; 40]]);
    let counters = tx.counters();
    assert_eq!((counters.drop_long.get(), counters.drop_invalid.get()), (1, 2));
    tx.txsync().unwrap();
    assert_eq!(tx.pending(), 0);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn an_exchange_takes_the_mark_along() {
    let (_netmap, mut port, _wire) = one_card(8, Order::Posted);
    let mut slots = port.tx_rings()[0].slots();
    let (mut a, mut b) = (slots.next().unwrap(), slots.next().unwrap());
    a.copy_from(&[1; 20]).unwrap();
    a.set_more(true);
    a.swap(&mut b).unwrap();
    assert_eq!((a.has_more(), b.has_more(), b.frame()), (false, true, &[1; 20][..]));
    b.set_more(false);
    assert!(!b.has_more());
    b.set_forward(true);
    b.set_more(true);
    assert!(b.is_forward(), "the marks are apart");
}

#[test]
fn a_frame_with_more_slots_than_the_other_ring_has_is_dropped_there() {
    for to_other_region in [false, true] {
        let (_, netmap) = netmap(4096);
        let (mut from, wire) = open(&netmap, "em0", 64, None);
        let (mut to, far) = open(&netmap, "em1", 5, to_other_region.then_some(2048));
        let (rx, tx) = (&mut from.rx_rings()[0], &mut to.tx_rings()[0]);
        // Four slots are the most that the other ring has free.
        let frames = [frame(1, 60), frame(2, 4 * PART + 1), frame(3, 4 * PART), frame(4, 60)];
        frames.iter().for_each(|frame| wire.send(frame));
        let mut sent = Vec::new();
        for _ in 0..20 {
            rx.rxsync().unwrap();
            if rx.forward_to(tx) == Err(DifferentRegion) {
                rx.copy_to(tx);
            }
            tx.txsync().unwrap();
            sent.extend(far.sent());
        }
        assert_eq!(sent, [frame(1, 60), frame(3, 4 * PART), frame(4, 60)]);
        assert_eq!((rx.window(), tx.counters().drop_invalid.get()), (0, 1));
        drop((from, to));
        assert_all_home(&netmap, &[&wire, &far]);
    }
}

#[test]
fn the_stack_gets_a_frame_of_several_slots_as_one() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 64, Order::Posted));
    let stack = FakeStack::new();
    let attachment =
        Attachment::rings(nic).with_mtu(Mtu::MAX).with_stack(stack.clone(), HostRings::default());
    netmap.attach_as("em0", attachment).unwrap();
    let mut port = netmap.open("em0*").unwrap();
    let all = port.all_rings();
    let tx = &mut all.host_tx[0];
    submit(tx, &frame(1, 5000), PART);
    submit(tx, &frame(2, 13), 7);
    submit(tx, &frame(3, 9023), PART);
    submit(tx, &frame(4, 20), 7);
    tx.txsync().unwrap();
    assert_eq!(stack.received(), [frame(1, 5000), frame(4, 20)]);
    let counters = tx.counters();
    assert_eq!((counters.packets.get(), counters.drop_invalid.get(), counters.drop_long.get()), (2, 1, 1));
    // In transparent mode: where the first slot goes.
    let rx = &mut all.rx[0];
    rx.set_transparent(true);
    [frame(5, 5000), frame(6, 4000)].iter().for_each(|frame| wire.send(frame));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 6);
    rx.slots().enumerate().for_each(|(n, mut slot)| slot.set_forward([0, 4, 5].contains(&n)));
    rx.advance(2);
    rx.rxsync().unwrap();
    assert_eq!(stack.received(), Vec::<Vec<u8>>::new(), "not released as a whole");
    rx.advance(4);
    rx.rxsync().unwrap();
    assert_eq!((stack.received(), rx.counters().forwarded.get()), (vec![frame(5, 5000)], 1));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[derive(Debug, Clone)]
enum Op {
    Arrive(usize),
    Rxsync,
    Forward,
    Txsync,
    Complete(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![4 => 14..200usize, 3 => 14..9022usize, 1 => (1..5usize).prop_map(|n| n * PART)];
    prop_oneof![
        3 => len.prop_map(Op::Arrive),
        2 => Just(Op::Rxsync),
        3 => Just(Op::Forward),
        2 => Just(Op::Txsync),
        2 => (0..4u32).prop_map(Op::Complete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 128 }, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever room there is: frames leave whole, in order, and none is lost.
    #[test]
    fn forwarding_never_splits_a_frame(
        (from_slots, to_slots) in (6..40u16, 6..40u16),
        buf_size in prop_oneof![2 => Just(None), 1 => Just(Some(2048)), 1 => Just(Some(1024)), 1 => Just(Some(4096))],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        // The longest frame fits each ring.
        let to_slots = if buf_size == Some(1024) { to_slots + 8 } else { to_slots };
        let (_, netmap) = netmap(4096);
        let (mut from, wire) = open(&netmap, "em0", from_slots, None);
        let (mut to, far) = open(&netmap, "em1", to_slots, buf_size);
        let (rx, tx) = (&mut from.rx_rings()[0], &mut to.tx_rings()[0]);
        far.hold_completions();
        let (mut arrived, mut sent) = (Vec::new(), Vec::new());
        let end = [Op::Complete(100), Op::Rxsync, Op::Forward, Op::Txsync];
        for op in ops.iter().chain(end.iter().cycle().take(4 * 150)) {
            match *op {
                Op::Arrive(len) => {
                    arrived.push(frame(arrived.len() as u64, len));
                    wire.send(arrived.last().unwrap());
                }
                Op::Rxsync => rx.rxsync().unwrap(),
                Op::Forward => {
                    let marks: Vec<_> = rx.slots().map(|slot| slot.has_more()).collect();
                    let moved = rx.forward_to(tx).unwrap_or_else(|DifferentRegion| rx.copy_to(tx)) as usize;
                    prop_assert_eq!(rx.window() as usize, marks.len() - moved);
                    prop_assert!(moved == 0 || !marks[moved - 1], "{} of {:?} moved", moved, marks);
                }
                Op::Txsync => tx.txsync().unwrap(),
                Op::Complete(count) => far.complete(count),
            }
            sent.extend(far.sent());
        }
        prop_assert_eq!(sent, arrived);
        prop_assert_eq!((tx.counters().drop_invalid.get(), tx.counters().drop_long.get()), (0, 0));
        drop((from, to));
        let report = netmap.memory();
        prop_assert_eq!((report.free, report.held), (report.total, 0));
    }
}
