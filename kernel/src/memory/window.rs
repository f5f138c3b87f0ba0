//! The window of virtual addresses in which lies what is not mapped at its own address: device registers, which may be
//! anywhere a processor can address, also far above RAM, and stacks, with nothing under them.
//!
//! Each request gets fresh addresses from the window, in order, and keeps them: cards and processors are found once and
//! stay.

use core::ptr::NonNull;

use millrace_boot::{AddrRange, MemoryMap, PAGE_BYTES};
use spin::Mutex;

use super::frames;
use super::paging::{AddressSpace, DEVICE, READ_WRITE};
use crate::cpu;

/// First address of the window: in the upper half, which nothing else uses.
const WINDOW: u64 = 0xffff_8000_0000_0000;
/// Bytes of the window, 32 TiB.
const WINDOW_BYTES: u64 = 1 << 45;

static OPEN: Mutex<Option<Window>> = Mutex::new(None);

struct Window {
    space: AddressSpace,
    memory: MemoryMap,
    next: u64,
}

/// Opens the window. `memory` is what must not be mapped as a device.
pub(super) fn init(space: AddressSpace, memory: MemoryMap) {
    *OPEN.lock() = Some(Window { space, memory, next: WINDOW });
}

/// Maps `bytes` of device registers at the physical address `phys`, uncached. `None` when there is nothing to map, when the
/// range passes what the processor can address or touches RAM, or when window or memory for tables is used up.
pub(crate) fn map_device(phys: u64, bytes: usize) -> Option<NonNull<u8>> {
    let wanted =
        AddrRange::sized(phys, bytes as u64).filter(|span| span.end() <= 1 << cpu::physical_bits())?;
    OPEN.lock().as_mut()?.map_device(wanted)
}

/// Maps a new stack of `bytes`, a multiple of pages, for good, with a page under it that is never mapped. `None` when
/// memory is used up.
pub(super) fn map_stack(bytes: u64) -> Option<AddrRange> {
    OPEN.lock().as_mut()?.map_stack(bytes)
}

/// Takes a page of RAM out of the tables. The caller ensures that it has no user: processors other than this
/// one may still know it for a while.
pub(super) fn unmap_page(page: AddrRange) -> bool {
    OPEN.lock().as_mut().is_some_and(|window| window.space.unmap_page(page.start()))
}

/// Physical address of the tables that the window is part of.
pub(super) fn tables() -> Option<u64> {
    OPEN.lock().as_ref().map(|window| window.space.root())
}

impl Window {
    fn map_device(&mut self, wanted: AddrRange) -> Option<NonNull<u8>> {
        let pages = wanted.pages_touched()?;
        if self.memory.ram().iter().any(|ram| ram.overlaps(pages)) {
            return None;
        }
        // The same offset within a large page on both sides, so that large pages can be used.
        let unit = [1 << 30, 1 << 21].into_iter().find(|unit| pages.bytes() >= *unit).unwrap_or(PAGE_BYTES);
        let virt = self.next.checked_next_multiple_of(unit)?.checked_add(pages.start() % unit)?;
        self.take(virt, pages.bytes())?;
        self.space.map(virt, pages, DEVICE).ok()?;
        NonNull::new((virt + (wanted.start() - pages.start())) as *mut u8)
    }

    fn map_stack(&mut self, bytes: u64) -> Option<AddrRange> {
        let frames = frames::allocate(bytes, PAGE_BYTES)?;
        // What follows is not adjacent either: the next stack leaves a page of its own, and devices are not run into.
        let virt = self.next.checked_add(PAGE_BYTES)?;
        self.take(virt, frames.bytes())?;
        self.space.map(virt, frames, READ_WRITE).ok()?;
        AddrRange::sized(virt, frames.bytes())
    }

    /// Takes the addresses up to the end of what begins at `virt`, even if mapping it stops half way: the pages mapped by
    /// then are not mapped a second time.
    fn take(&mut self, virt: u64, bytes: u64) -> Option<()> {
        let end = virt.checked_add(bytes).filter(|end| end - WINDOW <= WINDOW_BYTES)?;
        self.next = end;
        Some(())
    }
}
