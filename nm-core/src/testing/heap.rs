//! Device memory from the heap, and threads that sleep.
#![expect(unsafe_code, reason = "implements the memory contract over the global allocator")]

use alloc::alloc::{alloc, dealloc};
use alloc::sync::Arc;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::Waker;
use core::time::Duration;

use alloc::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

use crate::platform::{DmaBlock, Platform, Sleeper, Slept};

/// What a device adds to the processor's address: large enough that a mix-up is no valid address.
const DEVICE_OFFSET: u64 = 0x7000_0000_0000_0000;
/// All blocks are aligned alike, so that a block can be released by its length alone.
const ALIGN: usize = 4096;

/// What fresh memory is full of, so that no code relies on it being clear.
const STALE: u8 = 0xa5;
/// What a fence is full of.
const FENCE: u8 = 0x5c;

/// A [`Platform`] over the heap, limited to a number of bytes.
#[derive(Debug)]
pub struct HeapPlatform {
    left: AtomicUsize,
    blocks: AtomicUsize,
    start: Instant,
    can_sleep: bool,
    /// Bytes in front of each block and behind it, a multiple of [`ALIGN`].
    fence: usize,
    /// Blocks that were released with a fence that had been overwritten.
    trampled: AtomicUsize,
}

/// Ends the sleep of one thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Threads sleep by parking. What sets a pending word calls [`run_pending`](crate::Netmap::run_pending) afterwards:
/// nothing here interrupts a sleep by itself.
impl Sleeper for HeapPlatform {
    fn waker(&self) -> Waker {
        Arc::new(Unpark(thread::current())).into()
    }

    fn sleep(&self, is_due: &dyn Fn() -> bool, deadline_ns: Option<u64>) -> Slept {
        if is_due() {
            return Slept::On;
        }
        match deadline_ns {
            Some(deadline) => {
                thread::park_timeout(Duration::from_nanos(deadline.saturating_sub(self.now_ns())));
            }
            None => thread::park(),
        }
        Slept::On
    }
}

impl HeapPlatform {
    /// A platform with `bytes` of memory on which waiting is looking again and again.
    pub fn without_sleep(bytes: usize) -> Arc<Self> {
        Arc::new(Self { can_sleep: false, ..Self::with(bytes) })
    }

    /// A platform with `bytes` of memory whose blocks lie between fences: [`trampled`](Self::trampled) tells of a write
    /// that missed its block by less than a page. Miri and the address sanitizer see more without fences.
    pub fn fenced(bytes: usize) -> Arc<Self> {
        Arc::new(Self { fence: ALIGN, ..Self::with(bytes) })
    }

    fn with(bytes: usize) -> Self {
        let count = AtomicUsize::new;
        let (left, blocks, trampled) = (count(bytes), count(0), count(0));
        Self { left, blocks, start: Instant::now(), can_sleep: true, fence: 0, trampled }
    }

    /// A platform with `bytes` of memory.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self::with(bytes))
    }

    /// How many blocks were released with a fence that had been overwritten.
    pub fn trampled(&self) -> usize {
        self.trampled.load(Relaxed)
    }

    /// The layout of a block of so many bytes with its fences.
    fn layout(&self, bytes: usize) -> Option<Layout> {
        let bytes = bytes.max(1).checked_add(2 * self.fence)?;
        Layout::from_size_align(bytes, ALIGN).ok()
    }

    /// How many blocks are in use.
    pub fn blocks_in_use(&self) -> usize {
        self.blocks.load(Relaxed)
    }

    /// Where the processor sees the device address `phys`.
    pub fn virt(phys: u64) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(phys.wrapping_sub(DEVICE_OFFSET) as usize)
    }
}

// SAFETY: the heap gives memory of exactly this kind, all of it written once; `phys` is a constant offset from `virt`, a multiple of
// every alignment that may be asked for. Fences are part of what was allocated, and of no block.
unsafe impl Platform for HeapPlatform {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        let layout = self.layout(bytes).filter(|_| align <= ALIGN)?;
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).ok()?;
        // SAFETY: the layout is not empty; block and fences together are as long as the layout says.
        let virt = unsafe {
            let start = NonNull::new(alloc(layout))?;
            start.write_bytes(FENCE, layout.size());
            let virt = start.add(self.fence);
            virt.write_bytes(STALE, bytes);
            virt
        };
        self.blocks.fetch_add(1, Relaxed);
        let phys = (virt.as_ptr().expose_provenance() as u64).wrapping_add(DEVICE_OFFSET);
        Some(DmaBlock { virt, phys, bytes })
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        self.can_sleep.then_some(self)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        self.left.fetch_add(block.bytes, Relaxed);
        self.blocks.fetch_sub(1, Relaxed);
        let Some(layout) = self.layout(block.bytes) else { return };
        // SAFETY: the caller promises that the block came from `allocate_dma`, which used this layout and put the block
        // between two fences.
        unsafe {
            let start = block.virt.as_ptr().sub(self.fence);
            let fences = [start, block.virt.as_ptr().add(block.bytes)];
            let fences = fences.map(|fence| core::slice::from_raw_parts(fence, self.fence));
            let is_whole = fences.iter().all(|fence| fence.iter().all(|byte| *byte == FENCE));
            self.trampled.fetch_add(usize::from(!is_whole), Relaxed);
            dealloc(start, layout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_beside_a_block_is_noticed_when_it_is_released() {
        for missed_by in [-4096, -1, 0, 99, 100, 4195] {
            let heap = HeapPlatform::fenced(1 << 20);
            let block = heap.allocate_dma(100, 64).unwrap();
            // SAFETY: a fence of a page is on both sides of the block.
            unsafe { block.virt.offset(missed_by).write(0) };
            // SAFETY: the block is the one that was allocated.
            unsafe { heap.release_dma(block) };
            let is_beside = !(0..100).contains(&missed_by);
            assert_eq!((heap.trampled(), heap.blocks_in_use()), (usize::from(is_beside), 0), "{missed_by}");
        }
    }
}
