//! The bridge as it runs in the image, over fake cards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, assert_all_home, frame, start_workers};
use nm_apps::bridge::Bridge;
use nm_apps::machine::Wait;
use nm_apps::{AppError, Application, Progress, Worker};
use nm_core::Netmap;
use nm_core::platform::Platform;
use nm_core::stats::Direction;
use nm_core::testing::{CardSpec, HeapPlatform, Order, Wire, card};
use nm_core::tunables::Tunables;
use proptest::prelude::*;

/// A netmap with cards `em0`, `em1`, … of these numbers of slots.
fn netmap(cards: &[(u16, Order)]) -> (Netmap, Vec<Wire>) {
    let platform: Arc<dyn Platform> = HeapPlatform::new(64 << 20);
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let wires = cards.iter().enumerate().map(|(number, &(slots, order))| {
        let (nic, wire) = card(CardSpec::new(number as u8, slots, order));
        netmap.attach(&format!("em{number}"), nic).unwrap();
        wire
    });
    let wires = wires.collect();
    (netmap, wires)
}

fn start_with(netmap: &Netmap, words: &[(&str, &str)]) -> Result<Box<dyn Application>, AppError> {
    start_workers(netmap, words, 1).map(|mut apps| apps.remove(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Frames of every length, both ways at once, through rings of any size and cards that complete in any order.
    #[test]
    fn every_frame_crosses_whole_and_in_order(
        slots in (2u16..64, 2u16..64),
        seed in any::<u64>(),
        lengths in prop::collection::vec((14usize..=1518, any::<bool>()), 0..400),
    ) {
        let (netmap, wires) = netmap(&[(slots.0, Order::Shuffled(seed)), (slots.1, Order::Reversed)]);
        let mut bridge = start_with(&netmap, &[]).unwrap();
        let mut expected = [Vec::new(), Vec::new()];
        let mut seen = [Vec::new(), Vec::new()];
        for (number, &(len, to_b)) in lengths.iter().enumerate() {
            let frame = frame(number as u64, len);
            let (from, to) = if to_b { (0, 1) } else { (1, 0) };
            wires[from].send(&frame);
            expected[to].push(frame);
            if number % 7 == 0 { bridge.step().unwrap(); }
        }
        let mut idle = 0;
        while idle < 3 {
            idle = if bridge.step().unwrap() == Progress::Idle { idle + 1 } else { 0 };
            for (seen, wire) in seen.iter_mut().zip(&wires) { seen.extend(wire.sent()) }
        }
        prop_assert_eq!(&seen, &expected);
        drop(bridge);
        assert_all_home(&netmap, &wires);
    }
}

#[test]
fn frames_wait_while_the_far_side_has_no_room() {
    let (netmap, wires) = netmap(&[(16, Order::Posted), (16, Order::Posted)]);
    let mut bridge = start_with(&netmap, &[]).unwrap();
    wires[1].hold_completions();
    (0..100).for_each(|number| wires[0].send(&frame(number, 60)));
    (0..50).for_each(|_| {
        bridge.step().unwrap();
    });
    let mut arrived = wires[1].sent();
    assert_eq!(arrived.len(), 15, "the transmit ring, less the slot that stays empty");
    assert_eq!(wires[0].waiting(), 100 - 15 - 15, "the receive ring is full, the rest waits on the wire");
    wires[1].complete(100);
    (0..50).for_each(|_| {
        bridge.step().unwrap();
    });
    arrived.extend(wires[1].sent());
    assert_eq!(arrived, (0..100).map(|number| frame(number, 60)).collect::<Vec<_>>());
    drop(bridge);
    assert_all_home(&netmap, &wires);
}

#[test]
fn ports_of_different_memory_are_bridged_by_copying() {
    let ((left, left_wires), (right, right_wires)) =
        (netmap(&[(16, Order::Posted)]), netmap(&[(16, Order::Posted)]));
    let mut bridge = Bridge::between(left.open("em0").unwrap(), right.open("em0").unwrap());
    for number in 0..40 {
        left_wires[0].send(&frame(number, 60 + number as usize));
        bridge.step().unwrap();
        bridge.step().unwrap();
    }
    assert_eq!(right_wires[0].sent(), (0..40).map(|n| frame(n, 60 + n as usize)).collect::<Vec<_>>());
    drop(bridge);
    assert_all_home(&left, &left_wires);
    assert_all_home(&right, &right_wires);
}

#[test]
fn a_frame_too_long_for_a_buffer_of_the_other_memory_takes_two() {
    let platform: Arc<dyn Platform> = HeapPlatform::new(64 << 20);
    let small = Netmap::new(&platform, Tunables { buf_size: 512, ..Tunables::default() }).unwrap();
    let (nic, small_wire) = card(CardSpec::new(9, 16, Order::Posted));
    small.attach("em0", nic).unwrap();
    let (large, large_wires) = netmap(&[(16, Order::Posted)]);
    let mut bridge = Bridge::between(large.open("em0").unwrap(), small.open("em0").unwrap());
    for len in [448, 449, 60] {
        large_wires[0].send(&frame(len as u64, len));
    }
    bridge.step().unwrap();
    assert_eq!(small_wire.sent(), [frame(448, 448), frame(449, 449), frame(60, 60)]);
}

#[test]
fn ports_are_chosen_by_the_keys_or_are_the_first_two() {
    let four: Vec<_> = (0..4).map(|_| (16, Order::Posted)).collect();
    let check = |words: &[(&str, &str)], ports: [&str; 2]| {
        let (netmap, _wires) = netmap(&four);
        assert_eq!(start_with(&netmap, words).unwrap().ports(), ports, "{words:?}");
    };
    check(&[], ["em0", "em1"]);
    check(&[("a", "em3")], ["em3", "em0"]);
    check(&[("a", "em0"), ("b", "netmap:em2")], ["em0", "em2"]);
    check(&[("b", "em0")], ["em1", "em0"]);
    check(&[("b", "mac-525400000003"), ("a", "em2")], ["em2", "em3"]);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let (none, one, two) =
        (netmap(&[]).0, netmap(&[(16, Order::Posted)]).0, netmap(&[(16, Order::Posted); 2]).0);
    let error = |netmap: &Netmap, words: &[(&str, &str)]| match start_with(netmap, words) {
        Ok(_) => panic!("started"),
        Err(error) => error.to_string(),
    };
    assert_eq!(error(&none, &[]), "2 network cards are needed, and there is none");
    assert_eq!(error(&one, &[]), "2 network cards are needed, and there is only em0");
    let both = "em0 (52:54:00:00:00:00), em1 (52:54:00:00:00:01)";
    for (key, name) in [("a", "em9"), ("b", "em9"), ("a", "mac-525400000009")] {
        let expected = format!("port {key}: no interface \"{name}\"; there are {both}");
        assert_eq!(error(&two, &[(key, name)]), expected);
    }
    let undriven = ["00:03.0 10ec:8139".to_owned(), "00:05.0 15ad:07b0".to_owned()];
    let named = |netmap: &Netmap, words: &[(&str, &str)]| {
        start_with(netmap, words).map(drop).unwrap_err().with_undriven(&undriven).to_string()
    };
    assert_eq!(
        named(&one, &[]),
        "2 network cards are needed, and there is only em0; without a driver: 00:03.0 10ec:8139, 00:05.0 15ad:07b0"
    );
    assert_eq!(named(&two, &[("a", "em9")]), error(&two, &[("a", "em9")]), "another error is as it is");
    assert_eq!(
        error(&two, &[("a", "em1"), ("b", "netmap:em1")]),
        "a and b are both em1: a bridge needs two different ports"
    );
}

#[test]
fn a_card_that_breaks_down_stops_the_bridge_with_its_name() {
    let (netmap, wires) = netmap(&[(16, Order::Posted); 2]);
    let mut bridge = start_with(&netmap, &[]).unwrap();
    assert_eq!(bridge.step().unwrap(), Progress::Idle);
    wires[1].break_down();
    let error = bridge.step().unwrap_err();
    assert_eq!(error.to_string(), "em1: the device violated the protocol of its queue");
    drop(bridge);
    assert_all_home(&netmap, &wires);
}

/// A netmap whose cards interrupt.
fn interrupting(cards: &[(u16, Order)]) -> (Netmap, Vec<Wire>) {
    let (netmap, wires) = netmap(cards);
    for (number, wire) in wires.iter().enumerate() {
        wire.connect(netmap.events(&format!("em{number}")).unwrap());
    }
    (netmap, wires)
}

/// Steps until there is nothing to do: a card may need one that finds nothing to get its buffers back.
fn settle(bridge: &mut dyn Application) {
    let mut idle = 0;
    while idle < 3 {
        idle = if bridge.step().unwrap() == Progress::Idle { idle + 1 } else { 0 };
    }
}

#[test]
fn a_wait_ends_when_its_time_is_over_or_frames_have_come_either_way() {
    let (netmap, wires) = interrupting(&[(16, Order::Posted); 2]);
    let mut bridge = start_with(&netmap, &[]).unwrap();
    settle(bridge.as_mut());
    let start = Instant::now();
    bridge.wait(Duration::from_millis(20)).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    for (from, to) in [(0, 1), (1, 0)] {
        let waker = {
            let (netmap, wire) = (netmap.clone(), wires[from].clone());
            thread::spawn(move || {
                let start = Instant::now();
                while !wire.is_armed().0 {
                    assert!(start.elapsed() < LONG, "the bridge does not wait for frames");
                    thread::yield_now();
                }
                wire.send(&frame(1, 60));
                netmap.run_pending();
            })
        };
        bridge.wait(LONG).unwrap();
        waker.join().unwrap();
        assert_eq!(
            (bridge.step().unwrap(), wires[to].sent()),
            (Progress::Busy { frames: 1 }, vec![frame(1, 60)])
        );
        settle(bridge.as_mut());
    }
    assert_eq!(wires.iter().map(Wire::is_armed).collect::<Vec<_>>(), [(false, false); 2]);
    assert!(start.elapsed() < LONG);
}

#[test]
fn frames_that_are_held_up_wait_for_room_and_not_for_more_of_them() {
    for (from, to) in [(0, 1), (1, 0)] {
        let (netmap, wires) = interrupting(&[(16, Order::Posted); 2]);
        let mut bridge = start_with(&netmap, &[]).unwrap();
        wires[to].hold_completions();
        (0..40).for_each(|number| wires[from].send(&frame(number, 60)));
        settle(bridge.as_mut());
        assert_eq!(wires[to].sent().len(), 15);
        let start = Instant::now();
        bridge.wait(Duration::from_millis(20)).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20), "frames that are there are no reason to wake");
        let waker = {
            let (netmap, wire) = (netmap.clone(), wires[to].clone());
            thread::spawn(move || {
                let start = Instant::now();
                while !wire.is_armed().1 {
                    assert!(start.elapsed() < LONG, "the bridge does not wait for room");
                    thread::yield_now();
                }
                wire.complete(100);
                netmap.run_pending();
            })
        };
        bridge.wait(LONG).unwrap();
        waker.join().unwrap();
        assert!(start.elapsed() < LONG);
        settle(bridge.as_mut());
        assert_eq!(wires[to].sent().len(), 25);
    }
}

/// Sends `count` frames, one at a time, in turns both ways, each when the one before it has arrived.
fn send_in_turn(netmap: &Netmap, wires: &[Wire], count: u64) -> thread::JoinHandle<()> {
    let (netmap, wires) = (netmap.clone(), wires.to_vec());
    thread::spawn(move || {
        for number in 0..count {
            let (from, to) = if number % 3 == 0 { (1, 0) } else { (0, 1) };
            wires[from].send(&frame(number, 60));
            netmap.run_pending();
            let start = Instant::now();
            while wires[to].sent().is_empty() {
                assert!(start.elapsed() < LONG, "frame {number} is slept on");
                thread::yield_now();
            }
        }
    })
}

/// A wake-up that was lost would be waited for: nothing else ends these waits.
#[test]
fn no_frame_is_slept_on() {
    let (netmap, wires) = interrupting(&[(16, Order::Posted); 2]);
    let mut bridge = start_with(&netmap, &[]).unwrap();
    let sender = send_in_turn(&netmap, &wires, 1000);
    // A step may find the answer to the frame that it has just sent, so frames are counted and not steps.
    let forwarded = || -> u64 {
        let counters = netmap.counters();
        let tx = counters.iter().filter(|ring| ring.direction == Direction::Tx);
        tx.map(|ring| ring.counters.packets.get()).sum()
    };
    let start = Instant::now();
    while forwarded() < 1000 {
        if bridge.step().unwrap() == Progress::Idle {
            bridge.wait(2 * LONG).unwrap();
        }
    }
    sender.join().unwrap();
    assert!(start.elapsed() < LONG);
    drop(bridge);
    assert_all_home(&netmap, &wires);
}

#[test]
fn a_worker_forwards_however_it_waits() {
    for wait in [Wait::Spin, Wait::Poll, Wait::Adaptive] {
        let (netmap, wires) = interrupting(&[(16, Order::Posted); 2]);
        let app = start_with(&netmap, &[]).unwrap();
        let sender = send_in_turn(&netmap, &wires, 100);
        let start = Instant::now();
        let mut worker = Worker::new(app, wait, 50_000);
        while !sender.is_finished() {
            worker.round(|| start.elapsed().as_nanos() as u64).unwrap();
        }
        sender.join().unwrap();
        drop(worker);
        assert_all_home(&netmap, &wires);
    }
}

#[test]
fn a_card_that_breaks_down_ends_a_wait_with_its_name() {
    let (netmap, wires) = interrupting(&[(16, Order::Posted); 2]);
    let mut bridge = start_with(&netmap, &[]).unwrap();
    wires[1].break_down();
    let error = bridge.wait(LONG).unwrap_err();
    assert_eq!(error.to_string(), "em1: the device violated the protocol of its queue");
}
