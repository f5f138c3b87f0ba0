//! Resource descriptors (6.4): the memory, I/O ports, bus numbers and interrupts of a device.

use alloc::vec::Vec;

use millrace_boot::little_endian::{u16_at, u32_at, u64_at};

use crate::tables::{Description, InterruptInput, Polarity, Trigger};

/// Resources of a list that are decoded.
const MAX_RESOURCES: usize = 64;

/// Tag of a descriptor (6.4.2, 6.4.3): bit 7 is set for the large descriptors, and the whole byte is their tag. Of a small
/// descriptor, bits 3 to 6 are the tag and bits 0 to 2 the length.
const LARGE: u8 = 0x80;
const SMALL_TAG_SHIFT: u32 = 3;
const SMALL_LENGTH: u8 = 0b111;
/// Bytes before the body: the tag byte; of a large descriptor also the 16-bit length.
const SMALL_HEAD_BYTES: usize = 1;
const LARGE_HEAD_BYTES: usize = 3;

/// Tags of small descriptors (6.4.2).
const IRQ: u8 = 0x04;
const IO_PORT: u8 = 0x08;
const FIXED_IO_PORT: u8 = 0x09;
const END_TAG: u8 = 0x0f;
/// Tags of large descriptors (6.4.3).
const MEMORY_32: u8 = 0x85;
const FIXED_MEMORY_32: u8 = 0x86;
const DWORD_ADDRESS_SPACE: u8 = 0x87;
const WORD_ADDRESS_SPACE: u8 = 0x88;
const EXTENDED_INTERRUPT: u8 = 0x89;
const QWORD_ADDRESS_SPACE: u8 = 0x8a;

/// Resource types of address space descriptors (6.4.3.5).
const MEMORY_RANGE: u8 = 0;
const IO_RANGE: u8 = 1;
const BUS_NUMBER_RANGE: u8 = 2;

/// IRQ descriptor (6.4.2.1): edge-triggered in bit 0, active-low in bit 3; without flags an active-high edge.
const IRQ_EDGE: u8 = 1 << 0;
const IRQ_LOW: u8 = 1 << 3;
const IRQ_DEFAULT_FLAGS: u8 = IRQ_EDGE;
/// Extended interrupt descriptor (6.4.3.6): edge-triggered in bit 1, active-low in bit 2.
const EXTENDED_EDGE: u8 = 1 << 1;
const EXTENDED_LOW: u8 = 1 << 2;

/// What the addresses of a range are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeKind {
    /// Physical addresses of memory.
    Memory,
    /// I/O port numbers.
    Io,
    /// PCI bus numbers.
    BusNumber,
}

/// A resource of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// An interrupt.
    Interrupt {
        /// A number on the ISA bus if `is_isa`, else a global system interrupt (GSI).
        number: u32,
        /// Active level.
        polarity: Polarity,
        /// Trigger mode.
        trigger: Trigger,
        /// Whether `number` is a number on the ISA bus.
        is_isa: bool,
    },
    /// A range of addresses, not empty.
    Range {
        /// What the addresses are.
        kind: RangeKind,
        /// First address.
        first: u64,
        /// Number of addresses, not 0. `first + count` does not overflow.
        count: u64,
    },
}

impl Resource {
    /// The input of an interrupt controller that this interrupt is connected to, on a machine with these tables. An interrupt
    /// of the ISA bus follows a source override (5.2.12.5) if there is one. `None` for resources other than interrupts.
    pub fn interrupt_input(&self, acpi: &Description) -> Option<InterruptInput> {
        let &Self::Interrupt { number: gsi, polarity, trigger, is_isa } = self else { return None };
        let own = InterruptInput { gsi, polarity, trigger };
        let found = acpi.overrides.iter().find(|entry| is_isa && u32::from(entry.irq) == gsi);
        Some(found.map_or(own, |entry| entry.input))
    }
}

/// Decodes a list of resource descriptors, such as `_CRS` returns (6.2.2), up to 64 resources. Descriptors of other types are
/// skipped. The list ends at its end tag or at the first malformed descriptor.
pub fn resources(mut bytes: &[u8]) -> Vec<Resource> {
    let mut found = Vec::new();
    while let Some((tag, body, rest)) = descriptor(bytes) {
        bytes = rest;
        if tag == END_TAG || found.len() >= MAX_RESOURCES {
            break;
        }
        found.extend(resource(tag, body));
    }
    found
}

/// The tag of the first descriptor, its body, and the bytes behind it.
fn descriptor(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let lead = *bytes.first()?;
    let (tag, head, length) = if lead & LARGE == 0 {
        (lead >> SMALL_TAG_SHIFT, SMALL_HEAD_BYTES, usize::from(lead & SMALL_LENGTH))
    } else {
        (lead, LARGE_HEAD_BYTES, usize::from(u16_at(bytes, 1)?))
    };
    let (body, rest) = bytes.get(head..)?.split_at_checked(length)?;
    Some((tag, body, rest))
}

fn resource(tag: u8, body: &[u8]) -> Option<Resource> {
    match tag {
        IRQ => irq(body),
        IO_PORT => range(RangeKind::Io, u16_at(body, 1)?.into(), u64::from(*body.get(6)?)),
        FIXED_IO_PORT => range(RangeKind::Io, u16_at(body, 0)?.into(), u64::from(*body.get(2)?)),
        MEMORY_32 => range(RangeKind::Memory, u32_at(body, 1)?.into(), u32_at(body, 13)?.into()),
        FIXED_MEMORY_32 => range(RangeKind::Memory, u32_at(body, 1)?.into(), u32_at(body, 5)?.into()),
        DWORD_ADDRESS_SPACE => address_space(body, u32_at(body, 7)?.into(), u32_at(body, 19)?.into()),
        WORD_ADDRESS_SPACE => address_space(body, u16_at(body, 5)?.into(), u16_at(body, 11)?.into()),
        QWORD_ADDRESS_SPACE => address_space(body, u64_at(body, 11)?, u64_at(body, 35)?),
        EXTENDED_INTERRUPT => extended_interrupt(body),
        _ => None,
    }
}

fn range(kind: RangeKind, first: u64, count: u64) -> Option<Resource> {
    first.checked_add(count)?;
    (count > 0).then_some(Resource::Range { kind, first, count })
}

fn address_space(body: &[u8], first: u64, count: u64) -> Option<Resource> {
    let kind = match *body.first()? {
        MEMORY_RANGE => RangeKind::Memory,
        IO_RANGE => RangeKind::Io,
        BUS_NUMBER_RANGE => RangeKind::BusNumber,
        _ => return None,
    };
    range(kind, first, count)
}

/// The lowest interrupt in the mask of an IRQ descriptor.
fn irq(body: &[u8]) -> Option<Resource> {
    let number = u16_at(body, 0).filter(|mask| *mask != 0)?.trailing_zeros();
    let flags = body.get(2).copied().unwrap_or(IRQ_DEFAULT_FLAGS);
    let (polarity, trigger) = (polarity(flags & IRQ_LOW != 0), trigger(flags & IRQ_EDGE != 0));
    Some(Resource::Interrupt { number, polarity, trigger, is_isa: true })
}

/// The first interrupt of an extended interrupt descriptor.
fn extended_interrupt(body: &[u8]) -> Option<Resource> {
    let flags = *body.first()?;
    let number = u32_at(body, 2).filter(|_| body.get(1).is_some_and(|count| *count > 0))?;
    let (polarity, trigger) = (polarity(flags & EXTENDED_LOW != 0), trigger(flags & EXTENDED_EDGE != 0));
    Some(Resource::Interrupt { number, polarity, trigger, is_isa: false })
}

fn polarity(is_low: bool) -> Polarity {
    if is_low { Polarity::Low } else { Polarity::High }
}

fn trigger(is_edge: bool) -> Trigger {
    if is_edge { Trigger::Edge } else { Trigger::Level }
}
