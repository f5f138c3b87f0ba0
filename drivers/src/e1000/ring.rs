//! A ring of descriptors (sections 3.2.6 and 3.4): its memory, and every access to it.
#![expect(unsafe_code, reason = "memory that is shared with a device is reached by raw pointer")]

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use nm_core::platform::{DmaMemory, OutOfDmaMemory, Platform};

use crate::shared_memory::atomic64;

const DESCRIPTOR_BYTES: usize = 16;
/// The length of a ring in bytes is a multiple of it (section 13.4.27), and here its address is too: no cache line holds
/// descriptors and something else.
const UNIT: usize = 128;

/// Frames that each ring has room for: at a gigabit and 64 bytes a frame what passes in a third of a millisecond. More
/// would be memory that is touched again after it has left the processor's caches.
pub const SLOTS: u16 = 512;
/// Descriptors of each ring. One at least is never the card's: a ring whose tail has come round to its head is empty to
/// the card, not full.
pub(super) const DESCRIPTORS: u16 =
    ((SLOTS + 1) as usize * DESCRIPTOR_BYTES).next_multiple_of(UNIT) as u16 / 16;

/// Length of a ring in bytes.
pub(super) const RING_BYTES: u32 = DESCRIPTORS as u32 * DESCRIPTOR_BYTES as u32;

/// The place of a descriptor in a ring, below [`DESCRIPTORS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(u16);

impl Position {
    /// The first.
    pub const FIRST: Self = Self(0);

    /// As a number, for a tail register or a table.
    #[inline]
    pub fn get(self) -> u16 {
        self.0
    }

    /// The place behind it.
    #[inline]
    pub fn next(self) -> Self {
        Self(if self.0 + 1 == DESCRIPTORS { 0 } else { self.0 + 1 })
    }
}

/// The memory of one ring, and behind it some bytes that stay zero.
#[derive(Debug)]
pub(super) struct RingMemory {
    base: NonNull<u8>,
    memory: Arc<DmaMemory>,
}

// SAFETY: the pointer leads into `memory`, which is `Send`, and is used for atomic access only.
unsafe impl Send for RingMemory {}

impl RingMemory {
    /// Zeroed memory for a ring, with `zeros` more bytes.
    pub fn allocate(platform: &Arc<dyn Platform>, zeros: usize) -> Result<Self, OutOfDmaMemory> {
        let memory = DmaMemory::allocate(platform, RING_BYTES as usize + zeros, UNIT)?;
        Ok(Self { base: memory.virt(), memory: Arc::new(memory) })
    }

    /// The memory itself, for whoever has to keep it until the card has been stopped.
    pub fn memory(&self) -> &Arc<DmaMemory> {
        &self.memory
    }

    /// Where the card finds the descriptors.
    pub fn phys(&self) -> u64 {
        self.memory.phys()
    }

    /// Where the card finds the zeros.
    pub fn zeros(&self) -> u64 {
        self.phys() + u64::from(RING_BYTES)
    }

    /// Writes a descriptor, all of it: a buffer's address, and the word behind it.
    #[inline]
    pub fn write(&self, at: Position, address: u64, word: u64) {
        let offset = usize::from(at.0) * DESCRIPTOR_BYTES;
        // SAFETY: a position is below `DESCRIPTORS`, for which `allocate` took memory that is aligned.
        unsafe { atomic64(self.base, offset) }.store(address.to_le(), Ordering::Relaxed);
        self.write_word(at, word);
    }

    /// Writes the second word of a descriptor only.
    #[inline]
    pub fn write_word(&self, at: Position, word: u64) {
        let offset = usize::from(at.0) * DESCRIPTOR_BYTES + 8;
        // SAFETY: as in `write`.
        unsafe { atomic64(self.base, offset) }.store(word.to_le(), Ordering::Relaxed);
    }

    /// The second word of a descriptor, where the card writes what became of it.
    ///
    /// Acquire: what the card wrote before it reported the descriptor done, the frame above all, is read as it is. Without
    /// it a frame could be looked at before it was there.
    #[inline]
    pub fn read_word(&self, at: Position) -> u64 {
        let offset = usize::from(at.0) * DESCRIPTOR_BYTES + 8;
        // SAFETY: as in `write`.
        u64::from_le(unsafe { atomic64(self.base, offset) }.load(Ordering::Acquire))
    }
}
