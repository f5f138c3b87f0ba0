//! The driver's way to the model.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{IntelDevice, IntelViolation};
use crate::bus::Bus;
use crate::e1000::{Attachment, Offset};
use crate::hal::Handler;
use crate::line::Acknowledge;
use crate::testing::machine::ModelRegion;
use crate::testing::region::RegisterModel;

/// Bytes of the card's memory.
const BYTES: usize = 0x2_0000;

/// The registers of an [`IntelDevice`], and its bus: a line that is never connected.
#[derive(Debug, Clone)]
struct IntelRegisters(IntelDevice);

/// For the driver.
impl IntelDevice {
    /// The driver's way to the card.
    pub fn attachment(&self) -> Attachment {
        let registers = IntelRegisters(self.clone());
        let region = Arc::new(ModelRegion::new(Arc::new(registers.clone())));
        Attachment::new(region, Box::new(registers))
    }
}

impl IntelRegisters {
    /// The register of `width` bytes at `offset`; any other is a complaint.
    fn register(&self, offset: usize, width: usize) -> Option<Offset> {
        let register = Offset::ALL.into_iter().find(|register| *register as usize == offset);
        let register = register.filter(|_| width == 4);
        if register.is_none() {
            self.0.lock().violations.push(IntelViolation::RegisterAccess { offset, width });
        }
        register
    }
}

impl RegisterModel for IntelRegisters {
    fn bytes(&self) -> usize {
        BYTES
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        self.register(offset, width).map_or(!0, |register| self.0.read(register))
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        if let Some(register) = self.register(offset, width) {
            self.0.write(register, value);
        }
    }
}

impl Bus for IntelRegisters {
    fn connect(&mut self, handlers: Vec<Handler>, acknowledge: Acknowledge) {
        drop((handlers, acknowledge));
    }

    fn has_line(&self) -> bool {
        true
    }

    fn cut_off(&mut self) -> bool {
        let mut model = self.0.lock();
        model.is_cut_off = !model.setup.quirks.cannot_be_cut_off;
        model.is_cut_off
    }
}
