//! The line that a function interrupts by.

use super::config::register;
use super::pin::PINS;
use super::{ConfigSpace, Function, IntxPin};
use crate::hal::LineSource;

impl Function {
    /// The line that this function interrupts by, if it has one (section 6.2.4).
    pub fn line_source(&self, config: &dyn ConfigSpace) -> Option<LineSource> {
        let interrupt = config.read32(self.address, register::INTERRUPT_LINE);
        let [firmware_line, pin, ..] = interrupt.to_le_bytes();
        let pin = pin.checked_sub(1).filter(|pin| *pin < PINS)?;
        Some(LineSource::Intx { pin: IntxPin { function: self.address, pin }, firmware_line })
    }
}
