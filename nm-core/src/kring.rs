//! The core's side of a ring: what it remembers, how it takes over what the application wrote, how it answers.
//!
//! ```text
//! transmit   hwcur ≤ rhead ≤ head ≤ cur ≤ tail = rtail ≤ hwtail       [hwtail+1, hwcur)  posted to the device
//!                                                                     [hwcur, rhead)     waiting for room in its queue
//! receive    hwcur = rhead ≤ head ≤ cur ≤ tail = rtail = hwtail       [hwtail, posted)   posted to the device
//! ```
//!
//! All modulo the number of slots. `head` and `cur` are written by the application alone, `tail` by a sync of this
//! ring alone. `rhead`, `rcur` and `rtail` are the copies that the last sync agreed on. One slot always stays empty,
//! so that equal indices mean one thing.

use alloc::sync::Arc;
use core::fmt;

use nm_driver::abi::SlotFlags;
use nm_driver::index::{Index, RingSize};
use nm_driver::slots::SlotValue;

use crate::errno;
use crate::ring::memory::{MovedSlot, RingMemory};
use crate::stats::{Direction, RingCounters, RingName};

/// Why a sync did not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncError {
    /// Another thread is syncing this ring.
    Busy,
    /// The interface is being reset; the ring goes on afterwards.
    Stopped,
    /// The interface has disappeared. The ring's memory stays valid until the port is closed.
    Gone,
    /// `head` or `cur` was outside the window. The ring was initialised again: the indices are back at what the last
    /// sync had accepted, and slots that named no buffer or an impossible length hold neither.
    #[doc(alias = "netmap_ring_reinit")]
    BadIndices {
        /// The `head` that was refused.
        head: u32,
        /// The `cur` that was refused.
        cur: u32,
    },
    /// A released receive slot names no buffer.
    BadBuffer {
        /// The number in the slot.
        buf_idx: u32,
    },
    /// The device broke the rules of its queue and has to be restarted: close the port and open it again.
    DeviceFailed,
}

impl SyncError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Busy => errno::EBUSY,
            Self::Gone => errno::ENXIO,
            Self::BadIndices { .. } | Self::BadBuffer { .. } => errno::EINVAL,
            Self::Stopped | Self::DeviceFailed => errno::EIO,
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another thread is syncing this ring"),
            Self::Stopped => f.write_str("the interface is being reset"),
            Self::Gone => f.write_str("the interface has disappeared"),
            Self::BadIndices { head, cur } => {
                write!(f, "head {head} or cur {cur} is outside the ring's window")
            }
            Self::BadBuffer { buf_idx } => {
                write!(f, "a released slot names buffer {buf_idx}, which does not exist")
            }
            Self::DeviceFailed => f.write_str("the device violated the protocol of its queue"),
        }
    }
}

impl core::error::Error for SyncError {}

/// The core's state of one ring.
#[doc(alias = "netmap_kring")]
#[derive(Debug)]
pub(crate) struct Kring {
    name: RingName,
    pub(crate) ring: RingMemory,
    pub(crate) counters: Arc<RingCounters>,
    rhead: Index,
    rtail: Index,
    /// Next slot that the core has not taken over yet.
    #[doc(alias = "nr_hwcur")]
    pub(crate) hwcur: Index,
    /// First slot behind those that are the application's.
    #[doc(alias = "nr_hwtail")]
    pub(crate) hwtail: Index,
    /// Flags of each slot that is received.
    #[doc(alias = "nkr_slot_flags")]
    pub(crate) slot_flags: SlotFlags,
}

impl Kring {
    /// The kring of an idle ring: all transmit slots but one are the application's, no receive slot is.
    pub(crate) fn new(ring: RingMemory, name: RingName, counters: Arc<RingCounters>) -> Self {
        let first = ring.size().first();
        let tail = match name.direction {
            Direction::Tx => ring.size().last(),
            Direction::Rx => first,
        };
        ring.set_tail(tail);
        let slot_flags = SlotFlags::empty();
        Self { name, ring, counters, rhead: first, rtail: tail, hwcur: first, hwtail: tail, slot_flags }
    }

    #[inline]
    pub(crate) fn size(&self) -> RingSize {
        self.ring.size()
    }

    /// What the application has released or submitted, up to here, as of the last prologue.
    #[inline]
    pub(crate) fn rhead(&self) -> Index {
        self.rhead
    }

    /// Whether the application has moved neither `head` nor `cur` since the last sync, which left them equal.
    #[inline]
    pub(crate) fn is_untouched(&self) -> bool {
        self.ring.head() == self.rhead.get() && self.ring.cur() == self.rhead.get()
    }

    /// Reads `head` and `cur`, once each, and takes them over if both lie in the window in that order.
    #[inline]
    #[doc(alias("nm_txsync_prologue", "nm_rxsync_prologue"))]
    pub(crate) fn prologue(&mut self) -> Result<(), SyncError> {
        let (head, cur) = (self.ring.head(), self.ring.cur());
        let size = self.size();
        let window = size.distance(self.rhead, self.rtail);
        if head == cur
            && let Some(head) = size.index(head)
            && size.distance(self.rhead, head) <= window
        {
            self.rhead = head;
            return Ok(());
        }
        self.prologue_with_cur(head, cur, window)
    }

    /// The same where the application keeps slots that it has looked at, or an index is invalid.
    #[cold]
    fn prologue_with_cur(&mut self, head: u32, cur: u32, window: u32) -> Result<(), SyncError> {
        let size = self.size();
        let accepted = size.index(head).zip(size.index(cur)).filter(|&(head, cur)| {
            let (to_head, to_cur) = (size.distance(self.rhead, head), size.distance(self.rhead, cur));
            to_head <= to_cur && to_cur <= window
        });
        let Some((head, _)) = accepted else {
            self.reinit(head, cur);
            return Err(SyncError::BadIndices { head, cur });
        };
        self.rhead = head;
        Ok(())
    }

    /// Puts the ring back into a state that can be gone on from, because of this `head` or `cur`. Says so the first time, and
    /// counts it each time: a program that does it once does it often.
    #[cold]
    #[doc(alias = "netmap_ring_reinit")]
    fn reinit(&mut self, head: u32, cur: u32) {
        self.ring.set_head(self.rhead);
        self.ring.set_cur(self.rhead);
        self.ring.set_tail(self.rtail);
        let size = self.size();
        let slots = (0..size.slots()).filter_map(|raw| size.index(raw));
        let bad_slots = slots.filter(|&at| self.ring.sanitize(at)).count() as u64;
        let RingCounters { reinit, bad_slots: all_bad_slots, .. } = &*self.counters;
        reinit.add(1);
        all_bad_slots.add(bad_slots);
        if reinit.get() == 1 {
            let (name, from, to) = (&self.name, self.rhead.get(), self.rtail.get());
            log::warn!(target: "netmap", "{name}: head {head} or cur {cur} is outside {from}..={to}; the ring was reinitialised, {bad_slots} slots had an invalid buffer or length. Further cases are only counted (reinit, bad_slots)");
        }
    }

    /// Runs a sync. If it is to be shown, the log says where the ring stands before and after.
    pub(crate) fn traced<R>(&mut self, is_shown: bool, what: &str, sync: impl FnOnce(&mut Self) -> R) -> R {
        if is_shown {
            self.trace("before", what);
        }
        let outcome = sync(self);
        if is_shown {
            self.trace("after", what);
        }
        outcome
    }

    #[cold]
    #[doc(alias("NM_VERB_TXSYNC", "NM_VERB_RXSYNC"))]
    fn trace(&self, when: &str, what: &str) {
        let (name, head, cur, tail) = (&self.name, self.ring.head(), self.ring.cur(), self.ring.tail());
        let (hwcur, hwtail) = (self.hwcur.get(), self.hwtail.get());
        log::info!(target: "netmap", "{name}: {when} {what} head={head} cur={cur} tail={tail} hwcur={hwcur} hwtail={hwtail}");
    }

    /// Makes the ring as new: what was submitted and not taken over is forgotten, what was
    /// received is released.
    pub(crate) fn reset(&mut self, direction: Direction) {
        let head = match direction {
            Direction::Tx => self.rhead,
            Direction::Rx => self.hwtail,
        };
        self.ring.set_head(head);
        self.ring.set_cur(head);
        self.finalize();
    }

    /// Submits `frame` in the next free slot of a transmit ring, in the application's name, and gives what the slot held
    /// in exchange. `None` if no slot is free. To be called after a [`prologue`](Self::prologue).
    #[doc(alias = "netmap_sw_to_nic")]
    pub(crate) fn submit(&mut self, MovedSlot { slot, offset }: MovedSlot) -> Option<MovedSlot> {
        let (at, changed) = (self.rhead, SlotFlags::BUF_CHANGED.bits());
        if at == self.rtail {
            return None;
        }
        let free = self.ring.moved(at);
        let more = slot.flags & SlotFlags::MOREFRAG.bits();
        let slot = SlotValue { flags: changed | more, ..slot };
        self.ring.set_moved(at, MovedSlot { slot, offset });
        let next = self.size().next(at);
        if self.ring.cur() == at.get() {
            self.ring.set_cur(next);
        }
        self.ring.set_head(next);
        self.rhead = next;
        Some(MovedSlot { slot: SlotValue { flags: changed, ..free.slot }, ..free })
    }

    /// Tells the application the new end of its window.
    #[doc(alias("nm_txsync_finalize", "nm_rxsync_finalize"))]
    #[inline]
    pub(crate) fn finalize(&mut self) {
        self.rtail = self.hwtail;
        self.ring.set_tail(self.hwtail);
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering::Relaxed;
    use std::vec::Vec;

    use nm_driver::offsets::SlotOffsets;

    use super::*;
    use crate::mem::{PortMemory, Region, Trust};
    use crate::platform::Platform;
    use crate::ring::memory::RingShape;
    use crate::stats::RingKind;
    use crate::testing::HeapPlatform;
    use crate::tunables::Tunables;

    const SLOTS: u32 = 5;

    fn kring() -> (Kring, PortMemory) {
        let platform: Arc<dyn Platform> = HeapPlatform::new(8 << 20);
        let tunables = Tunables { buf_num: 64, ..Tunables::default() };
        let region = Region::new(&platform, tunables).unwrap();
        let size = RingSize::new(SLOTS).unwrap();
        let (kind, direction) = (RingKind::Hardware, Direction::Tx);
        let (offsets, initial_offset) = (SlotOffsets::NONE, 0);
        let shape = RingShape { kind, direction, number: 3, size, offsets, initial_offset };
        let memory = PortMemory::new(&region, "em0", &[shape], Trust::Safe).unwrap();
        let name = RingName {
            interface: "em0".into(),
            kind: RingKind::Hardware,
            direction: Direction::Tx,
            number: 3,
        };
        let kring = Kring::new(memory.rings()[0].clone(), name, Arc::default());
        (kring, memory)
    }

    /// The slots of a window, walked one by one, its end included.
    fn walk(from: u32, to: u32) -> Vec<u32> {
        let steps = (to + SLOTS - from) % SLOTS;
        (0..=steps).map(|step| (from + step) % SLOTS).collect()
    }

    #[test]
    fn the_prologue_agrees_with_walking_the_window() {
        let (mut kring, _memory) = kring();
        let size = kring.size();
        let write = |kring: &Kring, head: u32, cur: u32| {
            // Values that no index can have are written through one of a larger ring.
            let any = RingSize::new(65535).unwrap();
            kring.ring.set_head(any.index(head).unwrap());
            kring.ring.set_cur(any.index(cur).unwrap());
        };
        for (rhead, rtail) in (0..SLOTS).flat_map(|h| (0..SLOTS).map(move |t| (h, t))) {
            for (head, cur) in (0..8).flat_map(|h| (0..8).map(move |c| (h, c))) {
                (kring.rhead, kring.rtail) = (size.index(rhead).unwrap(), size.index(rtail).unwrap());
                write(&kring, head, cur);
                kring.ring.set_tail(size.first());
                let window = walk(rhead, rtail);
                let place = |slot| window.iter().position(|s| *s == slot);
                let valid = place(head).zip(place(cur)).is_some_and(|(head, cur)| head <= cur);
                let case = (rhead, rtail, head, cur);
                if valid {
                    assert_eq!(kring.prologue(), Ok(()), "{case:?}");
                    assert_eq!(kring.rhead.get(), head);
                } else {
                    assert_eq!(kring.prologue(), Err(SyncError::BadIndices { head, cur }), "{case:?}");
                    let back = (kring.ring.head(), kring.ring.cur(), kring.ring.tail());
                    assert_eq!(back, (rhead, rhead, rtail), "{case:?}: back to what was accepted");
                }
            }
        }
    }

    #[test]
    fn a_ring_in_memory_leads_to_its_buffers_as_netmap_programs_expect() {
        let (kring, memory) = kring();
        let slot = kring.ring.slot(kring.size().first());
        assert_eq!((slot.buf_idx, slot.len, slot.flags), (2, 0, 0), "buffers 0 and 1 are reserved");
        assert_eq!((kring.ring.head(), kring.ring.cur(), kring.ring.tail()), (0, 0, SLOTS - 1));
        let header = kring.ring.cells();
        assert_eq!((header.num_slots.load(Relaxed), header.nr_buf_size.load(Relaxed)), (SLOTS, 2048));
        assert_eq!((header.ringid.load(Relaxed), header.dir.load(Relaxed)), (3, 0));
        // NETMAP_BUF: the ring's address, and buf_ofs, and the number of the buffer times the distance.
        let by_hand = kring.ring.header().as_ptr() as i64
            + header.buf_ofs.load(Relaxed)
            + i64::from(slot.buf_idx) * i64::from(header.nr_buf_size.load(Relaxed));
        let region = memory.region();
        let payload = region.payload(slot.buf_idx).unwrap();
        assert_eq!(by_hand, payload.as_ptr() as i64);
        for (buf_idx, exists) in
            [(0, false), (1, false), (2, true), (63, true), (64, false), (u32::MAX, false)]
        {
            assert_eq!(region.payload(buf_idx).is_some(), exists, "a slot may name buffer {buf_idx}");
        }
    }
}
