//! What is behind a ring: the queue of a card, or the stack.
//!
//! ```text
//! RingCell::sync → RingBackend::sync → Kring::prologue → TxQueue::sync or RxQueue::sync → Kring::finalize
//! ```
//!
//! A sync is one call of a back end, and one of the card's queue. Its work is bounded by the number of slots, whatever the
//! device does.

mod card_rx;
mod card_tx;
mod host;

pub(crate) use card_rx::CardRx;
pub(crate) use card_tx::CardTx;
pub(crate) use host::{HostRx, HostTx, Up};

use alloc::boxed::Box;
use core::fmt;

use nm_driver::index::Index;
use nm_driver::nic::{Armed, QueueStatus, RxQueue, TxQueue};
use nm_driver::slots::SlotValue;

use crate::kring::{Kring, SyncError};
use crate::stats::Direction;

/// Takes a frame that is forwarded to the card, and gives a slot's content in exchange; `None` if it cannot take it now.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(SlotValue) -> Option<SlotValue>;

/// What a sync does with released frames that are marked to be forwarded.
pub(crate) enum Forward<'a> {
    /// What the ring does by itself.
    Own,
    /// Frames for the card go to this sink.
    To(Sink<'a>),
    /// Nothing is forwarded.
    Nothing,
}

/// What moves frames between a ring and what is behind it.
pub(crate) trait RingBackend: Send {
    /// The direction of the ring.
    fn direction(&self) -> Direction;

    /// Moves frames between the ring and what is behind it.
    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError>;

    /// Whether a sync that is not forced should look now (see [`RxQueue::is_due`]).
    fn is_due(&mut self) -> bool {
        true
    }

    /// Asks for an interrupt when there is something for the application.
    fn arm(&mut self, kring: &Kring) -> Armed;

    /// Asks for no more interrupts.
    fn disarm(&mut self);

    /// Goes on with the queue of the same card after a reset.
    fn restart(&mut self, queue: CardQueue, kring: &mut Kring) -> Result<(), RestartError> {
        let _ = (queue, kring);
        Err(RestartError::OtherQueue)
    }

    /// Slots whose buffers the device does not have: from one up to another that is not among them; all slots if these are the
    /// same. `None` if that is not known.
    fn idle_slots(&self, kring: &Kring) -> Option<(Index, Index)> {
        Some((kring.rhead(), kring.rhead()))
    }

    /// Makes the slots of the ring name all of its buffers, also those that are posted.
    fn restore_slots(&self, kring: &Kring) {
        let _ = kring;
    }
}

/// A queue that a card came back with after a reset.
pub(crate) enum CardQueue {
    Tx(Box<dyn TxQueue>),
    Rx(Box<dyn RxQueue>, u16),
}

/// Why a ring does not go on after a reset of its card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartError {
    /// The queue is not one for this ring.
    OtherQueue,
    /// The queue does not take the ring's buffers.
    Refill(SyncError),
}

impl fmt::Display for RestartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherQueue => f.write_str("after the reset the ring has no queue of its card"),
            Self::Refill(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for RestartError {}

/// Notes what the driver has refused, and whether the device is beyond use.
#[inline]
fn check(status: QueueStatus, kring: &Kring) -> Result<(), SyncError> {
    if status.has_kicked {
        kring.counters.kicks.add(1);
    }
    if status.refused == 0 && !status.is_broken {
        return Ok(());
    }
    note_failure(status, kring)
}

#[cold]
fn note_failure(status: QueueStatus, kring: &Kring) -> Result<(), SyncError> {
    kring.counters.refused.set(status.refused.into());
    if status.is_broken { Err(SyncError::DeviceFailed) } else { Ok(()) }
}
