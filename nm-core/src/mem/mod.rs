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
//! to the application, and what a [`MemoryReport`] shows.
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
mod id;
mod info;
mod mapping;
mod objects;
mod pools;
mod port;
mod region;
mod regions;
mod set;
mod spare;
#[cfg(test)]
mod tests;

pub use error::{DifferentRegion, FrameTooLong, MapError, MemoryError, RegionError};
pub(crate) use header::{PortHeader, RingCounts};
pub(crate) use id::PAGE;
pub use id::{MemId, PoolKind};
pub use info::{Info, MemoryReport, PoolInfo, Usage};
pub use mapping::Mapping;
pub(crate) use objects::RingCells;
pub(crate) use pools::Trust;
pub(crate) use port::PortMemory;
pub use region::Region;
pub use regions::Regions;
pub use spare::Spare;
