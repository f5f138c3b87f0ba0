//! A ring of descriptors (sections 3.2.6 and 3.4): its memory, and every access to it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use nm_driver::platform::{DmaMemory, OutOfDmaMemory, Platform};
use nm_driver::shared::{SharedArray, SharedMemory};

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

    /// The place `count` behind it, at most a whole turn.
    #[inline]
    pub fn skip(self, count: u16) -> Self {
        let at = self.0 + count;
        Self(if at >= DESCRIPTORS { at - DESCRIPTORS } else { at })
    }

    /// How many places lead from this one to another: 0 to one less than there are.
    #[inline]
    pub fn distance(self, to: Self) -> u16 {
        if to.0 >= self.0 { to.0 - self.0 } else { to.0 + DESCRIPTORS - self.0 }
    }

    /// The place behind it.
    #[inline]
    pub fn next(self) -> Self {
        Self(if self.0 + 1 == DESCRIPTORS { 0 } else { self.0 + 1 })
    }
}

/// A descriptor: a buffer's address; length, command, status and errors.
pub(super) type Descriptor = [AtomicU64; 2];

/// The memory of one ring, and behind it some bytes that stay zero.
#[derive(Debug)]
pub(super) struct RingMemory {
    descriptors: SharedArray<Descriptor>,
    memory: Arc<DmaMemory>,
}

impl RingMemory {
    /// Zeroed memory for a ring, with `zeros` more bytes.
    pub fn allocate(platform: &Arc<dyn Platform>, zeros: usize) -> Result<Self, OutOfDmaMemory> {
        let mut memory = SharedMemory::allocate(platform, RING_BYTES as usize + zeros, UNIT)?;
        Ok(Self { descriptors: memory.array(0, DESCRIPTORS.into()), memory: memory.memory().clone() })
    }

    /// The memory itself, to be kept until the card has been stopped.
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

    /// `count` descriptors from a position on, fewer where the ring ends.
    #[inline]
    pub fn from(&self, at: Position, count: u16) -> &[Descriptor] {
        let descriptors = self.descriptors.from(at.get().into());
        descriptors.get(..count.into()).unwrap_or(descriptors)
    }

    /// Writes a descriptor, all of it: a buffer's address, and the word behind it.
    pub fn write(&self, at: Position, address: u64, word: u64) {
        if let Some(descriptor) = self.from(at, 1).first() {
            write(descriptor, address, word);
        }
    }

    /// Writes the second word of a descriptor only.
    #[inline]
    pub fn write_word(&self, at: Position, word: u64) {
        if let Some([_, place]) = self.descriptors.get(usize::from(at.get())) {
            place.store(word.to_le(), Ordering::Relaxed);
        }
    }

    /// The second word of a descriptor, as [`read_word`].
    #[inline]
    pub fn word(&self, at: Position) -> u64 {
        self.descriptors.get(usize::from(at.get())).map_or(0, read_word)
    }
}

/// Writes a descriptor, all of it: a buffer's address, and the word behind it.
#[inline]
pub(super) fn write([at, last]: &Descriptor, address: u64, word: u64) {
    at.store(address.to_le(), Ordering::Relaxed);
    last.store(word.to_le(), Ordering::Relaxed);
}

/// The second word of a descriptor, where the card writes what became of it.
///
/// Acquire: what the card wrote before it reported the descriptor done, the frame above all, is read as it is. Without
/// it a frame could be looked at before it was there.
#[inline]
pub(super) fn read_word([_, last]: &Descriptor) -> u64 {
    u64::from_le(last.load(Ordering::Acquire))
}
