//! Registers in the memory of the card's first BAR (section 4.1).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::registers::cause;
use super::{Interrupts, MapError, Offset, Registers, Writer};
use crate::hal::{Hal, Handler};
use crate::line::{CardLine, Causes};
use crate::mmio::{MmioError, MmioWindow, ReadWrite, Register, WriteOnly};
use crate::pci::{Claim, ConfigSpace, Function, Msix};

/// The BAR with the registers.
const BAR: u8 = 0;
/// Queues that interrupt: receive, transmit.
const SOURCES: u16 = 2;

/// The registers of a card on PCI.
#[derive(Debug)]
pub struct PciRegisters {
    claim: Claim,
    window: MmioWindow,
    messages: Option<Msix>,
    line: CardLine,
}

impl PciRegisters {
    /// Finds and maps the registers, and takes the function into use.
    pub fn new(hal: &dyn Hal, config: &Arc<dyn ConfigSpace>, function: &Function) -> Result<Self, MapError> {
        let range = function.bars(config.as_ref()).memory(BAR).map_err(MapError::Bar)?;
        if range.bytes < Offset::END as u64 {
            return Err(MapError::TooShort { bytes: range.bytes });
        }
        let window = MmioWindow::map(hal, range.address, Offset::END).map_err(MapError::Register)?;
        let messages = Msix::find(hal, config, function, SOURCES);
        let source = if messages.is_some() { None } else { function.line_source(config.as_ref()) };
        let line = CardLine::find(hal, source);
        Ok(Self { claim: Claim::new(config, function), window, messages, line })
    }
}

impl Registers for PciRegisters {
    type Writer = Register<u32, WriteOnly>;

    /// All registers lie in the window, which was mapped for them.
    fn read(&self, offset: Offset) -> u32 {
        self.window.register::<u32, ReadWrite>(offset as usize).map_or(!0, |register| register.read())
    }

    fn write(&self, offset: Offset, value: u32) {
        if let Ok(register) = self.writer(offset) {
            register.write(value);
        }
    }

    fn writer(&self, offset: Offset) -> Result<Self::Writer, MmioError> {
        self.window.register(offset as usize)
    }

    fn connect(&mut self, handlers: Vec<Handler>) {
        if let Some(messages) = &mut self.messages {
            return messages.connect(handlers);
        }
        let registers =
            [Offset::Ims, Offset::Icr].map(|offset| self.window.register::<u32, ReadWrite>(offset as usize));
        let [Ok(mask), Ok(register)] = registers else { return };
        // The mask first: reading the causes lets go of the line.
        if self.line.connect(handlers, Box::new(move || causes(mask.read(), register.read()))) {
            self.claim.allow_line();
        }
    }

    /// By messages, if it has any, else by its line.
    fn interrupts(&self) -> Interrupts {
        let entry = |source| self.messages.as_ref().and_then(|messages| messages.entry(source));
        match (entry(0), entry(1)) {
            (Some(receive), Some(transmit)) => Interrupts::Messages { receive, transmit },
            _ if self.line.is_connected() => Interrupts::Line,
            _ => Interrupts::None,
        }
    }

    fn cut_off(&mut self) -> bool {
        self.claim.cut_off()
    }
}

/// What the card says by ICR, which forgets it on being read (section 13.4.17). Only what the `mask` lets through makes it
/// interrupt, whatever else it has noted. All ones are of a card that is gone.
fn causes(mask: u32, icr: u32) -> Causes {
    let icr = if icr == !0 { 0 } else { icr };
    Causes {
        is_ours: icr & mask != 0,
        receive: icr & cause::RECEIVED != 0,
        transmit: icr & cause::TRANSMITTED != 0,
    }
}

impl Writer for Register<u32, WriteOnly> {
    #[inline]
    fn write(&self, value: u32) {
        Register::write(self, value);
    }
}
