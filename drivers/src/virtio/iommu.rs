//! The virtio IOMMU (virtio 1.3, section 5.13), as far as it takes to know whether it lets cards through that no driver has
//! given a domain. Nothing but the feature selector is written, and the device is not reset.

use super::pci::Windows;
use crate::hal::Hal;
use crate::pci::{ConfigSpace, Function};

/// Vendor and device id: 0x1040 and the device type, 23 (sections 4.1.2 and 5.13.1).
const IDS: (u16, u16) = (0x1af4, 0x1040 + 23);
/// `device_feature_select` and `device_feature` in the common configuration (section 4.1.4.3).
const FEATURE_SELECT: usize = 0x00;
const FEATURE: usize = 0x04;
/// `VIRTIO_IOMMU_F_BYPASS_CONFIG`: the register `bypass` decides about endpoints without a domain (section 5.13.3).
const BYPASS_CONFIG: u32 = 1 << 6;
/// `bypass` in the device configuration, a byte of which bit 0 counts (section 5.13.4).
const BYPASS: usize = 36;
const IS_BYPASSED: u8 = 1;

/// Whether a function is a virtio IOMMU.
pub(crate) fn is_one(function: &Function) -> bool {
    (function.vendor, function.device) == IDS
}

/// Whether this virtio IOMMU blocks endpoints that have no domain (section 5.13.6); `None` when its registers cannot be
/// mapped. Registers that do not answer read all ones, which is an IOMMU that does not block.
pub(crate) fn blocks(hal: &dyn Hal, config: &dyn ConfigSpace, function: &Function) -> Option<bool> {
    let windows = Windows::find(config, function).ok()?;
    let common = windows.common.map(hal).ok()?;
    common.write32(FEATURE_SELECT, 0);
    let features = common.read32(FEATURE);
    if features & BYPASS_CONFIG == 0 {
        // BYPASS, the older feature, counts only once it has been negotiated.
        return Some(true);
    }
    let device = windows.device?.map(hal).ok()?;
    Some(device.read8(BYPASS) & IS_BYPASSED == 0)
}
