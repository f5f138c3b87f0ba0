//! virtio over memory-mapped registers without a bus (section 4.2).
//!
//! Such a device is not announced: for a known address, [`Slot::find`] says what is there.

mod layout;
mod version;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;

use self::layout::{
    CONFIG, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DEVICE_ID, DRIVER_FEATURES, DRIVER_FEATURES_SEL,
    INTERRUPT_ACK, INTERRUPT_STATUS, MAGIC, QUEUE_NOTIFY, QUEUE_NUM, QUEUE_NUM_MAX, QUEUE_SEL, STATUS,
    VERSION,
};
use super::features::Features;
use super::isr;
use super::status::Status;
use super::transport::{Doorbell, DoorbellWidth, Notifier, QueuePlace, Transport, TransportError, sealed};
use crate::claims::{AlreadyClaimed, DeviceClaim, DevicePlace};
use crate::hal::{Hal, Handler, LineSource};
use crate::line::{IntxLine, IrqStatus};
use crate::registers::{IoRegion, RegisterError, halves};

pub use self::version::Version;

/// The magic number, `virt`.
const VIRT: u32 = u32::from_le_bytes(*b"virt");

/// How often a device is asked why it interrupts, in one interrupt.
const ACKNOWLEDGE_MAX: u32 = 16;

/// A place for a device, with a device in it.
#[derive(Debug)]
pub struct Slot {
    claim: DeviceClaim,
    bank: Arc<dyn IoRegion>,
    /// Kind of device (section 5): 1 is a network card.
    pub device_id: u32,
    /// Version of its registers.
    pub version: Version,
}

/// Why a place for a device cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotError {
    /// Another driver has the device.
    Claimed(AlreadyClaimed),
    /// The registers cannot be mapped.
    Register(RegisterError),
    /// There are too few bytes for the registers.
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// The magic number is another: no virtio device is there.
    NoMagic {
        /// What is read in its place.
        found: u32,
    },
    /// The registers have a version that this driver does not know.
    UnknownVersion {
        /// The version.
        found: u32,
    },
}

impl Slot {
    /// Claims the place with the `bytes` of registers at the physical address `address`, and looks what device is there; `None`
    /// when there is none.
    pub fn find(hal: &dyn Hal, address: u64, bytes: usize) -> Result<Option<Self>, SlotError> {
        let claim = hal.claims().claim(DevicePlace::Mmio(address))?;
        let bank = hal.map(address, bytes)?;
        let found = identify(bank.as_ref())?;
        Ok(found.map(|(device_id, version)| Self { claim, bank, device_id, version }))
    }
}

/// The kind of device that has these registers, and their version; `None` when there is no device.
fn identify(bank: &dyn IoRegion) -> Result<Option<(u32, Version)>, SlotError> {
    let bytes = bank.bytes();
    if bytes < CONFIG {
        return Err(SlotError::TooShort { bytes });
    }
    let found = bank.read32(MAGIC);
    if found != VIRT {
        return Err(SlotError::NoMagic { found });
    }
    let version = match bank.read32(VERSION) {
        1 => Version::V1,
        2 => Version::V2,
        found => return Err(SlotError::UnknownVersion { found }),
    };
    // Only now does the number mean anything (section 4.2.3.1.1).
    let device_id = bank.read32(DEVICE_ID);
    Ok((device_id != 0).then_some((device_id, version)))
}

/// The registers of a virtio device in a [`Slot`].
#[derive(Debug)]
pub struct MmioTransport {
    claim: DeviceClaim,
    bank: Arc<dyn IoRegion>,
    line: IntxLine,
    version: Version,
}

impl MmioTransport {
    /// The way to the device in `slot`.
    pub fn new(slot: Slot) -> Self {
        Self { claim: slot.claim, bank: slot.bank, line: IntxLine::None, version: slot.version }
    }

    /// The same, of a device whose interrupt has the number `irq`, if it has one.
    pub fn with_line(self, hal: &dyn Hal, irq: Option<u32>) -> Self {
        Self { line: IntxLine::find(hal, irq.map(LineSource::Number)), ..self }
    }

    /// The registers with this queue selected.
    fn select(&self, queue: u16) -> &dyn IoRegion {
        self.bank.write32(QUEUE_SEL, queue.into());
        self.bank.as_ref()
    }

    /// Offset of the field of `bytes` at `offset` in the configuration.
    fn config(&self, offset: usize, bytes: usize) -> Result<usize, TransportError> {
        let offset = offset.saturating_add(CONFIG);
        self.bank.check(offset, bytes)?;
        Ok(offset)
    }
}

impl sealed::Sealed for MmioTransport {}

impl Transport for MmioTransport {
    fn is_legacy(&self) -> bool {
        self.version.is_legacy()
    }

    fn offered_features(&self) -> Features {
        let word = |select| {
            self.bank.write32(DEVICE_FEATURES_SEL, select);
            u64::from(self.bank.read32(DEVICE_FEATURES)) << (32 * select)
        };
        Features::from_bits_retain((0..self.version.feature_words()).map(word).sum())
    }

    fn accept_features(&mut self, features: Features) {
        for (select, word) in (0..self.version.feature_words()).zip(halves(features.bits())) {
            self.bank.write32(DRIVER_FEATURES_SEL, select);
            self.bank.write32(DRIVER_FEATURES, word);
        }
    }

    /// The status has eight bits; others make it one that the driver does not go along with.
    fn status(&self) -> Status {
        let status = self.bank.read32(STATUS);
        Status::from_bits_retain(u8::try_from(status).unwrap_or(!0))
    }

    fn set_status(&mut self, status: Status) {
        self.bank.write32(STATUS, status.bits().into());
    }

    /// A queue that there is no room for in 16 bits is used as far as they go.
    fn queue_size(&self, queue: u16) -> u16 {
        u16::try_from(self.select(queue).read32(QUEUE_NUM_MAX)).unwrap_or(u16::MAX)
    }

    /// The register can only be written, so that there is nothing to agree on.
    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError> {
        self.select(queue).write32(QUEUE_NUM, size.into());
        Ok(())
    }

    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError> {
        self.version.enable_queue(self.select(queue), queue, place)?;
        Doorbell::boxed(&self.bank, QUEUE_NOTIFY, DoorbellWidth::Bits32, queue)
    }

    fn is_queue_enabled(&self, queue: u16) -> bool {
        self.version.is_queue_enabled(self.select(queue))
    }

    fn config_generation(&self) -> u32 {
        self.version.config_generation(self.bank.as_ref())
    }

    fn config_u8(&self, offset: usize) -> Result<u8, TransportError> {
        Ok(self.bank.read8(self.config(offset, 1)?))
    }

    fn config_u16(&self, offset: usize) -> Result<u16, TransportError> {
        Ok(self.bank.read16(self.config(offset, 2)?))
    }

    fn connect(&mut self, handlers: Vec<Handler>) {
        let bank = self.bank.clone();
        self.line.connect_line(handlers, Box::new(move || acknowledge(bank.as_ref())));
    }

    fn has_interrupt(&self, _queue: u16) -> bool {
        self.line.is_connected()
    }

    /// There is no bus that could keep the device from memory.
    fn quiesce(&mut self) -> bool {
        self.claim.keep();
        false
    }
}

/// Asks the device why it interrupts, and acknowledges that: again until there is nothing more, since what comes between
/// the two keeps the line asserted, and a line that counts edges would have no other.
fn acknowledge(bank: &dyn IoRegion) -> IrqStatus {
    let mut all = IrqStatus::any_queue(false, false);
    // Each access is a VM exit: nothing is gained by unrolling the loop.
    for _ in 0..black_box(ACKNOWLEDGE_MAX) {
        let status = bank.read32(INTERRUPT_STATUS);
        let causes = isr::causes(u8::try_from(status).unwrap_or(!0));
        if !causes.is_ours {
            break;
        }
        bank.write32(INTERRUPT_ACK, status);
        all = IrqStatus::any_queue(all.receive || causes.receive, true);
    }
    all
}

impl From<AlreadyClaimed> for SlotError {
    fn from(error: AlreadyClaimed) -> Self {
        Self::Claimed(error)
    }
}

impl From<RegisterError> for SlotError {
    fn from(error: RegisterError) -> Self {
        Self::Register(error)
    }
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(error) => write!(f, "{error}"),
            Self::Register(error) => write!(f, "{error}"),
            Self::TooShort { bytes } => write!(f, "{bytes} bytes are too few for virtio registers"),
            Self::NoMagic { found } => write!(f, "there is no virtio device: magic number {found:#010x}"),
            Self::UnknownVersion { found } => write!(f, "version {found} of the registers is not supported"),
        }
    }
}

impl core::error::Error for SlotError {}
