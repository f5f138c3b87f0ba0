//! The reader of `hvm_start_info`, what a loader hands over by direct boot.
//!
//! Layout and meaning: Xen's `public/arch-x86/hvm/start_info.h`. All fields are little endian.
//!
//! | offset | field | since |
//! |---|---|---|
//! | 0 | magic `0x336ec578` | 0 |
//! | 4 | version | 0 |
//! | 8 | flags | 0 |
//! | 12, 16 | modules: count, address | 0 |
//! | 24 | command line: address, 0 for none | 0 |
//! | 32 | ACPI root pointer: address, 0 for none | 0 |
//! | 40, 48 | memory map: address, entries of 24 bytes | 1 |

use core::fmt;

use crate::command_line::MAX_LINE;
use crate::little_endian::{u32_at, u64_at};
use crate::memory_map::ENTRY_BYTES;
use crate::{AddrRange, BootInfo, Loader, MAX_REGIONS, MapError, MemoryMap, PhysicalMemory};

const MAGIC: u32 = 0x336e_c578;
/// Bytes of the structure up to and with the memory map's fields.
const BYTES: usize = 56;

/// Why what the loader handed over is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartInfoError {
    /// The structure is not in readable memory.
    Unreadable(u64),
    /// The structure does not begin with its magic number.
    BadMagic(u32),
    /// Version 0 has no memory map, and there is no other way to find RAM here.
    NoMemoryMap {
        /// The version that the structure claims.
        version: u32,
    },
    /// More memory map entries than [`MAX_REGIONS`].
    TooManyRegions(u32),
    /// The memory map is not in readable memory.
    MapUnreadable(u64),
    /// The memory map makes no sense.
    Map(MapError),
    /// The command line, or its end, is not in readable memory.
    CommandLineUnreadable(u64),
    /// The command line has no end within [`MAX_LINE`] bytes.
    CommandLineTooLong,
}

impl fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        if self.is_damage() {
            write!(
                f,
                "; the usual cause is a command line longer than {MAX_LINE} bytes, which overwrites it: shorten it"
            )?;
        }
        Ok(())
    }
}

impl StartInfoError {
    /// Whether a command line that was written over the structure, or over what it points to, may be the cause.
    fn is_damage(&self) -> bool {
        use StartInfoError::*;
        match self {
            BadMagic(_) | TooManyRegions(_) | MapUnreadable(_) | Map(_) | CommandLineUnreadable(_) => true,
            Unreadable(_) | NoMemoryMap { .. } | CommandLineTooLong => false,
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use StartInfoError::*;
        match self {
            Unreadable(at) => write!(f, "start_info at {at:#x} is not in readable memory"),
            BadMagic(magic) => write!(f, "start_info begins with {magic:#x}, not with {MAGIC:#x}"),
            NoMemoryMap { version } => write!(f, "start_info version {version} comes without a memory map"),
            TooManyRegions(count) => write!(f, "the memory map has {count} entries, more than {MAX_REGIONS}"),
            MapUnreadable(at) => write!(f, "the memory map at {at:#x} is not in readable memory"),
            Map(error) => fmt::Display::fmt(error, f),
            CommandLineUnreadable(at) => write!(f, "the command line at {at:#x} is not in readable memory"),
            CommandLineTooLong => write!(f, "command line longer than {MAX_LINE} bytes: shorten it"),
        }
    }
}

impl core::error::Error for StartInfoError {}

/// Reads the structure at the physical address `at` and what it points to.
pub fn read<M: PhysicalMemory>(memory: &M, at: u64) -> Result<BootInfo<'_>, StartInfoError> {
    let unreadable = StartInfoError::Unreadable(at);
    // Version 0 ends before the memory map's fields, and nothing says that there is memory behind it.
    let head = memory.bytes(at, 40).ok_or(unreadable)?;
    let magic = u32_at(head, 0).ok_or(unreadable)?;
    if magic != MAGIC {
        return Err(StartInfoError::BadMagic(magic));
    }
    let version = u32_at(head, 4).ok_or(unreadable)?;
    if version == 0 {
        return Err(StartInfoError::NoMemoryMap { version });
    }
    let info = memory.bytes(at, BYTES).ok_or(unreadable)?;
    let command_line_at = u64_at(info, 24).ok_or(unreadable)?;
    let rsdp = u64_at(info, 32).ok_or(unreadable)?;
    let map_at = u64_at(info, 40).ok_or(unreadable)?;
    let entries = u32_at(info, 48).ok_or(unreadable)?;
    if map_at == 0 || entries == 0 {
        return Err(StartInfoError::NoMemoryMap { version });
    }
    let (map, map_span) = memory_map(memory, map_at, entries)?;
    let command_line = command_line(memory, command_line_at)?;
    Ok(BootInfo {
        loader: Loader::Pvh,
        memory: map,
        command_line,
        rsdp: (rsdp != 0).then_some(rsdp),
        occupied: [
            AddrRange::sized(at, BYTES as u64),
            map_span,
            AddrRange::sized(command_line_at, command_line.len() as u64),
        ],
    })
}

fn memory_map<M: PhysicalMemory>(
    memory: &M,
    at: u64,
    entries: u32,
) -> Result<(MemoryMap, Option<AddrRange>), StartInfoError> {
    let count = usize::try_from(entries).ok().filter(|&count| count <= MAX_REGIONS);
    let bytes = count.ok_or(StartInfoError::TooManyRegions(entries))? * ENTRY_BYTES;
    let table = memory.bytes(at, bytes).ok_or(StartInfoError::MapUnreadable(at))?;
    let map = MemoryMap::from_table(table, ENTRY_BYTES).map_err(StartInfoError::Map)?;
    Ok((map, AddrRange::sized(at, bytes as u64)))
}

/// The text at `at` up to its zero byte; nothing at all when `at` is 0.
fn command_line<M: PhysicalMemory>(memory: &M, at: u64) -> Result<&[u8], StartInfoError> {
    if at == 0 {
        return Ok(&[]);
    }
    let unreadable = StartInfoError::CommandLineUnreadable(at);
    for len in 0..=MAX_LINE {
        // Byte by byte: nothing says that memory goes on behind the zero.
        let end = at.checked_add(len as u64).ok_or(unreadable)?;
        if memory.bytes(end, 1).ok_or(unreadable)? == [0] {
            return memory.bytes(at, len).ok_or(unreadable);
        }
    }
    Err(StartInfoError::CommandLineTooLong)
}

#[cfg(test)]
mod tests;
