//! Registers that the tables describe.

use alloc::boxed::Box;

use millrace_boot::acpi::Register;
use millrace_drivers::bank::RegisterBank;
use millrace_drivers::mmio::MmioWindow;

use crate::memory::Hardware;
use crate::ports::PortBank;

/// A register of `bytes`, if it can be reached. One in memory stays mapped for good.
pub(crate) fn open(register: Register, bytes: u16) -> Option<Box<dyn RegisterBank>> {
    Some(match register {
        Register::Port(port) => Box::new(PortBank::of_firmware(port, bytes)?),
        Register::Memory(address) => Box::new(MmioWindow::map(&Hardware::new(), address, bytes.into()).ok()?),
    })
}
