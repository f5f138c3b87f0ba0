//! MCFG: where PCI configuration space is in memory (PCI Firmware Specification 3.3, 4.1.2).

use alloc::vec::Vec;

use super::HEADER_BYTES;
use millrace_boot::little_endian::{u16_at, u64_at};

/// Windows that are kept: a segment with more is none.
const MAX_WINDOWS: usize = 16;

/// A stretch of memory through which the configuration space of some PCI buses is reached (ECAM): 1 MiB for
/// each bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigWindow {
    /// Physical address that belongs to bus 0, whether or not bus 0 is in the window.
    pub base: u64,
    /// First bus in the window.
    pub first_bus: u8,
    /// Last bus in the window, not below the first.
    pub last_bus: u8,
}

/// The windows of segment group 0.
pub(super) fn config_windows(mcfg: &[u8]) -> Vec<ConfigWindow> {
    let entries = mcfg.get(HEADER_BYTES + 8..).unwrap_or(&[]);
    entries.chunks_exact(16).filter_map(config_window).take(MAX_WINDOWS).collect()
}

fn config_window(entry: &[u8]) -> Option<ConfigWindow> {
    let window =
        ConfigWindow { base: u64_at(entry, 0)?, first_bus: *entry.get(10)?, last_bus: *entry.get(11)? };
    let is_ours = u16_at(entry, 8)? == 0 && window.base != 0 && window.first_bus <= window.last_bus;
    is_ours.then_some(window)
}
