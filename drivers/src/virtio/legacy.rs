//! virtio over PCI, legacy interface (section 4.1.4.10): registers in the io ports of the first BAR.
//!
//! A transitional device without the modern interface has this alone. Everything but the features, the page of each queue and
//! the status is the device's to say; the queues' sizes are fixed.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::features::Features;
use super::isr;
use super::status::Status;
use super::transport::{
    Doorbell, DoorbellWidth, Notifier, QueuePlace, Transport, TransportError, agree_on_size, sealed,
};
use crate::bus::Bus;
use crate::hal::{Hal, Handler};
use crate::line::IntxLine;
use crate::pci::{BarError, CapabilityId, Claim, Command, ConfigSpace, Function, MSI_X_ENABLE, PciDevice};
use crate::registers::IoRegion;

/// The BAR with the registers.
const BAR: u8 = 0;

/// Offered features, 32 bits.
const DEVICE_FEATURES: usize = 0x00;
/// Accepted features, 32 bits.
const DRIVER_FEATURES: usize = 0x04;
/// Number of the selected queue's first page, 0 when there is none, 32 bits. Writing a 0 resets the device.
const QUEUE_PAGE: usize = 0x08;
/// Entries of the selected queue, 16 bits.
const QUEUE_SIZE: usize = 0x0c;
/// Selects the queue that the two above are about, 16 bits.
const QUEUE_SELECT: usize = 0x0e;
/// Doorbell of all queues: takes a queue's number, 16 bits.
const QUEUE_NOTIFY: usize = 0x10;
/// Device status, 8 bits.
const STATUS: usize = 0x12;
/// Why the device interrupts, 8 bits; reading it acknowledges.
const ISR: usize = 0x13;
/// The configuration of this kind of device; two numbers of vectors are in front of it while MSI-X is on.
const CONFIG: usize = 0x14;
const CONFIG_WITH_MSI_X: usize = 0x18;

/// The registers of a virtio device on PCI, by the legacy interface.
pub struct LegacyPciTransport {
    ports: Arc<dyn IoRegion>,
    /// Where the device's own configuration starts.
    config: usize,
    bus: PciDevice,
}

/// Why the registers of a function cannot be reached by the legacy interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyPciError {
    /// The first BAR cannot be used.
    Bar(BarError),
    /// It has too few io ports for the registers.
    TooShort {
        /// How many.
        ports: u16,
    },
    /// This machine has no such io ports for a card.
    NoPorts {
        /// The first of them.
        first: u16,
    },
}

impl LegacyPciTransport {
    /// Finds the registers, and lets the function decode its io ports and access memory. Its INTx line is off until
    /// its interrupts are connected.
    pub fn new(hal: &dyn Hal, claim: Claim) -> Result<Self, LegacyPciError> {
        let (config, function) = (claim.config(), claim.function());
        let range = function.bars(config.as_ref()).ports(BAR).map_err(LegacyPciError::Bar)?;
        let offset = config_offset(config.as_ref(), function);
        if usize::from(range.ports) < offset {
            return Err(LegacyPciError::TooShort { ports: range.ports });
        }
        let no_ports = LegacyPciError::NoPorts { first: range.first };
        let ports = hal.io_ports(range.first, range.ports).ok_or(no_ports)?;
        // While MSI-X is on, the line is not used.
        let source = if offset == CONFIG { function.line_source(config.as_ref()) } else { None };
        let line = IntxLine::find(hal, source);
        claim.enable(Command::IO);
        let bus = PciDevice::new(claim, None, line);
        Ok(Self { ports, config: offset, bus })
    }

    /// The registers with this queue selected.
    fn select(&self, queue: u16) -> &dyn IoRegion {
        self.ports.write16(QUEUE_SELECT, queue);
        self.ports.as_ref()
    }

    /// Offset of the field of `bytes` at `offset` in the configuration.
    fn config(&self, offset: usize, bytes: usize) -> Result<usize, TransportError> {
        let offset = offset.saturating_add(self.config);
        self.ports.check(offset, bytes)?;
        Ok(offset)
    }
}

/// Where the configuration starts: this driver leaves MSI-X as it is, which is off unless earlier software used it.
fn config_offset(config: &dyn ConfigSpace, function: &Function) -> usize {
    let mut capabilities = function.capabilities(config);
    let control =
        capabilities.find(|found| found.id == CapabilityId::MSI_X).and_then(|found| found.read32(config, 0));
    let is_on = control.is_some_and(|control| control & MSI_X_ENABLE != 0);
    if is_on { CONFIG_WITH_MSI_X } else { CONFIG }
}

impl sealed::Sealed for LegacyPciTransport {}

impl Transport for LegacyPciTransport {
    fn is_legacy(&self) -> bool {
        true
    }

    fn has_fixed_sizes(&self) -> bool {
        true
    }

    fn offered_features(&self) -> Features {
        Features::from_bits_retain(self.ports.read32(DEVICE_FEATURES).into())
    }

    fn accept_features(&mut self, features: Features) {
        let [a, b, c, d, ..] = features.bits().to_le_bytes();
        self.ports.write32(DRIVER_FEATURES, u32::from_le_bytes([a, b, c, d]));
    }

    fn status(&self) -> Status {
        Status::from_bits_retain(self.ports.read8(STATUS))
    }

    fn set_status(&mut self, status: Status) {
        self.ports.write8(STATUS, status.bits());
    }

    fn queue_size(&self, queue: u16) -> u16 {
        self.select(queue).read16(QUEUE_SIZE)
    }

    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError> {
        agree_on_size(queue, size, self.queue_size(queue))
    }

    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError> {
        let page = place.page(queue)?;
        self.select(queue).write32(QUEUE_PAGE, page);
        Doorbell::boxed(&self.ports, QUEUE_NOTIFY, DoorbellWidth::Bits16, queue)
    }

    fn is_queue_enabled(&self, queue: u16) -> bool {
        self.select(queue).read32(QUEUE_PAGE) != 0
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn config_u8(&self, offset: usize) -> Result<u8, TransportError> {
        Ok(self.ports.read8(self.config(offset, 1)?))
    }

    fn config_u16(&self, offset: usize) -> Result<u16, TransportError> {
        Ok(self.ports.read16(self.config(offset, 2)?))
    }

    fn connect(&mut self, handlers: Vec<Handler>) {
        let ports = self.ports.clone();
        self.bus.connect(handlers, Box::new(move || isr::causes(ports.read8(ISR))));
    }

    fn has_interrupt(&self, _queue: u16) -> bool {
        self.bus.has_line()
    }

    fn quiesce(&mut self) -> bool {
        self.bus.cut_off()
    }
}

impl fmt::Debug for LegacyPciTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyPciTransport").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl fmt::Display for LegacyPciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the device has the legacy interface only, and ")?;
        match self {
            Self::Bar(error) => write!(f, "its BAR {BAR} cannot be used: {error}"),
            Self::TooShort { ports } => write!(f, "{ports} I/O ports are too few for its registers"),
            Self::NoPorts { first } => write!(f, "its I/O ports from {first:#x} on are not available"),
        }
    }
}

impl core::error::Error for LegacyPciError {}
