//! DMAR and IVRS: registers of Intel's and AMD's IOMMUs (Intel Virtualization Technology for Directed I/O 4.1, chapter 8; AMD
//! I/O Virtualization Technology 3.08, section 5.2).

use alloc::vec::Vec;

use millrace_boot::little_endian::{u16_at, u64_at};

use super::table::AcpiTable;

/// Where the structures of either table begin.
const STRUCTURES: usize = 48;
/// Offset of a structure's 16-bit length, and the bytes of its type and length, in either table.
const LENGTH: usize = 2;
const HEAD_BYTES: usize = 4;

/// DMAR: type of a DMA remapping hardware unit definition (8.3), its least length, and offsets in it.
const DRHD: u16 = 0;
const DRHD_BYTES: usize = 16;
const DRHD_SEGMENT: usize = 6;
const DRHD_REGISTERS: usize = 8;

/// IVRS: types of I/O virtualization hardware definitions (5.2.2), the original one and two with more fields. A table may have
/// all three for one unit. Least length, and offsets that all three have in common.
const IVHD: [u8; 3] = [0x10, 0x11, 0x40];
const IVHD_BYTES: usize = 24;
const IVHD_REGISTERS: usize = 8;
const IVHD_SEGMENT: usize = 16;

/// Units that are kept of each table.
const MAX_UNITS: usize = 16;

/// An IOMMU: a unit that can translate the addresses of DMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iommu {
    /// The register layout.
    pub vendor: IommuVendor,
    /// Physical address of the registers, not 0.
    pub registers: u64,
}

/// The register layout of an IOMMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IommuVendor {
    /// Intel's (VT-d): a unit of the DMAR.
    Intel,
    /// AMD's (AMD-Vi): a unit of the IVRS.
    Amd,
}

/// The units of both tables in PCI segment 0, without duplicates. The list of a table ends at the first structure with an
/// invalid length.
pub(super) fn read(dmar: Option<AcpiTable<'_>>, ivrs: Option<AcpiTable<'_>>) -> Vec<Iommu> {
    let mut all = units(dmar, IommuVendor::Intel, drhd_registers);
    all.extend(units(ivrs, IommuVendor::Amd, ivhd_registers));
    all
}

fn units(
    table: Option<AcpiTable<'_>>,
    vendor: IommuVendor,
    registers: fn(&[u8]) -> Option<u64>,
) -> Vec<Iommu> {
    let mut kept = Vec::new();
    let bytes = table.map_or(&[][..], |table| table.bytes());
    for registers in structures(bytes).filter_map(registers).filter(|registers| *registers != 0) {
        let found = Iommu { vendor, registers };
        if kept.len() < MAX_UNITS && !kept.contains(&found) {
            kept.push(found);
        }
    }
    kept
}

/// The structures of a table, up to the first with an invalid length.
fn structures(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = table.get(STRUCTURES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let length = Some(usize::from(u16_at(rest, LENGTH)?)).filter(|length| *length >= HEAD_BYTES)?;
        let (structure, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(structure)
    })
}

/// Address of the registers of the unit that a DMAR structure defines; `None` for other structures and other segments.
fn drhd_registers(structure: &[u8]) -> Option<u64> {
    let is_unit = u16_at(structure, 0)? == DRHD && structure.len() >= DRHD_BYTES;
    (is_unit && u16_at(structure, DRHD_SEGMENT)? == 0).then(|| u64_at(structure, DRHD_REGISTERS))?
}

/// Address of the registers of the unit that an IVRS structure defines; `None` for other structures and other segments.
fn ivhd_registers(structure: &[u8]) -> Option<u64> {
    let is_unit = IVHD.contains(structure.first()?) && structure.len() >= IVHD_BYTES;
    (is_unit && u16_at(structure, IVHD_SEGMENT)? == 0).then(|| u64_at(structure, IVHD_REGISTERS))?
}
