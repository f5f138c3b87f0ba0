//! How the registers of a virtio device are reached, whatever it is attached by (section 4).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::features::Features;
use super::status::Status;
use crate::hal::Handler;
use crate::registers::{IoRegion, RegisterError};

/// Attempts to read a configuration field while the configuration does not change.
const CONFIG_ATTEMPTS: usize = 16;

/// The registers of one virtio device, and its bus.
///
/// Sealed: the DMA memory of a device is released when its transport says that the device has confirmed a reset
/// ([`status`](Self::status)) or has been cut off ([`quiesce`](Self::quiesce)). So only the transports of this crate count, each
/// of which answers what its registers say.
///
/// ```compile_fail,E0603
/// struct Liar;
/// impl millrace_drivers::virtio::transport::sealed::Sealed for Liar {}
/// ```
pub trait Transport: sealed::Sealed + Send {
    /// The device is from before version 1 of the specification, or does as if it were: it does not confirm features, a
    /// queue lies where its first page is, and there is no generation of the configuration (the sections named "Legacy
    /// Interface").
    fn is_legacy(&self) -> bool;

    /// The driver has no say in how many entries a queue has.
    fn has_fixed_sizes(&self) -> bool {
        false
    }

    /// The features that the device offers.
    fn offered_features(&self) -> Features;

    /// Tells the device which features the driver accepts.
    fn accept_features(&mut self, features: Features);

    /// The status register.
    fn status(&self) -> Status;

    /// Writes the status register; [`Status::empty`] requests a reset.
    fn set_status(&mut self, status: Status);

    /// Number of entries of this queue: after a reset the most that the device offers, 0 when there is no such queue.
    fn queue_size(&self, queue: u16) -> u16;

    /// Tells the device how many entries of this queue are used. Where the device says what it makes of it, that must be
    /// the same: a device with another idea of a queue would write beside it.
    fn set_queue_size(&mut self, queue: u16, size: u16) -> Result<(), TransportError>;

    /// Tells the device where the queue is, enables it, and returns its doorbell. See [`activate_queue`].
    fn enable_queue(&mut self, queue: u16, place: QueuePlace) -> Result<Box<dyn Notifier>, TransportError>;

    /// Whether the queue is enabled.
    fn is_queue_enabled(&self, queue: u16) -> bool;

    /// The register that changes whenever the device's configuration does; 0 with a legacy device, which has none.
    fn config_generation(&self) -> u32;

    /// Reads a byte of the device-specific configuration.
    fn config_u8(&self, offset: usize) -> Result<u8, TransportError>;

    /// Reads two bytes of the device-specific configuration.
    fn config_u16(&self, offset: usize) -> Result<u16, TransportError>;

    /// Has interrupts of queue number `n` handled by the `n`-th of `handlers`, from the next start of the device on. Called
    /// once. Queues without a handler and those of a device without interrupts stay without: here, of one that has none.
    fn connect(&mut self, handlers: Vec<Handler>) {
        drop(handlers);
    }

    /// Whether this queue, which is enabled, has an interrupt.
    fn has_interrupt(&self, queue: u16) -> bool {
        let _ = queue;
        false
    }

    /// Cuts the device off from memory by other means than its own registers, for a device that does not confirm a
    /// reset. Returns whether that can be relied on.
    fn quiesce(&mut self) -> bool;
}

pub(crate) mod sealed {
    /// Implemented by the transports of this crate.
    pub trait Sealed {}
}

/// Rings the doorbell of one queue. Open to all, unlike [`Transport`]: a doorbell that does not ring costs progress only.
pub trait Notifier: fmt::Debug + Send {
    /// Tells the device that there are new entries in the queue.
    fn notify(&self);
}

/// A doorbell that takes the queue's number, without NOTIFICATION_DATA (section 4.1.5.2).
pub(super) struct Doorbell {
    region: Arc<dyn IoRegion>,
    offset: usize,
    width: DoorbellWidth,
    queue: u16,
}

/// Bits of a doorbell register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorbellWidth {
    /// On PCI.
    Bits16,
    /// On virtio-mmio.
    Bits32,
}

impl Doorbell {
    /// The doorbell of `queue` at `offset`, if there is a register.
    pub(super) fn boxed(
        region: &Arc<dyn IoRegion>,
        offset: usize,
        width: DoorbellWidth,
        queue: u16,
    ) -> Result<Box<dyn Notifier>, TransportError> {
        region.check(offset, if width == DoorbellWidth::Bits16 { 2 } else { 4 })?;
        Ok(Box::new(Self { region: region.clone(), offset, width, queue }))
    }
}

impl Notifier for Doorbell {
    #[inline]
    fn notify(&self) {
        match self.width {
            DoorbellWidth::Bits16 => self.region.write16(self.offset, self.queue),
            DoorbellWidth::Bits32 => self.region.write32(self.offset, self.queue.into()),
        }
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doorbell({})", self.queue)
    }
}

/// The page in which a legacy device counts, and to which the used ring of its queues is aligned.
pub const LEGACY_PAGE: usize = 4096;

/// Where a queue lies, as a device sees it (sections 2.7 and 2.8.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuePlace {
    /// Number of entries, a power of two.
    pub size: u16,
    /// Descriptor table or ring, a multiple of 16.
    pub descriptors: u64,
    /// Driver area: the available ring, a multiple of 2; of a packed queue the driver's event suppression, a multiple of 4.
    pub available: u64,
    /// Device area: the used ring, or the device's event suppression; a multiple of 4.
    pub used: u64,
}

impl QueuePlace {
    /// The number of the first page, by which a legacy device knows the `queue` (section 2.7.2).
    pub fn page(&self, queue: u16) -> Result<u32, TransportError> {
        let page = self.descriptors / LEGACY_PAGE as u64;
        u32::try_from(page).map_err(|_| TransportError::OutOfReach { queue })
    }
}

/// Why registers cannot be used as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportError {
    /// A register lies where none can be reached.
    Register(RegisterError),
    /// The device does not take the size that the driver wants for a queue.
    SizeRefused {
        /// The queue.
        queue: u16,
        /// What the driver wrote.
        wanted: u16,
        /// What the device holds instead.
        found: u16,
    },
    /// A queue is enabled before the driver has set it up.
    InUse {
        /// The queue.
        queue: u16,
    },
    /// The device does not enable a queue.
    NotEnabled {
        /// The queue.
        queue: u16,
    },
    /// The configuration changes all the time.
    ConfigUnstable,
    /// The device has no configuration of its own.
    NoConfig,
    /// A queue lies where a legacy device cannot be told that it does: its first page has no number of 32 bits.
    OutOfReach {
        /// The queue.
        queue: u16,
    },
}

/// Reads a field of the configuration that takes more than one access, again and again until the device did not
/// change it meanwhile (section 2.5.1), 16 times at most. With a legacy device, until it is the same twice (section 2.5.4).
pub fn read_stable<V: PartialEq>(
    transport: &dyn Transport,
    read: impl Fn(&dyn Transport) -> Result<V, TransportError>,
) -> Result<V, TransportError> {
    let mut last = None;
    for _ in 0..CONFIG_ATTEMPTS {
        let before = transport.config_generation();
        let value = read(transport)?;
        let is_stable = if transport.is_legacy() {
            last.as_ref() == Some(&value)
        } else {
            transport.config_generation() == before
        };
        if is_stable {
            return Ok(value);
        }
        last = Some(value);
    }
    Err(TransportError::ConfigUnstable)
}

/// Tells the device the size and place of a queue that is not in use yet, enables it, and returns its doorbell.
pub fn activate_queue(
    transport: &mut dyn Transport,
    queue: u16,
    place: QueuePlace,
) -> Result<Box<dyn Notifier>, TransportError> {
    if transport.is_queue_enabled(queue) {
        return Err(TransportError::InUse { queue });
    }
    transport.set_queue_size(queue, place.size)?;
    let notifier = transport.enable_queue(queue, place)?;
    if transport.is_queue_enabled(queue) { Ok(notifier) } else { Err(TransportError::NotEnabled { queue }) }
}

/// What [`Transport::set_queue_size`] makes of a device that says `found` when it was told `wanted`.
pub(crate) fn agree_on_size(queue: u16, wanted: u16, found: u16) -> Result<(), TransportError> {
    if found == wanted { Ok(()) } else { Err(TransportError::SizeRefused { queue, wanted, found }) }
}

impl From<RegisterError> for TransportError {
    fn from(error: RegisterError) -> Self {
        Self::Register(error)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(error) => write!(f, "{error}"),
            Self::SizeRefused { queue, wanted, found } => {
                write!(f, "queue {queue} was set to size {wanted} and reports {found}")
            }
            Self::InUse { queue } => write!(f, "queue {queue} is enabled before it is set up"),
            Self::NotEnabled { queue } => write!(f, "queue {queue} cannot be enabled"),
            Self::ConfigUnstable => f.write_str("the device's configuration keeps changing"),
            Self::OutOfReach { queue } => {
                write!(f, "queue {queue} lies above the addresses that a legacy device can use")
            }
            Self::NoConfig => f.write_str("the device has no configuration registers"),
        }
    }
}

impl core::error::Error for TransportError {}
