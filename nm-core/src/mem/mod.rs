//! Memory: one region with three pools (interfaces, rings, buffers), as netmap's allocator has them.
//!
//! ```text
//! Region   [ interface objects | ring objects | buffer 0 | buffer 1 | buffer 2 | … ]     one contiguous DmaMemory
//!                                                                      │
//!                                                  headroom (64 bytes) ┴ payload (buf_size − 64)
//! ```
//!
//! A buffer is named by its number. The region's lookup table leads from the number to the two addresses of the
//! payload, for the processor and for devices. Buffers 0 and 1 are never handed out, so that a zeroed slot names
//! none. Each other buffer is at any time either free in the pool or in exactly one slot of one ring: that is what
//! makes it sound to lend a slot's payload to the application, and what [`MemoryReport`] lets anybody check.

mod pool;
mod port;
mod region;

pub(crate) use port::{PortMemory, RingShape};
pub use region::Region;

use alloc::vec::Vec;
use core::fmt;

use crate::platform::OutOfDmaMemory;
use crate::tunables::TunableError;

/// The three kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// Interface objects.
    Interface,
    /// Ring objects.
    Ring,
    /// Packet buffers.
    Buffer,
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interface => "if",
            Self::Ring => "ring",
            Self::Buffer => "buf",
        })
    }
}

/// A request that a pool cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryError {
    /// The pool.
    pub pool: PoolKind,
    /// How many objects were asked for.
    pub requested: u32,
    /// How many were free.
    pub available: u32,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, requested, available } = self;
        write!(
            f,
            "the {pool} pool has {available} objects free of {requested} asked for (tunable {pool}_num)"
        )
    }
}

impl core::error::Error for MemoryError {}

/// A region that cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionError {
    /// A tunable is out of range.
    Tunable(&'static str, TunableError),
    /// The machine has not enough contiguous memory.
    OutOfMemory(OutOfDmaMemory),
    /// The heap has no room for the tables that go with the region.
    OutOfHeap {
        /// How much was asked for, in bytes.
        bytes: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tunable(name, error) => write!(f, "netmap.{name}: {error}"),
            Self::OutOfHeap { bytes } => {
                write!(
                    f,
                    "no {bytes} bytes of heap for the region's tables (netmap.buf_num makes them smaller)"
                )
            }
            Self::OutOfMemory(error) => {
                write!(f, "{error} (netmap.buf_num and netmap.ring_num make it smaller)")
            }
        }
    }
}

impl core::error::Error for RegionError {}

/// An empty list with room for `count` items, or an error instead of the end of the machine.
fn reserve<T>(count: usize) -> Result<Vec<T>, RegionError> {
    let mut list = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    list.try_reserve_exact(count).map_err(|_| RegionError::OutOfHeap { bytes })?;
    Ok(list)
}

/// Where the buffers of a region are. `Display` is the line that the console prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// Buffers that can be handed out.
    pub total: u32,
    /// Buffers in the pool.
    pub free: u32,
    /// Slots of bound rings, each with one buffer.
    pub held: u32,
}

impl MemoryReport {
    /// Buffers that are neither free nor in a slot. Always 0 unless a ring's memory was corrupted.
    pub fn lost(&self) -> u32 {
        self.total.saturating_sub(self.free).saturating_sub(self.held)
    }
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, free, held } = self;
        write!(f, "buffers total={total} free={free} held={held} lost={}", self.lost())
    }
}
