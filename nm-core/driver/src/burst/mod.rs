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
//! **Slow path.** One fragment or frame per call, for all that is unusual: a flagged or invalid slot, a frame of several
//! slots, an id out of order. The track then notes each id by itself. It returns to the fast path without being asked:
//! a transmit track when no unusual frame is outstanding, a receive track when nothing is.
//!
//! A run or a frame counts when it is committed. Until then nothing has happened: if the driver panics, no buffer is
//! in two places.

mod rx;
mod tx;

use crate::buffers::Buffers;
use crate::slots::SlotArray;

pub use rx::{RxBurst, RxReport, RxRequest, RxTrack};
pub use tx::{Frame, Lengths, TxBurst, TxReport, TxTrack};

/// The slots of a ring, and the buffers that they may name.
#[derive(Debug, Clone)]
pub struct RingView {
    /// The slots.
    pub slots: SlotArray,
    /// The buffers.
    pub buffers: Buffers,
}

/// Most slots of a frame (`NETMAP_MAX_FRAGS`).
pub const FRAGMENTS_MAX: u32 = 64;
/// Two addresses and a type: shorter frames are not Ethernet (IEEE 802.3, 3.1.1).
pub const FRAME_MIN: u16 = 14;

/// The number of ids of a track for a queue of this capacity: a power of two.
fn ids(capacity: u32) -> u32 {
    capacity.clamp(1, 1 << 16).next_power_of_two()
}
