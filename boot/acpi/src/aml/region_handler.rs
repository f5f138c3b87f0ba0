//! Access to operation regions.

/// The address space of an operation region (20.2.5.2, RegionSpace), as far as regions in it are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionSpace {
    /// Physical memory.
    SystemMemory,
    /// I/O ports.
    SystemIo,
    /// Configuration space of a PCI function on a root bus of segment group 0.
    PciConfig {
        /// Number of the root bus.
        bus: u8,
        /// Device number, 0 to 31.
        device: u8,
        /// Function number, 0 to 7.
        function: u8,
    },
}

/// Accesses the hardware behind operation regions (5.5.2.4) for an interpreter.
pub trait RegionHandler {
    /// Reads an integer of 1, 2, 4 or 8 bytes at `address`. `None` if the access is refused.
    fn read(&self, space: RegionSpace, address: u64, bytes: u8) -> Option<u64>;

    /// Writes an integer of 1, 2, 4 or 8 bytes to `address`. `None` if the access is refused.
    fn write(&self, space: RegionSpace, address: u64, bytes: u8, value: u64) -> Option<()>;
}
