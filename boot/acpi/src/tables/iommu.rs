//! DMAR and IVRS: where the registers of Intel's and AMD's IOMMUs are (Intel Virtualization Technology for Directed I/O 4.1,
//! chapter 8; AMD I/O Virtualization Technology 3.08, section 5.2).

use alloc::vec::Vec;

use super::Table;
use millrace_boot::little_endian::{u16_at, u64_at};

/// Bytes in front of the structures of either table.
const STRUCTURES: usize = 48;
/// Bytes of a structure's type and length.
const HEAD: usize = 4;
/// Type of a DMAR structure for a unit (8.3), and how long it is at least.
const DRHD: u16 = 0;
const DRHD_BYTES: usize = 16;
/// Types of IVRS structures for a unit (5.2.2): the old one, and two with more fields. A table may have all three for one unit.
const IVHD: [u8; 3] = [0x10, 0x11, 0x40];
const IVHD_BYTES: usize = 24;
/// Units that are kept of each table.
const MAX_UNITS: usize = 16;

/// A unit that can translate the addresses that devices use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iommu {
    /// Whose registers it has.
    pub maker: IommuMaker,
    /// Physical address of its registers, not 0.
    pub registers: u64,
}

/// Whose registers a unit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IommuMaker {
    /// Intel's: a unit of the table DMAR.
    Intel,
    /// AMD's: a unit of the table IVRS.
    Amd,
}

/// The units of both tables in PCI segment 0, none twice. A list ends where a structure makes no sense.
pub(super) fn read(dmar: Option<Table<'_>>, ivrs: Option<Table<'_>>) -> Vec<Iommu> {
    let units = |table: Option<Table<'_>>, maker, unit: fn(&[u8]) -> Option<u64>| {
        let mut kept = Vec::new();
        let bytes = table.map_or(&[][..], |table| table.bytes());
        for registers in structures(bytes).filter_map(unit).filter(|registers| *registers != 0) {
            let found = Iommu { maker, registers };
            if kept.len() < MAX_UNITS && !kept.contains(&found) {
                kept.push(found);
            }
        }
        kept
    };
    let mut all = units(dmar, IommuMaker::Intel, drhd);
    all.extend(units(ivrs, IommuMaker::Amd, ivhd));
    all
}

/// The structures of a table. In both kinds of tables the length is in the second 16 bits of each.
fn structures(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = table.get(STRUCTURES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let length = Some(usize::from(u16_at(rest, 2)?)).filter(|length| *length >= HEAD)?;
        let (structure, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(structure)
    })
}

/// Where the registers of the Intel unit are that a structure describes, if it does describe one.
fn drhd(structure: &[u8]) -> Option<u64> {
    let is_unit = u16_at(structure, 0)? == DRHD && structure.len() >= DRHD_BYTES;
    (is_unit && u16_at(structure, 6)? == 0).then(|| u64_at(structure, 8))?
}

/// The same for an AMD unit.
fn ivhd(structure: &[u8]) -> Option<u64> {
    let is_unit = IVHD.contains(structure.first()?) && structure.len() >= IVHD_BYTES;
    (is_unit && u16_at(structure, 16)? == 0).then(|| u64_at(structure, 8))?
}
