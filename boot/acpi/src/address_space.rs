//! Address space ids, as a Generic Address Structure (5.2.3.2, table 5.1) and an operation region (20.2.5.2, RegionSpace) give
//! them.

/// Physical memory.
pub(crate) const SYSTEM_MEMORY: u8 = 0x00;
/// I/O ports.
pub(crate) const SYSTEM_IO: u8 = 0x01;
/// PCI configuration space of a function.
pub(crate) const PCI_CONFIG: u8 = 0x02;
