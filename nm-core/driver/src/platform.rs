//! What the core asks of the machine it runs on: memory that a device can reach, the time, and a way to wait.
//!
//! The kernel implements [`Platform`] over its frame allocator, the `testing` module over the heap.
#![expect(unsafe_code, reason = "memory enters the core here, and its owner frees it here")]

use alloc::sync::Arc;
use core::fmt;
use core::ptr::NonNull;
use core::task::Waker;

/// A block of memory that is contiguous for the processor and for devices.
#[derive(Debug)]
pub struct DmaBlock {
    /// Where the processor sees the block.
    pub virt: NonNull<u8>,
    /// Where devices see the block.
    pub phys: u64,
    /// Length in bytes.
    pub bytes: usize,
}

/// The machine under the core.
///
/// # Safety
/// A block that [`allocate_dma`](Platform::allocate_dma) returns is readable and writable for its whole length, with
/// bytes of any value in it; it is aligned as asked (both addresses), contiguous at both addresses, and belongs to the
/// caller alone until it is released.
pub unsafe trait Platform: Send + Sync {
    /// Hands out `bytes` of memory aligned to `align` (a power of two, at most 4096), or `None` when there is no such
    /// block left. What is in it is whatever was there: clearing it is up to those who need it clear.
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock>;

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from [`allocate_dma`](Platform::allocate_dma) of this platform, is released once, and neither
    /// the processor nor a device uses it any more.
    unsafe fn release_dma(&self, block: DmaBlock);

    /// Nanoseconds since some moment in the past. Never goes back.
    fn now_ns(&self) -> u64;

    /// How to sleep until an interrupt. A machine that takes no interrupts has none, and then waiting is looking again
    /// and again.
    fn sleeper(&self) -> Option<&dyn Sleeper> {
        None
    }
}

/// Sleeping until something happens.
pub trait Sleeper {
    /// A waker that ends the caller's [`sleep`](Sleeper::sleep), or the next one if it is not sleeping. It may be called
    /// from any thread, but from no interrupt handler.
    fn waker(&self) -> Waker;

    /// Sleeps until `is_due` says that there is something to do, until [`now_ns`](Platform::now_ns) has reached
    /// `deadline_ns`, or shorter. `is_due` becomes true in interrupt handlers and in other threads that then call the
    /// waker: a processor asks it with interrupts held back, and lets them in together with halting. It takes no lock.
    fn sleep(&self, is_due: &dyn Fn() -> bool, deadline_ns: Option<u64>) -> Slept;
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a sleep that was interrupted ends what it was for"]
pub enum Slept {
    /// There may be something to do, or the time is over.
    On,
    /// The machine wants the caller for something else: its wait ends at once, as if its time were over.
    #[doc(alias = "EINTR")]
    Interrupted,
}

/// The machine has no contiguous block of this size left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfDmaMemory {
    /// How much was asked for, in bytes.
    pub bytes: usize,
}

impl fmt::Display for OutOfDmaMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no contiguous block of {} bytes is free for DMA", self.bytes)
    }
}

impl core::error::Error for OutOfDmaMemory {}

/// An owned [`DmaBlock`]; dropping it gives the block back to its platform.
///
/// A driver that lets a device use the block keeps the `DmaMemory` until the device has been stopped.
pub struct DmaMemory {
    block: DmaBlock,
    platform: Arc<dyn Platform>,
}

// SAFETY: the block belongs to this value alone (contract of `Platform`), and a pointer to it grants nothing by
// itself: code that dereferences it states why that is sound.
unsafe impl Send for DmaMemory {}
// SAFETY: as above; `&DmaMemory` only tells addresses.
unsafe impl Sync for DmaMemory {}

impl DmaMemory {
    /// Allocates `bytes` of zeroed device memory aligned to `align`.
    pub fn allocate(
        platform: &Arc<dyn Platform>,
        bytes: usize,
        align: usize,
    ) -> Result<Self, OutOfDmaMemory> {
        let memory = Self::allocate_unzeroed(platform, bytes, align)?;
        // SAFETY: the block is writable for its whole length and belongs to this value alone.
        unsafe { memory.block.virt.write_bytes(0, memory.block.bytes) };
        Ok(memory)
    }

    /// Allocates `bytes` of device memory aligned to `align`, with whatever was in it. For large blocks that are
    /// cleared piece by piece as they come into use: touching them all at once costs a boot most of its time.
    pub fn allocate_unzeroed(
        platform: &Arc<dyn Platform>,
        bytes: usize,
        align: usize,
    ) -> Result<Self, OutOfDmaMemory> {
        let block = platform.allocate_dma(bytes, align).ok_or(OutOfDmaMemory { bytes })?;
        Ok(Self { block, platform: platform.clone() })
    }

    /// Where the processor sees the memory.
    pub fn virt(&self) -> NonNull<u8> {
        self.block.virt
    }

    /// Where devices see the memory.
    pub fn phys(&self) -> u64 {
        self.block.phys
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.block.bytes
    }
}

impl Drop for DmaMemory {
    fn drop(&mut self) {
        let block = DmaBlock { virt: self.block.virt, phys: self.block.phys, bytes: self.block.bytes };
        // SAFETY: the block came from this platform, and this value, its only owner, ends here.
        unsafe { self.platform.release_dma(block) }
    }
}

impl fmt::Debug for DmaMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaMemory").field("block", &self.block).finish_non_exhaustive()
    }
}
