//! Bursts: what one sync hands to the queue of a card, and what it takes back.
//!
//! The burst walks the slots of the ring, checks them, and keeps what is outstanding. The driver writes descriptors, reads
//! completions, and rings the doorbell. For each direction there are two types: a *track*, which lives beside the queue and
//! survives between syncs, and a *burst*, which borrows the track for one call.
//!
//! ```text
//! positions   oldest ──────────────────────► next            each posted fragment takes the next position
//!             │      outstanding             │               id = position modulo the capacity of the track
//!             └ expected to complete first   └ posted next
//! ```
//!
//! **Fast path.** As long as fragments complete in the order in which they were posted, the outstanding ids are exactly the
//! positions `oldest..next`. The driver compares what the device reports with the next expected id, a *run* at a time. A run
//! has no wrap: its slots, its ids and the driver's descriptors are consecutive. It ends in front of anything unusual. The burst
//! has the loop, and calls the driver for each descriptor; both are compiled as one piece.
//!
//! **Out of order.** Where the next expected id is not reported, the driver asks for runs in any order: the burst takes the ids
//! as they are reported. A receive track counts the ids behind the oldest that are back, its *gaps*; new buffers still take the
//! next positions. If there are none left but gaps, the oldest buffer counts as the newest. Without gaps the track is in order
//! again, whatever is outstanding. A transmit track notes each id by itself until no unusual frame is outstanding.
//!
//! **Slow path.** One fragment or frame per call, for all else that is unusual: a flagged or invalid slot, a frame of several
//! slots, an id that is not outstanding.
//!
//! **Offsets.** A ring whose slots have offsets ([`SlotOffsets`]) uses the slow path alone. What a driver gets is a [`Buffer`] whose
//! payload begins at the offset of its slot: on transmit after the offset and the length were checked, on receive after an
//! offset above the largest was replaced by that, as netmap does.
//!
//! A run or a frame counts when it is committed. Until then nothing has happened: if the driver panics, no buffer is
//! in two places.

mod rx;
mod tx;

use crate::buffers::{Buffer, Buffers};
use crate::index::Index;
use crate::offsets::SlotOffsets;
use crate::slots::{SlotArray, SlotCell, SlotValue};

pub use rx::{RxBurst, RxReport, RxRequest, RxTrack};
pub use tx::{Frame, Lengths, TxBurst, TxReport, TxTrack};

/// The slots of a ring, and the buffers that they may name.
#[derive(Debug, Clone)]
pub struct RingView {
    /// The slots.
    pub slots: SlotArray,
    /// The buffers.
    pub buffers: Buffers,
    /// Where the payloads of the slots begin.
    pub offsets: SlotOffsets,
}

impl RingView {
    /// Longest payload of a slot at any offset, in bytes.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.buffers.capacity().saturating_sub(self.offsets.max())
    }

    /// The buffer of slot `at`, which holds `slot`, from the offset of the slot on. `None` if there is no such buffer, or the offset
    /// is above the largest.
    pub fn buffer(&self, at: Index, slot: SlotValue) -> Option<Buffer<'_>> {
        let offset = self.offsets.get(self.ptr(at))?;
        self.buffers.get(slot.buf_idx)?.at_offset(offset)
    }

    /// The offset of slot `at`, or the largest if it is above that.
    #[inline]
    pub fn offset(&self, at: Index) -> u16 {
        if self.offsets.is_used() { self.offsets.clamped(self.ptr(at)) } else { 0 }
    }

    /// Writes the offset of slot `at`, if slots have one.
    #[inline]
    pub fn set_offset(&self, at: Index, offset: u16) {
        if self.offsets.is_used()
            && let Some(cell) = self.slots.get(at)
        {
            cell.set_ptr(self.offsets.set(cell.ptr(), offset));
        }
    }

    fn ptr(&self, at: Index) -> u64 {
        self.slots.get(at).map_or(0, SlotCell::ptr)
    }
}

/// Most slots of a frame (`NETMAP_MAX_FRAGS`).
pub const FRAGMENTS_MAX: u32 = 64;
/// Two addresses and a type: shorter frames are not Ethernet (IEEE 802.3, 3.1.1).
pub const FRAME_MIN: u16 = 14;

/// The number of ids of a track for a queue of this capacity: a power of two.
fn ids(capacity: u32) -> u32 {
    capacity.clamp(1, 1 << 16).next_power_of_two()
}
