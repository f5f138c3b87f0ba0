//! Cards and queues of any type.
//!
//! A card hands its queues over without their types, so that there is one adapter for all cards. A ring's engine is made while
//! the type is still known ([`TxSource::into_ring`]): inside of a sync the calls into the driver are static.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::error::Error;
use core::fmt;
use core::ops::{Deref, DerefMut};

use super::{Link, Nic, NicInfo, Queues, RxQueue, Stopped, TxQueue};
use crate::engine::{CardCell, RxEngine, Transparent, TxEngine, Up};
use crate::events::Events;
use crate::events::signals::Signal;
use crate::kring::{Kring, SyncError};
use crate::ring::cell::RingCell;

/// A transmit queue of any type.
pub struct AnyTxQueue(Box<dyn TxSource>);

/// A receive queue of any type.
pub struct AnyRxQueue(Box<dyn RxSource>);

/// What a transmit ring is made of.
trait TxSource: Send {
    fn queue(&self) -> &dyn TxQueue;
    fn queue_mut(&mut self) -> &mut dyn TxQueue;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    fn into_ring(self: Box<Self>, kring: Kring, signal: Arc<Signal>) -> CardCell;
}

/// What a receive ring is made of.
trait RxSource: Send {
    fn queue(&self) -> &dyn RxQueue;
    fn queue_mut(&mut self) -> &mut dyn RxQueue;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    fn into_ring(
        self: Box<Self>,
        kring: Kring,
        signal: Arc<Signal>,
        up: Option<Up>,
    ) -> Result<CardCell, SyncError>;
}

impl<Q: TxQueue> TxSource for Q {
    fn queue(&self) -> &dyn TxQueue {
        self
    }

    fn queue_mut(&mut self) -> &mut dyn TxQueue {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn into_ring(self: Box<Self>, kring: Kring, signal: Arc<Signal>) -> CardCell {
        let engine = TxEngine::new(*self, signal, kring.size());
        RingCell::new(kring, engine)
    }
}

impl<Q: RxQueue> RxSource for Q {
    fn queue(&self) -> &dyn RxQueue {
        self
    }

    fn queue_mut(&mut self) -> &mut dyn RxQueue {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn into_ring(
        self: Box<Self>,
        mut kring: Kring,
        signal: Arc<Signal>,
        up: Option<Up>,
    ) -> Result<CardCell, SyncError> {
        let engine = RxEngine::new(*self, signal, &mut kring)?;
        Ok(RingCell::new(kring, Transparent::new(engine, up)))
    }
}

impl AnyTxQueue {
    /// The ring that it is behind from now on.
    pub(crate) fn into_ring(self, kring: Kring, signal: Arc<Signal>) -> CardCell {
        self.0.into_ring(kring, signal)
    }

    /// The queue, for a ring that has had one like it.
    pub(crate) fn into_any(self) -> Box<dyn Any + Send> {
        self.0.into_any()
    }
}

impl AnyRxQueue {
    /// The ring that it is behind from now on, with the way up of released frames.
    pub(crate) fn into_ring(
        self,
        kring: Kring,
        signal: Arc<Signal>,
        up: Option<Up>,
    ) -> Result<CardCell, SyncError> {
        self.0.into_ring(kring, signal, up)
    }

    /// The queue, for a ring that has had one like it.
    pub(crate) fn into_any(self) -> Box<dyn Any + Send> {
        self.0.into_any()
    }
}

impl<Q: TxQueue> From<Q> for AnyTxQueue {
    fn from(queue: Q) -> Self {
        Self(Box::new(queue))
    }
}

impl<Q: RxQueue> From<Q> for AnyRxQueue {
    fn from(queue: Q) -> Self {
        Self(Box::new(queue))
    }
}

impl Deref for AnyTxQueue {
    type Target = dyn TxQueue;

    fn deref(&self) -> &Self::Target {
        self.0.queue()
    }
}

impl DerefMut for AnyTxQueue {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.queue_mut()
    }
}

impl Deref for AnyRxQueue {
    type Target = dyn RxQueue;

    fn deref(&self) -> &Self::Target {
        self.0.queue()
    }
}

impl DerefMut for AnyRxQueue {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.queue_mut()
    }
}

impl fmt::Debug for AnyTxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTxQueue").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnyRxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyRxQueue").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// A card of any type.
pub(crate) type AnyNic = Box<dyn Nic<Error = Arc<dyn Error + Send + Sync>>>;

/// The card, without its type.
pub(crate) fn erase(nic: impl Nic) -> AnyNic {
    Box::new(Erased(nic))
}

/// A card whose errors have lost their type.
struct Erased<N>(N);

// SAFETY: all is done by the card inside, which keeps the contract.
unsafe impl<N: Nic> Nic for Erased<N> {
    type Error = Arc<dyn Error + Send + Sync>;

    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn queues_max(&self) -> (u16, u16) {
        self.0.queues_max()
    }

    fn connect(&mut self, events: Events) {
        self.0.connect(events);
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    fn start(&mut self) -> Result<Queues, Self::Error> {
        self.0.start().map_err(|cause| Arc::new(cause) as Self::Error)
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}
