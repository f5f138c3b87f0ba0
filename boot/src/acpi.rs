//! Where ACPI says that PCI configuration space is mapped.
//!
//! A walk of three tables and nothing more: root pointer (ACPI 6.5, 5.2.5), root table (5.2.7, 5.2.8), MCFG
//! (PCI Firmware Specification 3.3, 4.1.2). Lengths are bounded and checksums verified; whatever does not fit
//! is treated as absent, since the machine can be driven without.

use crate::PhysicalMemory;
use crate::physical::{u16_at, u32_at, u64_at};

/// Bytes of the header that every table begins with.
const HEADER_BYTES: usize = 36;
/// Longest table that is looked at, in bytes.
const MAX_TABLE_BYTES: usize = 64 * 1024;

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

/// The configuration window of PCI segment group 0, found from the root pointer at `rsdp`.
pub fn config_window<M: PhysicalMemory>(memory: &M, rsdp: u64) -> Option<ConfigWindow> {
    let mcfg = find_table(memory, rsdp, *b"MCFG")?;
    let entries = mcfg.get(HEADER_BYTES + 8..)?;
    entries.chunks_exact(16).find_map(|entry| {
        let window =
            ConfigWindow { base: u64_at(entry, 0)?, first_bus: *entry.get(10)?, last_bus: *entry.get(11)? };
        let is_ours = u16_at(entry, 8)? == 0 && window.base != 0 && window.first_bus <= window.last_bus;
        is_ours.then_some(window)
    })
}

/// The table with this signature that the root table lists first.
fn find_table<M: PhysicalMemory>(memory: &M, rsdp: u64, signature: [u8; 4]) -> Option<&[u8]> {
    let (root, entry_bytes) = root_table(memory, rsdp)?;
    root.get(HEADER_BYTES..)?.chunks_exact(entry_bytes).find_map(|entry| {
        let address = if entry_bytes == 8 { u64_at(entry, 0)? } else { u64::from(u32_at(entry, 0)?) };
        table(memory, address, signature)
    })
}

/// The extended root table where there is one, else the old one, and how many bytes its entries have.
fn root_table<M: PhysicalMemory>(memory: &M, rsdp: u64) -> Option<(&[u8], usize)> {
    let pointer =
        memory.bytes(rsdp, 20).filter(|bytes| bytes.starts_with(b"RSD PTR ") && sums_to_zero(bytes))?;
    let extended = || {
        let pointer = memory.bytes(rsdp, 36).filter(|bytes| sums_to_zero(bytes))?;
        table(memory, u64_at(pointer, 24)?, *b"XSDT")
    };
    let has_extension = *pointer.get(15)? >= 2;
    if let Some(root) = has_extension.then(extended).flatten() {
        return Some((root, 8));
    }
    Some((table(memory, u64::from(u32_at(pointer, 16)?), *b"RSDT")?, 4))
}

/// The whole table at `address`, if it is one with this signature.
fn table<M: PhysicalMemory>(memory: &M, address: u64, signature: [u8; 4]) -> Option<&[u8]> {
    let header = memory.bytes(address, HEADER_BYTES).filter(|bytes| bytes.starts_with(&signature))?;
    let length = usize::try_from(u32_at(header, 4)?).ok()?;
    if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length) {
        return None;
    }
    memory.bytes(address, length).filter(|bytes| sums_to_zero(bytes))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::physical::fake::Blocks;

    const WINDOW: ConfigWindow = ConfigWindow { base: 0xb000_0000, first_bus: 0, last_bus: 255 };

    fn with_checksum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        bytes[at] = 0;
        bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        bytes
    }

    fn make_table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = signature.to_vec();
        bytes.extend((36 + body.len() as u32).to_le_bytes());
        bytes.resize(36, 0);
        bytes.extend(body);
        with_checksum(bytes, 9)
    }

    fn entry(segment: u16, window: ConfigWindow) -> Vec<u8> {
        let mut bytes = window.base.to_le_bytes().to_vec();
        bytes.extend(segment.to_le_bytes());
        bytes.extend([window.first_bus, window.last_bus, 0, 0, 0, 0]);
        bytes
    }

    fn mcfg(entries: &[Vec<u8>]) -> Vec<u8> {
        make_table(b"MCFG", &[[0; 8].to_vec(), entries.concat()].concat())
    }

    fn pointer(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
        let mut bytes = b"RSD PTR \0MILLRA".to_vec();
        bytes.push(revision);
        bytes.extend(rsdt.to_le_bytes());
        bytes = with_checksum(bytes, 8);
        if revision >= 2 {
            bytes.extend(36u32.to_le_bytes());
            bytes.extend(xsdt.to_le_bytes());
            bytes.extend([0; 4]);
            bytes = with_checksum(bytes, 32);
        }
        bytes
    }

    /// A machine with the old root table at 0x1000 and the table under test at 0x3000.
    fn machine(mcfg: Vec<u8>) -> Blocks {
        let rsdt = make_table(b"RSDT", &[0x9000u32.to_le_bytes(), 0x3000u32.to_le_bytes()].concat());
        Blocks::default().with(0x500, pointer(0, 0x1000, 0)).with(0x1000, rsdt).with(0x3000, mcfg)
    }

    #[test]
    fn finds_the_window_through_either_root_table() {
        let old = machine(mcfg(&[entry(0, WINDOW)]));
        assert_eq!(config_window(&old, 0x500), Some(WINDOW));
        let xsdt = make_table(b"XSDT", &0x3000u64.to_le_bytes());
        let new = Blocks::default()
            .with(0x500, pointer(2, 0, 0x2000))
            .with(0x2000, xsdt)
            .with(0x3000, mcfg(&[entry(0, WINDOW)]));
        assert_eq!(config_window(&new, 0x500), Some(WINDOW));
    }

    #[test]
    fn skips_other_segments_and_nonsense() {
        let backwards = ConfigWindow { first_bus: 9, last_bus: 3, ..WINDOW };
        let nowhere = ConfigWindow { base: 0, ..WINDOW };
        let list = [entry(1, WINDOW), entry(0, backwards), entry(0, nowhere), entry(0, WINDOW)];
        assert_eq!(config_window(&machine(mcfg(&list)), 0x500), Some(WINDOW));
        assert_eq!(config_window(&machine(mcfg(&list[..3])), 0x500), None);
    }

    #[test]
    fn what_is_damaged_is_absent() {
        let good = mcfg(&[entry(0, WINDOW)]);
        let mut flipped = good.clone();
        flipped[44] ^= 1;
        assert_eq!(config_window(&machine(flipped), 0x500), None);
        let mut longer = good.clone();
        longer[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(config_window(&machine(longer), 0x500), None);
        let mut short = good;
        short[4..8].copy_from_slice(&8u32.to_le_bytes());
        assert_eq!(config_window(&machine(with_checksum(short, 9)), 0x500), None);
        assert_eq!(config_window(&Blocks::default(), 0x500), None);
        assert_eq!(config_window(&Blocks::default(), u64::MAX), None);
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..80), revision in 0u8..4, address in any::<u64>()) {
            let memory = machine(make_table(b"MCFG", &body)).with(0x8000, pointer(revision, 0x1000, address));
            config_window(&memory, 0x8000);
            config_window(&memory, address);
        }
    }
}
