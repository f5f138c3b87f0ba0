//! The machine as a driver sees it: memory for devices, and the registers of devices.
#![expect(unsafe_code, reason = "the trait carries a contract about addresses")]

use core::ptr::NonNull;

use nm_core::platform::Platform;

/// What drivers need of the machine: [`Platform`]'s device memory, and access to device registers.
///
/// # Safety
/// A pointer that [`map_mmio`](Hal::map_mmio) returns reaches the registers at that physical address, uncached, for
/// the whole length asked for, as long as the machine runs.
pub unsafe trait Hal: Platform {
    /// Makes `bytes` of device registers at the physical address `phys` accessible, wherever it lies. `None` when the
    /// range is not a possible one (empty, wraps around, beyond what the processor can address) or the machine has no
    /// memory left to map it.
    fn map_mmio(&self, phys: u64, bytes: usize) -> Option<NonNull<u8>>;
}
