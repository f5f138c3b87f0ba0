//! What the versions of the registers do differently.

use super::layout::{
    CONFIG_GENERATION, GUEST_PAGE_SIZE, QUEUE_ALIGN, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_PFN,
    QUEUE_READY,
};
use crate::registers::IoRegion;
use crate::virtio::transport::{LEGACY_PAGE, QueuePlace, TransportError};

/// A version of the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Version 1 (section 4.2.4): the legacy interface.
    V1,
    /// Version 2 (section 4.2.2): the interface of version 1 of the specification and later.
    V2,
}

impl Version {
    /// Devices with such registers are legacy devices.
    pub(super) fn is_legacy(self) -> bool {
        self == Self::V1
    }

    /// 32-bit words of feature bits.
    pub(super) fn feature_words(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// Tells the device where `queue`, which is selected, is, and enables it.
    pub(super) fn enable_queue(
        self,
        bank: &dyn IoRegion,
        queue: u16,
        place: QueuePlace,
    ) -> Result<(), TransportError> {
        match self {
            Self::V1 => {
                let page = place.page(queue)?;
                bank.write32(GUEST_PAGE_SIZE, LEGACY_PAGE as u32);
                bank.write32(QUEUE_ALIGN, LEGACY_PAGE as u32);
                // Last: the device works out the rest from it.
                bank.write32(QUEUE_PFN, page);
            }
            Self::V2 => {
                bank.write64(QUEUE_DESC, place.descriptors);
                bank.write64(QUEUE_DRIVER, place.available);
                bank.write64(QUEUE_DEVICE, place.used);
                bank.write32(QUEUE_READY, 1);
            }
        }
        Ok(())
    }

    /// Whether the selected queue is enabled.
    pub(super) fn is_queue_enabled(self, bank: &dyn IoRegion) -> bool {
        match self {
            Self::V1 => bank.read32(QUEUE_PFN) != 0,
            Self::V2 => bank.read32(QUEUE_READY) == 1,
        }
    }

    /// The register that changes whenever the configuration does, or 0.
    pub(super) fn config_generation(self, bank: &dyn IoRegion) -> u32 {
        match self {
            Self::V1 => 0,
            Self::V2 => bank.read32(CONFIG_GENERATION),
        }
    }
}
