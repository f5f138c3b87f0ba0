//! A safe port beside the raw ones, whose frames no other port may touch.

use std::collections::VecDeque;

use nm_core::mem::Spare;
use nm_core::testing::Wire;
use nm_core::{Netmap, Port};

use super::FRAME_MAX;
use crate::programs::Program;

/// Spare buffers with frames that it keeps.
const KEPT: usize = 6;

/// Sends what it receives on, keeps some frames, and compares every byte. Now and then it takes other buffers from the
/// pool, among them those that raw ports have given back.
pub struct Bystander {
    netmap: Netmap,
    name: &'static str,
    /// There but for a moment.
    port: Option<Port>,
    wire: Wire,
    kept: VecDeque<(Spare, u64)>,
    number: u64,
    arrived: VecDeque<Vec<u8>>,
    submitted: VecDeque<Vec<u8>>,
    pub moved: u64,
}

/// No frame of the raw ports looks like it.
fn frame(number: u64) -> Vec<u8> {
    let len = 14 + (number * 37) as usize % (FRAME_MAX - 13);
    (0..len).map(|at| (number as u8).wrapping_mul(29) ^ at as u8 ^ 0x80).collect()
}

impl Bystander {
    pub fn new(netmap: &Netmap, name: &'static str, wire: Wire) -> Self {
        let (arrived, submitted) = (VecDeque::new(), VecDeque::new());
        let port = Some(netmap.open(name).unwrap());
        let (netmap, kept) = (netmap.clone(), VecDeque::new());
        Self { netmap, name, port, wire, kept, number: 0, arrived, submitted, moved: 0 }
    }

    pub fn step(&mut self, program: &mut Program<'_>) {
        for _ in 0..program.below(4) {
            self.number += 1;
            self.wire.send(&frame(self.number));
            self.arrived.push_back(frame(self.number));
        }
        self.forward(program.below(9) as u32);
        match program.below(16) {
            0 => self.open_again(),
            1..=3 => self.keep_another(),
            _ => {}
        }
        for (kept, number) in &self.kept {
            assert_eq!(kept.frame(), frame(*number));
        }
    }

    /// Forwards up to `count` frames by exchange of buffers.
    fn forward(&mut self, count: u32) {
        let (tx, rx) = self.port.as_mut().unwrap().rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        rx.rxsync().unwrap();
        for (slot, expected) in rx.slots().zip(&self.arrived) {
            assert_eq!(slot.frame(), expected);
        }
        let count = rx.window().min(tx.window()).min(count);
        for (mut from, mut to) in rx.slots().zip(tx.slots()).take(count as usize) {
            from.swap(&mut to).unwrap();
        }
        assert_eq!((rx.advance(count), tx.advance(count)), (count, count));
        self.submitted.extend(self.arrived.drain(..count as usize));
        tx.txsync().unwrap();
        for sent in self.wire.sent() {
            assert_eq!(Some(sent), self.submitted.pop_front());
            self.moved += 1;
        }
    }

    /// Puts a frame into a buffer of the pool, and lets go of the one that was kept longest.
    fn keep_another(&mut self) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let Some(Ok(mut spare)) = self.port.as_mut().map(|port| port.rx_rings()[0].region().spare()) else {
            return;
        };
        spare.copy_from(&frame(self.number)).unwrap();
        self.kept.push_back((spare, self.number));
    }

    /// Closes the port when everything has left, and opens it on other buffers.
    fn open_again(&mut self) {
        self.drain();
        self.port = None;
        self.port = self.netmap.open(self.name).map(Some).unwrap();
    }

    fn drain(&mut self) {
        for round in 0.. {
            if self.arrived.is_empty() && self.submitted.is_empty() {
                break;
            }
            assert!(round < 1000, "frames are stuck");
            self.forward(8);
        }
    }

    /// Closes it: the card was never mistreated.
    pub fn close(mut self) {
        self.drain();
        drop((self.port, self.kept));
        assert_eq!(self.wire.breaches(), Vec::<String>::new());
        assert!(!self.wire.is_running());
    }
}
