//! A ring in shared memory, accessed field by field.
//!
//! Everything here is a raw pointer and one relaxed atomic access a field, never a reference into the ring: a raw port's
//! ring may be written by anybody at any time. What is read is a copy, to be checked before use. Number of slots and
//! distance of buffers are never read back; this value has its own.
#![expect(unsafe_code, reason = "the one place that touches ring memory")]

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{self, Relaxed};
use core::sync::atomic::{AtomicI64, AtomicU32};

use nm_driver::abi::SlotFlags;
use nm_driver::burst::RingView;
use nm_driver::index::{Index, RingSize};
use nm_driver::slots::{SlotArray, SlotValue};

use crate::abi::{self, DIR_RX, DIR_TX, RingFlags, RingHeader, SLOTS_OFFSET, TimeVal};
use crate::mem::Region;
use crate::stats::{Direction, RingKind};

/// How a ring's tail is written after the slots before it, and read before them. Where several raw ports have a ring,
/// one finds by it what the sync of another took in.
pub(crate) const TAIL_PUBLISHED: Ordering = Ordering::Release;
/// As [`TAIL_PUBLISHED`].
pub(crate) const TAIL_SEEN: Ordering = Ordering::Acquire;

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1_000;

/// One of the ring's words, as an atomic.
macro_rules! word {
    ($ring:expr, $field:ident) => {
        // SAFETY: `RingMemory::new` was promised a valid header for as long as the ring is bound; the field is aligned
        // to 4, and the core accesses it atomically only.
        unsafe { AtomicU32::from_ptr(&raw mut (*$ring.header.as_ptr()).$field) }
    };
}

/// A ring to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingShape {
    pub(crate) kind: RingKind,
    pub(crate) direction: Direction,
    /// Number of the ring on its interface; the host rings come behind the hardware's.
    pub(crate) number: u16,
    pub(crate) size: RingSize,
}

/// Access to one ring object and its slots.
#[derive(Debug, Clone)]
pub(crate) struct RingMemory {
    header: NonNull<RingHeader>,
    /// The slots, and the buffers of `region`.
    view: RingView,
    region: Arc<Region>,
}

// SAFETY: the pointers lead into the region, which the value keeps; all access is atomic and races, where a ring
// is shared, are resolved by checking what was read. Who may use a slot's buffer is decided by the ring's window.
unsafe impl Send for RingMemory {}
// SAFETY: as above.
unsafe impl Sync for RingMemory {}

impl RingMemory {
    /// Initialises the ring object at `header`: indices for an idle ring, and one of `buffers` in each slot.
    ///
    /// # Safety
    /// `header` is a ring object of `region` with room for the slots of `shape`, it belongs to the caller alone, and
    /// it stays bound as long as the value or a clone of it is used.
    pub(crate) unsafe fn new(
        region: Arc<Region>,
        header: NonNull<RingHeader>,
        shape: &RingShape,
        buf_ofs: i64,
        buffers: &[u32],
    ) -> Self {
        // SAFETY: the object has room for the header and the slots behind it, and nobody else uses it.
        let slots = unsafe {
            header.write_bytes(0, 1);
            SlotArray::new(header.cast::<u8>().add(SLOTS_OFFSET).cast(), shape.size)
        };
        let view = RingView { slots, buffers: *region.buffers() };
        let ring = Self { header, view, region };
        let dir = match shape.direction {
            Direction::Tx => DIR_TX,
            Direction::Rx => DIR_RX,
        };
        // SAFETY: the header is valid and nobody else uses it yet.
        unsafe {
            let header = ring.header.as_ptr();
            (&raw mut (*header).buf_ofs).write(buf_ofs);
            (&raw mut (*header).num_slots).write(shape.size.slots());
            (&raw mut (*header).nr_buf_size).write(ring.region.sizes().buf_size);
            (&raw mut (*header).ringid).write(shape.number);
            (&raw mut (*header).dir).write(dir);
        }
        let mut at = shape.size.first();
        for &buf_idx in buffers.iter().take(shape.size.slots() as usize) {
            // SAFETY: `at` is a slot of this ring.
            unsafe { ring.slot_at(at).write(abi::Slot { buf_idx, ..abi::Slot::default() }) };
            at = shape.size.next(at);
        }
        ring
    }

    /// The region that the slots' buffers belong to.
    #[inline]
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    #[inline]
    pub(crate) fn size(&self) -> RingSize {
        self.view.slots.size()
    }

    /// The slots, and the buffers that they may name.
    #[inline]
    pub(crate) fn view(&self) -> &RingView {
        &self.view
    }

    #[inline]
    pub(crate) fn head(&self) -> u32 {
        word!(self, head).load(Relaxed)
    }

    #[inline]
    pub(crate) fn cur(&self) -> u32 {
        word!(self, cur).load(Relaxed)
    }

    #[inline]
    pub(crate) fn tail(&self) -> u32 {
        // Acquire: who sees the new tail sees the slots that it hands over, whichever thread made the sync.
        word!(self, tail).load(TAIL_SEEN)
    }

    #[inline]
    pub(crate) fn set_head(&self, head: Index) {
        word!(self, head).store(head.get(), Relaxed);
    }

    #[inline]
    pub(crate) fn set_cur(&self, cur: Index) {
        word!(self, cur).store(cur.get(), Relaxed);
    }

    #[inline]
    pub(crate) fn set_tail(&self, tail: Index) {
        // Release: as in `tail`.
        word!(self, tail).store(tail.get(), TAIL_PUBLISHED);
    }

    /// What the application asks of the core.
    #[inline]
    pub(crate) fn flags(&self) -> RingFlags {
        RingFlags::from_bits_retain(word!(self, flags).load(Relaxed))
    }

    pub(crate) fn set_flags(&self, flags: RingFlags) {
        word!(self, flags).store(flags.bits(), Relaxed);
    }

    /// Writes the time of a receive sync.
    pub(crate) fn set_time_ns(&self, now_ns: u64) {
        let (sec, usec) = self.time_words();
        sec.store((now_ns / NS_PER_S) as i64, Relaxed);
        usec.store((now_ns % NS_PER_S / NS_PER_US) as i64, Relaxed);
    }

    /// The time that was written last.
    pub(crate) fn time(&self) -> TimeVal {
        let (sec, usec) = self.time_words();
        TimeVal { sec: sec.load(Relaxed), usec: usec.load(Relaxed) }
    }

    fn time_words(&self) -> (&AtomicI64, &AtomicI64) {
        // SAFETY: as in `word`; both fields are aligned to 8.
        unsafe {
            let ts = &raw mut (*self.header.as_ptr()).ts;
            (AtomicI64::from_ptr(&raw mut (*ts).sec), AtomicI64::from_ptr(&raw mut (*ts).usec))
        }
    }

    /// Where slot `at` is.
    #[inline]
    pub(crate) fn slot_at(&self, at: Index) -> NonNull<abi::Slot> {
        self.view.slots.at(at)
    }

    /// Buffer, length and flags of slot `at`.
    #[inline]
    pub(crate) fn slot(&self, at: Index) -> SlotValue {
        self.view.slots.load(at)
    }

    /// Writes buffer, length and flags of slot `at`.
    #[inline]
    pub(crate) fn set_slot(&self, at: Index, value: SlotValue) {
        self.view.slots.store(at, value);
    }

    /// Takes a buffer number that names no buffer, and a length that fits into none, out of slot `at`. Returns whether there
    /// was one.
    pub(crate) fn sanitize(&self, at: Index) -> bool {
        let slot = self.slot(at);
        let buf_idx = if self.region.payload(slot.buf_idx).is_some() { slot.buf_idx } else { 0 };
        let len = if slot.len <= self.region.frame_max() { slot.len } else { 0 };
        let is_bad = (buf_idx, len) != (slot.buf_idx, slot.len);
        if is_bad {
            self.set_slot(at, SlotValue { buf_idx, len, flags: slot.flags });
        }
        is_bad
    }

    /// Clears length and flags of the slots from `from` up to `to`, which is not among them, and their buffers; of all slots if
    /// these are the same. No device has the buffers.
    pub(crate) fn clear(&self, from: Index, to: Index) {
        let mut at = from;
        loop {
            let SlotValue { buf_idx, .. } = self.slot(at);
            self.set_slot(at, SlotValue { buf_idx, len: 0, flags: 0 });
            self.region.clear(&[buf_idx]);
            at = self.size().next(at);
            if at == to {
                break;
            }
        }
    }

    /// Copies the frame that `slot` describes out of its buffer. `None` if there is no such buffer, or it or `into` is
    /// too short for the frame. The caller's slots are those of the core's side of the ring.
    pub(crate) fn read_frame<'a>(&self, slot: SlotValue, into: &'a mut [u8]) -> Option<&'a [u8]> {
        let payload = self.region.payload(slot.buf_idx).filter(|_| slot.len <= self.region.frame_max())?;
        let into = into.get_mut(..usize::from(slot.len))?;
        // SAFETY: the payload is valid for `frame_max` bytes, so for these, and `into` is apart from the region. The
        // slot is the core's and no device has it, so that nobody writes the buffer but a raw port that breaks the
        // contract of its memory: then the copy is of what it wrote, and nobody looks at the buffer itself.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(payload.as_ptr(), into.len()) };
        Some(into)
    }

    /// Makes `frame` the frame of slot `at`, with these flags. `false` if the slot names no buffer, or the
    /// buffer is too short. The caller's slot is one of the core's side of the ring.
    pub(crate) fn write_frame(&self, at: Index, frame: &[u8], flags: SlotFlags) -> bool {
        let len = u16::try_from(frame.len()).ok().filter(|len| *len <= self.region.frame_max());
        let buf_idx = self.slot(at).buf_idx;
        let Some((payload, len)) = self.region.payload(buf_idx).zip(len) else { return false };
        // SAFETY: as in `read_frame`, the other way.
        unsafe { payload.as_ptr().copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
        self.set_slot(at, SlotValue { buf_idx, len, flags: flags.bits() });
        true
    }

    /// Where the ring's header is.
    pub(crate) fn header(&self) -> NonNull<RingHeader> {
        self.header
    }

    #[cfg(test)]
    pub(crate) fn header_copy(&self) -> RingHeader {
        // SAFETY: the header is valid, and no test writes it meanwhile.
        unsafe { self.header.read_volatile() }
    }

    /// The buffer numbers in all slots, for giving them back.
    pub(crate) fn buffer_numbers(&self) -> impl Iterator<Item = u32> {
        let size = self.size();
        (0..size.slots()).filter_map(move |raw| size.index(raw)).map(|at| self.slot(at).buf_idx)
    }
}
