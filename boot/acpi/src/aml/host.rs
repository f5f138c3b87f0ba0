//! What definition blocks can reach of the machine.

/// What a region is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Physical memory.
    Memory,
    /// Io ports.
    Ports,
    /// The configuration space of a function on a root bus of segment group 0.
    PciConfig {
        /// Number of the root bus.
        bus: u8,
        /// Device number.
        device: u8,
        /// Function number.
        function: u8,
    },
}

/// The hardware that a definition block wants to reach.
pub trait Host {
    /// Reads 1, 2, 4 or 8 bytes at `address`; `None` where that is not allowed, or nothing is there.
    fn read(&self, space: Space, address: u64, bytes: u8) -> Option<u64>;

    /// Writes them.
    fn write(&self, space: Space, address: u64, bytes: u8, value: u64) -> Option<()>;
}
