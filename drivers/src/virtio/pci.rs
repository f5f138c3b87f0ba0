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
use super::transport::{Notifier, QueuePlace, Transport, TransportError, agree_on_size};
use crate::hal::{Hal, Handler};
use crate::line::CardLine;
use crate::mmio::{MmioWindow, ReadOnly, Register, WriteOnly};
use crate::pci::{Claim, ConfigSpace, Function, Msix};

use self::layout::CommonRegisters;
pub(super) use self::windows::Windows;
pub use self::windows::{Part, PciError};

/// A queue or the configuration has no MSI-X vector (section 4.1.5.1.2).
const NO_VECTOR: u16 = 0xffff;

/// The registers of a virtio device on PCI.
pub struct PciTransport {
    claim: Claim,
    common: CommonRegisters,
    notify: MmioWindow,
    notify_multiplier: u32,
    device: Option<MmioWindow>,
    interrupts: Option<Msix>,
    line: CardLine,
    /// Why the line is asserted; reading it acknowledges.
    isr: Option<Register<u8, ReadOnly>>,
}

/// The doorbell of one queue.
#[derive(Debug)]
struct PciNotifier {
    register: Register<u16, WriteOnly>,
    queue: u16,
}

impl PciTransport {
    /// Finds and maps the registers, and lets the function decode its memory and access ours. Its INTx line is off until
    /// its interrupts are connected, and stays so if they are messages. Of its queues, the first `sources` at most will have
    /// messages.
    pub fn new(
        hal: &dyn Hal,
        config: &Arc<dyn ConfigSpace>,
        function: &Function,
        sources: u16,
    ) -> Result<Self, PciError> {
        let windows = Windows::find(config.as_ref(), function)?;
        let claim = Claim::new(config, function);
        let common = windows.common.map(hal)?;
        let common = CommonRegisters::in_window(&common).map_err(PciError::Register)?;
        let interrupts = Msix::find(hal, config, function, sources);
        let isr = windows.isr.and_then(|part| part.map(hal).ok());
        let isr = isr.and_then(|window| window.register(0).ok());
        let has_line = interrupts.is_none() && isr.is_some();
        let source = if has_line { function.line_source(config.as_ref()) } else { None };
        Ok(Self {
            claim,
            common,
            notify: windows.notify.map(hal)?,
            notify_multiplier: windows.notify_multiplier,
            device: windows.device.map(|part| part.map(hal)).transpose()?,
            interrupts,
            line: CardLine::find(hal, source),
            isr,
        })
    }

    fn device_window(&self) -> Result<&MmioWindow, TransportError> {
        self.device.as_ref().ok_or(TransportError::NoConfig)
    }

    /// The doorbell of the selected queue (section 4.1.4.4).
    fn notifier(&self, queue: u16) -> Result<PciNotifier, TransportError> {
        let offset = u64::from(self.common.queue_notify_off.read()) * u64::from(self.notify_multiplier);
        let register = self.notify.register(usize::try_from(offset).unwrap_or(usize::MAX))?;
        Ok(PciNotifier { register, queue })
    }
}

impl Transport for PciTransport {
    fn is_legacy(&self) -> bool {
        false
    }

    fn offered_features(&self) -> Features {
        let half = |select| {
            self.common.device_feature_select.write(select);
            u64::from(self.common.device_feature.read())
        };
        Features::from_bits_retain(half(0) | half(1) << 32)
    }

    fn accept_features(&mut self, features: Features) {
        let [a, b, c, d, e, f, g, h] = features.bits().to_le_bytes();
        for (select, half) in [(0, [a, b, c, d]), (1, [e, f, g, h])] {
            self.common.driver_feature_select.write(select);
            self.common.driver_feature.write(u32::from_le_bytes(half));
        }
    }

    fn status(&self) -> Status {
        Status::from_bits_retain(self.common.device_status.read())
    }

    fn set_status(&mut self, status: Status) {
        self.common.device_status.write(status.bits());
    }

    fn queue_size(&self, queue: u16) -> u16 {
        if queue >= self.common.num_queues.read() {
            return 0;
        }
        self.common.queue_select.write(queue);
        self.common.queue_size.read()
    }

    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError> {
        self.common.queue_select.write(queue);
        self.common.queue_size.write(size);
        agree_on_size(queue, size, self.common.queue_size.read())
    }

    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError> {
        let common = &self.common;
        common.config_msix_vector.write(NO_VECTOR);
        common.queue_select.write(queue);
        let notifier = self.notifier(queue)?;
        let entry = self.interrupts.as_ref().and_then(|interrupts| interrupts.entry(queue));
        common.queue_msix_vector.write(entry.unwrap_or(NO_VECTOR));
        common.queue_desc.write(place.descriptors);
        common.queue_driver.write(place.available);
        common.queue_device.write(place.used);
        common.queue_enable.write(1);
        Ok(Box::new(notifier))
    }

    fn is_queue_enabled(&self, queue: u16) -> bool {
        self.common.queue_select.write(queue);
        self.common.queue_enable.read() == 1
    }

    fn config_generation(&self) -> u32 {
        self.common.config_generation.read().into()
    }

    fn config_u8(&self, offset: usize) -> Result<u8, TransportError> {
        Ok(self.device_window()?.register::<u8, ReadOnly>(offset)?.read())
    }

    fn config_u16(&self, offset: usize) -> Result<u16, TransportError> {
        Ok(self.device_window()?.register::<u16, ReadOnly>(offset)?.read())
    }

    fn connect(&mut self, handlers: Vec<Handler>) {
        if let Some(interrupts) = &mut self.interrupts {
            return interrupts.connect(handlers);
        }
        let Some(isr) = self.isr.clone() else { return };
        if self.line.connect(handlers, Box::new(move || isr::causes(isr.read()))) {
            self.claim.allow_line();
        }
    }

    /// A device that has no resources for a message says so here (section 4.1.5.1.2).
    fn has_interrupt(&self, queue: u16) -> bool {
        if self.line.is_connected() {
            return true;
        }
        let Some(entry) = self.interrupts.as_ref().and_then(|interrupts| interrupts.entry(queue)) else {
            return false;
        };
        self.common.queue_select.write(queue);
        self.common.queue_msix_vector.read() == entry
    }

    fn quiesce(&mut self) -> bool {
        self.claim.cut_off()
    }
}

impl Notifier for PciNotifier {
    /// Without NOTIFICATION_DATA, what is written is the queue's number (section 4.1.5.2).
    #[inline]
    fn notify(&self) {
        self.register.write(self.queue);
    }
}

impl fmt::Debug for PciTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PciTransport").field("claim", &self.claim).finish_non_exhaustive()
    }
}
