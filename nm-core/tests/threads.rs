//! Rings of one interface on several threads, while another thread does to the rest what can be done to it.
//!
//! 1. Three pairs of rings go to three threads. Each feeds its own queue with numbered frames and forwards them by
//!    exchange of buffers, in an order of its own: batches, looks, syncs, polls.
//! 2. Meanwhile a fourth thread opens, polls, takes apart and closes the fourth pair and another interface, which it
//!    resets; and in the second test the interface of the three as well.
//! 3. Each queue has sent its frames in order and whole: all of them, or with resets none twice; every buffer is home.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;
mod programs;

use std::thread;
use std::time::Duration;

use common::{assert_all_home, netmap};
use nm_core::poll::{Interest, PollError, Timeout};
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::{Netmap, RxRing, SyncError, TxRing};
use programs::SplitMix;

const FRAMES: u64 = if cfg!(miri) { 6 } else { 3000 };
/// Rounds without any progress, after which a thread has seen everything.
const IDLE: u32 = if cfg!(miri) { 40 } else { 400 };

fn numbered(number: u64) -> Vec<u8> {
    let mut frame = common::frame(number, 60 + number as usize % 1000);
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}

fn number_of(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().unwrap())
}

/// A pair of rings on its way through a thread.
struct Lane {
    rx: RxRing,
    tx: TxRing,
    wire: Wire,
    random: SplitMix,
    offered: u64,
    /// Syncs that fell into a reset.
    stopped: u64,
}

impl Lane {
    fn new(netmap: &Netmap, number: u16, wire: &Wire) -> Self {
        let (mut tx, mut rx) = netmap.open(&format!("em0-{number}")).unwrap().split();
        let random = SplitMix(number.into());
        Self { rx: rx.remove(0), tx: tx.remove(0), wire: wire.clone(), random, offered: 0, stopped: 0 }
    }

    fn run(mut self) -> Self {
        let mut idle = 0;
        while idle < IDLE {
            idle = if self.step() { 0 } else { idle + 1 };
        }
        self
    }

    /// One operation. Returns whether anything has moved, or still will.
    fn step(&mut self) -> bool {
        let (operation, count) = (self.random.next() % 8, (self.random.next() % 20) as u32);
        match operation {
            0 => self.offer(count.into()),
            1 | 2 => self.note(|lane| lane.rx.rxsync()),
            3 | 4 => self.note(|lane| lane.tx.txsync()),
            5 => self.note(|lane| lane.rx.poll(Timeout::Now).map(|_| ()).map_err(|error| error.cause)),
            6 => _ = self.rx.look(count),
            _ => return self.forward(count) > 0,
        }
        self.offered < FRAMES || self.tx.pending() > 0 || self.rx.window() > 0
    }

    fn offer(&mut self, count: u64) {
        let end = FRAMES.min(self.offered + count);
        (self.offered..end).for_each(|number| self.wire.send_to(self.rx.number(), &numbered(number)));
        self.offered = end;
    }

    fn note(&mut self, sync: impl FnOnce(&mut Self) -> Result<(), SyncError>) {
        match sync(self) {
            Ok(()) => {}
            Err(SyncError::Stopped) => self.stopped += 1,
            Err(error) => unreachable!("{error}"),
        }
    }

    fn forward(&mut self, count: u32) -> u32 {
        let count = count.min(self.rx.window()).min(self.tx.window());
        for (mut from, mut to) in self.rx.slots().zip(self.tx.slots()).take(count as usize) {
            assert_eq!(from.frame(), numbered(number_of(from.frame())));
            from.swap(&mut to).unwrap();
        }
        assert_eq!((self.rx.advance(count), self.tx.advance(count)), (count, count));
        count
    }
}

/// What goes on beside the lanes.
fn disturb(netmap: &Netmap, random: &mut SplitMix, resets: bool) {
    match random.next() % 6 {
        0 => {
            let mut port = netmap.open("em0-3").unwrap();
            let time = Timeout::After(Duration::from_micros(50));
            match port.poll(Interest::READABLE, time) {
                Ok(_) | Err(PollError { cause: SyncError::Stopped, .. }) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
        1 => {
            let (mut tx, rx) = netmap.open("em1").unwrap().split();
            drop(rx);
            netmap.reset("em1").unwrap();
            tx.iter_mut().for_each(|tx| tx.txsync().unwrap());
        }
        2 => drop(netmap.open("em0-3").unwrap().split().0),
        3 => assert!(netmap.open("em0-1").is_err() && netmap.open("em0").is_err()),
        4 => assert_eq!((netmap.memory().lost(), netmap.counters().len()), (0, 12)),
        _ if resets => netmap.reset("em0").unwrap(),
        _ => _ = netmap.run_pending(),
    }
}

/// Returns the numbers that each queue has sent, and how many syncs fell into a reset.
fn run(resets: bool) -> (Vec<Vec<u64>>, u64) {
    let (_, netmap) = netmap(2048);
    let spec = CardSpec { full_one_in: 9, ..CardSpec::new(0, 16, Order::Shuffled(3)).with_queues(4, 4) };
    let (nic, wire) = card(CardSpec { tx_delays: vec![0, 5, 2], rx_delays: vec![3, 0, 4], ..spec });
    netmap.attach("em0", nic).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    let (nic, other) = card(CardSpec::new(1, 8, Order::Reversed).with_queues(2, 2));
    netmap.attach("em1", nic).unwrap();
    let lanes = [0, 1, 2].map(|number| Lane::new(&netmap, number, &wire));
    let lanes = thread::scope(|scope| {
        let threads = lanes.map(|lane| scope.spawn(|| lane.run()));
        let mut random = SplitMix(9);
        while !threads.iter().all(|thread| thread.is_finished()) {
            disturb(&netmap, &mut random, resets);
            thread::yield_now();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sent = vec![Vec::new(); 4];
    for (queue, frame) in wire.sent_with_queue() {
        assert_eq!(frame, numbered(number_of(&frame)));
        sent[usize::from(queue)].push(number_of(&frame));
    }
    let syncs = lanes.iter().map(|lane| lane.rx.counters().syncs.get()).min();
    assert!(syncs.unwrap() > FRAMES / 100);
    let stopped = lanes.iter().map(|lane| lane.stopped).sum();
    drop(lanes);
    assert_all_home(&netmap, &[&wire, &other]);
    (sent, stopped)
}

#[test]
fn rings_on_several_threads_lose_nothing_whatever_goes_on_beside_them() {
    let (sent, stopped) = run(false);
    assert!(sent[..3].iter().all(|numbers| numbers.iter().copied().eq(0..FRAMES)));
    assert_eq!(stopped, 0);
}

#[test]
fn rings_on_several_threads_outlive_resets_and_send_nothing_twice() {
    let (sent, _) = run(true);
    for numbers in &sent[..3] {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(cfg!(miri) || numbers.len() > 10, "{}", numbers.len());
    }
}
