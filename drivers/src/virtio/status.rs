//! The device status register (section 2.1).

use bitflags::bitflags;

bitflags! {
    /// How far driver and device have come with each other. Zero is a device after reset.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Status: u8 {
        /// The driver has noticed the device.
        const ACKNOWLEDGE = 1 << 0;
        /// The driver knows how to drive it.
        const DRIVER = 1 << 1;
        /// The driver is set up: the device may work.
        const DRIVER_OK = 1 << 2;
        /// The driver has made its choice of features.
        const FEATURES_OK = 1 << 3;
        /// The device has met an error that only a reset ends.
        const NEEDS_RESET = 1 << 6;
        /// The driver has given up on the device.
        const FAILED = 1 << 7;
        const _ = !0;
    }
}
