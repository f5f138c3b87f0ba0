//! A ring in shared memory, accessed field by field.
//!
//! Each access to a field is one relaxed atomic load or store: a program may write a raw port's ring at any time. What is read is
//! a copy, to be checked before use. Number of slots and distance of buffers are never read back; this value has its own.

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{self, Relaxed};

use nm_driver::abi::SlotFlags;
use nm_driver::burst::RingView;
use nm_driver::index::{Index, RingSize};
use nm_driver::offsets::SlotOffsets;
use nm_driver::shared::SharedRef;
use nm_driver::slots::{SlotArray, SlotValue};

use crate::abi::{DIR_RX, DIR_TX, RingFlags, RingHeader, TimeVal};
use crate::mem::{Region, RingCells};
use crate::stats::{Direction, RingKind};

/// How a ring's tail is written after the slots before it, and read before them. Where several raw ports have a ring,
/// one finds by it what the sync of another took in.
pub(crate) const TAIL_PUBLISHED: Ordering = Ordering::Release;
/// As [`TAIL_PUBLISHED`].
pub(crate) const TAIL_SEEN: Ordering = Ordering::Acquire;

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1_000;

/// A ring to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingShape {
    pub(crate) kind: RingKind,
    pub(crate) direction: Direction,
    /// Number of the ring on its interface; the host rings come behind the hardware's.
    pub(crate) number: u16,
    pub(crate) size: RingSize,
    /// Where payloads begin in their buffers.
    pub(crate) offsets: SlotOffsets,
    /// The offset of all slots at first.
    pub(crate) initial_offset: u16,
}

/// A buffer on its way from one ring to another of the same session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MovedSlot {
    pub(crate) slot: SlotValue,
    /// Where the payload begins.
    pub(crate) offset: u16,
}

/// Access to one ring object and its slots.
#[derive(Debug, Clone)]
pub(crate) struct RingMemory {
    header: SharedRef<RingCells>,
    /// The slots, and the buffers of `region`.
    view: RingView,
    initial_offset: u16,
    region: Arc<Region>,
}

impl RingMemory {
    /// Initialises ring object `object`, which the caller has taken from the region: indices for an idle ring, and no buffers.
    /// `None` if there is no such object, or it has no room for the slots.
    pub(crate) fn new(region: &Arc<Region>, object: u32, shape: &RingShape) -> Option<Self> {
        let (header, slots) = region.ring(object)?;
        let slots = SlotArray::new(slots, shape.size)?;
        let dir = match shape.direction {
            Direction::Tx => DIR_TX,
            Direction::Rx => DIR_RX,
        };
        let RingCells { head, cur, tail, flags, unused, ts, rest, .. } = &*header;
        [head, cur, tail, flags, unused].into_iter().for_each(|word| word.store(0, Relaxed));
        ts.iter().for_each(|word| word.store(0, Relaxed));
        rest.iter().for_each(|word| word.store(0, Relaxed));
        header.buf_ofs.store(region.buffers_from_ring(object), Relaxed);
        header.num_slots.store(shape.size.slots(), Relaxed);
        header.nr_buf_size.store(region.sizes().buf_size, Relaxed);
        header.ringid.store(shape.number, Relaxed);
        header.dir.store(dir, Relaxed);
        let &RingShape { offsets, initial_offset, .. } = shape;
        header.offset_mask.store(offsets.mask(), Relaxed);
        let view = RingView { slots, buffers: region.buffers().clone(), offsets };
        let ring = Self { header, view, initial_offset, region: region.clone() };
        ring.fill(&[]);
        Some(ring)
    }

    /// Puts one of `buffers` into each slot, without a frame. Slots that are left get none.
    pub(crate) fn fill(&self, buffers: &[u32]) {
        let buffers = buffers.iter().copied().chain(core::iter::repeat(0));
        for (slot, buf_idx) in self.view.slots.from(self.size().first()).iter().zip(buffers) {
            slot.init(SlotValue { buf_idx, len: 0, flags: 0 });
        }
        let size = self.size();
        let slots = (0..size.slots()).filter_map(|raw| size.index(raw));
        slots.for_each(|at| self.view.set_offset(at, self.initial_offset));
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

    /// Longest frame, or part of one, that a slot holds at any offset, in bytes.
    pub(crate) fn slot_len(&self) -> u16 {
        self.view.capacity()
    }

    /// The slots, and the buffers that they may name.
    #[inline]
    pub(crate) fn view(&self) -> &RingView {
        &self.view
    }

    #[inline]
    pub(crate) fn head(&self) -> u32 {
        self.header.head.load(Relaxed)
    }

    #[inline]
    pub(crate) fn cur(&self) -> u32 {
        self.header.cur.load(Relaxed)
    }

    #[inline]
    pub(crate) fn tail(&self) -> u32 {
        // Acquire: who sees the new tail sees the slots that it hands over, whichever thread made the sync.
        self.header.tail.load(TAIL_SEEN)
    }

    #[inline]
    pub(crate) fn set_head(&self, head: Index) {
        self.header.head.store(head.get(), Relaxed);
    }

    #[inline]
    pub(crate) fn set_cur(&self, cur: Index) {
        self.header.cur.store(cur.get(), Relaxed);
    }

    #[inline]
    pub(crate) fn set_tail(&self, tail: Index) {
        // Release: as in `tail`.
        self.header.tail.store(tail.get(), TAIL_PUBLISHED);
    }

    /// What the application asks of the core.
    #[inline]
    pub(crate) fn flags(&self) -> RingFlags {
        RingFlags::from_bits_retain(self.header.flags.load(Relaxed))
    }

    pub(crate) fn set_flags(&self, flags: RingFlags) {
        self.header.flags.store(flags.bits(), Relaxed);
    }

    /// Writes the time of a receive sync.
    pub(crate) fn set_time_ns(&self, now_ns: u64) {
        let [sec, usec] = &self.header.ts;
        sec.store((now_ns / NS_PER_S) as i64, Relaxed);
        usec.store((now_ns % NS_PER_S / NS_PER_US) as i64, Relaxed);
    }

    /// The time that was written last.
    pub(crate) fn time(&self) -> TimeVal {
        let [sec, usec] = &self.header.ts;
        TimeVal { sec: sec.load(Relaxed), usec: usec.load(Relaxed) }
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

    /// The content of slot `at`. An offset above the largest is that.
    pub(crate) fn moved(&self, at: Index) -> MovedSlot {
        MovedSlot { slot: self.slot(at), offset: self.view.offset(at) }
    }

    /// Makes this the content of slot `at`.
    pub(crate) fn set_moved(&self, at: Index, MovedSlot { slot, offset }: MovedSlot) {
        self.set_slot(at, slot);
        self.view.set_offset(at, offset);
    }

    /// Takes a buffer number that names no buffer, and a length that fits into none, out of slot `at`. Returns whether there
    /// was one.
    pub(crate) fn sanitize(&self, at: Index) -> bool {
        let slot = self.slot(at);
        let buf_idx = if self.view.buffers.contains(slot.buf_idx) { slot.buf_idx } else { 0 };
        let len = if slot.len <= self.region.frame_max() { slot.len } else { 0 };
        let is_bad = (buf_idx, len) != (slot.buf_idx, slot.len);
        if is_bad {
            self.set_slot(at, SlotValue { buf_idx, len, flags: slot.flags });
        }
        is_bad
    }

    /// Clears length, flags and offset of the slots from `from` up to `to`, which is not among them, and their buffers; of all slots if
    /// these are the same. No device has the buffers.
    pub(crate) fn clear(&self, from: Index, to: Index) {
        let mut at = from;
        loop {
            let SlotValue { buf_idx, .. } = self.slot(at);
            self.set_slot(at, SlotValue { buf_idx, len: 0, flags: 0 });
            self.view.set_offset(at, self.initial_offset);
            self.region.clear(&[buf_idx]);
            at = self.size().next(at);
            if at == to {
                break;
            }
        }
    }

    /// Copies the frame of slot `at`, which holds `slot`, out of its buffer. `None` if there is no such buffer, the offset is
    /// invalid, or the buffer or `into` is too short for the frame. The caller's slots are those of the core's side of the ring.
    pub(crate) fn read_frame<'a>(&self, at: Index, slot: SlotValue, into: &'a mut [u8]) -> Option<&'a [u8]> {
        let buffer = self.view.buffer(at, slot).filter(|buffer| slot.len <= buffer.capacity())?;
        let into = into.get_mut(..usize::from(slot.len))?;
        buffer.copy_to(into);
        Some(into)
    }

    /// Makes `frame` the frame of slot `at`, with these flags, at the offset that the slot has. `false` if the slot names no buffer,
    /// or the buffer is too short. The caller's slot is one of the core's side of the ring.
    pub(crate) fn write_frame(&self, at: Index, frame: &[u8], flags: SlotFlags) -> bool {
        let (buf_idx, offset) = (self.slot(at).buf_idx, self.view.offset(at));
        let buffer = self.view.buffers.get(buf_idx).and_then(|buffer| buffer.at_offset(offset));
        let Some(len) = buffer.and_then(|mut buffer| buffer.copy_from(frame)) else { return false };
        let slot = SlotValue { buf_idx, len, flags: flags.bits() };
        self.set_moved(at, MovedSlot { slot, offset });
        true
    }

    /// Where the ring's header is.
    pub(crate) fn header(&self) -> NonNull<RingHeader> {
        self.header.as_non_null().cast()
    }

    #[cfg(test)]
    pub(crate) fn cells(&self) -> &RingCells {
        &self.header
    }

    /// The buffer numbers in all slots, for giving them back.
    pub(crate) fn buffer_numbers(&self) -> impl Iterator<Item = u32> {
        let size = self.size();
        (0..size.slots()).filter_map(move |raw| size.index(raw)).map(|at| self.slot(at).buf_idx)
    }
}
