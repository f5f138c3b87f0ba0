//! Where a queue lies, and in which format.

use crate::testing::FakeMachine;
use crate::testing::device::{Interface, Setup, Violation};

const RING_EVENT_IDX: u64 = 1 << 29;
const RING_PACKED: u64 = 1 << 34;
const IN_ORDER: u64 = 1 << 35;

/// What driver and device have agreed on about all queues, and what the device makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub format: Format,
    /// Each side says at which position it wants to be notified.
    pub has_event_idx: bool,
    /// The device uses buffers in the order in which they come, and the driver takes descriptors in ring order.
    pub is_in_order: bool,
    /// The device says of a packed queue's buffer whether it has written to it.
    pub has_write_flag: bool,
}

/// How a queue lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Descriptors, available ring, used ring (section 2.7).
    Split,
    /// One ring of descriptors, and what each side says about events (section 2.8).
    Packed,
}

impl Terms {
    /// What goes with these accepted features. The packed format came with version 1.1: legacy devices have none.
    pub fn of(setup: &Setup, accepted: u64) -> Self {
        let is_modern = setup.interface == Interface::Modern;
        let is_packed = is_modern && accepted & RING_PACKED != 0;
        Self {
            format: if is_packed { Format::Packed } else { Format::Split },
            has_event_idx: accepted & RING_EVENT_IDX != 0,
            is_in_order: is_modern && accepted & IN_ORDER != 0,
            has_write_flag: !setup.quirks.omits_write_flag,
        }
    }
}

impl Format {
    /// Whether a queue can have so many entries: powers of two (section 2.7), or anything up to 32768 (section 2.8).
    pub fn has_size(self, size: u16) -> bool {
        match self {
            Self::Split => size.is_power_of_two(),
            Self::Packed => (1..=0x8000).contains(&size),
        }
    }
}

/// Where a queue lies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    pub size: u16,
    pub descriptors: u64,
    /// The driver area: the available ring, or the driver's event suppression structure.
    pub available: u64,
    /// The device area: the used ring, or the device's event suppression structure.
    pub used: u64,
}

impl Place {
    /// What is wrong with the place of a queue that is being enabled (sections 2.7 and 2.8.10.1).
    pub fn complaint(&self, machine: &FakeMachine, queue: u16, format: Format) -> Option<Violation> {
        let size = usize::from(self.size);
        let (available, used) = match format {
            Format::Split => ((6 + 2 * size, 2), (6 + 8 * size, 4)),
            Format::Packed => ((4, 4), (4, 4)),
        };
        let parts = [
            (self.descriptors, 16 * size, 16),
            (self.available, available.0, available.1),
            (self.used, used.0, used.1),
        ];
        if parts.iter().any(|&(address, ..)| address == 0) {
            Some(Violation::QueueWithoutAddresses { queue })
        } else if parts.iter().any(|&(address, _, align)| !address.is_multiple_of(align)) {
            Some(Violation::QueueMisaligned { queue })
        } else if parts.iter().any(|&(address, bytes, _)| !machine.has(address, bytes)) {
            Some(Violation::QueueOutsideMemory { queue })
        } else {
            None
        }
    }
}
