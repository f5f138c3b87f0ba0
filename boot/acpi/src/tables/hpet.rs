//! HPET: where the registers of the high precision event timer are (IA-PC HPET Specification 1.0a, 3.2.4).

use super::Register;
use super::fadt::register;

/// Offset of the address in the table.
const ADDRESS: usize = 40;

/// Physical address of the registers; `None` when they are not in memory.
pub(super) fn address(hpet: &[u8]) -> Option<u64> {
    match register(hpet, ADDRESS)? {
        Register::Memory(address) => Some(address),
        Register::Port(_) => None,
    }
}
