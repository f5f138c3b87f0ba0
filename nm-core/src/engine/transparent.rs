//! Transparent mode on a card's receive ring: released frames go up to the stack before the card gets their slots.
//!
//! [`Transparent::sync`] → [`Up::forwarding`] → [`Kring::prologue`] → [`send_up`] → [`Up::deliver`], then the engine inside.

use alloc::boxed::Box;
use core::any::Any;

use super::host::{Delivered, Up};
use super::{CardEngine, Engine, RestartError};
use crate::abi::SlotFlags;
use crate::host::Forwarding;
use crate::index::Index;
use crate::kring::{Kring, SyncError};
use crate::nic::Armed;
use crate::ring::memory::SlotValue;
use crate::stats::Direction;

/// An engine of a receive ring, and the way up for its frames if the interface has a stack.
pub(crate) struct Transparent<E> {
    inner: E,
    up: Option<Up>,
}

impl<E> Transparent<E> {
    pub(crate) fn new(inner: E, up: Option<Up>) -> Self {
        Self { inner, up }
    }
}

/// Sends the slots `[from, rhead)` up, as far as they are to go, and takes their marks away.
fn send_up(up: &mut Up, kring: &Kring, from: Index, forwarding: Forwarding) {
    let (size, counters) = (kring.size(), &kring.counters);
    let mut at = from;
    while at != kring.rhead() {
        let slot = kring.ring.slot(at);
        if forwarding.takes(slot.flags) {
            match up.deliver(&kring.ring, slot) {
                Delivered::Taken(_) => counters.forwarded.add(1),
                Delivered::Refused | Delivered::Invalid => counters.drop_refused.add(1),
            }
            kring.ring.set_slot(at, SlotValue { flags: slot.flags & !SlotFlags::FORWARD.bits(), ..slot });
        }
        at = size.next(at);
    }
}

impl<E: Engine> Engine for Transparent<E> {
    fn direction(&self) -> Direction {
        self.inner.direction()
    }

    #[inline]
    fn sync(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        if let Some(up) = &mut self.up {
            let forwarding = up.forwarding(&kring.ring);
            if forwarding != Forwarding::Off {
                // The slots that are released now: none of them is the card's yet.
                let from = kring.rhead();
                kring.prologue()?;
                send_up(up, kring, from, forwarding);
            }
        }
        self.inner.sync(kring)
    }

    fn is_due(&mut self) -> bool {
        self.inner.is_due()
    }

    fn arm(&mut self, kring: &Kring) -> Armed {
        self.inner.arm(kring)
    }

    fn disarm(&mut self) {
        self.inner.disarm();
    }

    fn discard(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        self.inner.sync(kring)
    }
}

impl<E: CardEngine> CardEngine for Transparent<E> {
    fn restart(&mut self, queue: Box<dyn Any + Send>, kring: &mut Kring) -> Result<(), RestartError> {
        self.inner.restart(queue, kring)
    }
}
