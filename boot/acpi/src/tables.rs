//! What ACPI's tables say about the machine, as far as this kernel wants to know it.
//!
//! ```text
//! root pointer ─► root table ─┬─► MADT ─► processors, I/O APICs, interrupt source overrides          (madt)
//!                             ├─► MCFG ─► where PCI configuration space is in memory                 (mcfg)
//!                             ├─► HPET ─► where the high precision event timer is                      (hpet)
//!                             ├─► DMAR, IVRS ─► registers of IOMMUs                                  (iommu)
//!                             ├─► FADT ─► registers for power-off, the PM timer                      (fadt)
//!                             │    └────► DSDT ─┐
//!                             └─► SSDT ─────────┴─► code and names for the interpreter               (aml)
//! ```
//!
//! [`Tables::find`] walks from the root pointer (ACPI 6.5, 5.2.5) through the root table (5.2.7, 5.2.8) and keeps the
//! tables that are of use, where they lie. [`Description::read`] says what is in them. Lengths are bounded and checksums
//! verified; whatever does not fit is treated as absent, and each table that is absent has a documented fallback.
//!
//! This is written by hand. The crate `acpi` (6.1.1) reads tables by pointer, at lengths that the tables give: an entry of
//! the MADT with a length of 0 or a root table shorter than its header is an endless loop or a read beyond its end, and a
//! physical address that is not mapped cannot be refused. It needs a nightly compiler as well, which host tests do not have.

mod description;
mod fadt;
mod hpet;
mod iommu;
mod madt;
mod mcfg;
#[cfg(test)]
mod tests;

use millrace_boot::little_endian::{u32_at, u64_at};
use millrace_boot::{PhysicalMemory, Span};

pub use description::Description;
pub use fadt::{FixedHardware, PmTimer, Register, SwitchOn};
pub use iommu::{Iommu, IommuMaker};
pub use madt::{IoApic, IsaLine, Override, Polarity, Trigger};
pub use mcfg::ConfigWindow;

/// Bytes of the header that every table begins with.
const HEADER_BYTES: usize = 36;
/// Longest table that is looked at, in bytes. Definition blocks of large servers have a few hundred KiB.
const MAX_TABLE_BYTES: usize = 1 << 20;
/// Entries of the root table that are looked at. Firmware lists have some twenty.
const MAX_ENTRIES: usize = 256;
/// Secondary definition blocks that are kept, and their bytes in total.
const MAX_SSDTS: usize = 32;
const MAX_SSDT_BYTES: usize = 2 << 20;

/// A whole table, with its checksum verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table<'m> {
    address: u64,
    bytes: &'m [u8],
}

impl<'m> Table<'m> {
    /// All of it, the header included.
    pub fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// What is behind the header.
    pub fn body(&self) -> &'m [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or(&[])
    }

    /// Where it lies in physical memory.
    pub fn span(&self) -> Option<Span> {
        Span::sized(self.address, self.bytes.len() as u64)
    }

    /// The table at `address`, if there is one with this signature.
    fn read<M: PhysicalMemory>(memory: &'m M, address: u64, signature: [u8; 4]) -> Option<Self> {
        let header = memory.bytes(address, HEADER_BYTES).filter(|bytes| bytes.starts_with(&signature))?;
        let length = usize::try_from(u32_at(header, 4)?).ok()?;
        if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length) {
            return None;
        }
        let bytes = memory.bytes(address, length).filter(|bytes| sums_to_zero(bytes))?;
        Some(Self { address, bytes })
    }
}

/// The tables that are of use, of each kind the first that is intact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tables<'m> {
    madt: Option<Table<'m>>,
    mcfg: Option<Table<'m>>,
    hpet: Option<Table<'m>>,
    fadt: Option<Table<'m>>,
    dmar: Option<Table<'m>>,
    ivrs: Option<Table<'m>>,
    dsdt: Option<Table<'m>>,
    ssdts: [Option<Table<'m>>; MAX_SSDTS],
}

impl<'m> Tables<'m> {
    /// The tables of a machine whose root pointer is at `rsdp`; none when there is no root pointer, or no intact one.
    pub fn find<M: PhysicalMemory>(memory: &'m M, rsdp: Option<u64>) -> Self {
        let mut tables = Self::default();
        let Some((root, entry_bytes)) = rsdp.and_then(|rsdp| root_table(memory, rsdp)) else { return tables };
        for entry in root.body().chunks_exact(entry_bytes).take(MAX_ENTRIES) {
            let address = u64_at(entry, 0).or_else(|| u32_at(entry, 0).map(u64::from));
            if let Some(address) = address {
                tables.keep(memory, address);
            }
        }
        tables.dsdt = tables.fadt.and_then(|fadt| {
            fadt::dsdt(fadt.bytes()).find_map(|address| Table::read(memory, address, *b"DSDT"))
        });
        tables
    }

    /// Puts the table at `address` in its place, if it has one that is free.
    fn keep<M: PhysicalMemory>(&mut self, memory: &'m M, address: u64) {
        for (place, signature) in [
            (&mut self.madt, *b"APIC"),
            (&mut self.mcfg, *b"MCFG"),
            (&mut self.hpet, *b"HPET"),
            (&mut self.fadt, *b"FACP"),
            (&mut self.dmar, *b"DMAR"),
            (&mut self.ivrs, *b"IVRS"),
        ] {
            *place = place.or_else(|| Table::read(memory, address, signature));
        }
        self.keep_ssdt(memory, address);
    }

    /// The same for a secondary block. None is kept twice, or beyond the total of [`MAX_SSDT_BYTES`].
    fn keep_ssdt<M: PhysicalMemory>(&mut self, memory: &'m M, address: u64) {
        let kept = || self.ssdts.iter().flatten();
        if kept().any(|table| table.address == address) {
            return;
        }
        let room = MAX_SSDT_BYTES.saturating_sub(kept().map(|table| table.bytes.len()).sum());
        if let Some(place) = self.ssdts.iter_mut().find(|place| place.is_none()) {
            *place = Table::read(memory, address, *b"SSDT").filter(|table| table.bytes.len() <= room);
        }
    }

    /// What the tables occupy in memory: not to be handed out while they are still read.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        let single = [self.madt, self.mcfg, self.hpet, self.fadt, self.dmar, self.ivrs, self.dsdt];
        single.into_iter().chain(self.ssdts).flatten().filter_map(|table| table.span())
    }

    /// The code of the definition blocks, without their headers, in the order in which they are to be loaded (5.2.11):
    /// the DSDT's first. None when there is no DSDT.
    pub fn definition_blocks(&self) -> impl Iterator<Item = &'m [u8]> {
        let ssdts = self.dsdt.map(|_| self.ssdts).into_iter().flatten();
        self.dsdt.into_iter().chain(ssdts.flatten()).map(|table| table.body())
    }
}

/// The extended root table where there is one, else the old one, and how many bytes its entries have.
fn root_table<M: PhysicalMemory>(memory: &M, rsdp: u64) -> Option<(Table<'_>, usize)> {
    let pointer =
        memory.bytes(rsdp, 20).filter(|bytes| bytes.starts_with(b"RSD PTR ") && sums_to_zero(bytes))?;
    let extended = || {
        let pointer = memory.bytes(rsdp, 36).filter(|bytes| sums_to_zero(bytes))?;
        Table::read(memory, u64_at(pointer, 24)?, *b"XSDT")
    };
    let has_extension = *pointer.get(15)? >= 2;
    if let Some(root) = has_extension.then(extended).flatten() {
        return Some((root, 8));
    }
    Some((Table::read(memory, u64::from(u32_at(pointer, 16)?), *b"RSDT")?, 4))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}
