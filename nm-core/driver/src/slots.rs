//! Slots of a ring in shared memory.
//!
//! A raw port's program may write any slot at any time, so the words of a slot are atomics, and each is read once. What was read
//! is a copy, to be checked before use.
#![expect(unsafe_code, reason = "slots in shared memory become atomics here")]

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::abi::{Slot, SlotFlags};
use crate::index::{Index, RingSize};

/// Buffer, length and flags of a slot, without its `ptr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotValue {
    /// Number of the buffer.
    pub buf_idx: u32,
    /// Length of the frame or fragment, in bytes.
    pub len: u16,
    /// [`SlotFlags`].
    pub flags: u16,
}

impl SlotValue {
    /// The first 8 bytes of a slot (offsets are asserted in [`abi`](crate::abi)).
    #[inline]
    pub fn from_word(word: u64) -> Self {
        Self { buf_idx: word as u32, len: (word >> 32) as u16, flags: (word >> 48) as u16 }
    }

    /// The first 8 bytes of a slot with these fields.
    #[inline]
    pub fn word(self) -> u64 {
        u64::from(self.buf_idx) | u64::from(self.len) << 32 | u64::from(self.flags) << 48
    }

    /// Whether all of `flags` are set.
    #[inline]
    pub fn has(self, flags: SlotFlags) -> bool {
        self.flags & flags.bits() == flags.bits()
    }
}

/// A slot in shared memory.
#[derive(Debug)]
#[repr(C)]
pub struct SlotCell {
    buf_idx: AtomicU32,
    /// The length, and the flags in the upper half.
    frame: AtomicU32,
    ptr: AtomicU64,
}

const _: () = assert!(
    size_of::<SlotCell>() == size_of::<Slot>()
        && align_of::<SlotCell>() == align_of::<Slot>()
        && offset_of!(SlotCell, frame) == offset_of!(Slot, len)
        && offset_of!(SlotCell, ptr) == offset_of!(Slot, ptr)
);

impl SlotCell {
    /// Reads buffer, length and flags.
    #[inline]
    pub fn load(&self) -> SlotValue {
        let (buf_idx, frame) = self.words();
        SlotValue { buf_idx, len: frame as u16, flags: (frame >> 16) as u16 }
    }

    /// Writes buffer, length and flags.
    #[inline]
    pub fn store(&self, SlotValue { buf_idx, len, flags }: SlotValue) {
        self.set_words(buf_idx, u32::from(len) | u32::from(flags) << 16);
    }

    /// Exchanges buffer, length and flags of two slots. Not atomic as a whole: both slots are the caller's.
    #[inline]
    pub fn exchange(&self, other: &Self) {
        let (mine, theirs) = (self.whole().load(Relaxed), other.whole().load(Relaxed));
        self.whole().store(theirs, Relaxed);
        other.whole().store(mine, Relaxed);
    }

    /// The buffer, and the word of length and flags.
    #[inline]
    pub(crate) fn words(&self) -> (u32, u32) {
        (self.buf_idx.load(Relaxed), self.frame.load(Relaxed))
    }

    #[inline]
    pub(crate) fn set_words(&self, buf_idx: u32, frame: u32) {
        self.buf_idx.store(buf_idx, Relaxed);
        self.frame.store(frame, Relaxed);
    }

    /// Both words as one.
    #[inline]
    fn whole(&self) -> &AtomicU64 {
        // SAFETY: a slot is aligned to 8, and its first 8 bytes are two atomics. Accesses of the two sizes to one slot are made
        // under the ring's lock or its exclusive borrow, so that none of them race with each other.
        unsafe { AtomicU64::from_ptr((&raw const *self).cast::<u64>().cast_mut()) }
    }
}

/// The slots of one ring.
#[derive(Debug, Clone, Copy)]
pub struct SlotArray {
    base: NonNull<SlotCell>,
    size: RingSize,
}

// SAFETY: the pointer is used for atomic access only.
unsafe impl Send for SlotArray {}
// SAFETY: as above.
unsafe impl Sync for SlotArray {}

impl SlotArray {
    /// The `size` slots from `base` on.
    ///
    /// # Safety
    /// The slots are valid for reads and writes for as long as the value or a copy of it is used, and they are accessed
    /// atomically only, except while one thread has exclusive access to a slot.
    pub unsafe fn new(base: NonNull<Slot>, size: RingSize) -> Self {
        Self { base: base.cast(), size }
    }

    /// Number of slots.
    #[inline]
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// Address of slot `at`. An index of a larger ring leads to the last slot.
    #[inline]
    pub fn at(&self, at: Index) -> NonNull<Slot> {
        let at = at.get().min(self.size.slots() - 1);
        // SAFETY: the slot is one of those promised to `new`.
        unsafe { self.base.add(at as usize) }.cast()
    }

    /// All slots.
    #[inline]
    fn cells(&self) -> &[SlotCell] {
        // SAFETY: as many slots were promised to `new`, and all bit patterns are valid.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.size.slots() as usize) }
    }

    /// Reads slot `at`; that of an index of a larger ring is all zeros.
    #[inline]
    pub fn load(&self, at: Index) -> SlotValue {
        self.cells().get(at.get() as usize).map_or(SlotValue::from_word(0), SlotCell::load)
    }

    /// Writes buffer, length and flags of slot `at`.
    #[inline]
    pub fn store(&self, at: Index, value: SlotValue) {
        if let Some(cell) = self.cells().get(at.get() as usize) {
            cell.store(value);
        }
    }

    /// The slots from `at` on, to the end of the array.
    #[inline]
    pub fn from(&self, at: Index) -> &[SlotCell] {
        self.cells().get(at.get() as usize..).unwrap_or_default()
    }
}
