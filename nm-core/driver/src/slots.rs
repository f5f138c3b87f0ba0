//! Slots of a ring in shared memory.
//!
//! A raw port's program may write any slot at any time, so the words of a slot are atomics, and each is read once. What was read
//! is a copy, to be checked before use.

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::abi::{Slot, SlotFlags};
use crate::index::{Index, RingSize};
use crate::shared::SharedArray;
use crate::shared_struct;

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

shared_struct! {
    /// A slot in shared memory.
    #[derive(Debug)]
    pub struct SlotCell {
        /// The buffer; the length, and the flags in the upper half.
        words: [AtomicU32; 2],
        ptr: AtomicU64,
    }
}

const _: () = assert!(
    size_of::<SlotCell>() == size_of::<Slot>()
        && align_of::<SlotCell>() == align_of::<Slot>()
        && offset_of!(SlotCell, ptr) == offset_of!(Slot, ptr)
        && offset_of!(Slot, len) == size_of::<AtomicU32>()
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

    /// Writes length and flags, in one store.
    #[inline]
    pub fn store_frame(&self, len: u16, flags: u16) {
        let [_, frame] = &self.words;
        frame.store(u32::from(len) | u32::from(flags) << 16, Relaxed);
    }

    /// Writes a whole slot: this one, whose `ptr` becomes zero.
    pub fn init(&self, value: SlotValue) {
        self.store(value);
        self.set_ptr(0);
    }

    /// Reads `ptr`.
    pub fn ptr(&self) -> u64 {
        self.ptr.load(Relaxed)
    }

    /// Writes `ptr`.
    pub fn set_ptr(&self, ptr: u64) {
        self.ptr.store(ptr, Relaxed);
    }

    /// Exchanges buffer, length and flags of two slots.
    #[inline]
    pub fn exchange(&mut self, other: &mut Self) {
        core::mem::swap(&mut self.words, &mut other.words);
    }

    /// The buffer.
    #[inline]
    pub(crate) fn buf_idx(&self) -> u32 {
        let [buf_idx, _] = &self.words;
        buf_idx.load(Relaxed)
    }

    /// The buffer, and the word of length and flags.
    #[inline]
    pub(crate) fn words(&self) -> (u32, u32) {
        let [buf_idx, frame] = &self.words;
        (buf_idx.load(Relaxed), frame.load(Relaxed))
    }

    #[inline]
    pub(crate) fn set_words(&self, buf_idx: u32, frame: u32) {
        let [buf_idx_word, frame_word] = &self.words;
        buf_idx_word.store(buf_idx, Relaxed);
        frame_word.store(frame, Relaxed);
    }
}

/// The slots of one ring.
#[derive(Debug, Clone)]
pub struct SlotArray {
    cells: SharedArray<SlotCell>,
    size: RingSize,
}

impl SlotArray {
    /// The first `size` of these slots. `None` if there are not as many.
    pub fn new(cells: SharedArray<SlotCell>, size: RingSize) -> Option<Self> {
        let cells = cells.truncated(size.slots() as usize);
        (cells.len() == size.slots() as usize).then_some(Self { cells, size })
    }

    /// Number of slots.
    #[inline]
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// Address of the first slot.
    #[inline]
    pub fn as_non_null(&self) -> NonNull<SlotCell> {
        self.cells.as_non_null()
    }

    /// Reads slot `at`; that of an index of a larger ring is all zeros.
    #[inline]
    pub fn load(&self, at: Index) -> SlotValue {
        self.get(at).map_or(SlotValue::from_word(0), SlotCell::load)
    }

    /// Writes buffer, length and flags of slot `at`.
    #[inline]
    pub fn store(&self, at: Index, value: SlotValue) {
        if let Some(cell) = self.get(at) {
            cell.store(value);
        }
    }

    /// Slot `at`; `None` for an index of a larger ring.
    #[inline]
    pub fn get(&self, at: Index) -> Option<&SlotCell> {
        self.cells.get(at.get() as usize)
    }

    /// The slots from `at` on, to the end of the array.
    #[inline]
    pub fn from(&self, at: Index) -> &[SlotCell] {
        self.cells.get(at.get() as usize..).unwrap_or_default()
    }
}
