//! Operation regions of the definition blocks. Those in PCI configuration space are accessible, because chip sets have their
//! interrupt routing there. Access to memory and I/O ports is refused, so that AML cannot change what the kernel uses; what the
//! interpreter cannot evaluate without them has a fallback.

use millrace_acpi::aml::{RegionHandler, RegionSpace};
use millrace_drivers::pci::Address;

use super::pci;

/// Accesses the operation regions in PCI configuration space.
pub(super) struct PciConfigHandler;

/// The dword of configuration space that holds a register, and the number of the register's first bit in it. `None` if the
/// region is in another address space, or the register does not lie within one dword.
fn register(space: RegionSpace, address: u64, bytes: u8) -> Option<(Address, u16, u32)> {
    let RegionSpace::PciConfig { bus, device, function } = space else { return None };
    let offset = u16::try_from(address).ok().filter(|offset| *offset < 4096)?;
    let is_inside = matches!(bytes, 1 | 2 | 4) && offset & 0b11 <= 4 - u16::from(bytes);
    is_inside.then_some((Address::new(bus, device, function)?, offset & !0b11, u32::from(offset & 0b11) * 8))
}

/// The bits of a register of `bytes` bytes: 1, 2 or 4.
fn mask(bytes: u8) -> u32 {
    u32::MAX >> (32 - 8 * u32::from(bytes))
}

impl RegionHandler for PciConfigHandler {
    fn read(&self, space: RegionSpace, address: u64, bytes: u8) -> Option<u64> {
        let (function, offset, shift) = register(space, address, bytes)?;
        let dword = pci::config_space()?.read32(function, offset);
        Some(u64::from(dword >> shift & mask(bytes)))
    }

    fn write(&self, space: RegionSpace, address: u64, bytes: u8, value: u64) -> Option<()> {
        let (function, offset, shift) = register(space, address, bytes)?;
        let config = pci::config_space()?;
        let (ours, new) = (mask(bytes) << shift, (value as u32 & mask(bytes)) << shift);
        config.write32(function, offset, config.read32(function, offset) & !ours | new);
        Some(())
    }
}
