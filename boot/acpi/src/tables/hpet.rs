//! HPET: the high precision event timer (IA-PC HPET Specification 1.0a, 3.2.4).

use super::register::RegisterAddress;

/// Offset of the base address, a Generic Address Structure.
const BASE_ADDRESS: usize = 40;

/// Physical address of the timer's registers; `None` if they are not in memory.
pub(super) fn address(hpet: &[u8]) -> Option<u64> {
    match RegisterAddress::generic(hpet, BASE_ADDRESS)? {
        RegisterAddress::Memory(address) => Some(address),
        RegisterAddress::Port(_) => None,
    }
}
