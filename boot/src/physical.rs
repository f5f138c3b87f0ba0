//! Bounds-checked reads of physical memory that the loader or the firmware filled.

/// Read access to physical memory.
///
/// The kernel implements it over its mapping of RAM, tests over a few blocks of bytes. The memory does not change while a
/// slice of it is borrowed.
pub trait PhysicalMemory {
    /// The `len` bytes from physical address `address` on, or `None` when not all of them are readable memory.
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]>;
}
