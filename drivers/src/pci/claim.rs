//! A function in the hands of a driver.

use alloc::sync::Arc;
use core::fmt;

use super::{Command, ConfigSpace, Function};

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

    /// Lets the function assert its INTx line.
    pub fn allow_line(&self) {
        let config = self.config.as_ref();
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
