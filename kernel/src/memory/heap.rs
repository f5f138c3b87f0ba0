//! The heap of the control path: whatever is allocated once, at start or on request, never for a packet.
//!
//! Small blocks come from a list in a stretch of memory of fixed size. A block of [`LARGE`] bytes or more,
//! and any block that finds no room in the list, gets pages of its own from the frame allocator. Where a
//! block lies tells which it was.
//!
//! A block that could fill a cache line fills whole ones: the queues and tables of two processors share none.
#![expect(unsafe_code, reason = "implements the global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;
use millrace_boot::{AddrRange, PAGE_BYTES};
use spin::Mutex;

use super::error::MemoryError;
use super::frames;

/// The list gets this part of RAM, within the limits below.
const PART_OF_RAM: u64 = 32;
const SMALLEST: u64 = 1 << 20;
const LARGEST: u64 = 8 << 20;
/// Blocks of this many bytes and more begin and end with a cache line; two, since processors fetch them in pairs.
const LINE: usize = 128;
/// Blocks of this many bytes and more get pages of their own.
const LARGE: usize = 256 * 1024;

#[global_allocator]
static HEAP: LockedHeap = LockedHeap(Mutex::new(Heap::empty()));

struct LockedHeap(Mutex<Heap>);

impl LockedHeap {
    fn take_listed(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() >= LARGE {
            return None;
        }
        self.0.lock().allocate_first_fit(whole_lines(layout)).ok().map(NonNull::as_ptr)
    }

    /// Whether a block came from the list.
    fn is_listed(&self, block: NonNull<u8>) -> bool {
        let heap = self.0.lock();
        (heap.bottom()..heap.top()).contains(&block.as_ptr())
    }
}

/// What the list is asked for instead of `layout`.
fn whole_lines(layout: Layout) -> Layout {
    if layout.size() < LINE {
        return layout;
    }
    // Neither is out of range: sizes up to `LARGE` come here.
    layout.align_to(LINE).map_or(layout, |layout| layout.pad_to_align())
}

fn from_frames(layout: Layout) -> Option<*mut u8> {
    frames::allocate(layout.size() as u64, layout.align() as u64).map(|run| run.start() as *mut u8)
}

// SAFETY: the list and the frame allocator hand out disjoint blocks that they own, of at least the size and
// alignment asked for, and a block goes back to where it came from; locks keep both whole.
unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take_listed(layout).or_else(|| from_frames(layout)).unwrap_or(ptr::null_mut())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        if self.is_listed(block) {
            // SAFETY: the block came from the list, and the caller promises that it did so with this layout.
            unsafe { self.0.lock().deallocate(block, whole_lines(layout)) }
            return;
        }
        let run = AddrRange::sized(block.as_ptr() as u64, layout.size() as u64)
            .and_then(|span| span.pages_touched());
        // A run that is refused is lost, and counted as handed out; it is not handed out again.
        let _ = run.map(frames::free);
    }
}

/// Takes the list's memory from the frame allocator, below 4 GiB since it searches from the lowest address.
pub(super) fn init() -> Result<(), MemoryError> {
    let (managed, ..) = frames::usage();
    let bytes = (managed / PART_OF_RAM).clamp(SMALLEST, LARGEST).next_multiple_of(PAGE_BYTES);
    let run = frames::allocate(bytes, PAGE_BYTES).ok_or(MemoryError::NoHeap { bytes })?;
    // SAFETY: the run belongs to the heap alone from here on, and is mapped and writable in every set of page
    // tables.
    unsafe { HEAP.0.lock().init(run.start() as *mut u8, run.bytes() as usize) };
    Ok(())
}

/// Bytes of the heap, and what of them is free.
pub(super) fn usage() -> (u64, u64) {
    let heap = HEAP.0.lock();
    (heap.size() as u64, heap.free() as u64)
}
