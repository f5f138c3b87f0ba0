//! Slots as the application sees them: lent one by one, inside the window, for as long as the ring is borrowed.
//!
//! Here plain references are made of shared memory. That is sound because of three rules which the crate keeps:
//!
//! - A safe port has its rings for itself, and no program reaches them through memory (`adapter`). So the borrow of a ring is
//!   the borrow of the application's side of it.
//! - Between two syncs only the application accesses the slots of the window `[head, tail)` (`kring`).
//! - Each buffer is in one place (`mem`). So the borrow of a slot of a window, or of a spare buffer, is the borrow of the buffer
//!   that it names.
#![expect(unsafe_code, reason = "the borrow of a slot or a spare buffer becomes that of its memory")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr;
use core::slice::IterMut;

use nm_driver::slots::{SlotCell, SlotValue};

use crate::abi::SlotFlags;
use crate::adapter::BoundRing;
use crate::index::{Index, RingSize};
use crate::mem::{DifferentRegion, FrameTooLong, Region, Spare};
use crate::ring::memory::RingMemory;

/// One slot of a safe port's window, and through it the packet buffer.
///
/// The application cannot write the number of the buffer. It changes the buffer by [`swap`](Slot::swap) and
/// [`swap_spare`](Slot::swap_spare), so that each buffer stays in exactly one place.
#[doc(alias = "netmap_slot")]
pub struct Slot<'a> {
    cell: &'a mut SlotCell,
    region: &'a Region,
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
            // SAFETY: the buffer is valid for `capacity` bytes, and this slot, which is borrowed, is the only place that names it:
            // no device and no other slot uses it.
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
        let SlotValue { len, flags, .. } = self.read();
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
        let SlotValue { len, flags, .. } = self.read();
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
        // Both buffers change places, so each stays in exactly one slot.
        self.cell.exchange(other.cell);
        Ok(())
    }

    /// Exchanges the buffer of the slot with a spare one, with their frames: keeping a frame without a copy.
    #[inline]
    pub fn swap_spare(&mut self, spare: &mut Spare) -> Result<(), DifferentRegion> {
        let spared = spare.exchange(self.region, self.read())?;
        self.cell.store(spared);
        Ok(())
    }

    /// Writes length and flags: whole, as the core writes them.
    #[inline]
    fn write(&mut self, len: u16, flags: u16) {
        self.cell.store_frame(len, flags);
    }

    #[inline]
    fn read(&self) -> SlotValue {
        self.cell.load()
    }
}

/// What a spare buffer holds.
impl Spare {
    /// The frame.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        match self.region().payload(self.buf_idx()) {
            // SAFETY: the buffer is valid for `capacity` bytes, and this handle, which is borrowed, is the only place that names
            // it: no device and no slot uses it.
            Some(at) => unsafe { core::slice::from_raw_parts(at.as_ptr(), usize::from(self.len())) },
            None => &[],
        }
    }

    /// The frame, to be changed in place.
    #[inline]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        match self.region().payload(self.buf_idx()) {
            // SAFETY: as in `frame`, and the handle is borrowed mutably.
            Some(at) => unsafe { core::slice::from_raw_parts_mut(at.as_ptr(), usize::from(self.len())) },
            None => &mut [],
        }
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

/// The window of a ring, borrowed from a safe port.
pub(super) struct Window<'a> {
    ring: &'a RingMemory,
    size: RingSize,
    head: Index,
    /// Slots of the window.
    len: u32,
    /// How many of its slots the application has looked at.
    reserved: u32,
    lent: PhantomData<&'a mut BoundRing>,
}

impl<'a> Window<'a> {
    /// The window of a ring that a safe port has bound.
    // The ring's memory is private to the port and the core, and both write indices of the ring only; 0 stands for
    // what cannot be.
    #[inline]
    pub(super) fn of(ring: &'a mut BoundRing) -> Self {
        let ring = ring.cell().memory();
        let size = ring.size();
        let index = |raw| size.index(raw).unwrap_or(size.first());
        let head = index(ring.head());
        let cur = ring.cur();
        let reserved = if cur == head.get() { 0 } else { size.distance(head, index(cur)) };
        let len = size.distance(head, index(ring.tail()));
        Self { ring, size, head, len, reserved, lent: PhantomData }
    }

    /// The region that the slots' buffers belong to.
    #[inline]
    pub(super) fn region(&self) -> &'a Region {
        self.ring.region()
    }

    /// Slots of the window.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Size of the ring.
    #[inline]
    pub(super) fn size(&self) -> RingSize {
        self.size
    }

    /// The ring, and the first slot of the window.
    #[inline]
    pub(super) fn position(&self) -> (&'a RingMemory, Index) {
        (self.ring, self.head)
    }

    /// The slots from the one that is `ahead` slots behind `head` up to slot `end` of the window, as far as they lie one behind the
    /// other.
    #[inline]
    pub(super) fn run(&mut self, ahead: u32, end: u32) -> &mut [SlotCell] {
        let from = self.size.advance(self.head, ahead);
        let left = end.min(self.len).saturating_sub(ahead);
        let count = left.min(self.size.slots() - from.get());
        // SAFETY: the slots lie in the window, and the borrow of this value keeps other slices of it away.
        unsafe { self.lend(from, count) }
    }

    /// All slots of the window.
    #[inline]
    pub(super) fn into_slots(self) -> Slots<'a> {
        let count = self.len;
        let first = count.min(self.size.slots() - self.head.get());
        // SAFETY: the slots lie in the window, and no slot in both slices. This value, which could lend them again, ends here.
        let (run, rest) =
            unsafe { (self.lend(self.head, first), self.lend(self.size.first(), count - first)) };
        Slots { run: run.iter_mut(), rest: rest.iter_mut(), region: self.ring.region() }
    }

    /// `count` slots from `from` on.
    ///
    /// # Safety
    /// They lie in the window, and no other slice that this value has lent and that is still used has one of them.
    #[inline]
    unsafe fn lend(&self, from: Index, count: u32) -> &'a mut [SlotCell] {
        let first = self.ring.view().slots.as_non_null();
        // SAFETY: the ring has as many slots as its size. By the contract above, and the rules of this module, they are accessed
        // through this slice alone, for as long as the ring is borrowed.
        unsafe { core::slice::from_raw_parts_mut(first.add(from.get() as usize).as_ptr(), count as usize) }
    }

    /// Releases the first `slots` slots of the window, no more than it has. Returns how many. Writes `head`, and `cur` where `head`
    /// has passed it.
    #[inline]
    pub(super) fn release(self, slots: u32) -> u32 {
        let released = slots.min(self.len);
        let head = self.size.advance(self.head, released);
        if self.reserved <= released {
            self.ring.set_cur(head);
        }
        self.ring.set_head(head);
        released
    }
}

/// The slots of a window, each lent once.
#[derive(Debug)]
pub struct Slots<'a> {
    run: IterMut<'a, SlotCell>,
    /// Those behind the end of the ring.
    rest: IterMut<'a, SlotCell>,
    region: &'a Region,
}

impl<'a> Iterator for Slots<'a> {
    type Item = Slot<'a>;

    #[inline]
    fn next(&mut self) -> Option<Slot<'a>> {
        let cell = match self.run.next() {
            Some(cell) => cell,
            None => self.rest.next()?,
        };
        Some(Slot { cell, region: self.region })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.run.len() + self.rest.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Slots<'_> {}
