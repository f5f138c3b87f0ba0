//! The window of virtual addresses through which drivers reach device registers.
//!
//! Registers may lie anywhere a processor can address, also far above RAM. Each request gets fresh addresses
//! from the window, in order, and keeps them: cards are found once and stay.

use core::ptr::NonNull;

use millrace_boot::{MemoryMap, PAGE_BYTES, Span};
use spin::Mutex;

use super::paging::{AddressSpace, DEVICE};
use crate::cpu;

/// First address of the window: in the upper half, which nothing else uses.
const DEVICE_WINDOW: u64 = 0xffff_8000_0000_0000;
/// Bytes of the window, 32 TiB.
const WINDOW_BYTES: u64 = 1 << 45;

static WINDOW: Mutex<Option<Window>> = Mutex::new(None);

struct Window {
    space: AddressSpace,
    memory: MemoryMap,
    next: u64,
}

/// Opens the window. `memory` is what must not be mapped as a device.
pub(super) fn init(space: AddressSpace, memory: MemoryMap) {
    *WINDOW.lock() = Some(Window { space, memory, next: DEVICE_WINDOW });
}

/// Maps `bytes` at the physical address `phys`, uncached. `None` when there is nothing to map, when the range
/// passes what the processor can address or touches RAM, or when window or memory for tables is used up.
pub(super) fn map(phys: u64, bytes: usize) -> Option<NonNull<u8>> {
    let wanted = Span::sized(phys, bytes as u64).filter(|span| span.end() <= 1 << cpu::physical_bits())?;
    WINDOW.lock().as_mut()?.map(wanted)
}

impl Window {
    fn map(&mut self, wanted: Span) -> Option<NonNull<u8>> {
        let pages = wanted.pages_touched()?;
        if self.memory.ram().iter().any(|ram| ram.overlaps(pages)) {
            return None;
        }
        // The same offset within a large page on both sides, so that large pages can be used.
        let unit = [1 << 30, 1 << 21].into_iter().find(|unit| pages.bytes() >= *unit).unwrap_or(PAGE_BYTES);
        let virt = self.next.checked_next_multiple_of(unit)?.checked_add(pages.start() % unit)?;
        let end = virt.checked_add(pages.bytes())?;
        if end - DEVICE_WINDOW > WINDOW_BYTES {
            return None;
        }
        // Taken even if mapping stops half way: the pages mapped by then are not mapped a second time.
        self.next = end;
        self.space.map(virt, pages, DEVICE).ok()?;
        NonNull::new((virt + (wanted.start() - pages.start())) as *mut u8)
    }
}
