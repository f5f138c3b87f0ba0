//! Receive: filled buffers from a device's queue to slots, released slots back to the queue.
//!
//! A device may complete in any order, and then the frame that arrived first is not in the slot that comes next. So
//! the id under which a buffer is posted (its *ticket*) is kept apart from the slot: two tables, each the inverse of
//! the other, say which ticket a slot has. When a frame arrives out of turn, the two slots exchange buffers and
//! tickets. With a device that works in order, both tables stay the identity, and nobody looks them up.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use super::{CardEngine, Engine, FRAME_MIN, RestartError, check, same};
use crate::events::signals::Signal;
use crate::index::Index;
use crate::kring::{Kring, SyncError};
use crate::nic::{Armed, Content, RxQueue};
use crate::stats::Direction;
use crate::tunables::Verbose;

/// Drives one receive queue.
pub(crate) struct RxEngine<Q> {
    queue: Q,
    /// The ticket of each slot.
    ticket_of: Box<[u16]>,
    /// The slot of each ticket.
    slot_of: Box<[u16]>,
    /// Whether a frame ever came out of turn, so that the tables say something.
    is_permuted: bool,
    /// The slots `[hwtail, posted)` are posted to the device.
    posted: Index,
    /// Where interrupts of this queue are noted.
    signal: Arc<Signal>,
}

impl<Q: RxQueue> RxEngine<Q> {
    /// Posts all slots but one.
    pub(crate) fn new(queue: Q, signal: Arc<Signal>, kring: &mut Kring) -> Result<Self, SyncError> {
        let size = kring.size();
        let identity: Box<[u16]> = (0..size.slots() as u16).collect();
        let mut engine = Self {
            queue,
            ticket_of: identity.clone(),
            slot_of: identity,
            is_permuted: false,
            posted: size.first(),
            signal,
        };
        engine.signal.look_again();
        engine.refill(kring)?;
        engine.kick(kring);
        Ok(engine)
    }

    fn kick(&mut self, kring: &Kring) {
        kring.counters.kicks.add(u64::from(self.queue.kick()));
    }

    /// Imports, if an interrupt has announced something or none is needed.
    #[inline]
    fn import_announced(&mut self, kring: &mut Kring) -> Result<bool, SyncError> {
        if self.signal.looks_always() { self.import(kring) } else { self.import_after_interrupt(kring) }
    }

    /// Imports after an interrupt, and has the next one announced. What is left behind without one is looked at in the
    /// next sync.
    #[doc(alias("NKR_PENDINTR", "no_pendintr"))]
    fn import_after_interrupt(&mut self, kring: &mut Kring) -> Result<bool, SyncError> {
        if !self.signal.take_look() {
            return Ok(false);
        }
        let imported = self.import(kring);
        if kring.hwtail == self.posted || self.queue.arm() != Armed::Yes {
            self.signal.look_again();
        }
        imported
    }

    /// Takes filled buffers into the slots from `hwtail` on. Returns whether a buffer went back to the device.
    fn import(&mut self, kring: &mut Kring) -> Result<bool, SyncError> {
        let size = kring.size();
        let (frame_max, slot_flags) = (kring.ring.region().frame_max(), kring.slot_flags);
        let (mut packets, mut bytes, mut returned) = (0, 0, false);
        // Counted down: a device that reports damaged frames without end does not hold a sync up.
        let mut left = size.slots();
        while left != 0 && kring.hwtail != self.posted {
            left -= 1;
            let Some(received) = self.queue.take() else { break };
            if !self.bring_to_front(kring, received.id) {
                continue;
            }
            match received.content {
                Content::Frame(len @ FRAME_MIN..) if len <= frame_max => {
                    kring.ring.set_received(kring.hwtail, len, slot_flags);
                    kring.hwtail = size.next(kring.hwtail);
                    packets += 1;
                    bytes += u64::from(len);
                }
                content => {
                    count_drop(kring, content);
                    self.post(kring, kring.hwtail)?;
                    returned = true;
                }
            }
        }
        if packets > 0 {
            kring.counters.packets.add(packets);
            kring.counters.bytes.add(bytes);
        }
        Ok(returned)
    }

    /// Makes the buffer of `ticket` the one in slot `hwtail`. `false` when no posted slot has this ticket.
    #[inline]
    fn bring_to_front(&mut self, kring: &Kring, ticket: u16) -> bool {
        if !self.is_permuted && u32::from(ticket) == kring.hwtail.get() {
            return true;
        }
        self.find_and_exchange(kring, ticket)
    }

    /// The general case of [`bring_to_front`](Self::bring_to_front).
    #[cold]
    fn find_and_exchange(&mut self, kring: &Kring, ticket: u16) -> bool {
        match self.slot_of.get(usize::from(ticket)) {
            Some(&slot) if u32::from(slot) == kring.hwtail.get() => true,
            Some(&slot) => self.exchange(kring, slot),
            None => false,
        }
    }

    /// Exchanges buffers and tickets of slot `hwtail` and posted slot `slot`.
    fn exchange(&mut self, kring: &Kring, slot: u16) -> bool {
        let (size, front) = (kring.size(), kring.hwtail);
        let Some(slot) = size.index(u32::from(slot)).filter(|&slot| size.contains(front, self.posted, slot))
        else {
            return false;
        };
        self.is_permuted = true;
        let (first, other) = (kring.ring.slot(front), kring.ring.slot(slot));
        kring.ring.set_slot(front, other);
        kring.ring.set_slot(slot, first);
        self.ticket_of.swap(front.get() as usize, slot.get() as usize);
        for at in [front, slot] {
            if let Some(back) = self.slot_of.get_mut(usize::from(self.ticket(at))) {
                *back = at.get() as u16;
            }
        }
        true
    }

    /// Posts released slots, up to one before `rhead`.
    fn refill(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let size = kring.size();
        let end = size.prev(kring.rhead());
        while self.posted != end {
            self.post(kring, self.posted)?;
            self.posted = size.next(self.posted);
        }
        kring.hwcur = kring.rhead();
        Ok(())
    }

    /// Posts the buffer of slot `at` under the slot's ticket.
    #[inline]
    fn post(&mut self, kring: &Kring, at: Index) -> Result<(), SyncError> {
        let bad = || SyncError::BadBuffer { buf_idx: kring.ring.slot(at).buf_idx };
        let buffer = kring.ring.dma_buffer(at).ok_or_else(bad)?;
        let ticket = if self.is_permuted { self.ticket(at) } else { at.get() as u16 };
        // A queue has room for as many buffers as the ring has slots (`Nic::info`), so full means out of step.
        self.queue.give(ticket, buffer).map_err(|_| SyncError::DeviceFailed)
    }

    /// The ticket of slot `at`.
    fn ticket(&self, at: Index) -> u16 {
        self.ticket_of.get(at.get() as usize).copied().unwrap_or_default()
    }
}

#[cold]
fn count_drop(kring: &Kring, content: Content) {
    match content {
        Content::Frame(..FRAME_MIN) => kring.counters.drop_short.add(1),
        Content::Frame(_) | Content::Damaged => kring.counters.drop_error.add(1),
    }
}

impl<Q: RxQueue> Engine for RxEngine<Q> {
    fn direction(&self) -> Direction {
        Direction::Rx
    }

    fn is_due(&mut self) -> bool {
        self.queue.is_due()
    }

    fn arm(&mut self, _kring: &Kring) -> Armed {
        self.queue.arm()
    }

    fn disarm(&mut self) {
        self.queue.disarm();
        // What comes from here on is not announced.
        self.signal.look_again();
    }

    #[doc(alias = "nm_rxsync")]
    fn sync(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let is_shown = self.signal.shows(Verbose::RXSYNC);
        if is_shown {
            kring.trace("before rxsync");
        }
        kring.prologue()?;
        kring.counters.syncs.add(1);
        let posted = self.posted;
        let imported = self.import_announced(kring);
        // A slot that cannot be given back keeps those behind it waiting, and nothing else.
        let refilled = self.refill(kring);
        // Where importing broke off, buffers may have gone back before that.
        if self.posted != posted || imported != Ok(false) {
            self.kick(kring);
        }
        kring.finalize();
        if is_shown {
            kring.trace("after rxsync");
        }
        imported.and(refilled)?;
        check(self.queue.health(), kring)
    }
}

impl<Q: RxQueue> CardEngine for RxEngine<Q> {
    /// The slots that the old queue held are posted to the new one, those of the application stay as they are.
    #[doc(alias("netmap_reset", "nkr_hwofs"))]
    fn restart(&mut self, queue: Box<dyn Any + Send>, kring: &mut Kring) -> Result<(), RestartError> {
        self.queue = same(queue)?;
        self.signal.look_again();
        self.is_permuted = false;
        for table in [&mut self.ticket_of, &mut self.slot_of] {
            table.iter_mut().zip(0..).for_each(|(entry, number)| *entry = number);
        }
        self.posted = kring.hwtail;
        self.refill(kring).map_err(RestartError::Refill)?;
        // The application may hold all that there is.
        if self.posted != kring.hwtail {
            self.kick(kring);
        }
        Ok(())
    }
}
