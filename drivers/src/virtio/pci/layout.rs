//! The common configuration structure (section 4.1.4.3).

use alloc::sync::Arc;

use crate::registers::{IoRegion, RegisterError};

/// Selects the word of the offered features, 32 bits.
pub(super) const DEVICE_FEATURE_SELECT: usize = 0x00;
/// That word, 32 bits, read only.
pub(super) const DEVICE_FEATURE: usize = 0x04;
/// Selects the word of the accepted features, 32 bits.
pub(super) const DRIVER_FEATURE_SELECT: usize = 0x08;
/// That word, 32 bits.
pub(super) const DRIVER_FEATURE: usize = 0x0c;
/// MSI-X vector of configuration changes, 16 bits.
pub(super) const CONFIG_MSIX_VECTOR: usize = 0x10;
/// Number of queues, 16 bits, read only.
pub(super) const NUM_QUEUES: usize = 0x12;
/// Device status, 8 bits.
pub(super) const DEVICE_STATUS: usize = 0x14;
/// Changes when the configuration does, 8 bits, read only.
pub(super) const CONFIG_GENERATION: usize = 0x15;
/// Selects the queue that the registers below are about, 16 bits.
pub(super) const QUEUE_SELECT: usize = 0x16;
/// Entries of the queue, 16 bits.
pub(super) const QUEUE_SIZE: usize = 0x18;
/// MSI-X vector of the queue, 16 bits.
pub(super) const QUEUE_MSIX_VECTOR: usize = 0x1a;
/// The queue is enabled, 16 bits.
pub(super) const QUEUE_ENABLE: usize = 0x1c;
/// Number of the queue's doorbell, 16 bits, read only.
pub(super) const QUEUE_NOTIFY_OFF: usize = 0x1e;
/// Address of the descriptor area, 64 bits.
pub(super) const QUEUE_DESC: usize = 0x20;
/// Address of the driver area, 64 bits.
pub(super) const QUEUE_DRIVER: usize = 0x28;
/// Address of the device area, 64 bits.
pub(super) const QUEUE_DEVICE: usize = 0x30;
/// Length of the structure up to its last register that is used.
pub(super) const BYTES: usize = 0x38;

/// Checks that `region` holds the structure, aligned.
pub(super) fn check(region: &Arc<dyn IoRegion>) -> Result<(), RegisterError> {
    region.check(0, 4)?;
    region.check(BYTES - 4, 4)
}
