//! MADT: processors and interrupt controllers (5.2.12).

use alloc::vec;
use alloc::vec::Vec;

use millrace_boot::little_endian::{u16_at, u32_at};

use super::interrupt::{InterruptInput, Polarity, SourceOverride, Trigger};
use super::table::HEADER_BYTES;

/// Where the interrupt controller structures begin, behind the local APIC's address and the flags.
const STRUCTURES: usize = HEADER_BYTES + 8;
/// Bytes of a structure's type and length.
const HEAD_BYTES: usize = 2;

/// Types of interrupt controller structures (table 5.21).
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const LOCAL_X2APIC: u8 = 9;

/// Local APIC flags (table 5.23): the processor is usable. A processor that can only be hot-plugged has another flag instead.
const ENABLED: u32 = 1;

/// MPS INTI flags of a source override (table 5.26): polarity in bits 0 and 1, trigger mode in bits 2 and 3. Value 0 means as
/// usual for the bus, which for ISA is an active-high edge.
const TRIGGER_SHIFT: u16 = 2;
const INTI_MASK: u16 = 0b11;
const ACTIVE_LOW: u16 = 0b11;
const LEVEL: u16 = 0b11;
/// Bus of a source override: ISA, the only bus that is defined.
const ISA: u8 = 0;

/// Entries of each type that are kept. Processors beyond the limit are counted.
const MAX_PROCESSORS: usize = 1024;
const MAX_IO_APICS: usize = 16;
const MAX_OVERRIDES: usize = 64;

/// An I/O APIC: an interrupt controller with inputs for the interrupt lines of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoApic {
    /// Physical address of the registers.
    pub address: u64,
    /// Global system interrupt of the first input; the others follow.
    pub gsi_base: u32,
}

/// The entries of the MADT.
pub(super) struct MadtEntries {
    /// Local APIC ids of the usable processors, without duplicates.
    pub(super) processors: Vec<u32>,
    /// Number of usable processors that are not in `processors`.
    pub(super) processors_omitted: usize,
    pub(super) io_apics: Vec<IoApic>,
    pub(super) overrides: Vec<SourceOverride>,
}

impl MadtEntries {
    /// The entries of a machine without a MADT: the running processor, given by its local APIC id.
    pub(super) fn without_table(running: u32) -> Self {
        Self { processors: vec![running], processors_omitted: 0, io_apics: Vec::new(), overrides: Vec::new() }
    }

    /// Adds the entries of the table.
    pub(super) fn read(&mut self, madt: &[u8]) {
        for structure in structures(madt) {
            // A structure that is too short for its type is skipped.
            let _ = self.add(structure);
        }
    }

    fn add(&mut self, structure: &[u8]) -> Option<()> {
        match *structure.first()? {
            LOCAL_APIC if u32_at(structure, 4)? & ENABLED != 0 => {
                self.add_processor(u32::from(*structure.get(3)?));
            }
            LOCAL_X2APIC if u32_at(structure, 8)? & ENABLED != 0 => {
                self.add_processor(u32_at(structure, 4)?);
            }
            IO_APIC if self.io_apics.len() < MAX_IO_APICS => {
                let (address, gsi_base) = (u32_at(structure, 4)?.into(), u32_at(structure, 8)?);
                self.io_apics.push(IoApic { address, gsi_base });
            }
            SOURCE_OVERRIDE if self.overrides.len() < MAX_OVERRIDES => {
                self.overrides.push(source_override(structure)?);
            }
            _ => {}
        }
        Some(())
    }

    fn add_processor(&mut self, apic_id: u32) {
        if self.processors.contains(&apic_id) {
            return;
        }
        if self.processors.len() < MAX_PROCESSORS {
            self.processors.push(apic_id);
        } else {
            self.processors_omitted += 1;
        }
    }
}

/// The interrupt controller structures, up to the first with an invalid length.
fn structures(madt: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = madt.get(STRUCTURES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?);
        let (structure, behind) = rest.split_at_checked(length).filter(|_| length >= HEAD_BYTES)?;
        rest = behind;
        Some(structure)
    })
}

/// Decodes a source override; `None` for a bus other than ISA.
fn source_override(structure: &[u8]) -> Option<SourceOverride> {
    let (bus, irq) = (*structure.get(2)?, *structure.get(3)?);
    let (gsi, flags) = (u32_at(structure, 4)?, u16_at(structure, 8)?);
    let polarity = if flags & INTI_MASK == ACTIVE_LOW { Polarity::Low } else { Polarity::High };
    let trigger = if flags >> TRIGGER_SHIFT & INTI_MASK == LEVEL { Trigger::Level } else { Trigger::Edge };
    (bus == ISA).then_some(SourceOverride { irq, input: InterruptInput { gsi, polarity, trigger } })
}
