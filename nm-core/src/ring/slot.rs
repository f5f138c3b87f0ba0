//! Slots as the application sees them: lent one by one, inside the window, for as long as the ring is borrowed.
#![expect(unsafe_code, reason = "a lent slot is the exclusive right to its memory and its buffer's")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::abi::{self, SlotFlags};
use crate::index::{Index, RingSize};
use crate::mem::{DifferentRegion, FrameTooLong, Region, Spare};
use nm_driver::slots::SlotValue;

use crate::ring::memory::RingMemory;

/// One slot of a safe port's window, and through it the packet buffer.
///
/// The application cannot write the number of the buffer. It changes the buffer by [`swap`](Slot::swap) and
/// [`swap_spare`](Slot::swap_spare), so that each buffer stays in exactly one place.
#[doc(alias = "netmap_slot")]
pub struct Slot<'a> {
    at: NonNull<abi::Slot>,
    region: &'a Region,
    lent: PhantomData<&'a mut abi::Slot>,
}

impl Slot<'_> {
    /// Length of the frame, or of its part in this slot, in bytes without CRC.
    #[inline]
    #[allow(
        clippy::len_without_is_empty,
        reason = "a slot holds one frame; whether it is empty is no question"
    )]
    pub fn len(&self) -> u16 {
        self.read().len
    }

    /// The longest frame that the slot's buffer holds.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.region.frame_max()
    }

    /// Number of the buffer in its region.
    #[inline]
    pub fn buf_idx(&self) -> u32 {
        self.read().buf_idx
    }

    /// The frame, or its part in this slot.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        let len = self.len().min(self.capacity());
        match self.region.payload(self.buf_idx()) {
            // SAFETY: the buffer is valid for `capacity` bytes, and this slot, lent for `'_`, is the only place that
            // names it: no device and no other slot uses it.
            Some(payload) => unsafe { core::slice::from_raw_parts(payload.as_ptr(), usize::from(len)) },
            None => &[],
        }
    }

    /// The frame, to be changed in place.
    #[inline]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        let len = self.len().min(self.capacity());
        match self.region.payload(self.buf_idx()) {
            // SAFETY: as in `frame`, and the slot is borrowed mutably.
            Some(payload) => unsafe { core::slice::from_raw_parts_mut(payload.as_ptr(), usize::from(len)) },
            None => &mut [],
        }
    }

    /// Sets the length of the frame and gives its bytes, whatever is in them, to be filled.
    pub fn set_len(&mut self, len: usize) -> Result<&mut [u8], FrameTooLong> {
        let len = FrameTooLong::check(len, self.capacity())?;
        let flags = self.read().flags;
        self.write(len, flags);
        Ok(self.frame_mut())
    }

    /// Makes the frame a copy of `frame`.
    pub fn copy_from(&mut self, frame: &[u8]) -> Result<(), FrameTooLong> {
        self.set_len(frame.len())?.copy_from_slice(frame);
        Ok(())
    }

    /// Marks the frame, or takes the mark away: once released it goes on to the other side, host stack or card, if the
    /// ring is in transparent mode (see [`host`](crate::host#transparent-mode)). The mark goes with the frame in a
    /// [`swap`](Slot::swap).
    #[doc(alias = "NS_FORWARD")]
    pub fn set_forward(&mut self, goes: bool) {
        let abi::Slot { len, flags, .. } = self.read();
        let mut flags = SlotFlags::from_bits_retain(flags);
        flags.set(SlotFlags::FORWARD, goes);
        self.write(len, flags.bits());
    }

    /// Whether the frame is marked.
    pub fn is_forward(&self) -> bool {
        SlotFlags::from_bits_retain(self.read().flags).contains(SlotFlags::FORWARD)
    }

    /// Whether the frame goes on in the next slot. The card publishes whole frames only, so the slots of a receive window end with
    /// the last of a frame.
    #[inline]
    #[doc(alias = "NS_MOREFRAG")]
    pub fn has_more(&self) -> bool {
        self.read().flags & SlotFlags::MOREFRAG.bits() != 0
    }

    /// Says whether the frame goes on in the next slot. A frame to be sent has at most
    /// [`FRAGMENTS_MAX`](crate::ring::FRAGMENTS_MAX) slots, none of them empty. It is sent when its last slot was given; when it
    /// was, the card has cleared the mark. The mark goes with the buffer in a [`swap`](Slot::swap).
    pub fn set_more(&mut self, has_more: bool) {
        let abi::Slot { len, flags, .. } = self.read();
        let mut flags = SlotFlags::from_bits_retain(flags);
        flags.set(SlotFlags::MOREFRAG, has_more);
        self.write(len, flags.bits());
    }

    /// Exchanges the buffers of two slots, with their frames and marks: forwarding without a copy.
    #[inline]
    pub fn swap(&mut self, other: &mut Slot<'_>) -> Result<(), DifferentRegion> {
        if !ptr::eq(self.region, other.region) {
            return Err(DifferentRegion);
        }
        let (mine, theirs) = (self.at.cast::<u64>(), other.at.cast::<u64>());
        // SAFETY: both slots are lent to their views alone, aligned to 8, and their first 8 bytes are buffer, length
        // and flags (asserted in `abi`). Both buffers change places, so each stays in exactly one slot.
        unsafe {
            let (a, b) = (mine.read_volatile(), theirs.read_volatile());
            mine.write_volatile(b);
            theirs.write_volatile(a);
        }
        Ok(())
    }

    /// Exchanges the buffer of the slot with a spare one, with their frames: keeping a frame without a copy.
    #[inline]
    pub fn swap_spare(&mut self, spare: &mut Spare) -> Result<(), DifferentRegion> {
        let at = self.at.cast::<u64>();
        // SAFETY: as in `swap`: the slot is lent to this view alone, and its buffer and the spare one change places.
        unsafe {
            let mine = spare.exchange(self.region, SlotValue::from_word(at.read_volatile()))?;
            at.write_volatile(mine.word());
        }
        Ok(())
    }

    /// Writes length and flags: whole, as the core writes them.
    #[inline]
    fn write(&mut self, len: u16, flags: u16) {
        // SAFETY: the slot is lent to this view alone and aligned to 8, and its second 4 bytes are length and flags
        // (asserted in `abi`).
        unsafe { self.at.cast::<u32>().add(1).write_volatile(u32::from(len) | u32::from(flags) << 16) };
    }

    #[inline]
    fn read(&self) -> abi::Slot {
        // SAFETY: the slot is valid and lent to this view alone.
        unsafe { self.at.read_volatile() }
    }
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("buf_idx", &self.buf_idx())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The slots of a window, each lent once.
///
/// All that a step needs is in the iterator itself, so that a loop over it keeps it in registers.
#[derive(Debug)]
pub struct Slots<'a> {
    /// Slot 0 of the ring.
    base: NonNull<abi::Slot>,
    size: RingSize,
    region: &'a Region,
    next: Index,
    left: u32,
}

impl<'a> Slots<'a> {
    /// The `count` slots from `first` on, all inside the window of the ring's application.
    #[inline]
    pub(super) fn new(ring: &'a RingMemory, first: Index, count: u32) -> Self {
        let size = ring.size();
        let left = count.min(size.slots() - 1);
        Self { base: ring.slot_at(size.first()), size, region: ring.region(), next: first, left }
    }
}

impl<'a> Iterator for Slots<'a> {
    type Item = Slot<'a>;

    #[inline]
    fn next(&mut self) -> Option<Slot<'a>> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: the index is one of the ring, which has this many slots from `base` on.
        let at = unsafe { self.base.add(self.next.get() as usize) };
        self.next = self.size.next(self.next);
        Some(Slot { at, region: self.region, lent: PhantomData })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Slots<'_> {}
