//! Memory that a device reads and writes at any time, as atomics.
//!
//! Each access is one load or store of a whole word, and the orderings say what a device may rely on. Values are
//! little-endian (virtio 1.2, section 1.4; Intel's cards likewise).
#![expect(unsafe_code, reason = "memory that is shared with a device becomes atomics here")]

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use nm_driver::platform::DmaMemory;

/// What may lie in shared memory: atomics and nothing else.
///
/// # Safety
/// All bit patterns are valid, and every access through a shared reference is atomic.
pub(crate) unsafe trait Shared {}

// SAFETY: an atomic.
unsafe impl Shared for AtomicU8 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU16 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an array has no padding.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// A part of a block of DMA memory, as an array.
pub(crate) struct SharedArray<T> {
    first: NonNull<T>,
    len: usize,
    /// Kept for as long as the array is used.
    _memory: Arc<DmaMemory>,
}

// SAFETY: the pointer leads into the block, which is `Send`, and elements are accessed atomically.
unsafe impl<T: Shared> Send for SharedArray<T> {}

impl<T: Shared> SharedArray<T> {
    /// The `len` elements from `offset` bytes on; fewer where the block ends before, none where the offset is not aligned.
    pub(crate) fn new(memory: &Arc<DmaMemory>, offset: usize, len: usize) -> Self {
        let room = memory.bytes().saturating_sub(offset) / size_of::<T>().max(1);
        // SAFETY: the offset is cut to the length of the block.
        let first = unsafe { memory.virt().add(offset.min(memory.bytes())) }.cast::<T>();
        let len = if first.is_aligned() { len.min(room) } else { 0 };
        let first = if len == 0 { NonNull::dangling() } else { first };
        Self { first, len, _memory: memory.clone() }
    }

    /// The elements from `first` on; none when there is no such element.
    #[inline]
    pub(crate) fn from(&self, first: usize) -> &[T] {
        self.get(first..).unwrap_or_default()
    }
}

impl<T: Shared> Deref for SharedArray<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` saw that as many aligned elements lie in the block, which this value keeps. The block is initialised
        // (`DmaMemory::allocate` clears it), and a `Shared` type allows others to write it meanwhile.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray").field("first", &self.first).field("len", &self.len).finish()
    }
}
