//! What a device's bus supplies besides the registers: interrupts, and a way to take DMA away.

use alloc::vec::Vec;

use crate::hal::Handler;
use crate::line::{Acknowledge, IntxLine};

/// The bus of one device. Implemented in this crate only: `Nic::stop` relies on [`cut_off`](Self::cut_off).
pub(crate) trait Bus: Send {
    /// Has interrupts handled by `handlers`: those of the receive queue and the transmit queue of each pair, in turn.
    /// `acknowledge` is for a device that interrupts by a line. Called once; without effect for a device without interrupts.
    fn connect(&mut self, handlers: Vec<Handler>, acknowledge: Acknowledge);

    /// The MSI-X entry of queue `source`, if it has one.
    fn message(&self, source: u16) -> Option<u16> {
        let _ = source;
        None
    }

    /// Whether the device interrupts by a line.
    fn has_line(&self) -> bool;

    /// Takes the device's access to memory away, for a device that does not stop. Returns whether that is certain.
    fn cut_off(&mut self) -> bool;
}

/// A device without a bus.
impl Bus for IntxLine {
    fn connect(&mut self, handlers: Vec<Handler>, acknowledge: Acknowledge) {
        self.connect_line(handlers, acknowledge);
    }

    fn has_line(&self) -> bool {
        self.is_connected()
    }

    /// Nothing keeps the device from memory.
    fn cut_off(&mut self) -> bool {
        false
    }
}
