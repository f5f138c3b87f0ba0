//! Registers that the firmware's tables describe, in memory or at I/O ports.

use alloc::boxed::Box;

use millrace_boot::acpi::Register;
use millrace_drivers::bank::RegisterBank;
use millrace_drivers::hal::Hal;
use millrace_drivers::mmio::MmioWindow;

use crate::ports::PortBank;

/// A register of `bytes` bytes; `None` if it cannot be accessed. A register in memory stays mapped.
pub(crate) fn open(hal: &dyn Hal, register: Register, bytes: u16) -> Option<Box<dyn RegisterBank>> {
    Some(match register {
        Register::Port(port) => Box::new(PortBank::of_firmware(port, bytes)?),
        Register::Memory(address) => Box::new(MmioWindow::map(hal, address, bytes.into()).ok()?),
    })
}
