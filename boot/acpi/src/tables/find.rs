//! Finding the tables: from the RSDP through the root table.

use millrace_boot::little_endian::{u32_at, u64_at};
use millrace_boot::{AddrRange, PhysicalMemory};

use super::table::{AcpiTable, sums_to_zero};
use super::{fadt, signature};

/// Bytes of the RSDP of ACPI 1.0, which its first checksum covers, and of the whole RSDP since ACPI 2.0 (5.2.5.3, table 5.3).
const RSDP_V1_BYTES: usize = 20;
const RSDP_BYTES: usize = 36;
/// Offsets in the RSDP, and the first revision that has an XSDT.
const RSDP_REVISION: usize = 15;
const RSDP_RSDT: usize = 16;
const RSDP_XSDT: usize = 24;
const REVISION_WITH_XSDT: u8 = 2;
/// Bytes of an entry of the RSDT and of the XSDT.
const RSDT_ENTRY_BYTES: usize = 4;
const XSDT_ENTRY_BYTES: usize = 8;

/// Entries of the root table that are read. Firmware lists about twenty.
const MAX_ENTRIES: usize = 256;
/// SSDTs that are kept, and their bytes in total.
const MAX_SSDTS: usize = 32;
const MAX_SSDT_BYTES: usize = 2 << 20;

/// The tables that are used: the first valid table of each kind, and every valid SSDT.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tables<'m> {
    pub(super) madt: Option<AcpiTable<'m>>,
    pub(super) mcfg: Option<AcpiTable<'m>>,
    pub(super) hpet: Option<AcpiTable<'m>>,
    pub(super) fadt: Option<AcpiTable<'m>>,
    pub(super) dmar: Option<AcpiTable<'m>>,
    pub(super) ivrs: Option<AcpiTable<'m>>,
    dsdt: Option<AcpiTable<'m>>,
    ssdts: [Option<AcpiTable<'m>>; MAX_SSDTS],
}

impl<'m> Tables<'m> {
    /// Finds the tables of a machine whose RSDP is at physical address `rsdp` (5.2.5). Without a valid RSDP or root table the
    /// result is empty.
    pub fn find<M: PhysicalMemory>(memory: &'m M, rsdp: Option<u64>) -> Self {
        let mut tables = Self::default();
        let Some((root, entry_bytes)) = rsdp.and_then(|rsdp| root_table(memory, rsdp)) else { return tables };
        for entry in root.body().chunks_exact(entry_bytes).take(MAX_ENTRIES) {
            let address = u64_at(entry, 0).or_else(|| u32_at(entry, 0).map(u64::from));
            if let Some(address) = address {
                tables.add(memory, address);
            }
        }
        tables.dsdt = tables.fadt.and_then(|fadt| {
            fadt::dsdt_addresses(fadt.bytes())
                .find_map(|address| AcpiTable::read(memory, address, signature::DSDT))
        });
        tables
    }

    /// Keeps the table at `address`, if it is of a kind that is used and is the first valid table of that kind.
    fn add<M: PhysicalMemory>(&mut self, memory: &'m M, address: u64) {
        for (table, signature) in [
            (&mut self.madt, signature::MADT),
            (&mut self.mcfg, signature::MCFG),
            (&mut self.hpet, signature::HPET),
            (&mut self.fadt, signature::FADT),
            (&mut self.dmar, signature::DMAR),
            (&mut self.ivrs, signature::IVRS),
        ] {
            *table = table.or_else(|| AcpiTable::read(memory, address, signature));
        }
        self.add_ssdt(memory, address);
    }

    /// Keeps the table at `address`, if it is an SSDT that is not kept already and that fits into [`MAX_SSDT_BYTES`].
    fn add_ssdt<M: PhysicalMemory>(&mut self, memory: &'m M, address: u64) {
        let kept = || self.ssdts.iter().flatten();
        if kept().any(|table| table.address() == address) {
            return;
        }
        let room = MAX_SSDT_BYTES.saturating_sub(kept().map(|table| table.bytes().len()).sum());
        if let Some(free) = self.ssdts.iter_mut().find(|ssdt| ssdt.is_none()) {
            *free =
                AcpiTable::read(memory, address, signature::SSDT).filter(|table| table.bytes().len() <= room);
        }
    }

    /// The physical addresses that the tables occupy, which must not be allocated while the tables are in use.
    pub fn ranges(&self) -> impl Iterator<Item = AddrRange> {
        let single = [self.madt, self.mcfg, self.hpet, self.fadt, self.dmar, self.ivrs, self.dsdt];
        single.into_iter().chain(self.ssdts).flatten().filter_map(|table| table.span())
    }

    /// The AML of the definition blocks, without table headers, in load order (5.2.11): the DSDT, then the SSDTs in the order
    /// of the root table. Empty without a DSDT.
    pub fn definition_blocks(&self) -> impl Iterator<Item = &'m [u8]> {
        let ssdts = self.dsdt.map(|_| self.ssdts).into_iter().flatten();
        self.dsdt.into_iter().chain(ssdts.flatten()).map(|table| table.body())
    }
}

/// The XSDT if there is a valid one, else the RSDT; and the bytes of an entry.
fn root_table<M: PhysicalMemory>(memory: &M, rsdp: u64) -> Option<(AcpiTable<'_>, usize)> {
    let is_valid = |bytes: &&[u8]| bytes.starts_with(&signature::RSDP) && sums_to_zero(bytes);
    let pointer = memory.bytes(rsdp, RSDP_V1_BYTES).filter(is_valid)?;
    let xsdt = || {
        let pointer = memory.bytes(rsdp, RSDP_BYTES).filter(|bytes| sums_to_zero(bytes))?;
        AcpiTable::read(memory, u64_at(pointer, RSDP_XSDT)?, signature::XSDT)
    };
    let may_have_xsdt = *pointer.get(RSDP_REVISION)? >= REVISION_WITH_XSDT;
    if let Some(root) = may_have_xsdt.then(xsdt).flatten() {
        return Some((root, XSDT_ENTRY_BYTES));
    }
    let rsdt = u64::from(u32_at(pointer, RSDP_RSDT)?);
    Some((AcpiTable::read(memory, rsdt, signature::RSDT)?, RSDT_ENTRY_BYTES))
}
