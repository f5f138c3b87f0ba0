//! A claimed function with its interrupts.

use alloc::vec::Vec;

use super::{Claim, Msix};
use crate::bus::Bus;
use crate::hal::Handler;
use crate::line::{Acknowledge, IntxLine};

/// A function that a driver has claimed, and its interrupts: messages, else its line, else none.
pub(crate) struct PciDevice {
    claim: Claim,
    messages: Option<Msix>,
    line: IntxLine,
}

impl PciDevice {
    /// `line` is used if there are no messages.
    pub(crate) fn new(claim: Claim, messages: Option<Msix>, line: IntxLine) -> Self {
        Self { claim, messages, line }
    }
}

impl Bus for PciDevice {
    fn connect(&mut self, handlers: Vec<Handler>, acknowledge: Acknowledge) {
        match &mut self.messages {
            Some(messages) => messages.connect(handlers),
            None if self.line.connect_line(handlers, acknowledge) => self.claim.allow_line(),
            None => {}
        }
    }

    fn message(&self, source: u16) -> Option<u16> {
        self.messages.as_ref().and_then(|messages| messages.entry(source))
    }

    fn has_line(&self) -> bool {
        self.line.is_connected()
    }

    /// By the command register.
    fn cut_off(&mut self) -> bool {
        self.claim.cut_off()
    }
}
