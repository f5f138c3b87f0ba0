//! Giving memory to BARs that the firmware has left without: on a machine whose firmware does not configure PCI.

use alloc::vec::Vec;

use super::{Bar, ConfigSpace, Function, Header, RootBuses, functions};

/// A stretch of memory addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub first: u64,
    /// How many; the last has 64 bits.
    pub bytes: u64,
}

/// What became of the BARs that had no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assigned {
    /// Those that have one now.
    pub given: usize,
    /// Those for which there was no room.
    pub left: usize,
}

/// First address that a BAR of 32 bits cannot hold.
const END_OF_32_BITS: u64 = 1 << 32;

/// Gives each memory BAR without an address, of the endpoints on bus 0, one within `windows`, which are what the host
/// bridge passes on, and beside everything in `taken` and those BARs of these endpoints that have an address. A BAR lies at a
/// multiple of its length (section 6.2.5.1), and one of 32 bits below 4 GiB. Whether it is prefetchable does not matter on the
/// host bridge's own bus. The BARs of other bridges and those behind them stay as they are, and so do io ports; where they
/// have addresses, and what such a bridge passes on, is not looked at: it belongs in `taken`.
pub fn assign_memory(config: &dyn ConfigSpace, windows: &[Window], taken: &[Window]) -> Assigned {
    let endpoints: Vec<_> = functions(config, &RootBuses::default())
        .filter(|function| function.header == Header::Endpoint && function.address.bus() == 0)
        .map(|function| (function, function.bars(config)))
        .collect();
    let all_bars =
        || endpoints.iter().flat_map(|(function, bars)| bars.iter().map(move |bar| (function, bar)));
    let mut taken = taken.to_vec();
    taken.extend(all_bars().filter_map(|(_, (_, bar))| match bar {
        Bar::Memory { address: first @ 1.., bytes, .. } => Some(Window { first, bytes }),
        _ => None,
    }));
    let mut assigned = Assigned::default();
    for (function, (number, bar)) in all_bars() {
        let Bar::Memory { address: 0, bytes, .. } = bar else { continue };
        let end = if function.is_wide_bar(config, number) { u64::MAX } else { END_OF_32_BITS };
        match find_room(windows, &taken, bytes, end) {
            Some(first) => {
                function.set_memory_bar(config, number, first);
                taken.push(Window { first, bytes });
                assigned.given += 1;
            }
            None => assigned.left += 1,
        }
    }
    assigned
}

/// The lowest multiple of `bytes`, a power of two, at which so many are free in one of the windows and below `end`.
fn find_room(windows: &[Window], taken: &[Window], bytes: u64, end: u64) -> Option<u64> {
    windows.iter().find_map(|window| {
        let window_end = window.first.saturating_add(window.bytes).min(end);
        // Address 0 stands for none.
        let mut at = window.first.max(1).checked_next_multiple_of(bytes)?;
        // Each step goes behind something that is taken, and never back.
        for _ in 0..=taken.len() {
            let behind = at.checked_add(bytes).filter(|behind| *behind <= window_end)?;
            let Some(other) = taken.iter().find(|other| other.first < behind && at < other.end()) else {
                return Some(at);
            };
            at = other.end().checked_next_multiple_of(bytes)?;
        }
        None
    })
}

impl Window {
    /// The first address behind it.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.bytes)
    }
}

impl Function {
    /// Whether the memory BAR with this number takes two registers.
    fn is_wide_bar(&self, config: &dyn ConfigSpace, number: u8) -> bool {
        config.read32(self.address, Self::bar_offset(number)) >> 1 & 0b11 == 0b10
    }

    /// Has the memory BAR with this number lie at `address`. The function must not decode it meanwhile.
    fn set_memory_bar(&self, config: &dyn ConfigSpace, number: u8, address: u64) {
        let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
        let offset = Self::bar_offset(number);
        let before = self.change_command(config, super::Command::empty(), super::Command::MEMORY);
        if self.is_wide_bar(config, number) {
            config.write32(self.address, offset + 4, u32::from_le_bytes([e, f, g, h]));
        }
        config.write32(self.address, offset, u32::from_le_bytes([a, b, c, d]));
        self.change_command(config, before, super::Command::empty());
    }

    fn bar_offset(number: u8) -> u16 {
        super::config::register::FIRST_BAR + 4 * u16::from(number)
    }
}
