//! Addresses of registers, as tables give them.

use millrace_boot::little_endian::{u32_at, u64_at};

use crate::address_space::{SYSTEM_IO, SYSTEM_MEMORY};

/// Offset of the address in a Generic Address Structure; its first byte is the address space id (5.2.3.2, table 5.1).
const GAS_ADDRESS: usize = 4;

/// Where a register is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterAddress {
    /// At this I/O port.
    Port(u16),
    /// In memory, at this physical address.
    Memory(u64),
}

impl RegisterAddress {
    /// The address in the Generic Address Structure (5.2.3.2) at `offset` of a table. `None` if the address is 0, which means
    /// that there is no register, is not a valid port, or is in an address space other than memory and I/O ports.
    pub(super) fn generic(table: &[u8], offset: usize) -> Option<Self> {
        let address = u64_at(table, offset + GAS_ADDRESS).filter(|address| *address != 0)?;
        match *table.get(offset)? {
            SYSTEM_MEMORY => Some(Self::Memory(address)),
            SYSTEM_IO => u16::try_from(address).ok().map(Self::Port),
            _ => None,
        }
    }

    /// The I/O port whose number is the 32-bit field at `offset` of a table; `None` if it is 0 or not a valid port.
    pub(super) fn port(table: &[u8], offset: usize) -> Option<Self> {
        let port = u32_at(table, offset).filter(|port| *port != 0)?;
        u16::try_from(port).ok().map(Self::Port)
    }
}
