//! A ring in shared memory, accessed field by field.
//!
//! Everything here is a raw pointer and one volatile read or write a field, never a reference into the ring: a ring
//! may be mapped elsewhere, and then any field may change at any time. What is read is a copy, to be checked before
//! use. Number of slots and distance of buffers are never read back; this value has its own.
#![expect(unsafe_code, reason = "the one place that touches ring memory")]

use alloc::sync::Arc;
use core::ptr::NonNull;

use crate::abi::{self, DIR_RX, DIR_TX, RingHeader, SLOTS_OFFSET};
use crate::index::{Index, RingSize};
use crate::mem::{Region, RingShape};
use crate::nic::DmaBuffer;
use crate::stats::Direction;

/// Reads one field of the ring's header, once.
macro_rules! read {
    ($ring:expr, $field:ident) => {
        // SAFETY: `RingMemory::new` was promised a valid header for as long as the ring is bound.
        unsafe { (&raw const (*$ring.header.as_ptr()).$field).read_volatile() }
    };
}

/// Writes one field of the ring's header, once.
macro_rules! write {
    ($ring:expr, $field:ident, $value:expr) => {
        // SAFETY: `RingMemory::new` was promised a valid header for as long as the ring is bound.
        unsafe { (&raw mut (*$ring.header.as_ptr()).$field).write_volatile($value) }
    };
}

/// A copy of the fields of a slot that say which frame it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotValue {
    pub(crate) buf_idx: u32,
    pub(crate) len: u16,
    pub(crate) flags: u16,
}

/// Access to one ring object and its slots.
#[derive(Debug, Clone)]
pub(crate) struct RingMemory {
    header: NonNull<RingHeader>,
    slots: NonNull<abi::Slot>,
    size: RingSize,
    region: Arc<Region>,
}

// SAFETY: the pointers lead into the region, which the value keeps; all access is volatile and races, where a ring
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
            header.cast::<u8>().add(SLOTS_OFFSET).cast()
        };
        let ring = Self { header, slots, size: shape.size, region };
        write!(ring, buf_ofs, buf_ofs);
        write!(ring, num_slots, shape.size.slots());
        write!(ring, nr_buf_size, ring.region.tunables().buf_size);
        write!(ring, ringid, shape.number);
        ring.set_head(shape.size.first());
        ring.set_cur(shape.size.first());
        match shape.direction {
            Direction::Tx => write!(ring, dir, DIR_TX),
            Direction::Rx => write!(ring, dir, DIR_RX),
        }
        let mut at = shape.size.first();
        for &buf_idx in buffers.iter().take(shape.size.slots() as usize) {
            // SAFETY: `at` is a slot of this ring.
            unsafe { ring.slot_at(at).write_volatile(abi::Slot { buf_idx, ..abi::Slot::default() }) };
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
        self.size
    }

    #[inline]
    pub(crate) fn head(&self) -> u32 {
        read!(self, head)
    }

    #[inline]
    pub(crate) fn cur(&self) -> u32 {
        read!(self, cur)
    }

    #[cfg(test)]
    pub(crate) fn tail(&self) -> u32 {
        read!(self, tail)
    }

    #[inline]
    pub(crate) fn set_head(&self, head: Index) {
        write!(self, head, head.get());
    }

    #[inline]
    pub(crate) fn set_cur(&self, cur: Index) {
        write!(self, cur, cur.get());
    }

    #[inline]
    pub(crate) fn set_tail(&self, tail: Index) {
        write!(self, tail, tail.get());
    }

    /// Where slot `at` is. Every [`Index`] comes from a [`RingSize`]; callers use the one of this ring.
    #[inline]
    pub(crate) fn slot_at(&self, at: Index) -> NonNull<abi::Slot> {
        debug_assert!(at.get() < self.size.slots());
        // SAFETY: the index is below the ring's number of slots, which the object has room for.
        unsafe { self.slots.add(at.get() as usize) }
    }

    /// Buffer, length and flags of slot `at`, read at once.
    #[inline]
    pub(crate) fn slot(&self, at: Index) -> SlotValue {
        // SAFETY: the slot is valid, aligned to 8, and its first 8 bytes are these three fields (asserted in `abi`).
        let word = unsafe { self.slot_at(at).cast::<u64>().read_volatile() };
        SlotValue { buf_idx: word as u32, len: (word >> 32) as u16, flags: (word >> 48) as u16 }
    }

    /// Writes buffer, length and flags of slot `at` at once.
    #[inline]
    pub(crate) fn set_slot(&self, at: Index, value: SlotValue) {
        let word = u64::from(value.buf_idx) | u64::from(value.len) << 32 | u64::from(value.flags) << 48;
        // SAFETY: as in `slot`.
        unsafe { self.slot_at(at).cast::<u64>().write_volatile(word) }
    }

    /// Writes the length of slot `at` and clears its flags.
    #[inline]
    pub(crate) fn set_received(&self, at: Index, len: u16) {
        // SAFETY: the slot is valid; length and flags are its bytes 4 to 7 (asserted in `abi`), aligned to 4.
        unsafe { self.slot_at(at).cast::<u32>().add(1).write_volatile(u32::from(len)) }
    }

    /// The buffer of slot `at` on its way to a device, if the slot names one.
    #[inline]
    pub(crate) fn dma_buffer(&self, at: Index) -> Option<DmaBuffer<'_>> {
        self.region.dma_buffer(self.slot(at).buf_idx)
    }

    #[cfg(test)]
    pub(crate) fn address(&self) -> usize {
        self.header.as_ptr() as usize
    }

    #[cfg(test)]
    pub(crate) fn header_copy(&self) -> RingHeader {
        // SAFETY: the header is valid, and no test writes it meanwhile.
        unsafe { self.header.read_volatile() }
    }

    /// The buffer numbers in all slots, for giving them back.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = u32> {
        let size = self.size;
        (0..size.slots()).filter_map(move |raw| size.index(raw)).map(|at| self.slot(at).buf_idx)
    }
}
