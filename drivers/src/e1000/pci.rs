//! Registers in the memory of the card's first BAR (section 4.1).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Interrupts, MapError, Offset, Registers, Writer};
use crate::hal::{Hal, Handler};
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
        Ok(Self { claim: Claim::new(config, function), window, messages })
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
            messages.connect(handlers);
        }
    }

    /// By messages, if it has any: its line leads nowhere yet.
    fn interrupts(&self) -> Interrupts {
        let entry = |source| self.messages.as_ref().and_then(|messages| messages.entry(source));
        match (entry(0), entry(1)) {
            (Some(receive), Some(transmit)) => Interrupts::Messages { receive, transmit },
            _ => Interrupts::None,
        }
    }

    fn cut_off(&mut self) -> bool {
        self.claim.cut_off()
    }
}

impl Writer for Register<u32, WriteOnly> {
    #[inline]
    fn write(&self, value: u32) {
        Register::write(self, value);
    }
}
