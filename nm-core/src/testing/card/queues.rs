//! A fake card as the core sees it.
#![expect(unsafe_code, reason = "implements the contract of cards and queues")]

use alloc::sync::Arc;

use super::state::{Posted, State};
use super::{CardError, CardSpec};
use crate::nic::{
    Armed, DmaBuffer, Link, Nic, NicInfo, QueueFull, QueueHealth, Queues, Received, RxQueue, StartResult,
    Stopped, TxQueue,
};
use crate::stats::Direction;
use crate::sync::Mutex;

/// The card, to be attached to a [`Netmap`](crate::Netmap).
#[derive(Debug)]
pub struct FakeCard(pub(super) Arc<Mutex<State>>);

/// One of its transmit queues.
#[derive(Debug)]
pub struct FakeTx {
    state: Arc<Mutex<State>>,
    number: u16,
    /// Buffers that it holds.
    slots: u16,
}

/// One of its receive queues.
#[derive(Debug)]
pub struct FakeRx {
    state: Arc<Mutex<State>>,
    number: u16,
    /// Buffers that it holds.
    slots: u16,
}

// SAFETY: `stop` empties all queues, and a card without posted buffers touches none.
unsafe impl Nic for FakeCard {
    type Error = CardError;

    fn info(&self) -> NicInfo {
        self.0.lock().spec.info.clone()
    }

    fn queues_max(&self) -> (u16, u16) {
        let CardSpec { info, queues_max, .. } = &self.0.lock().spec;
        queues_max.unwrap_or((info.tx_queues, info.rx_queues))
    }

    fn link(&self) -> Link {
        self.0.lock().link
    }

    fn start(&mut self) -> StartResult<Self> {
        let mut state = self.0.lock();
        let CardSpec { starts, stops, info, .. } = state.spec.clone();
        if !starts || !stops {
            return Err(CardError);
        }
        state.start();
        Ok(Queues {
            tx: (0..info.tx_queues)
                .map(|number| FakeTx { state: self.0.clone(), number, slots: info.tx_slots }.into())
                .collect(),
            rx: (0..info.rx_queues)
                .map(|number| FakeRx { state: self.0.clone(), number, slots: info.rx_slots }.into())
                .collect(),
        })
    }

    fn stop(&mut self) -> Stopped {
        self.0.lock().stop()
    }
}

// SAFETY: an id is reported when its buffer leaves the card, and buffers leave once.
unsafe impl TxQueue for FakeTx {
    fn capacity(&self) -> u16 {
        self.slots
    }

    fn put(&mut self, id: u16, mut buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        buffer.write_header([0xee; 12]);
        let mut state = self.state.lock();
        if state.is_full(self.number) {
            return Err(QueueFull);
        }
        state.post(Direction::Tx, self.number, Posted { id, phys: buffer.phys(), len })
    }

    fn kick(&mut self) -> bool {
        self.state.lock().kick(Direction::Tx, self.number);
        true
    }

    fn reclaim(&mut self) -> Option<u16> {
        self.state.lock().take(Direction::Tx, self.number).map(|received| received.id)
    }

    fn arm(&mut self, frames: u16) -> Armed {
        self.state.lock().arm(Direction::Tx, self.number, frames)
    }

    fn disarm(&mut self) {
        self.state.lock().disarm(Direction::Tx, self.number);
    }

    fn health(&self) -> QueueHealth {
        self.state.lock().health
    }
}

// SAFETY: as for `FakeTx`; lengths are checked against the capacity when a buffer is filled.
unsafe impl RxQueue for FakeRx {
    fn capacity(&self) -> u16 {
        self.slots
    }

    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let posted = Posted { id, phys: buffer.phys(), len: buffer.capacity() };
        self.state.lock().post(Direction::Rx, self.number, posted)
    }

    fn kick(&mut self) -> bool {
        self.state.lock().kick(Direction::Rx, self.number);
        true
    }

    fn take(&mut self) -> Option<Received> {
        self.state.lock().take(Direction::Rx, self.number)
    }

    fn arm(&mut self) -> Armed {
        self.state.lock().arm(Direction::Rx, self.number, 1)
    }

    fn disarm(&mut self) {
        self.state.lock().disarm(Direction::Rx, self.number);
    }

    fn health(&self) -> QueueHealth {
        self.state.lock().health
    }
}
