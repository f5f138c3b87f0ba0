//! MADT: interrupt controllers and processors (ACPI 6.5, 5.2.12).

use alloc::vec;
use alloc::vec::Vec;

use super::HEADER_BYTES;
use millrace_boot::little_endian::{u16_at, u32_at};

/// Where the list of structures begins.
const STRUCTURES: usize = HEADER_BYTES + 8;

/// Kinds of structures (table 5.21).
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const LOCAL_X2APIC: u8 = 9;

/// A processor that can be used (table 5.23). One that could only be plugged in later has another flag instead.
const ENABLED: u32 = 1;

/// Of each kind, how many are kept. Processors beyond are counted.
const MAX_PROCESSORS: usize = 1024;
const MAX_IO_APICS: usize = 16;
const MAX_OVERRIDES: usize = 64;

/// A controller that lines of devices lead to, numbered in one sequence over all of them: global system interrupts (GSI).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// The GSI of its first input.
    pub first_gsi: u32,
}

/// Which state of a line means an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// A high one.
    High,
    /// A low one.
    Low,
}

/// What in the state of a line means an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Getting there.
    Edge,
    /// Being there.
    Level,
}

/// An interrupt of the ISA bus that is not at the input of its own number, or not a high edge (5.2.12.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// Its number on the bus.
    pub irq: u8,
    /// The input that it leads to, and how.
    pub line: IsaLine,
}

/// Where an interrupt of the ISA bus leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsaLine {
    /// The input.
    pub gsi: u32,
    /// Its active state.
    pub polarity: Polarity,
    /// What counts of it.
    pub trigger: Trigger,
}

/// What the table says: processors and interrupt controllers.
pub(super) struct Controllers {
    /// Numbers of the local APICs of the processors that can be used.
    pub(super) processors: Vec<u32>,
    /// Further processors that the table lists.
    pub(super) processors_omitted: usize,
    pub(super) io_apics: Vec<IoApic>,
    pub(super) overrides: Vec<Override>,
}

impl Controllers {
    /// Those of a machine without a table: the processor whose local APIC has this number.
    pub(super) fn of(running: u32) -> Self {
        Self { processors: vec![running], processors_omitted: 0, io_apics: Vec::new(), overrides: Vec::new() }
    }

    /// Adds what the table says.
    pub(super) fn read(&mut self, madt: &[u8]) {
        for entry in structures(madt) {
            // A structure that is shorter than its kind demands says nothing.
            let _ = add(entry, self);
        }
    }
}

/// The structures. The list ends at the first that has no room for its own length or reaches beyond the table.
fn structures(madt: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = madt.get(STRUCTURES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?);
        let (entry, behind) = rest.split_at_checked(length).filter(|_| length >= 2)?;
        rest = behind;
        Some(entry)
    })
}

fn add(entry: &[u8], into: &mut Controllers) -> Option<()> {
    match *entry.first()? {
        LOCAL_APIC if u32_at(entry, 4)? & ENABLED != 0 => {
            add_processor(u32::from(*entry.get(3)?), into);
        }
        LOCAL_X2APIC if u32_at(entry, 8)? & ENABLED != 0 => {
            add_processor(u32_at(entry, 4)?, into);
        }
        IO_APIC if into.io_apics.len() < MAX_IO_APICS => {
            let (address, first_gsi) = (u32_at(entry, 4)?.into(), u32_at(entry, 8)?);
            into.io_apics.push(IoApic { address, first_gsi });
        }
        SOURCE_OVERRIDE if into.overrides.len() < MAX_OVERRIDES => {
            into.overrides.push(source_override(entry)?);
        }
        _ => {}
    }
    Some(())
}

fn add_processor(apic_id: u32, into: &mut Controllers) {
    if into.processors.contains(&apic_id) {
        return;
    }
    if into.processors.len() < MAX_PROCESSORS {
        into.processors.push(apic_id);
    } else {
        into.processors_omitted += 1;
    }
}

/// Its flags say how, or that it is as on the bus (table 5.26): an edge to high. `None` for those of other buses.
fn source_override(entry: &[u8]) -> Option<Override> {
    let (bus, irq, gsi, flags) = (*entry.get(2)?, *entry.get(3)?, u32_at(entry, 4)?, u16_at(entry, 8)?);
    let polarity = if flags & 0b11 == 0b11 { Polarity::Low } else { Polarity::High };
    let trigger = if flags >> 2 & 0b11 == 0b11 { Trigger::Level } else { Trigger::Edge };
    (bus == 0).then_some(Override { irq, line: IsaLine { gsi, polarity, trigger } })
}
