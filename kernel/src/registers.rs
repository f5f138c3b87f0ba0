//! Registers that the firmware's tables describe, in memory or at I/O ports.

use alloc::sync::Arc;

use millrace_acpi::tables::RegisterAddress;
use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;

use crate::ports::PortRegion;

/// A register of `bytes` bytes; `None` if it cannot be accessed. A register in memory stays mapped.
pub(crate) fn open(hal: &dyn Hal, register: RegisterAddress, bytes: u16) -> Option<Arc<dyn IoRegion>> {
    Some(match register {
        RegisterAddress::Port(port) => Arc::new(PortRegion::of_firmware(port, bytes)?),
        RegisterAddress::Memory(address) => hal.map_mmio(address, bytes.into())?,
    })
}
