//! Memory: regions with three pools each (interfaces, rings, buffers), as netmap's allocator has them.
//!
//! ```text
//! Region   [ interface objects | ring objects | buffer 0 | buffer 1 | buffer 2 | … ]     one contiguous DmaMemory
//!                                                                      │
//!                                                  headroom (64 bytes) ┴ payload (buf_size − 64)
//! ```
//!
//! A buffer is named by its number. The region's lookup table leads from the number to the two addresses of the
//! payload, for the processor and for devices. Buffers 0 and 1 are never handed out, so that a zeroed slot names
//! none. Each other buffer is at any time in exactly one place: free in the pool, in one slot of one ring, in a
//! [`Spare`] handle, or in a raw port's chain of extra buffers. That is what makes it sound to lend a slot's payload
//! to the application, and what [`MemoryReport`] lets anybody check.
//!
//! | netmap | here |
//! |---|---|
//! | the global allocator, `nm_mem` | [`Regions::shared`], number 1 |
//! | private allocators, by id | [`Regions::create`], [`Regions::find`]; gone with their last holder |
//! | finalize, `active` | the first port, spare handle or mapping ([`Usage`]) |
//! | reset at the last deref | the last raw port leaves, or the last user: what was not given back is reclaimed and counted |
//! | extra buffers, `ni_bufs_head` | safe ports: [`Spare`]; raw ports: the chain |
//! | `mmap` | [`Mapping`]; before a port is bound only with the tunable `mmap_unreg` |
//! | `POOLS_INFO_GET` | [`Info`] |

mod chain;
mod error;
mod header;
mod info;
mod mapping;
mod pools;
mod port;
mod region;
mod regions;
mod set;
mod spare;
#[cfg(test)]
mod tests;

pub use error::{MapError, MemoryError, RegionError};
pub(crate) use header::{PortHeader, RingCounts};
pub use info::{Info, MemoryReport, PoolInfo, Usage};
pub use mapping::Mapping;
pub(crate) use port::{Hands, PortMemory, RingShape};
pub(crate) use region::PAGE;
pub use region::Region;
pub use regions::Regions;
pub use spare::Spare;

use alloc::vec::Vec;
use core::fmt;

/// The number of a memory region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[doc(alias = "nr_mem_id")]
pub struct MemId(u16);

impl MemId {
    /// The region that ports share unless they are opened on another.
    pub const SHARED: Self = Self(1);

    /// The region with this number; 0, which no region has, means the shared one.
    pub fn new(number: u16) -> Self {
        Self(number.max(1))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether it is a region of its own, not the shared one.
    #[doc(alias = "NETMAP_PRIV_MEM")]
    pub fn is_private(self) -> bool {
        self != Self::SHARED
    }

    /// What the tunables that size the region begin with.
    fn tunable_prefix(self) -> &'static str {
        if self.is_private() { "priv_" } else { "" }
    }
}

impl fmt::Display for MemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
        f.pad(match self {
            Self::Interface => "if",
            Self::Ring => "ring",
            Self::Buffer => "buf",
        })
    }
}

/// An empty list with room for `count` items, or an error instead of the end of the machine.
fn reserve<T>(count: usize) -> Result<Vec<T>, RegionError> {
    let mut list = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    list.try_reserve_exact(count).map_err(|_| RegionError::OutOfHeap { bytes })?;
    Ok(list)
}
