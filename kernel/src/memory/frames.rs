//! The one frame allocator of the machine, behind a lock.

use millrace_boot::frames::{FrameAllocator, FreeError};
use millrace_boot::{AddrRange, Full};
use spin::Mutex;

/// Free ranges and live runs together that the allocator can keep apart.
const CAPACITY: usize = 1024;

static FRAMES: Mutex<FrameAllocator<CAPACITY>> = Mutex::new(FrameAllocator::new());

pub(super) fn init<T>(ram: &[AddrRange], taken: T) -> Result<(), Full>
where
    T: IntoIterator<Item = AddrRange>,
{
    FRAMES.lock().manage(ram, taken)
}

/// Hands out a contiguous run of whole pages. Its content is whatever was there.
pub(crate) fn allocate(bytes: u64, align: u64) -> Option<AddrRange> {
    FRAMES.lock().allocate(bytes, align)
}

/// Takes a run back as it was handed out.
pub(crate) fn free(run: AddrRange) -> Result<(), FreeError> {
    FRAMES.lock().free(run)
}

/// Bytes managed, bytes free, bytes in the longest free run.
pub(super) fn usage() -> (u64, u64, u64) {
    let frames = FRAMES.lock();
    (frames.managed_bytes(), frames.free_bytes(), frames.largest_run())
}
