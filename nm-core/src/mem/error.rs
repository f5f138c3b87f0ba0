//! Why memory is not to be had.

use core::fmt;

use super::{MemId, PoolKind};
use crate::errno;
use crate::platform::OutOfDmaMemory;
use crate::tunables::TunableError;

/// A request that a pool cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryError {
    /// There are not enough objects.
    Exhausted {
        /// The region.
        region: MemId,
        /// The pool.
        pool: PoolKind,
        /// How many objects were asked for.
        requested: u32,
        /// How many were free.
        available: u32,
    },
    /// The objects are too small.
    TooSmall {
        /// The region.
        region: MemId,
        /// The pool.
        pool: PoolKind,
        /// How many bytes are needed in one object.
        needed: usize,
        /// How many bytes an object has.
        size: u32,
    },
}

impl MemoryError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        errno::ENOMEM
    }
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Exhausted { region, pool, .. } | Self::TooSmall { region, pool, .. }) = self;
        write!(f, "the {pool} pool")?;
        if region.is_private() {
            write!(f, " of region {region}")?;
        }
        let prefix = region.tunable_prefix();
        match self {
            Self::Exhausted { requested, available, .. } => {
                write!(
                    f,
                    " has {available} free objects, {requested} are needed (tunable {prefix}{pool}_num)"
                )
            }
            Self::TooSmall { needed, size, .. } => {
                write!(f, " has objects of {size} bytes, {needed} are needed (tunable {prefix}{pool}_size)")
            }
        }
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
    /// Every number of a region is in use.
    TooMany,
}

impl RegionError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Tunable(..) => errno::EINVAL,
            Self::OutOfMemory(_) | Self::OutOfHeap { .. } | Self::TooMany => errno::ENOMEM,
        }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tunable(name, error) => write!(f, "netmap.{name}: {error}"),
            Self::OutOfHeap { bytes } => {
                write!(f, "the heap has no {bytes} bytes for the region's tables (lower netmap.buf_num)")
            }
            Self::OutOfMemory(error) => {
                write!(f, "{error} (lower netmap.buf_num or netmap.ring_num)")
            }
            Self::TooMany => f.write_str("all numbers of memory regions are in use"),
        }
    }
}

impl core::error::Error for RegionError {}

/// Memory that cannot be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapError {
    /// No port is bound, and `mmap_unreg` is not set.
    Unbound,
    /// There is no such region.
    Unknown(MemId),
}

impl MapError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Unbound => errno::ENODEV,
            Self::Unknown(_) => errno::EINVAL,
        }
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound => f.write_str(
                "no port is bound; memory can be mapped before that only with netmap.mmap_unreg=1",
            ),
            Self::Unknown(id) => write!(f, "there is no memory region {id}"),
        }
    }
}

impl core::error::Error for MapError {}

/// Two slots, or a slot and a spare buffer, belong to different memory, so their buffers cannot change places: copy
/// the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferentRegion;

impl fmt::Display for DifferentRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two buffers are of different memory regions: the frame must be copied")
    }
}

impl core::error::Error for DifferentRegion {}

/// The frame does not fit into the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTooLong {
    /// Length of the frame.
    pub len: usize,
    /// What fits.
    pub max: u16,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes does not fit into a buffer of {}", self.len, self.max)
    }
}

impl core::error::Error for FrameTooLong {}

impl FrameTooLong {
    /// `len` as the length of a frame in a buffer of `max` bytes.
    #[inline]
    pub(crate) fn check(len: usize, max: u16) -> Result<u16, Self> {
        u16::try_from(len).ok().filter(|len| *len <= max).ok_or(Self { len, max })
    }
}
