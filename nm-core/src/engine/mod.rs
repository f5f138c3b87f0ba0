//! The loop over a hardware ring, once for all cards.
//!
//! ```text
//! txsync   prologue → send     [hwcur, rhead) → TxQueue::put …, one kick → reclaim: hwtail follows the oldest unfinished → finalize
//! rxsync   prologue → import   RxQueue::take … → slots from hwtail on    → refill: released slots → RxQueue::give …, one kick → finalize
//! ```
//!
//! A sync is one call of a trait object ([`Engine`]); inside it the calls into the driver are static. The work of one
//! sync is bounded by the number of slots, whatever the device does.
//!
//! Host rings have engines of their own (`host`): what is behind them is a stack, not a queue.

mod host;
mod rx;
mod transparent;
mod tx;

pub(crate) use host::{HostRx, HostTx, Up};
pub(crate) use rx::RxEngine;
pub(crate) use transparent::Transparent;
pub(crate) use tx::TxEngine;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;

use crate::kring::{Kring, SyncError};
use crate::nic::{Armed, QueueHealth};
use crate::ring::cell::RingCell;
use crate::ring::memory::SlotValue;
use crate::stats::Direction;

/// Shorter than two addresses and a type: not an Ethernet frame (IEEE 802.3, 3.1.1).
pub(crate) const FRAME_MIN: u16 = 14;

/// Takes a frame that goes to the other side, and gives a slot's content in exchange; `None` if it cannot take it now.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(SlotValue) -> Option<SlotValue>;

/// What moves frames between a ring and what is behind it.
pub(crate) trait Engine: Send {
    /// Brings ring and queue into step.
    fn sync(&mut self, kring: &mut Kring) -> Result<(), SyncError>;

    /// The same, while what the ring forwards to the card (transparent mode) goes to `sink`.
    fn forward(&mut self, kring: &mut Kring, _sink: Sink<'_>) -> Result<(), SyncError> {
        self.sync(kring)
    }

    /// The same, while nothing that is released is forwarded.
    fn discard(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        self.sync(kring)
    }

    /// Whether a sync that nobody forces should look now (see [`RxQueue::is_due`](crate::nic::RxQueue::is_due)).
    fn is_due(&mut self) -> bool {
        true
    }

    /// Asks what is behind the ring for an interrupt when there is something for the application.
    fn arm(&mut self, kring: &Kring) -> Armed;

    /// Asks for no more interrupts.
    fn disarm(&mut self);

    /// The direction that the ring carries.
    fn direction(&self) -> Direction;
}

/// An engine over the queue of a card.
pub(crate) trait CardEngine: Engine {
    /// Goes on with the queue of the same card after a reset.
    fn restart(&mut self, queue: Box<dyn Any + Send>, kring: &mut Kring) -> Result<(), RestartError>;
}

/// A ring of a card.
pub(crate) type CardCell = Arc<RingCell<dyn CardEngine>>;

/// Why a ring does not go on after a reset of its card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartError {
    /// The queue is of another type than that before it.
    OtherQueue,
    /// The queue does not take the ring's buffers.
    Refill(SyncError),
}

impl fmt::Display for RestartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherQueue => f.write_str("after the reset it has a queue of another type"),
            Self::Refill(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for RestartError {}

/// The queue `Q` that a card came back with.
fn same<Q: 'static>(queue: Box<dyn Any + Send>) -> Result<Q, RestartError> {
    queue.downcast().map(|queue| *queue).map_err(|_| RestartError::OtherQueue)
}

/// Notes what the driver has refused, and whether the device is past use.
fn check(health: QueueHealth, kring: &Kring) -> Result<(), SyncError> {
    kring.counters.refused.set(health.refused);
    if health.is_broken { Err(SyncError::DeviceFailed) } else { Ok(()) }
}
