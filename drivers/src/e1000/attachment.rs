//! A card's registers and its bus: on PCI, the memory of the first BAR (section 4.1) and the function's interrupts.

use alloc::boxed::Box;
#[cfg(any(test, feature = "testing"))]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::registers::{Registers, cause};
use super::{Interrupts, MapError, Offset};
use crate::bus::Bus;
use crate::hal::{Hal, Handler};
use crate::line::{IntxLine, IrqStatus};
use crate::pci::{Claim, Command, ConfigSpace, Function, Msix, PciDevice};
#[cfg(any(test, feature = "testing"))]
use crate::registers::IoRegion;

/// The BAR with the registers.
const BAR: u8 = 0;
/// Queues that interrupt: receive, transmit.
const SOURCES: u16 = 2;

/// A card that can be driven: its registers, its interrupts and its access to memory. There is one for each card.
pub struct Attachment {
    pub(super) registers: Registers,
    bus: Box<dyn Bus>,
}

impl Attachment {
    /// Finds and maps the registers of a function.
    pub fn on_pci(hal: &dyn Hal, claim: Claim) -> Result<Self, MapError> {
        let (config, function) = (claim.config(), claim.function());
        let registers = map_registers(hal, config.as_ref(), function)?;
        let messages = Msix::find(hal, config, function, SOURCES);
        let source = if messages.is_some() { None } else { function.line_source(config.as_ref()) };
        let line = IntxLine::find(hal, source);
        claim.enable(Command::MEMORY);
        let bus = PciDevice::new(claim, messages, line);
        Ok(Self { registers, bus: Box::new(bus) })
    }

    /// A card whose registers are `region`, on this bus.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn new(region: Arc<dyn IoRegion>, bus: Box<dyn Bus>) -> Self {
        Self { registers: Registers::new(region), bus }
    }

    /// Reads a register; all ones when the card does not answer.
    pub fn read(&self, offset: Offset) -> u32 {
        self.registers.read(offset)
    }

    /// Writes a register.
    pub fn write(&self, offset: Offset, value: u32) {
        self.registers.write(offset, value);
    }

    /// Has the interrupts of the receive queue and the transmit queue handled by `handlers`, in this order, if the card has
    /// interrupts.
    pub fn connect(&mut self, handlers: Vec<Handler>) {
        let registers = self.registers.clone();
        // The mask first: reading the causes deasserts the line.
        let acknowledge = move || causes(registers.read(Offset::Ims), registers.read(Offset::Icr));
        self.bus.connect(handlers, Box::new(acknowledge));
    }

    /// How the card interrupts: by messages if it has any, else by its line.
    pub fn interrupts(&self) -> Interrupts {
        match (self.bus.message(0), self.bus.message(1)) {
            (Some(receive), Some(transmit)) => Interrupts::Messages { receive, transmit },
            _ if self.bus.has_line() => Interrupts::Line,
            _ => Interrupts::None,
        }
    }

    /// Takes the card's access to memory away by other means than its own registers, for a card that does not stop. Returns
    /// whether that is certain.
    pub fn cut_off(&mut self) -> bool {
        self.bus.cut_off()
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("registers", &self.registers).finish_non_exhaustive()
    }
}

/// Maps the registers of a function.
fn map_registers(
    hal: &dyn Hal,
    config: &dyn ConfigSpace,
    function: &Function,
) -> Result<Registers, MapError> {
    let range = function.bars(config).memory(BAR).map_err(MapError::Bar)?;
    if range.bytes < Offset::END as u64 {
        return Err(MapError::TooShort { bytes: range.bytes });
    }
    Ok(Registers::new(hal.map(range.address, Offset::END)?))
}

/// The causes that ICR shows, which it forgets on being read (section 13.4.17). Only those that the `mask` lets through make
/// the card interrupt. All ones are read from a card that is gone.
fn causes(mask: u32, icr: u32) -> IrqStatus {
    let icr = if icr == !0 { 0 } else { icr };
    IrqStatus {
        is_ours: icr & mask != 0,
        receive: icr & cause::RECEIVED != 0,
        transmit: icr & cause::TRANSMITTED != 0,
    }
}
