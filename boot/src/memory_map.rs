//! The memory map: which physical addresses are free RAM.
//!
//! Loaders list regions with a kind, in any order, sometimes overlapping. What counts here is the set of
//! addresses that some region calls RAM and no region calls anything else.

use core::fmt;

use crate::little_endian::{u32_at, u64_at};
use crate::{AddrRange, Full, RangeSet};

/// Regions that a loader's list, and RAM after sorting, may have. Firmware lists have a dozen.
pub const MAX_REGIONS: usize = 128;

/// Bytes of an entry of a loader's table that are looked at: address, size, type. The last four are reserved.
pub(crate) const ENTRY_BYTES: usize = 24;
/// The type of an entry that is RAM. Both loaders number the types as E820 does.
const TYPE_RAM: u32 = 1;

/// What a region of the loader's list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKind {
    /// RAM that the loaded image may use.
    Ram,
    /// Anything else: devices, firmware, ACPI tables, broken or persistent memory.
    Other,
}

/// Why a loader's memory map is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapError {
    /// The region runs past the end of the address space.
    Overflow {
        /// Which one, counted from 0.
        index: usize,
        /// Where it starts.
        start: u64,
        /// How long it claims to be.
        bytes: u64,
    },
    /// After sorting there are more separate stretches of RAM than [`MAX_REGIONS`].
    TooScattered,
    /// No region is RAM, or every one is claimed by something else as well.
    NoRam,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Overflow { index, start, bytes } => {
                write!(
                    f,
                    "memory map entry {index} ({bytes:#x} bytes from {start:#x}) ends beyond the last address"
                )
            }
            MapError::TooScattered => {
                write!(f, "the memory map has more than {MAX_REGIONS} separate ranges of RAM")
            }
            MapError::NoRam => f.write_str("the memory map lists no RAM"),
        }
    }
}

impl core::error::Error for MapError {}

impl From<Full> for MapError {
    fn from(Full: Full) -> Self {
        MapError::TooScattered
    }
}

/// The RAM of the machine, sorted and without overlaps.
#[derive(Debug, Clone)]
pub struct MemoryMap {
    ram: RangeSet<MAX_REGIONS>,
}

impl MemoryMap {
    /// Sorts out a loader's list of `(start, bytes, kind)`. Empty regions are ignored. The list is gone
    /// through twice: first what is RAM is collected, then what is claimed otherwise is taken out.
    pub fn from_regions<I>(regions: I) -> Result<Self, MapError>
    where
        I: Iterator<Item = (u64, u64, MemoryKind)> + Clone,
    {
        let mut ram = RangeSet::new();
        for span in spans_of(regions.clone(), MemoryKind::Ram) {
            ram.insert(span?)?;
        }
        for span in spans_of(regions, MemoryKind::Other) {
            ram.remove(span?)?;
        }
        if ram.ranges().is_empty() {
            return Err(MapError::NoRam);
        }
        Ok(Self { ram })
    }

    /// Reads a loader's table, each entry of which has `entry_bytes`: [`ENTRY_BYTES`] that are known, and what a
    /// later version may have added. Whatever is not plainly RAM is not used, be its type known or not.
    pub(crate) fn from_table(table: &[u8], entry_bytes: usize) -> Result<Self, MapError> {
        let regions = table.chunks_exact(entry_bytes.max(ENTRY_BYTES)).filter_map(|entry| {
            let kind = if u32_at(entry, 16)? == TYPE_RAM { MemoryKind::Ram } else { MemoryKind::Other };
            Some((u64_at(entry, 0)?, u64_at(entry, 8)?, kind))
        });
        Self::from_regions(regions)
    }

    /// The stretches of RAM, ascending, apart from each other.
    pub fn ram(&self) -> &[AddrRange] {
        self.ram.ranges()
    }

    /// Bytes of RAM.
    pub fn ram_bytes(&self) -> u64 {
        self.ram.bytes()
    }
}

/// The regions of one kind as ranges.
fn spans_of<I>(regions: I, wanted: MemoryKind) -> impl Iterator<Item = Result<AddrRange, MapError>>
where
    I: Iterator<Item = (u64, u64, MemoryKind)>,
{
    let of_kind = regions.enumerate().filter(move |(_, (_, bytes, kind))| *kind == wanted && *bytes > 0);
    of_kind.map(|(index, (start, bytes, _))| {
        AddrRange::sized(start, bytes).ok_or(MapError::Overflow { index, start, bytes })
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::MemoryKind::{Other, Ram};
    use super::*;

    fn map(regions: &[(u64, u64, MemoryKind)]) -> Result<Vec<(u64, u64)>, MapError> {
        let map = MemoryMap::from_regions(regions.iter().copied())?;
        Ok(map.ram().iter().map(|s| (s.start(), s.end())).collect())
    }

    #[test]
    fn sorts_merges_and_subtracts() {
        let regions = [
            (0x10_0000, 0x10_0000, Ram),
            (0, 0x9_fc00, Ram),
            (0x18_0000, 0x10_0000, Ram),
            (0x20_0000, 0x1000, Other),
            (0x9_fc00, 0x400, Other),
        ];
        assert_eq!(
            map(&regions),
            Ok(std::vec![(0, 0x9_fc00), (0x10_0000, 0x20_0000), (0x20_1000, 0x28_0000)])
        );
    }

    #[test]
    fn names_the_region_that_overflows() {
        let regions = [(0, 4096, Ram), (u64::MAX - 4095, 8192, Other)];
        let error = map(&regions).unwrap_err();
        assert_eq!(error, MapError::Overflow { index: 1, start: u64::MAX - 4095, bytes: 8192 });
    }

    #[test]
    fn refuses_a_map_without_ram() {
        assert_eq!(map(&[]), Err(MapError::NoRam));
        assert_eq!(map(&[(0, 0, Ram)]), Err(MapError::NoRam));
        assert_eq!(map(&[(4096, 4096, Ram), (0, 1 << 20, Other)]), Err(MapError::NoRam));
    }

    #[test]
    fn refuses_a_map_in_too_many_pieces() {
        let regions: Vec<_> = (0..200).map(|i| (i * 8192, 4096, Ram)).collect();
        assert_eq!(map(&regions), Err(MapError::TooScattered));
    }

    proptest! {
        #[test]
        fn ram_is_what_only_ram_regions_cover(
            regions in prop::collection::vec((0u64..50, 0u64..20, prop_oneof![Just(Ram), Just(Other)]), 0..20)
        ) {
            let covered = |a: u64, kind| regions.iter().any(|&(s, n, k)| k == kind && (s..s + n).contains(&a));
            let naive: Vec<u64> = (0..100).filter(|&a| covered(a, Ram) && !covered(a, Other)).collect();
            let ours: Vec<u64> = map(&regions).unwrap_or_default().into_iter().flat_map(|(s, e)| s..e).collect();
            prop_assert_eq!(ours, naive);
        }
    }
}
