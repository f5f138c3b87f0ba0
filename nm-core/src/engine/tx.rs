//! Transmit: slots to a device's queue, completions back to the ring's tail.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use super::{CardEngine, Engine, RestartError, check, same};
use crate::abi::SlotFlags;
use crate::events::signals::Signal;
use crate::index::{Index, RingSize};
use crate::kring::{Kring, SyncError};
use crate::nic::{Armed, QueueFull, TxQueue};
use crate::ring::memory::SlotValue;
use crate::stats::Direction;
use crate::tunables::Verbose;

/// Drives one transmit queue. A slot is posted under its own number.
pub(crate) struct TxEngine<Q> {
    queue: Q,
    /// Slots that are finished while an older one is not.
    finished: Box<[bool]>,
    /// How many of them there are.
    early: u32,
    /// The last slot whose completion the application wants reported at once, since it was posted.
    reported: Option<Index>,
    /// Where interrupts of this queue are noted.
    signal: Arc<Signal>,
}

/// Flags of a slot that say something about this very submission, and are taken away with it.
const ONCE: u16 = SlotFlags::REPORT.union(SlotFlags::BUF_CHANGED).bits();

/// What became of a slot that was to be sent.
enum Sent {
    Posted,
    Dropped,
}

impl<Q: TxQueue> TxEngine<Q> {
    pub(crate) fn new(queue: Q, signal: Arc<Signal>, size: RingSize) -> Self {
        let finished = alloc::vec![false; size.slots() as usize].into();
        Self { queue, finished, early: 0, reported: None, signal }
    }

    /// Posts what the application submitted, as far as the queue has room, and rings the doorbell once.
    fn send(&mut self, kring: &mut Kring) {
        let size = kring.size();
        let (mut packets, mut bytes) = (0, 0);
        let mut at = kring.hwcur;
        while at != kring.rhead() {
            let slot = kring.ring.slot(at);
            match self.post(kring, at, slot) {
                Ok(Sent::Posted) => {
                    packets += 1;
                    bytes += u64::from(slot.len);
                }
                Ok(Sent::Dropped) => {
                    kring.counters.drop_invalid.add(1);
                    self.note_early(at);
                }
                Err(QueueFull) => {
                    kring.counters.full.add(1);
                    break;
                }
            }
            if slot.flags & ONCE != 0 {
                self.take_flags(kring, at, slot);
            }
            at = size.next(at);
        }
        kring.hwcur = at;
        if packets > 0 {
            kring.counters.packets.add(packets);
            kring.counters.bytes.add(bytes);
            kring.counters.kicks.add(u64::from(self.queue.kick()));
        }
    }

    /// Posts one slot if it holds a frame that can be sent.
    #[inline]
    fn post(&mut self, kring: &Kring, at: Index, slot: SlotValue) -> Result<Sent, QueueFull> {
        let Some(buffer) = kring.ring.region().dma_buffer(slot.buf_idx) else { return Ok(Sent::Dropped) };
        if slot.len == 0 || slot.len > buffer.capacity() {
            return Ok(Sent::Dropped);
        }
        self.queue.put(at.get() as u16, buffer, slot.len).map(|()| Sent::Posted)
    }

    /// Takes the flags of a slot that was taken over. Every completion is reported by the next sync, so a slot that asks
    /// for that matters only to who sleeps.
    #[cold]
    #[doc(alias("NS_REPORT", "NS_BUF_CHANGED"))]
    fn take_flags(&mut self, kring: &Kring, at: Index, slot: SlotValue) {
        if slot.flags & SlotFlags::REPORT.bits() != 0 {
            self.reported = Some(at);
        }
        kring.ring.set_slot(at, SlotValue { flags: slot.flags & !ONCE, ..slot });
    }

    /// How many completions somebody who sleeps is to be woken after: half of what is on its way (the tunable `mitigate`),
    /// or the next if there is a slot that asks for it.
    #[doc(alias = "mitigate")]
    fn completions_to_wait_for(&self, kring: &Kring) -> u16 {
        let (size, oldest) = (kring.size(), kring.size().next(kring.hwtail));
        let is_reported = self.reported.is_some_and(|at| size.contains(oldest, kring.hwcur, at));
        if is_reported || !self.signal.knobs().mitigate() {
            return 1;
        }
        let outstanding = size.distance(oldest, kring.hwcur) - self.early;
        outstanding.div_ceil(2).max(1) as u16
    }

    /// Moves `hwtail` over all slots that are finished.
    fn reclaim(&mut self, kring: &mut Kring) {
        let size = kring.size();
        let mut left = size.slots();
        while left != 0 {
            left -= 1;
            let Some(id) = self.queue.reclaim() else { break };
            let oldest = size.next(kring.hwtail);
            if u32::from(id) == oldest.get() {
                kring.hwtail = oldest;
            } else if let Some(at) = size.index(u32::from(id)) {
                self.note_early(at);
            }
        }
        self.skip_early(kring);
    }

    /// Remembers that slot `at` is finished.
    #[cold]
    fn note_early(&mut self, at: Index) {
        if let Some(finished) = self.finished.get_mut(at.get() as usize) {
            self.early += u32::from(!*finished);
            *finished = true;
        }
    }

    /// Moves `hwtail` over slots that finished before their turn.
    #[inline]
    fn skip_early(&mut self, kring: &mut Kring) {
        while self.early > 0 {
            let oldest = kring.size().next(kring.hwtail);
            let Some(finished) = self.finished.get_mut(oldest.get() as usize).filter(|finished| **finished)
            else {
                break;
            };
            *finished = false;
            self.early -= 1;
            kring.hwtail = oldest;
        }
    }
}

impl<Q: TxQueue> Engine for TxEngine<Q> {
    fn direction(&self) -> Direction {
        Direction::Tx
    }

    fn arm(&mut self, kring: &Kring) -> Armed {
        self.queue.arm(self.completions_to_wait_for(kring))
    }

    fn disarm(&mut self) {
        self.queue.disarm();
    }

    #[doc(alias = "nm_txsync")]
    fn sync(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let is_shown = self.signal.shows(Verbose::TXSYNC);
        if is_shown {
            kring.trace("before txsync");
        }
        kring.prologue()?;
        kring.counters.syncs.add(1);
        self.send(kring);
        self.reclaim(kring);
        kring.finalize();
        if is_shown {
            kring.trace("after txsync");
        }
        check(self.queue.health(), kring)
    }
}

impl<Q: TxQueue> CardEngine for TxEngine<Q> {
    /// What the old queue still held counts as sent: nobody can tell. The application's slots stay as they are; it sees
    /// those that come back at its next sync, as always.
    #[doc(alias("netmap_reset", "nkr_hwofs"))]
    fn restart(&mut self, queue: Box<dyn Any + Send>, kring: &mut Kring) -> Result<(), RestartError> {
        self.queue = same(queue)?;
        self.finished.fill(false);
        self.early = 0;
        self.reported = None;
        kring.hwtail = kring.size().prev(kring.hwcur);
        Ok(())
    }
}
