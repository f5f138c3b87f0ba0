//! What the loader left in memory, read through the trampoline's mapping of the first 4 GiB.
#![expect(unsafe_code, reason = "makes slices of memory that Rust does not know of")]

use millrace_boot::{AddrRange, PhysicalMemory, image};

/// End of what the trampoline maps.
const MAPPED: u64 = 4 << 30;

/// Read access to the first 4 GiB, the image and address 0 excepted.
pub(crate) struct LoaderView(());

impl LoaderView {
    /// A view of what the loader left.
    ///
    /// # Safety
    /// While the view, or anything borrowed from it, is in use, the trampoline's page tables are in force,
    /// and nothing outside the image is written but pages that the frame allocator hands out; it spares what
    /// is still borrowed.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

impl PhysicalMemory for LoaderView {
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        let span =
            AddrRange::sized(address, len as u64).filter(|span| span.start() > 0 && span.end() <= MAPPED)?;
        if image::whole().is_some_and(|image| image.overlaps(span)) {
            return None;
        }
        // SAFETY: the range is mapped and not part of the image, so no Rust object lies in it; nothing writes
        // it while it is borrowed (promised to `new`). Any byte is a valid `u8`.
        Some(unsafe { core::slice::from_raw_parts(span.start() as *const u8, len) })
    }
}
