//! The page below 1 MiB in which further processors start. The frame allocator does not hand out what lies there.
#![expect(unsafe_code, reason = "writes to a page that Rust does not know of")]

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use millrace_boot::{AddrRange, BootInfo, PAGE_BYTES};
use spin::Once;

use super::window;

/// Where memory ends that a processor can start in: above are the legacy devices.
const END: u64 = 0xa_0000;

/// The page that was picked.
static PICKED: Once<Option<AddrRange>> = Once::new();
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Picks the page: the lowest of RAM, behind the first, that the loader has not used.
pub(super) fn init(info: &BootInfo<'_>) {
    let is_free = |page: &AddrRange| {
        let is_used = info.occupied.iter().flatten().any(|taken| taken.overlaps(*page));
        info.memory.ram().iter().any(|ram| ram.contains(*page)) && !is_used
    };
    let pages = (PAGE_BYTES..END).step_by(PAGE_BYTES as usize);
    PICKED.call_once(|| pages.filter_map(|start| AddrRange::sized(start, PAGE_BYTES)).find(is_free));
}

/// Where the page is, or was; `None` on a machine without.
pub(crate) fn address() -> Option<AddrRange> {
    PICKED.get().copied().flatten()
}

/// The page, whose owner may use it as memory. Dropped, it is not mapped any more.
#[derive(Debug)]
pub(crate) struct LowPage(AddrRange);

impl LowPage {
    /// The page, once; `None` on a machine without.
    pub(crate) fn take() -> Option<Self> {
        let picked = address()?;
        (!IS_TAKEN.swap(true, Ordering::Relaxed)).then_some(Self(picked))
    }

    /// The number of the page, as a processor is told to start there.
    pub(crate) fn number(&self) -> u8 {
        // No cut: it lies below 1 MiB.
        (self.0.start() / PAGE_BYTES) as u8
    }

    /// Puts `code` at the beginning, as much of it as there is room for.
    pub(crate) fn write(&mut self, code: &[u8]) {
        let bytes = code.len().min(PAGE_BYTES as usize);
        // SAFETY: the page is RAM, mapped writable at its own address until the value is dropped, and nothing but its
        // owner uses it: the frame allocator leaves out what lies below 1 MiB.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), self.0.start() as *mut u8, bytes) }
    }
}

impl Drop for LowPage {
    fn drop(&mut self) {
        if !window::unmap_page(self.0) {
            log::warn!(target: "memory", "the page at {:#x} could not be unmapped", self.0.start());
        }
    }
}
