//! What a region tells about itself.

use alloc::string::String;
use core::fmt;

use super::{MemId, PoolKind};

/// Where the buffers of a region are. `Display` is the line that the console prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// Buffers that can be handed out.
    pub total: u32,
    /// Buffers in the pool.
    pub free: u32,
    /// Slots of bound rings, each with one buffer.
    pub held: u32,
    /// Spare handles, each with one buffer.
    pub spare: u32,
    /// Extra buffers of open raw ports.
    pub extra: u32,
    /// Buffers that raw ports gave back while others were open: only raw ports get them until the last of those is
    /// closed.
    pub resting: u32,
    /// Objects that had not been given back when the last raw port, or the last user, left, since the region was made.
    pub reclaimed: u64,
    /// Buffer numbers in slots and chains of raw ports that named no buffer of theirs, since the region was made.
    pub refused: u64,
}

impl MemoryReport {
    /// Buffers that are neither free nor anywhere else. Always 0 unless a raw port has lost sight of some; they come
    /// back when the last raw port is closed.
    pub fn lost(&self) -> u32 {
        [self.free, self.held, self.spare, self.extra, self.resting]
            .iter()
            .fold(self.total, |left, n| left.saturating_sub(*n))
    }
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, free, held, spare, extra, resting, reclaimed, refused } = self;
        write!(f, "buffers total={total} free={free} held={held} lost={}", self.lost())?;
        write!(f, " spare={spare} extra={extra} resting={resting} reclaimed={reclaimed} refused={refused}")
    }
}

/// One pool of a region. `Display` is the line that the console prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolInfo {
    /// Which.
    pub kind: PoolKind,
    /// Bytes of one object.
    pub size: u32,
    /// Objects, with those that are never handed out.
    pub total: u32,
    /// Objects that are free.
    pub free: u32,
    /// Where the first object is, in bytes from the beginning of the region.
    pub offset: u64,
}

impl fmt::Display for PoolInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, size, total, free, offset } = self;
        write!(f, "{kind:<4} size={size:<7} num={total:<7} free={free:<7} offset={offset:#x}")
    }
}

/// Who uses a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bound ports.
    pub ports: u32,
    /// Spare handles.
    pub spares: u32,
    /// Mappings.
    pub mappings: u32,
}

impl Usage {
    /// Whether there is a user at all.
    pub fn is_used(&self) -> bool {
        *self != Self::default()
    }
}

/// What a region is made of, and who uses it. `Display` is the line that the console prints; a line for each of the `pools`
/// follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(alias("nmreq_pools_info", "netmap_mem_get_info"))]
pub struct Info {
    /// Its number.
    pub id: MemId,
    /// Its name.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Interface, ring and buffer pool, in the order in which they lie.
    pub pools: [PoolInfo; 3],
    /// Who uses it.
    pub usage: Usage,
    /// How many hold on to it: its users, what belongs to them, and its makers.
    pub references: usize,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, bytes, usage, references, .. } = self;
        write!(f, "region {id} {name} bytes={bytes}")?;
        let Usage { ports, spares, mappings } = usage;
        write!(f, " ports={ports} spares={spares} mappings={mappings} references={references}")
    }
}
