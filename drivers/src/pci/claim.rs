//! A function in the hands of a driver.

use alloc::sync::Arc;
use core::fmt;

use super::capability::{MSI_ENABLE, MSI_X_ENABLE};
use super::{CapabilityId, Command, ConfigSpace, Function};

/// A function that a driver has taken: it answers at its registers and may access our memory, and its INTx line is off
/// until it is [let through](Self::allow_line).
pub struct Claim {
    config: Arc<dyn ConfigSpace>,
    function: Function,
}

impl Claim {
    /// Takes a function whose registers lie in memory.
    pub fn new(config: &Arc<dyn ConfigSpace>, function: &Function) -> Self {
        Self::take(config, function, Command::MEMORY)
    }

    /// Takes a function whose registers lie in io ports.
    pub fn with_ports(config: &Arc<dyn ConfigSpace>, function: &Function) -> Self {
        Self::take(config, function, Command::IO)
    }

    fn take(config: &Arc<dyn ConfigSpace>, function: &Function, registers: Command) -> Self {
        let on = registers | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
        function.change_command(config.as_ref(), on, Command::empty());
        Self { config: config.clone(), function: *function }
    }

    /// Lets the function assert its INTx line. One that sends messages does not (PCI Local Bus Specification 3.0, 6.8.2), so
    /// those that somebody before has switched on are switched off.
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
    /// not a bus master makes no accesses. Returns whether it is so, by the command register.
    pub fn cut_off(&self) -> bool {
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
