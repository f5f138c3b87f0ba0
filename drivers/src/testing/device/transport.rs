//! The driver's way to the model.

use alloc::boxed::Box;

use super::NetDevice;
use crate::virtio::features::Features;
use crate::virtio::status::Status;
use crate::virtio::transport::{Notifier, QueuePlace, Transport, TransportError, agree_on_size, sealed};

/// For the driver.
impl NetDevice {
    /// The driver's way to the card.
    pub fn transport(&self) -> ModelTransport {
        ModelTransport { device: self.clone() }
    }
}

/// The registers of a [`NetDevice`].
#[derive(Debug)]
pub struct ModelTransport {
    device: NetDevice,
}

/// The doorbell of one queue of a [`NetDevice`].
#[derive(Debug)]
struct ModelNotifier {
    device: NetDevice,
    queue: u16,
}

impl sealed::Sealed for ModelTransport {}

impl Transport for ModelTransport {
    fn is_legacy(&self) -> bool {
        false
    }

    fn offered_features(&self) -> Features {
        self.device.lock().setup.offered
    }

    fn accept_features(&mut self, features: Features) {
        self.device.write_features(features.bits());
    }

    fn status(&self) -> Status {
        Status::from_bits_retain(self.device.read_status())
    }

    fn set_status(&mut self, status: Status) {
        self.device.write_status(status.bits());
    }

    fn queue_size(&self, queue: u16) -> u16 {
        self.device.queue_size(queue)
    }

    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError> {
        self.device.write_queue_size(queue, size);
        agree_on_size(queue, size, self.device.queue_size(queue))
    }

    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError> {
        self.device.write_queue_addresses(queue, place);
        self.device.enable_queue(queue);
        Ok(Box::new(ModelNotifier { device: self.device.clone(), queue }))
    }

    fn is_queue_enabled(&self, queue: u16) -> bool {
        self.device.lock().is_queue_enabled(queue)
    }

    fn config_generation(&self) -> u32 {
        let mut model = self.device.lock();
        model.config_reads.look();
        model.generation
    }

    fn config_u8(&self, offset: usize) -> Result<u8, TransportError> {
        let mut model = self.device.lock();
        model.config_reads.note(offset);
        model.read_config(offset).ok_or(TransportError::NoConfig)
    }

    fn config_u16(&self, offset: usize) -> Result<u16, TransportError> {
        Ok(u16::from_le_bytes([self.config_u8(offset)?, self.config_u8(offset + 1)?]))
    }

    fn has_interrupt(&self, queue: u16) -> bool {
        self.is_queue_enabled(queue)
    }

    fn quiesce(&mut self) -> bool {
        let mut model = self.device.lock();
        model.is_cut_off = !model.setup.quirks.cannot_be_cut_off;
        model.is_cut_off
    }
}

impl Notifier for ModelNotifier {
    fn notify(&self) {
        self.device.ring_doorbell(self.queue);
    }
}
