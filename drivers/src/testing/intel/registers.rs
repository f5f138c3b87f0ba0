//! What the registers hold, which of their bits are reserved, and what a reset makes of them.

use alloc::collections::BTreeMap;

use super::setup::IntelSetup;
use super::violation::{IntelViolation, Ring};
use crate::e1000::{Model, Offset};

pub(super) const CTRL_MASTER_DISABLE: u32 = 1 << 2;
pub(super) const CTRL_RESET: u32 = 1 << 26;
pub(super) const ENABLE: u32 = 1 << 1;

/// The registers of a ring, and the bit of its control register that switches it on is [`ENABLE`].
#[derive(Debug, Clone, Copy)]
pub(super) struct RingOffsets {
    pub control: Offset,
    pub low: Offset,
    pub high: Offset,
    pub length: Offset,
    pub head: Offset,
    pub tail: Offset,
}

impl Ring {
    /// The ring's registers.
    pub(super) fn offsets(self) -> RingOffsets {
        match self {
            Self::Receive => RingOffsets {
                control: Offset::Rctl,
                low: Offset::Rdbal,
                high: Offset::Rdbah,
                length: Offset::Rdlen,
                head: Offset::Rdh,
                tail: Offset::Rdt,
            },
            Self::Transmit => RingOffsets {
                control: Offset::Tctl,
                low: Offset::Tdbal,
                high: Offset::Tdbah,
                length: Offset::Tdlen,
                head: Offset::Tdh,
                tail: Offset::Tdt,
            },
        }
    }

    /// The ring that a register belongs to, unless it is its control or tail register.
    pub(super) fn placed_by(offset: Offset) -> Option<Self> {
        [Self::Receive, Self::Transmit].into_iter().find(|ring| {
            let RingOffsets { low, high, length, head, .. } = ring.offsets();
            [low, high, length, head].contains(&offset)
        })
    }
}

/// The registers that were written, and how often.
#[derive(Debug, Default)]
pub(super) struct Registers {
    values: BTreeMap<Offset, u32>,
    writes: BTreeMap<Offset, u64>,
}

impl Registers {
    pub fn get(&self, offset: Offset) -> u32 {
        self.values.get(&offset).copied().unwrap_or(0)
    }

    /// Notes a write by the driver.
    pub fn write(&mut self, offset: Offset, value: u32) {
        *self.writes.entry(offset).or_default() += 1;
        self.set(offset, value);
    }

    pub fn set(&mut self, offset: Offset, value: u32) {
        self.values.insert(offset, value);
    }

    pub fn writes(&self, offset: Offset) -> u64 {
        self.writes.get(&offset).copied().unwrap_or(0)
    }

    /// As they are after a reset.
    pub fn reset(&mut self, setup: &IntelSetup) {
        let is_kept = |offset: &Offset| setup.quirks.keeps_rings && *offset >= Offset::Rdbal;
        self.values.retain(|offset, _| is_kept(offset));
        self.writes.clear();
        // What stands in a filter that is not valid is no address, whatever it looks like.
        let [a, b, c, d, e, f] = setup.filter_mac.unwrap_or([2, 9, 9, 9, 9, 9]);
        self.set(Offset::Ral0, u32::from_le_bytes([a, b, c, d]));
        let valid = u32::from(setup.filter_mac.is_some()) << 31;
        self.set(Offset::Rah0, u32::from_le_bytes([e, f, 0, 0]) | valid);
    }
}

/// What is wrong with writing `value` to a register of this card, whatever state it is in.
pub(super) fn complaint(model: Model, offset: Offset, value: u32) -> Option<IntelViolation> {
    let is_express = model == Model::I82574l;
    if offset == Offset::Status {
        return Some(IntelViolation::ReadOnly { offset });
    }
    if offset == Offset::Rfctl && !is_express {
        return Some(IntelViolation::NotOfThisCard { offset });
    }
    let reserved = match offset {
        Offset::Ctrl if is_express => 1 << 1 | 1 << 3 | 1 << 4 | 1 << 10,
        Offset::Ctrl => 1 << 1 | 1 << 2 | 1 << 4 | 1 << 10 | 1 << 13,
        Offset::Rctl if is_express => 1 << 0 | 1 << 14 | 1 << 21 | 1 << 24 | 1 << 31,
        Offset::Rctl => 1 << 0 | 1 << 14 | 1 << 21 | 1 << 24 | 0xf8 << 24,
        Offset::Tctl => 1 << 0 | 1 << 2 | 1 << 23 | 0xfc << 24,
        Offset::Tipg => 3 << 30,
        Offset::Rdbal | Offset::Tdbal => 0xf,
        Offset::Rdlen | Offset::Tdlen => 0xfff0_007f,
        Offset::Rdh | Offset::Rdt | Offset::Tdh | Offset::Tdt => 0xffff_0000,
        Offset::Txdctl if !is_express => 3 << 22,
        Offset::Rah0 => 0x7ffc_0000,
        _ => 0,
    };
    // A base that is not aligned, or a length that is not, has a rule of its own.
    let has_own_rule =
        matches!(offset, Offset::Rdbal | Offset::Tdbal | Offset::Rdlen | Offset::Tdlen) && value >> 20 == 0;
    let bits = value & reserved;
    (bits != 0 && !has_own_rule).then_some(IntelViolation::ReservedBits { offset, bits })
}
