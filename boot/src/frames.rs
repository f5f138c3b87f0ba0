//! The frame allocator: who owns which page of RAM.
//!
//! Callers ask for contiguous runs of whole pages, a few dozen times in the life of a machine: page tables,
//! the heap, netmap's memory regions, device queues. So it is a sorted list of free ranges, searched from the
//! lowest address (what lies below 4 GiB stays together at the low end, what lies above is used when that is
//! gone).
//!
//! The list has a fixed capacity of `N` ranges and needs no memory of its own. That giving back never fails
//! for want of room follows from counting: between two free ranges of one stretch of RAM lies at least one run
//! that is handed out, so there are at most as many free ranges as stretches and runs handed out together. An
//! allocation that would take that sum above `N` is refused; nothing else has to be.

use core::fmt;

use crate::{AddrRange, Full, MAX_REGIONS, PAGE_BYTES, RangeSet};

/// RAM is never handed out below this address: firmware data, the loader's structures, and the place where a
/// processor starts in real mode.
pub const LOWEST: u64 = 1 << 20;

/// Why a run was not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeError {
    /// The run is not made of whole pages that this allocator manages.
    Foreign,
    /// Part of the run is free already.
    NotAllocated,
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FreeError::Foreign => "the run was never managed here",
            FreeError::NotAllocated => "the run is free already",
        })
    }
}

impl core::error::Error for FreeError {}

/// Owner of all page frames that have no other owner.
#[derive(Debug, Clone)]
pub struct FrameAllocator<const N: usize> {
    free: RangeSet<N>,
    managed: RangeSet<MAX_REGIONS>,
    live_runs: usize,
}

impl<const N: usize> FrameAllocator<N> {
    /// Allocates nothing yet.
    pub const fn new() -> Self {
        Self { free: RangeSet::new(), managed: RangeSet::new(), live_runs: 0 }
    }

    /// Takes over the whole pages of `ram` from [`LOWEST`] on, except every page that one of `taken` touches.
    /// Fails when that leaves more separate stretches than fit; then it manages nothing.
    pub fn manage<T>(&mut self, ram: &[AddrRange], taken: T) -> Result<(), Full>
    where
        T: IntoIterator<Item = AddrRange>,
    {
        let mut managed = RangeSet::new();
        let above_lowest = |span: &AddrRange| AddrRange::between(span.start().max(LOWEST), span.end());
        for pages in ram.iter().filter_map(above_lowest).filter_map(|span| span.pages_inside()) {
            managed.insert(pages)?;
        }
        for pages in taken.into_iter().filter_map(|span| span.pages_touched()) {
            managed.remove(pages)?;
        }
        let mut free = RangeSet::new();
        managed.ranges().iter().try_for_each(|&span| free.insert(span))?;
        *self = Self { free, managed, live_runs: 0 };
        Ok(())
    }

    /// Hands out the lowest free run of at least `bytes` (rounded up to whole pages) that starts at a
    /// multiple of `align` (a power of two; less than a page counts as a page). `None` when there is no such
    /// run.
    pub fn allocate(&mut self, bytes: u64, align: u64) -> Option<AddrRange> {
        let bytes = bytes.checked_next_multiple_of(PAGE_BYTES)?;
        let align = align.max(PAGE_BYTES);
        if !align.is_power_of_two() || self.live_runs + self.managed.ranges().len() >= N {
            return None;
        }
        let run = self.free.ranges().iter().find_map(|span| {
            let start = span.start().checked_next_multiple_of(align)?;
            AddrRange::sized(start, bytes).filter(|run| span.contains(*run))
        })?;
        self.free.remove(run).ok()?;
        self.live_runs += 1;
        Some(run)
    }

    /// Takes back a run exactly as [`allocate`](Self::allocate) returned it.
    pub fn free(&mut self, run: AddrRange) -> Result<(), FreeError> {
        if run.pages_inside() != Some(run) || !self.managed.contains(run) {
            return Err(FreeError::Foreign);
        }
        if self.free.overlaps(run) || self.live_runs == 0 {
            return Err(FreeError::NotAllocated);
        }
        // Room is certain as long as runs come back whole (see the module's counting); a caller that cuts one
        // into pieces loses the piece that does not fit.
        self.free.insert(run).map_err(|Full| FreeError::NotAllocated)?;
        self.live_runs -= 1;
        Ok(())
    }

    /// Bytes that are not handed out.
    pub fn free_bytes(&self) -> u64 {
        self.free.bytes()
    }

    /// Bytes of the longest run that is not handed out.
    pub fn largest_run(&self) -> u64 {
        self.free.ranges().iter().map(AddrRange::bytes).max().unwrap_or(0)
    }

    /// Bytes that there are to hand out at all.
    pub fn managed_bytes(&self) -> u64 {
        self.managed.bytes()
    }

    /// Runs handed out and not given back.
    pub fn live_runs(&self) -> usize {
        self.live_runs
    }
}

impl<const N: usize> Default for FrameAllocator<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
