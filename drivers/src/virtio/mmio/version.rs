//! What the versions of the registers do differently.

use core::fmt;

use super::layout::{CONFIG_GENERATION, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_READY};
use crate::bank::RegisterBank;
use crate::virtio::transport::QueuePlace;

/// A version of the registers: [`V2`].
pub trait Version: fmt::Debug + Send + 'static {
    /// 32-bit words of feature bits.
    const FEATURE_WORDS: u32;

    /// Tells the device where the selected queue is, and enables it.
    fn enable_queue(bank: &dyn RegisterBank, place: QueuePlace);

    /// Whether the selected queue is enabled.
    fn is_queue_enabled(bank: &dyn RegisterBank) -> bool;

    /// The register that changes whenever the configuration does.
    fn config_generation(bank: &dyn RegisterBank) -> u32;
}

/// Version 2 (section 4.2.2): the interface of version 1 of the specification and later.
#[derive(Debug)]
pub enum V2 {}

impl Version for V2 {
    const FEATURE_WORDS: u32 = 2;

    fn enable_queue(bank: &dyn RegisterBank, place: QueuePlace) {
        let parts =
            [(QUEUE_DESC, place.descriptors), (QUEUE_DRIVER, place.available), (QUEUE_DEVICE, place.used)];
        for (register, address) in parts {
            let [low, high] = halves(address);
            bank.write32(register, low);
            bank.write32(register + 4, high);
        }
        bank.write32(QUEUE_READY, 1);
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
