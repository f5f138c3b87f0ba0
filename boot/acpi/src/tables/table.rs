//! One table: its header (5.2.6), length and checksum.

use millrace_boot::little_endian::u32_at;
use millrace_boot::{AddrRange, PhysicalMemory};

/// Bytes of the header that every table begins with (5.2.6, table 5.4).
pub(super) const HEADER_BYTES: usize = 36;
/// Offset of the table's length in its header.
const LENGTH: usize = 4;
/// Longest table that is read, in bytes. Definition blocks of large servers have a few hundred KiB.
pub(super) const MAX_TABLE_BYTES: usize = 1 << 20;

/// A complete table whose checksum is correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AcpiTable<'m> {
    address: u64,
    bytes: &'m [u8],
}

impl<'m> AcpiTable<'m> {
    /// The table at physical address `address`; `None` if it has another signature, a length outside of 36 bytes to 1 MiB, a
    /// wrong checksum, or does not lie in readable memory.
    pub(super) fn read<M: PhysicalMemory>(memory: &'m M, address: u64, signature: [u8; 4]) -> Option<Self> {
        let header = memory.bytes(address, HEADER_BYTES).filter(|bytes| bytes.starts_with(&signature))?;
        let length = usize::try_from(u32_at(header, LENGTH)?).ok()?;
        if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length) {
            return None;
        }
        let bytes = memory.bytes(address, length).filter(|bytes| sums_to_zero(bytes))?;
        Some(Self { address, bytes })
    }

    /// The whole table, header included.
    pub(super) fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// The table without its header.
    pub(super) fn body(&self) -> &'m [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or(&[])
    }

    /// Physical address of the table.
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// The physical addresses that the table occupies.
    pub(super) fn span(&self) -> Option<AddrRange> {
        AddrRange::sized(self.address, self.bytes.len() as u64)
    }
}

/// Whether a checksum is correct: all bytes of a structure add up to 0 modulo 256.
pub(super) fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}
