//! MCFG: PCI configuration space in memory (PCI Firmware Specification 3.3, 4.1.2, tables 4-2 and 4-3).

use alloc::vec::Vec;

use millrace_boot::little_endian::{u16_at, u64_at};

use super::table::HEADER_BYTES;

/// Where the entries begin, behind 8 reserved bytes.
const ENTRIES: usize = HEADER_BYTES + 8;
const ENTRY_BYTES: usize = 16;
/// Offsets in an entry.
const BASE: usize = 0;
const SEGMENT_GROUP: usize = 8;
const FIRST_BUS: usize = 10;
const LAST_BUS: usize = 11;
/// Windows that are kept.
const MAX_WINDOWS: usize = 16;

/// A range of memory through which the configuration space of some PCI buses is accessed (ECAM): 1 MiB for each bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigWindow {
    /// Physical address of the configuration space of bus 0, whether or not bus 0 is in the window. Not 0.
    pub base: u64,
    /// First bus in the window.
    pub first_bus: u8,
    /// Last bus in the window, not below the first.
    pub last_bus: u8,
}

/// The windows of segment group 0, 16 at most. Invalid entries are skipped.
pub(super) fn config_windows(mcfg: &[u8]) -> Vec<ConfigWindow> {
    let entries = mcfg.get(ENTRIES..).unwrap_or(&[]);
    entries.chunks_exact(ENTRY_BYTES).filter_map(config_window).take(MAX_WINDOWS).collect()
}

fn config_window(entry: &[u8]) -> Option<ConfigWindow> {
    let (first_bus, last_bus) = (*entry.get(FIRST_BUS)?, *entry.get(LAST_BUS)?);
    let window = ConfigWindow { base: u64_at(entry, BASE)?, first_bus, last_bus };
    let is_used = u16_at(entry, SEGMENT_GROUP)? == 0 && window.base != 0 && first_bus <= last_bus;
    is_used.then_some(window)
}
