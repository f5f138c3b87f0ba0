//! virtio over PCI, modern interface (section 4.1).

mod layout;
mod windows;

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
use crate::pci::{Claim, Command, Msix, PciDevice};
use crate::registers::{IoRegion, halves};

use self::layout::{
    CONFIG_GENERATION, CONFIG_MSIX_VECTOR, DEVICE_FEATURE, DEVICE_FEATURE_SELECT, DEVICE_STATUS,
    DRIVER_FEATURE, DRIVER_FEATURE_SELECT, NUM_QUEUES, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_ENABLE,
    QUEUE_MSIX_VECTOR, QUEUE_NOTIFY_OFF, QUEUE_SELECT, QUEUE_SIZE,
};
pub(super) use self::windows::Windows;
pub use self::windows::{Part, PciError};

/// A queue or the configuration has no MSI-X vector (section 4.1.5.1.2).
const NO_VECTOR: u16 = 0xffff;

/// The registers of a virtio device on PCI.
pub struct PciTransport {
    common: Arc<dyn IoRegion>,
    notify: Arc<dyn IoRegion>,
    notify_multiplier: u32,
    device: Option<Arc<dyn IoRegion>>,
    bus: PciDevice,
    /// Why the line is asserted; reading it acknowledges.
    isr: Option<Arc<dyn IoRegion>>,
}

impl PciTransport {
    /// Finds and maps the registers, and lets the function decode its memory and access ours. Its INTx line is off until
    /// its interrupts are connected, and stays so if they are messages. Of its queues, the first `sources` at most will have
    /// messages.
    pub fn new(hal: &dyn Hal, claim: Claim, sources: u16) -> Result<Self, PciError> {
        let (config, function) = (claim.config(), claim.function());
        let windows = Windows::find(config.as_ref(), function)?;
        claim.enable(Command::MEMORY);
        let common = windows.common.map(hal)?;
        layout::check(&common).map_err(PciError::Register)?;
        let interrupts = Msix::find(hal, config, function, sources);
        let isr = windows.isr.and_then(|part| part.map(hal).ok());
        let has_line = interrupts.is_none() && isr.is_some();
        let source = if has_line { function.line_source(config.as_ref()) } else { None };
        let line = IntxLine::find(hal, source);
        Ok(Self {
            common,
            notify: windows.notify.map(hal)?,
            notify_multiplier: windows.notify_multiplier,
            device: windows.device.map(|part| part.map(hal)).transpose()?,
            bus: PciDevice::new(claim, interrupts, line),
            isr,
        })
    }

    /// The registers of the device's own configuration, if the field of `bytes` at `offset` lies there.
    fn config(&self, offset: usize, bytes: usize) -> Result<&dyn IoRegion, TransportError> {
        let region = self.device.as_deref().ok_or(TransportError::NoConfig)?;
        region.check(offset, bytes)?;
        Ok(region)
    }

    /// The common configuration with this queue selected.
    fn select(&self, queue: u16) -> &dyn IoRegion {
        self.common.write16(QUEUE_SELECT, queue);
        self.common.as_ref()
    }

    /// The doorbell of the selected queue (section 4.1.4.4).
    fn notifier(&self, queue: u16) -> Result<Box<dyn Notifier>, TransportError> {
        let offset = u64::from(self.common.read16(QUEUE_NOTIFY_OFF)) * u64::from(self.notify_multiplier);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Doorbell::boxed(&self.notify, offset, DoorbellWidth::Bits16, queue)
    }
}

impl sealed::Sealed for PciTransport {}

impl Transport for PciTransport {
    fn is_legacy(&self) -> bool {
        false
    }

    fn offered_features(&self) -> Features {
        let half = |select| {
            self.common.write32(DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read32(DEVICE_FEATURE))
        };
        Features::from_bits_retain(half(0) | half(1) << 32)
    }

    fn accept_features(&mut self, features: Features) {
        for (select, half) in (0..).zip(halves(features.bits())) {
            self.common.write32(DRIVER_FEATURE_SELECT, select);
            self.common.write32(DRIVER_FEATURE, half);
        }
    }

    fn status(&self) -> Status {
        Status::from_bits_retain(self.common.read8(DEVICE_STATUS))
    }

    fn set_status(&mut self, status: Status) {
        self.common.write8(DEVICE_STATUS, status.bits());
    }

    fn queue_size(&self, queue: u16) -> u16 {
        if queue >= self.common.read16(NUM_QUEUES) {
            return 0;
        }
        self.select(queue).read16(QUEUE_SIZE)
    }

    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError> {
        let common = self.select(queue);
        common.write16(QUEUE_SIZE, size);
        agree_on_size(queue, size, common.read16(QUEUE_SIZE))
    }

    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError> {
        self.common.write16(CONFIG_MSIX_VECTOR, NO_VECTOR);
        let common = self.select(queue);
        let notifier = self.notifier(queue)?;
        let entry = self.bus.message(queue);
        common.write16(QUEUE_MSIX_VECTOR, entry.unwrap_or(NO_VECTOR));
        common.write64(QUEUE_DESC, place.descriptors);
        common.write64(QUEUE_DRIVER, place.available);
        common.write64(QUEUE_DEVICE, place.used);
        common.write16(QUEUE_ENABLE, 1);
        Ok(notifier)
    }

    fn is_queue_enabled(&self, queue: u16) -> bool {
        self.select(queue).read16(QUEUE_ENABLE) == 1
    }

    fn config_generation(&self) -> u32 {
        self.common.read8(CONFIG_GENERATION).into()
    }

    fn config_u8(&self, offset: usize) -> Result<u8, TransportError> {
        Ok(self.config(offset, 1)?.read8(offset))
    }

    fn config_u16(&self, offset: usize) -> Result<u16, TransportError> {
        Ok(self.config(offset, 2)?.read16(offset))
    }

    fn connect(&mut self, handlers: Vec<Handler>) {
        let isr = self.isr.clone();
        // A device without this register is given no line.
        let status = move || isr.as_ref().map_or(0, |isr| isr.read8(0));
        self.bus.connect(handlers, Box::new(move || isr::causes(status())));
    }

    /// A device that has no resources for a message says so here (section 4.1.5.1.2).
    fn has_interrupt(&self, queue: u16) -> bool {
        if self.bus.has_line() {
            return true;
        }
        let Some(entry) = self.bus.message(queue) else { return false };
        self.select(queue).read16(QUEUE_MSIX_VECTOR) == entry
    }

    fn quiesce(&mut self) -> bool {
        self.bus.cut_off()
    }
}

impl fmt::Debug for PciTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PciTransport").field("common", &self.common).finish_non_exhaustive()
    }
}
