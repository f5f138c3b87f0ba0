//! The driver's way to the model.

use super::IntelDevice;
use crate::e1000::{Interrupts, Offset, Registers, Writer};
use crate::mmio::MmioError;

/// The registers of an [`IntelDevice`].
#[derive(Debug)]
pub struct IntelRegisters {
    device: IntelDevice,
}

/// One register of an [`IntelDevice`].
#[derive(Debug)]
pub struct IntelWriter {
    device: IntelDevice,
    offset: Offset,
}

impl IntelRegisters {
    pub(super) fn new(device: IntelDevice) -> Self {
        Self { device }
    }
}

impl Registers for IntelRegisters {
    type Writer = IntelWriter;

    fn read(&self, offset: Offset) -> u32 {
        self.device.read(offset)
    }

    fn write(&self, offset: Offset, value: u32) {
        self.device.write(offset, value);
    }

    fn writer(&self, offset: Offset) -> Result<IntelWriter, MmioError> {
        Ok(IntelWriter { device: self.device.clone(), offset })
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::Line
    }

    fn cut_off(&mut self) -> bool {
        let mut model = self.device.lock();
        model.is_cut_off = !model.setup.quirks.cannot_be_cut_off;
        model.is_cut_off
    }
}

impl Writer for IntelWriter {
    fn write(&self, value: u32) {
        self.device.write(self.offset, value);
    }
}
