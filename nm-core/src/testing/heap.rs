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

/// What fresh memory is full of, so that nobody relies on it being clear.
const STALE: u8 = 0xa5;

/// A [`Platform`] over the heap, limited to a number of bytes.
#[derive(Debug)]
pub struct HeapPlatform {
    left: AtomicUsize,
    blocks: AtomicUsize,
    start: Instant,
    can_sleep: bool,
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
        Arc::new(Self::with(bytes, false))
    }

    fn with(bytes: usize, can_sleep: bool) -> Self {
        let (left, blocks) = (AtomicUsize::new(bytes), AtomicUsize::new(0));
        Self { left, blocks, start: Instant::now(), can_sleep }
    }

    /// A platform with `bytes` of memory.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self::with(bytes, true))
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
// every alignment that may be asked for.
unsafe impl Platform for HeapPlatform {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok().filter(|_| align <= ALIGN)?;
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).ok()?;
        // SAFETY: the layout is not empty, and the block is as long as the layout says.
        let virt = unsafe {
            let virt = NonNull::new(alloc(layout))?;
            virt.write_bytes(STALE, layout.size());
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
        let layout = Layout::from_size_align(block.bytes.max(1), ALIGN);
        if let Ok(layout) = layout {
            // SAFETY: the caller promises that the block came from `allocate_dma`, which used this layout.
            unsafe { dealloc(block.virt.as_ptr(), layout) }
        }
    }
}
