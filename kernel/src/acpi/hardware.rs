//! What definition blocks reach: PCI configuration space. That is where chip sets have their interrupt routing. Memory
//! and io ports are refused, so that no firmware writes where this kernel does not know of it; what a block cannot answer
//! without them has its fallback.

use millrace_acpi::aml::{Host, Space};
use millrace_drivers::pci::Address;

use super::pci;

/// Configuration space, for those who speak of it in bytes.
pub(super) struct PciHost;

/// Where a register of a function on a root bus is: its dword, and its bit therein. `None` when it is not in one dword.
fn register(space: Space, address: u64, bytes: u8) -> Option<(Address, u16, u32)> {
    let Space::PciConfig { bus, device, function } = space else { return None };
    let offset = u16::try_from(address).ok().filter(|offset| *offset < 4096)?;
    let is_inside = matches!(bytes, 1 | 2 | 4) && offset & 0b11 <= 4 - u16::from(bytes);
    is_inside.then_some((Address::new(bus, device, function)?, offset & !0b11, u32::from(offset & 0b11) * 8))
}

/// The bits of a value of so many bytes.
fn mask(bytes: u8) -> u32 {
    u32::MAX >> (32 - 8 * u32::from(bytes))
}

impl Host for PciHost {
    fn read(&self, space: Space, address: u64, bytes: u8) -> Option<u64> {
        let (function, offset, shift) = register(space, address, bytes)?;
        let dword = pci::config_space()?.read32(function, offset);
        Some(u64::from(dword >> shift & mask(bytes)))
    }

    fn write(&self, space: Space, address: u64, bytes: u8, value: u64) -> Option<()> {
        let (function, offset, shift) = register(space, address, bytes)?;
        let config = pci::config_space()?;
        let (ours, new) = (mask(bytes) << shift, (value as u32 & mask(bytes)) << shift);
        config.write32(function, offset, config.read32(function, offset) & !ours | new);
        Some(())
    }
}
