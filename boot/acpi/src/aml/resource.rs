//! Resources (6.4): what a device says it has, or a bridge passes on.

use alloc::vec::Vec;

use crate::tables::{Description, InterruptInput, Polarity, Trigger};
use millrace_boot::little_endian::{u16_at, u32_at, u64_at};

/// Resources that are read of a list.
const MAX_RESOURCES: usize = 64;

/// What a stretch of addresses is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Memory.
    Memory,
    /// Io ports.
    Ports,
    /// Bus numbers.
    Buses,
}

/// One resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// An interrupt: an input of an interrupt controller, or of the ISA bus.
    Interrupt {
        /// Which.
        number: u32,
        /// Its active state.
        polarity: Polarity,
        /// What counts of it.
        trigger: Trigger,
        /// Whether it is a number on the ISA bus.
        is_isa: bool,
    },
    /// Addresses, of which there is one at least.
    Range {
        /// What they are of.
        kind: ResourceKind,
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    },
}

impl Resource {
    /// The input that an interrupt is, on a machine with these tables: a number on the ISA bus leads where and how an override
    /// says (5.2.12.5), else to the input of that number, as the resource has it. `None` for other resources.
    pub fn line(&self, acpi: &Description) -> Option<InterruptInput> {
        let &Self::Interrupt { number: gsi, polarity, trigger, is_isa } = self else { return None };
        let own = InterruptInput { gsi, polarity, trigger };
        let found = acpi.overrides.iter().find(|entry| is_isa && u32::from(entry.irq) == gsi);
        Some(found.map_or(own, |entry| entry.input))
    }
}

/// Reads a list, 64 resources at most. What is of another kind is left out; the list ends at its end mark, or where it does
/// not make sense.
pub fn resources(mut bytes: &[u8]) -> Vec<Resource> {
    let mut found = Vec::new();
    while let Some((kind, body, rest)) = item(bytes) {
        bytes = rest;
        if kind == END || found.len() >= MAX_RESOURCES {
            break;
        }
        found.extend(resource(kind, body));
    }
    found
}

const END: u8 = 0x0f;

/// The kind of the first item (large ones from 0x80 on), what is in it, and what is behind it.
fn item(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let lead = *bytes.first()?;
    let (kind, head, length) = if lead & 0x80 == 0 {
        (lead >> 3, 1, usize::from(lead & 0b111))
    } else {
        (lead, 3, usize::from(u16_at(bytes, 1)?))
    };
    let (body, rest) = bytes.get(head..)?.split_at_checked(length)?;
    Some((kind, body, rest))
}

fn resource(kind: u8, body: &[u8]) -> Option<Resource> {
    match kind {
        0x04 => isa_interrupt(body),
        0x08 => range(ResourceKind::Ports, u16_at(body, 1)?.into(), u64::from(*body.get(6)?)),
        0x09 => range(ResourceKind::Ports, u16_at(body, 0)?.into(), u64::from(*body.get(2)?)),
        0x85 => range(ResourceKind::Memory, u32_at(body, 1)?.into(), u32_at(body, 13)?.into()),
        0x86 => range(ResourceKind::Memory, u32_at(body, 1)?.into(), u32_at(body, 5)?.into()),
        0x87 => window(body, u32_at(body, 7)?.into(), u32_at(body, 19)?.into()),
        0x88 => window(body, u16_at(body, 5)?.into(), u16_at(body, 11)?.into()),
        0x89 => extended_interrupt(body),
        0x8a => window(body, u64_at(body, 11)?, u64_at(body, 35)?),
        _ => None,
    }
}

fn range(kind: ResourceKind, first: u64, count: u64) -> Option<Resource> {
    first.checked_add(count)?;
    (count > 0).then_some(Resource::Range { kind, first, count })
}

fn window(body: &[u8], first: u64, count: u64) -> Option<Resource> {
    let kind = match *body.first()? {
        0 => ResourceKind::Memory,
        1 => ResourceKind::Ports,
        2 => ResourceKind::Buses,
        _ => return None,
    };
    range(kind, first, count)
}

/// The lowest of those that are in the mask; without flags it is a high edge (6.4.2.1).
fn isa_interrupt(body: &[u8]) -> Option<Resource> {
    let number = u16_at(body, 0).filter(|mask| *mask != 0)?.trailing_zeros();
    let flags = body.get(2).copied().unwrap_or(1);
    let (polarity, trigger) = (polarity(flags >> 3 & 1 != 0), trigger(flags & 1 != 0));
    Some(Resource::Interrupt { number, polarity, trigger, is_isa: true })
}

/// The first of the list (6.4.3.6).
fn extended_interrupt(body: &[u8]) -> Option<Resource> {
    let flags = *body.first()?;
    let number = u32_at(body, 2).filter(|_| body.get(1).is_some_and(|count| *count > 0))?;
    let (polarity, trigger) = (polarity(flags >> 2 & 1 != 0), trigger(flags >> 1 & 1 != 0));
    Some(Resource::Interrupt { number, polarity, trigger, is_isa: false })
}

fn polarity(is_low: bool) -> Polarity {
    if is_low { Polarity::Low } else { Polarity::High }
}

fn trigger(is_edge: bool) -> Trigger {
    if is_edge { Trigger::Edge } else { Trigger::Level }
}
