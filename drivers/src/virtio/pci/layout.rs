//! The common configuration structure (section 4.1.4.3).

use crate::mmio::{MmioError, MmioWindow, ReadOnly, ReadWrite, Register, WriteOnly};

/// The registers that this driver uses, each with the access that it needs.
#[derive(Debug)]
pub(super) struct CommonRegisters {
    pub device_feature_select: Register<u32, WriteOnly>,
    pub device_feature: Register<u32, ReadOnly>,
    pub driver_feature_select: Register<u32, WriteOnly>,
    pub driver_feature: Register<u32, WriteOnly>,
    pub config_msix_vector: Register<u16, WriteOnly>,
    pub num_queues: Register<u16, ReadOnly>,
    pub device_status: Register<u8, ReadWrite>,
    pub config_generation: Register<u8, ReadOnly>,
    pub queue_select: Register<u16, WriteOnly>,
    pub queue_size: Register<u16, ReadWrite>,
    pub queue_msix_vector: Register<u16, ReadWrite>,
    pub queue_enable: Register<u16, ReadWrite>,
    pub queue_notify_off: Register<u16, ReadOnly>,
    pub queue_desc: Register<u64, WriteOnly>,
    pub queue_driver: Register<u64, WriteOnly>,
    pub queue_device: Register<u64, WriteOnly>,
}

impl CommonRegisters {
    /// Length of the structure up to its last register that is used.
    pub const BYTES: usize = 0x38;

    /// The registers of the structure that starts with `window`.
    pub fn in_window(window: &MmioWindow) -> Result<Self, MmioError> {
        Ok(Self {
            device_feature_select: window.register(0x00)?,
            device_feature: window.register(0x04)?,
            driver_feature_select: window.register(0x08)?,
            driver_feature: window.register(0x0c)?,
            config_msix_vector: window.register(0x10)?,
            num_queues: window.register(0x12)?,
            device_status: window.register(0x14)?,
            config_generation: window.register(0x15)?,
            queue_select: window.register(0x16)?,
            queue_size: window.register(0x18)?,
            queue_msix_vector: window.register(0x1a)?,
            queue_enable: window.register(0x1c)?,
            queue_notify_off: window.register(0x1e)?,
            queue_desc: window.register(0x20)?,
            queue_driver: window.register(0x28)?,
            queue_device: window.register(0x30)?,
        })
    }
}
