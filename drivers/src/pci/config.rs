//! The registers at the start of configuration space that every function has.

use bitflags::bitflags;

/// Offsets of the registers that are used here, each a multiple of 4.
pub(super) mod register {
    pub const VENDOR_AND_DEVICE: u16 = 0x00;
    pub const COMMAND_AND_STATUS: u16 = 0x04;
    pub const CLASS_AND_REVISION: u16 = 0x08;
    pub const HEADER_TYPE: u16 = 0x0c;
    pub const FIRST_BAR: u16 = 0x10;
    pub const BUS_NUMBERS: u16 = 0x18;
    pub const SUBSYSTEM: u16 = 0x2c;
    pub const CAPABILITIES_POINTER: u16 = 0x34;
    pub const INTERRUPT_LINE: u16 = 0x3c;
}

/// Bit of the status register (upper half of the dword at 4): there is a capability list.
pub(super) const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);

bitflags! {
    /// The command register (section 6.2.2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Answers accesses to its io ports.
        const IO = 1 << 0;
        /// Answers accesses to its memory.
        const MEMORY = 1 << 1;
        /// May access memory on its own.
        const BUS_MASTER = 1 << 2;
        /// Does not assert its INTx line.
        const INTERRUPT_DISABLE = 1 << 10;
        const _ = !0;
    }
}
