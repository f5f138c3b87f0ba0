//! A bridge that several workers share, each on a thread, over fake cards with several queues.
//!
//! 1. Every queue of both cards is fed with frames of a flow of its own, which say whose they are.
//! 2. Each worker runs until its flows have arrived, however it waits.
//! 3. Every flow came out of the queue of the same worker, whole and in order; every buffer is home.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use common::{LONG, assert_all_home, frame, start_workers};
use nm_apps::machine::Wait;
use nm_apps::{Application, Worker};
use nm_core::Netmap;
use nm_core::platform::Platform;
use nm_core::stats::Direction;
use nm_core::testing::{CardSpec, HeapPlatform, Order, Wire, card};
use nm_core::tunables::Tunables;

/// Frames of each flow.
const FRAMES: u64 = 300;

/// A netmap with two cards of so many queues each way, which interrupt.
fn netmap(queues: [u16; 2]) -> (Netmap, Vec<Wire>) {
    let platform: Arc<dyn Platform> = HeapPlatform::new(64 << 20);
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let wires = queues.iter().zip(0..).map(|(&queues, number)| {
        let (nic, wire) = card(CardSpec::new(number, 16, Order::Shuffled(7)).with_queues(queues, queues));
        netmap.attach(&format!("em{number}"), nic).unwrap();
        wire.connect(netmap.events(&format!("em{number}")).unwrap());
        wire
    });
    let wires = wires.collect();
    (netmap, wires)
}

/// Frame `number` of the flow that comes by `queue` of card `from`.
fn of_flow(from: usize, queue: u16, number: u64) -> Vec<u8> {
    frame((from as u64) << 56 | u64::from(queue) << 48 | number, 64)
}

/// Frames that have left by both cards.
fn sent(netmap: &Netmap) -> u64 {
    let counters = netmap.counters();
    let tx = counters.iter().filter(|ring| ring.direction == Direction::Tx);
    tx.map(|ring| ring.counters.packets.get()).sum()
}

/// Feeds all queues of both cards, a few frames at a time, until all of it has left.
fn feed(netmap: &Netmap, wires: &[Wire], queues: [u16; 2]) {
    let start = Instant::now();
    let mut expected = 0;
    for number in 0..FRAMES {
        for (from, wire) in wires.iter().enumerate() {
            (0..queues[from]).for_each(|queue| wire.send_to(queue, &of_flow(from, queue, number)));
            expected += u64::from(queues[from]);
        }
        netmap.run_pending();
        while number % 5 == 4 && sent(netmap) < expected {
            assert!(start.elapsed() < LONG, "frames up to number {number} are slept on");
            thread::yield_now();
        }
    }
}

/// Lets each worker work on a thread of its own while `what` happens.
fn work_during(apps: Vec<Box<dyn Application>>, wait: Wait, what: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for app in apps {
            scope.spawn(|| {
                let start = Instant::now();
                let mut worker = Worker::new(app, wait, 50_000);
                while !is_over.load(Ordering::Relaxed) {
                    worker.round(|| start.elapsed().as_nanos() as u64).unwrap();
                }
            });
        }
        what();
        is_over.store(true, Ordering::Relaxed);
    });
}

fn check(queues: [u16; 2], workers: usize, expected_workers: usize, wait: Wait) {
    let (netmap, wires) = netmap(queues);
    let apps = start_workers(&netmap, &[], workers).unwrap();
    assert_eq!(apps.len(), expected_workers);
    assert!(apps.iter().all(|app| app.name() == "bridge" && app.ports() == ["em0", "em1"]));
    work_during(apps, wait, || feed(&netmap, &wires, queues));
    let sent = [wires[0].sent_with_queue(), wires[1].sent_with_queue()];
    for (from, to) in [(0, 1), (1, 0)] {
        assert_eq!(sent[to].len() as u64, u64::from(queues[from]) * FRAMES);
        for queue in 0..queues[from] {
            let flow: Vec<_> = (0..FRAMES).map(|number| of_flow(from, queue, number)).collect();
            let seen = sent[to].iter().filter(|(_, frame)| flow.contains(frame));
            let (rings, seen): (Vec<u16>, Vec<_>) = seen.cloned().unzip();
            assert!(seen == flow, "flow {queue} of card {from} is not whole or not in order with {wait:?}");
            assert!(rings.iter().all(|ring| *ring == rings[0]), "flow {queue} leaves by several rings");
            assert_eq!(usize::from(rings[0]) % expected_workers, usize::from(queue) % expected_workers);
        }
    }
    assert_all_home(&netmap, &wires);
}

#[test]
fn each_worker_forwards_its_own_rings_however_it_waits() {
    for wait in [Wait::Spin, Wait::Poll, Wait::Adaptive] {
        check([3, 3], 3, 3, wait);
    }
}

#[test]
fn there_are_no_more_workers_than_rings_on_either_side() {
    check([4, 2], 8, 2, Wait::Poll);
    check([1, 3], 2, 1, Wait::Poll);
}

#[test]
fn with_more_rings_than_workers_each_has_several() {
    check([4, 4], 2, 2, Wait::Poll);
    check([5, 3], 2, 2, Wait::Adaptive);
}

/// Which no worker knows of. What the card held is lost, and all that comes afterwards is forwarded.
#[test]
fn a_card_that_is_reset_by_somebody_else_stops_no_worker() {
    for wait in [Wait::Spin, Wait::Poll] {
        let (netmap, wires) = netmap([2, 2]);
        let apps = start_workers(&netmap, &[], 2).unwrap();
        work_during(apps, wait, || {
            for number in 0..200 {
                (0..2).for_each(|queue| wires[0].send_to(queue, &of_flow(0, queue, number)));
                netmap.run_pending();
                netmap.reset(if number % 2 == 0 { "em0" } else { "em1" }).unwrap();
            }
            wires[1].sent();
            let before = sent(&netmap);
            (0..2).for_each(|queue| wires[0].send_to(queue, &of_flow(0, queue, 1000)));
            netmap.run_pending();
            let start = Instant::now();
            while sent(&netmap) < before + 2 {
                assert!(start.elapsed() < LONG, "a worker has stopped");
                thread::yield_now();
            }
        });
        assert_all_home(&netmap, &wires);
    }
}
