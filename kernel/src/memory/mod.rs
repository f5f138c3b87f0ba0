//! The machine's memory: who owns which page, what may be done with it, and what lies behind an address.
//!
//! ```text
//! virtual                     physical
//! 0 .. 4 KiB                  nothing: the null page
//! RAM, at its own address     RAM by 1 GiB, 2 MiB and 4 KiB pages, writable, never executable
//!   image text                execute and read
//!   image rodata              read
//!   image data, stacks        read and write; the page under each stack: nothing
//! WINDOW ..                   device registers, uncached, mapped when a driver asks; stacks of further
//!                             processors, each with a page under it that is not mapped
//! everything else             nothing
//! ```
//!
//! Locks, in the order in which they are taken: page tables (`window`), then frames. The heap's is never held
//! while another is taken. No code allocates from the heap while it holds one of them.

mod error;
mod frames;
mod heap;
mod loader_view;
mod low_page;
mod paging;
mod window;

use core::fmt;

use millrace_boot::{AddrRange, BootInfo, image};

pub use error::MemoryError;
pub(crate) use frames::{allocate as allocate_frames, free as free_frames};
pub(crate) use loader_view::LoaderView;
pub(crate) use low_page::LowPage;
#[cfg(feature = "fault-injection")]
pub(crate) use low_page::address as low_page;
pub use paging::PagingError;
pub(crate) use window::map_device;

/// How much memory there is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// RAM that the kernel hands out: not the image, not what the loader or the firmware uses.
    pub managed: u64,
    /// What of it is free.
    pub free: u64,
    /// The longest contiguous run of that.
    pub largest_run: u64,
    /// Size of the heap, part of what is not free.
    pub heap: u64,
    /// What of the heap is free.
    pub heap_free: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: u64| bytes / 1024;
        let (managed, free, run) = (kib(self.managed), kib(self.free), kib(self.largest_run));
        write!(f, "{managed} KiB RAM, {free} KiB free, longest run {run} KiB, ")?;
        write!(f, "heap {} KiB, {} KiB free", kib(self.heap), kib(self.heap_free))
    }
}

/// How much memory there is now.
pub fn usage() -> Usage {
    let (managed, free, largest_run) = frames::usage();
    let (heap, heap_free) = heap::usage();
    Usage { managed, free, largest_run, heap, heap_free }
}

/// Takes over all RAM but the image, what the loader left and what else is `taken`, and opens the heap. The trampoline's page
/// tables are still in use, so only the first 4 GiB can be touched yet.
pub(crate) fn init(info: &BootInfo<'_>, taken: impl Iterator<Item = AddrRange>) -> Result<(), MemoryError> {
    let occupied = info.occupied.into_iter().flatten();
    low_page::init(info);
    frames::init(info.memory.ram(), occupied.chain(image::whole()).chain(taken))?;
    heap::init()
}

/// Switches to page tables of our own, with permissions, and opens the window for device registers.
pub(crate) fn protect(info: &BootInfo<'_>) -> Result<(), MemoryError> {
    let tables = paging::build(info.memory.ram()).map_err(MemoryError::Paging)?;
    window::init(tables, info.memory.clone());
    Ok(())
}

/// A new stack of `bytes` (a multiple of pages), for good, with a page under it that is never mapped.
pub(crate) fn new_stack(bytes: u64) -> Option<AddrRange> {
    window::map_stack(bytes)
}

/// Physical address of the page tables that all processors use.
pub(crate) fn page_tables() -> Option<u64> {
    window::tables()
}
