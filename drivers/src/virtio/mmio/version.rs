//! What the versions of the registers do differently.

use core::fmt;

use super::layout::{
    CONFIG_GENERATION, GUEST_PAGE_SIZE, QUEUE_ALIGN, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_PFN,
    QUEUE_READY,
};
use crate::bank::RegisterBank;
use crate::virtio::queue::LEGACY_PAGE;
use crate::virtio::transport::{QueuePlace, TransportError};

/// A version of the registers: [`V1`] or [`V2`].
pub trait Version: fmt::Debug + Send + 'static {
    /// Devices with such registers are legacy devices.
    const IS_LEGACY: bool;
    /// 32-bit words of feature bits.
    const FEATURE_WORDS: u32;

    /// Tells the device where `queue`, which is selected, is, and enables it.
    fn enable_queue(bank: &dyn RegisterBank, queue: u16, place: QueuePlace) -> Result<(), TransportError>;

    /// Whether the selected queue is enabled.
    fn is_queue_enabled(bank: &dyn RegisterBank) -> bool;

    /// The register that changes whenever the configuration does, or 0.
    fn config_generation(bank: &dyn RegisterBank) -> u32;
}

/// Version 1 (section 4.2.4): the legacy interface.
#[derive(Debug)]
pub enum V1 {}

/// Version 2 (section 4.2.2): the interface of version 1 of the specification and later.
#[derive(Debug)]
pub enum V2 {}

impl Version for V1 {
    const IS_LEGACY: bool = true;
    const FEATURE_WORDS: u32 = 1;

    /// The number of the first page is written last: the device works out the rest from it.
    fn enable_queue(bank: &dyn RegisterBank, queue: u16, place: QueuePlace) -> Result<(), TransportError> {
        let page = place.page(queue)?;
        bank.write32(GUEST_PAGE_SIZE, LEGACY_PAGE as u32);
        bank.write32(QUEUE_ALIGN, LEGACY_PAGE as u32);
        bank.write32(QUEUE_PFN, page);
        Ok(())
    }

    fn is_queue_enabled(bank: &dyn RegisterBank) -> bool {
        bank.read32(QUEUE_PFN) != 0
    }

    fn config_generation(_bank: &dyn RegisterBank) -> u32 {
        0
    }
}

impl Version for V2 {
    const IS_LEGACY: bool = false;
    const FEATURE_WORDS: u32 = 2;

    fn enable_queue(bank: &dyn RegisterBank, _queue: u16, place: QueuePlace) -> Result<(), TransportError> {
        let parts =
            [(QUEUE_DESC, place.descriptors), (QUEUE_DRIVER, place.available), (QUEUE_DEVICE, place.used)];
        for (register, address) in parts {
            let [low, high] = halves(address);
            bank.write32(register, low);
            bank.write32(register + 4, high);
        }
        bank.write32(QUEUE_READY, 1);
        Ok(())
    }

    fn is_queue_enabled(bank: &dyn RegisterBank) -> bool {
        bank.read32(QUEUE_READY) == 1
    }

    fn config_generation(bank: &dyn RegisterBank) -> u32 {
        bank.read32(CONFIG_GENERATION)
    }
}

/// The lower and the upper 32 bits.
pub(super) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
