//! A function that a driver has claimed.

use alloc::sync::Arc;
use core::fmt;

use super::capability::{MSI_ENABLE, MSI_X_ENABLE};
use super::{CapabilityId, Command, ConfigSpace, Function};
use crate::claims::{AlreadyClaimed, DeviceClaim, DevicePlace};
use crate::hal::Hal;

/// A function that a driver has claimed, which no other driver can claim meanwhile.
pub struct Claim {
    device: DeviceClaim,
    config: Arc<dyn ConfigSpace>,
    function: Function,
}

impl Claim {
    /// Claims a function. Its registers are not touched yet.
    #[inline(never)]
    pub fn new(
        hal: &dyn Hal,
        config: &Arc<dyn ConfigSpace>,
        function: &Function,
    ) -> Result<Self, AlreadyClaimed> {
        let device = hal.claims().claim(DevicePlace::Pci(function.address))?;
        Ok(Self { device, config: config.clone(), function: *function })
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The way to its configuration registers.
    pub fn config(&self) -> &Arc<dyn ConfigSpace> {
        &self.config
    }

    /// Has the function answer at its `registers` ([`Command::MEMORY`] or [`Command::IO`]) and access memory. Its INTx line
    /// stays off until [`allow_line`](Self::allow_line).
    #[inline(never)]
    pub fn enable(&self, registers: Command) {
        let on = registers | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
        self.function.change_command(self.config.as_ref(), on, Command::empty());
    }

    /// Lets the function assert its INTx line. One that sends messages does not (PCI Local Bus Specification 3.0, 6.8.2), so
    /// those that earlier software has switched on are switched off.
    pub fn allow_line(&self) {
        let config = self.config.as_ref();
        for capability in self.function.capabilities(config) {
            let enable = match capability.id {
                CapabilityId::MSI => MSI_ENABLE,
                CapabilityId::MSI_X => MSI_X_ENABLE,
                _ => continue,
            };
            if let Some(control) = capability.read32(config, 0).filter(|control| control & enable != 0) {
                capability.write32(config, 0, control & !enable);
            }
        }
        self.function.change_command(config, Command::empty(), Command::INTERRUPT_DISABLE);
    }

    /// Takes the function's access to memory away, for a device that cannot be stopped by its own registers: one that is
    /// not a bus master makes no accesses. Returns whether it is so, by the command register. The function cannot be claimed
    /// again: that would let the device access memory that is in use elsewhere by then.
    pub fn cut_off(&mut self) -> bool {
        self.device.keep();
        let config = self.config.as_ref();
        self.function.change_command(config, Command::empty(), Command::BUS_MASTER);
        let now = self.function.change_command(config, Command::empty(), Command::BUS_MASTER);
        !now.contains(Command::BUS_MASTER)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("function", &self.function).finish_non_exhaustive()
    }
}
