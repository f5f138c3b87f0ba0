//! Where the registers are: the vendor capabilities of a virtio function (section 4.1.4).

use alloc::sync::Arc;
use core::fmt;

use super::layout;
use crate::hal::Hal;
use crate::pci::{BarError, Bars, Capability, CapabilityId, ConfigSpace, Function};
use crate::registers::{IoRegion, RegisterError};

/// The most of the doorbells that is mapped: enough for 262144 queues with doorbells four bytes apart, or 256 with a
/// page for each.
const NOTIFY_LIMIT: u64 = 1 << 20;
/// The most of the device's own configuration that is mapped; a network card uses some twenty bytes.
const DEVICE_LIMIT: u64 = 1 << 12;

/// A register structure, by the number that its capability carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Common configuration.
    Common,
    /// Doorbells.
    Notify,
    /// Why the device asserts its line.
    Isr,
    /// The configuration of this kind of device.
    Device,
}

/// Why the registers of a function cannot be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PciError {
    /// The function has no virtio capability: it has the legacy interface only, if any.
    LegacyOnly,
    /// There is no capability for a part that the driver needs.
    Missing(Part),
    /// The part is too short for the registers in it.
    TooShort {
        /// The part.
        part: Part,
        /// Its length in bytes.
        bytes: u32,
    },
    /// The part lies in a BAR that cannot be used.
    Bar {
        /// The part.
        part: Part,
        /// Number of the BAR.
        bar: u8,
        /// What is wrong with it.
        error: BarError,
    },
    /// The part reaches beyond the end of its BAR.
    BeyondBar {
        /// The part.
        part: Part,
        /// Number of the BAR.
        bar: u8,
    },
    /// A register cannot be mapped.
    Register(RegisterError),
}

/// The parts of a function that the driver uses.
#[derive(Debug)]
pub(in crate::virtio) struct Windows {
    pub common: Place,
    pub notify: Place,
    /// Distance of two doorbells in bytes, to be multiplied with a queue's `queue_notify_off`.
    pub notify_multiplier: u32,
    /// Of a device that has a line; what is wrong with it costs the interrupts and not the card.
    pub isr: Option<Place>,
    pub device: Option<Place>,
}

/// Where a part lies in physical memory.
#[derive(Debug, Clone, Copy)]
pub(in crate::virtio) struct Place {
    phys: u64,
    bytes: u64,
}

impl Windows {
    /// Reads the capabilities. Of several for one part the first counts that can be used (section 4.1.4.1).
    pub fn find(config: &dyn ConfigSpace, function: &Function) -> Result<Self, PciError> {
        let parts = || function.capabilities(config).filter_map(|found| PartCapability::read(config, found));
        if parts().next().is_none() {
            return Err(PciError::LegacyOnly);
        }
        let bars = function.bars(config);
        let first = |part| first_usable(parts().filter(|found| found.part == part), &bars);
        let (common, _) = first(Part::Common).ok_or(PciError::Missing(Part::Common))??;
        let (notify, found) = first(Part::Notify).ok_or(PciError::Missing(Part::Notify))??;
        let too_short = PciError::TooShort { part: Part::Notify, bytes: u32::from(found.capability_bytes) };
        let notify_multiplier = found.notify_multiplier(config).ok_or(too_short)?;
        let device = first(Part::Device).transpose()?.map(|(place, _)| place);
        let isr = first(Part::Isr).and_then(Result::ok).map(|(place, _)| place);
        Ok(Self { common, notify, notify_multiplier, isr, device })
    }
}

impl Place {
    /// Makes the part accessible.
    pub fn map(self, hal: &dyn Hal) -> Result<Arc<dyn IoRegion>, PciError> {
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        hal.map(self.phys, bytes).map_err(PciError::Register)
    }
}

/// The first of `candidates` whose place can be used, or what is wrong with the last; `None` when there are none.
fn first_usable(
    candidates: impl Iterator<Item = PartCapability>,
    bars: &Bars,
) -> Option<Result<(Place, PartCapability), PciError>> {
    let mut outcome = None;
    for found in candidates {
        let place = found.place(bars).map(|place| (place, found));
        let is_usable = place.is_ok();
        outcome = Some(place);
        if is_usable {
            break;
        }
    }
    outcome
}

/// `struct virtio_pci_cap`.
#[derive(Debug, Clone, Copy)]
struct PartCapability {
    part: Part,
    bar: u8,
    offset: u32,
    bytes: u32,
    /// Length of the capability itself.
    capability_bytes: u8,
    capability: Capability,
}

impl PartCapability {
    /// Length of `struct virtio_pci_cap`.
    const BYTES: u8 = 16;
    /// Length of `struct virtio_pci_notify_cap`, the same with the multiplier behind it.
    const NOTIFY_BYTES: u8 = 20;

    /// Reads the capability, if it is one for a part that the driver uses.
    fn read(config: &dyn ConfigSpace, capability: Capability) -> Option<Self> {
        if capability.id != CapabilityId::VENDOR {
            return None;
        }
        let [_id, _next, capability_bytes, kind] = capability.read32(config, 0)?.to_le_bytes();
        let [bar, ..] = capability.read32(config, 4)?.to_le_bytes();
        let part = Part::from_kind(kind).filter(|_| capability_bytes >= Self::BYTES)?;
        let offset = capability.read32(config, 8)?;
        let bytes = capability.read32(config, 12)?;
        Some(Self { part, bar, offset, bytes, capability_bytes, capability })
    }

    fn notify_multiplier(&self, config: &dyn ConfigSpace) -> Option<u32> {
        if self.capability_bytes < Self::NOTIFY_BYTES {
            return None;
        }
        self.capability.read32(config, u16::from(Self::BYTES))
    }

    /// Where the part lies, if all of it lies in its BAR. Of a longer part only as much is used as the driver needs.
    fn place(&self, bars: &Bars) -> Result<Place, PciError> {
        let Self { part, bar, bytes, .. } = *self;
        let range = bars.memory(bar).map_err(|error| PciError::Bar { part, bar, error })?;
        let (offset, bytes) = (u64::from(self.offset), u64::from(bytes));
        if offset + bytes > range.bytes {
            return Err(PciError::BeyondBar { part, bar });
        }
        let (least, most) = part.used_bytes();
        if bytes < least {
            return Err(PciError::TooShort { part, bytes: self.bytes });
        }
        // The address is a multiple of the BAR's length, so that the sum stays within 64 bits.
        Ok(Place { phys: range.address + offset, bytes: bytes.min(most) })
    }
}

impl Part {
    fn from_kind(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Common),
            2 => Some(Self::Notify),
            3 => Some(Self::Isr),
            4 => Some(Self::Device),
            _ => None,
        }
    }

    /// The least and the most bytes of this part that the driver uses.
    fn used_bytes(self) -> (u64, u64) {
        match self {
            Self::Common => (layout::BYTES as u64, layout::BYTES as u64),
            Self::Notify => (2, NOTIFY_LIMIT),
            Self::Isr => (1, 1),
            Self::Device => (1, DEVICE_LIMIT),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Common => "common configuration",
            Self::Notify => "notification area",
            Self::Isr => "ISR status",
            Self::Device => "device configuration",
        })
    }
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LegacyOnly => f.write_str("the device does not say where its registers are"),
            Self::Missing(part) => write!(f, "the device does not say where its {part} is"),
            Self::TooShort { part, bytes } => write!(f, "the {part} is only {bytes} bytes long"),
            Self::Bar { part, bar, error } => write!(f, "the {part} lies in BAR {bar}: {error}"),
            Self::BeyondBar { part, bar } => write!(f, "the {part} reaches beyond the end of BAR {bar}"),
            Self::Register(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for PciError {}
