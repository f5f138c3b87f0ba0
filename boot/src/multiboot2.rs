//! The reader of the boot information of Multiboot2, what GRUB hands over.
//!
//! Layout and meaning: the Multiboot2 specification, version 2.0, part 3.6. All fields are little endian. The
//! information is one block: its length, four reserved bytes, then tags, each at a multiple of 8 bytes, up to
//! the tag of type 0.
//!
//! | tag | type | from byte 8 of the tag on |
//! |---|---|---|
//! | end | 0 | nothing |
//! | command line | 1 | text with a zero byte at its end |
//! | memory map | 6 | bytes of an entry, version, entries |
//! | ACPI old | 14 | copy of the root pointer of ACPI 1.0, 20 bytes |
//! | ACPI new | 15 | copy of the root pointer of ACPI 2.0 and later, 36 bytes or more |
//!
//! Other tags are passed over, and of two with the same type the first counts. Under UEFI the loader has left
//! the firmware's boot services before it hands over, since the image's header does not ask otherwise: what the
//! map then calls RAM is free but for the block itself, and everything that the firmware keeps (run-time
//! services, ACPI tables) has a type of its own, which is not RAM here.

use core::fmt;

use crate::command_line::MAX_LINE;
use crate::little_endian::u32_at;
use crate::memory_map::ENTRY_BYTES;
use crate::{AddrRange, BootInfo, Loader, MapError, MemoryMap, PhysicalMemory};

/// What the loader puts into eax, as a sign that ebx has the address of boot information.
pub const BOOT_MAGIC: u32 = 0x36d7_6289;
/// Longest boot information that is accepted, in bytes. GRUB's has a few thousand.
pub const MAX_BYTES: u32 = 1 << 20;

/// Bytes in front of the first tag, and in front of each tag's content.
const HEAD_BYTES: usize = 8;
/// Tags begin at multiples of this.
const TAG_ALIGN: usize = 8;
/// Bytes in front of the memory map's entries.
const MAP_HEAD_BYTES: usize = 16;

const TAG_END: u32 = 0;
pub(crate) const TAG_COMMAND_LINE: u32 = 1;
pub(crate) const TAG_MEMORY_MAP: u32 = 6;
pub(crate) const TAG_ACPI_OLD: u32 = 14;
pub(crate) const TAG_ACPI_NEW: u32 = 15;
/// Bytes of the root pointer in ACPI 1.0, and since 2.0.
const RSDP_OLD_BYTES: usize = 20;
const RSDP_NEW_BYTES: usize = 36;

/// Why what the loader handed over is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiboot2Error {
    /// The information is not in readable memory.
    Unreadable(u64),
    /// The information claims a length that cannot be.
    BadLength(u32),
    /// A tag is shorter than its own head, or passes the end of the information.
    BadTag {
        /// Its type.
        kind: u32,
        /// Where it begins in the information.
        offset: usize,
        /// The length that it claims, in bytes.
        bytes: u32,
    },
    /// The information ends, and no tag says that it was the last.
    NoEnd,
    /// There is no memory map, and there is no other way to find RAM here.
    NoMemoryMap,
    /// The entries of the memory map are too short, or more than the rest of their tag.
    BadEntries {
        /// The length that each claims, in bytes.
        bytes: u32,
    },
    /// The memory map makes no sense.
    Map(MapError),
    /// The command line has no end within its tag.
    CommandLineUnfinished,
    /// The command line is longer than [`MAX_LINE`].
    CommandLineTooLong,
}

impl fmt::Display for Multiboot2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Multiboot2Error::*;
        match self {
            Unreadable(at) => write!(f, "the boot information at {at:#x} is not in readable memory"),
            BadLength(bytes) => write!(f, "boot information of {bytes} bytes; it has 16 to {MAX_BYTES}"),
            BadTag { kind, offset, bytes } => {
                write!(f, "tag {kind} at byte {offset} of the boot information claims {bytes} bytes")
            }
            NoEnd => f.write_str("the boot information ends without its last tag"),
            NoMemoryMap => f.write_str("the boot information comes without a memory map"),
            BadEntries { bytes } => write!(f, "the memory map has entries of {bytes} bytes"),
            Map(error) => error.fmt(f),
            CommandLineUnfinished => f.write_str("the command line has no end within its tag"),
            CommandLineTooLong => write!(f, "command line longer than {MAX_LINE} bytes: shorten it"),
        }
    }
}

impl core::error::Error for Multiboot2Error {}

/// Reads the boot information at the physical address `at`.
pub fn read<M: PhysicalMemory>(memory: &M, at: u64) -> Result<BootInfo<'_>, Multiboot2Error> {
    let info = whole(memory, at)?;
    let tags = Tags::collect(info)?;
    let memory = memory_map(tags.memory_map.ok_or(Multiboot2Error::NoMemoryMap)?)?;
    let command_line = tags.command_line.map_or(Ok(&[][..]), command_line)?;
    Ok(BootInfo {
        loader: Loader::Multiboot2,
        memory,
        command_line,
        rsdp: tags.rsdp().and_then(|offset| at.checked_add(offset as u64)),
        occupied: [AddrRange::sized(at, info.len() as u64), None, None],
    })
}

/// All bytes of the information.
fn whole<M: PhysicalMemory>(memory: &M, at: u64) -> Result<&[u8], Multiboot2Error> {
    let unreadable = Multiboot2Error::Unreadable(at);
    let head = memory.bytes(at, HEAD_BYTES).ok_or(unreadable)?;
    let bytes = u32_at(head, 0).ok_or(unreadable)?;
    let len = usize::try_from(bytes).ok().filter(|len| *len >= 2 * HEAD_BYTES && bytes <= MAX_BYTES);
    memory.bytes(at, len.ok_or(Multiboot2Error::BadLength(bytes))?).ok_or(unreadable)
}

/// The tags that matter here: of each the bytes behind its head, or where they begin in the information.
#[derive(Default)]
struct Tags<'m> {
    command_line: Option<&'m [u8]>,
    memory_map: Option<&'m [u8]>,
    rsdp_old: Option<usize>,
    rsdp_new: Option<usize>,
}

impl<'m> Tags<'m> {
    /// Goes from tag to tag, each of which has a head at least, to the last.
    fn collect(info: &'m [u8]) -> Result<Self, Multiboot2Error> {
        let mut tags = Self::default();
        let mut offset = HEAD_BYTES;
        loop {
            let rest = info.get(offset..).ok_or(Multiboot2Error::NoEnd)?;
            let head = u32_at(rest, 0).zip(u32_at(rest, 4));
            let (kind, bytes) = head.ok_or(Multiboot2Error::NoEnd)?;
            let bad = Multiboot2Error::BadTag { kind, offset, bytes };
            let len = usize::try_from(bytes).map_err(|_| bad)?;
            let content = rest.get(HEAD_BYTES..len).ok_or(bad)?;
            if kind == TAG_END {
                return Ok(tags);
            }
            tags.note(kind, content, offset + HEAD_BYTES);
            offset += len.next_multiple_of(TAG_ALIGN);
        }
    }

    fn note(&mut self, kind: u32, content: &'m [u8], offset: usize) {
        let rsdp = |bytes| (content.len() >= bytes).then_some(offset);
        match kind {
            TAG_COMMAND_LINE => self.command_line = self.command_line.or(Some(content)),
            TAG_MEMORY_MAP => self.memory_map = self.memory_map.or(Some(content)),
            TAG_ACPI_OLD => self.rsdp_old = self.rsdp_old.or(rsdp(RSDP_OLD_BYTES)),
            TAG_ACPI_NEW => self.rsdp_new = self.rsdp_new.or(rsdp(RSDP_NEW_BYTES)),
            _ => {}
        }
    }

    /// Where the copy of the root pointer is, the newer one if there are both.
    fn rsdp(&self) -> Option<usize> {
        self.rsdp_new.or(self.rsdp_old)
    }
}

/// The map in `content`, the memory map's tag without its head.
fn memory_map(content: &[u8]) -> Result<MemoryMap, Multiboot2Error> {
    let bytes = u32_at(content, 0).ok_or(Multiboot2Error::NoMemoryMap)?;
    let table = content.get(MAP_HEAD_BYTES - HEAD_BYTES..).ok_or(Multiboot2Error::NoMemoryMap)?;
    let entry_bytes = usize::try_from(bytes).ok().filter(|len| (ENTRY_BYTES..=table.len()).contains(len));
    let entry_bytes = entry_bytes.ok_or(Multiboot2Error::BadEntries { bytes })?;
    MemoryMap::from_table(table, entry_bytes).map_err(Multiboot2Error::Map)
}

/// The text in `content`, the command line's tag without its head, up to its zero byte.
fn command_line(content: &[u8]) -> Result<&[u8], Multiboot2Error> {
    let end = content.iter().position(|byte| *byte == 0).ok_or(Multiboot2Error::CommandLineUnfinished)?;
    content.get(..end).filter(|line| line.len() <= MAX_LINE).ok_or(Multiboot2Error::CommandLineTooLong)
}

#[cfg(test)]
mod tests;
