//! Page tables: built once at boot, and extended by the device window.
#![expect(unsafe_code, reason = "writes page tables and switches to them")]

use core::fmt;

use millrace_boot::{AddrRange, Full, PAGE_BYTES, RangeSet, image};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::mapper::MapToError;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size1GiB,
    Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::frames;
use crate::cpu;

/// Page tables are taken from the frame allocator so many at a time.
const TABLES_AT_ONCE: u64 = 16;

const READ: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
pub(super) const READ_WRITE: PageTableFlags = READ.union(PageTableFlags::WRITABLE);
const EXECUTE: PageTableFlags = PageTableFlags::PRESENT;
/// For device registers: neither cached nor written late.
pub(super) const DEVICE: PageTableFlags =
    READ_WRITE.union(PageTableFlags::NO_CACHE).union(PageTableFlags::WRITE_THROUGH);

/// Why a range could not be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagingError {
    /// No memory for another table.
    NoMemory,
    /// The parts of the image and the stretches of RAM are too many to keep apart.
    TooScattered,
    /// Part of the range is mapped already.
    AlreadyMapped,
    /// An address that no page table can express.
    BadAddress,
}

impl fmt::Display for PagingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PagingError::NoMemory => "no memory for another table",
            PagingError::TooScattered => "too many separate ranges of RAM to map",
            PagingError::AlreadyMapped => "the range is mapped already",
            PagingError::BadAddress => "the address is out of range",
        })
    }
}

impl core::error::Error for PagingError {}

impl From<Full> for PagingError {
    fn from(Full: Full) -> Self {
        PagingError::TooScattered
    }
}

/// The page tables of the machine, and where new ones come from.
pub(super) struct AddressSpace {
    mapper: OffsetPageTable<'static>,
    tables: TablePool,
    has_gib_pages: bool,
}

/// Builds the tables for `ram` and the image, and switches to them.
pub(super) fn build(ram: &[AddrRange]) -> Result<AddressSpace, PagingError> {
    let mut space = AddressSpace::new()?;
    for (span, flags) in [(image::text(), EXECUTE), (image::rodata(), READ)] {
        span.map_or(Ok(()), |span| space.map(span.start(), span, flags))?;
    }
    for span in image_data()?.ranges().iter().chain(plain_ram(ram)?.ranges()) {
        space.map(span.start(), *span, READ_WRITE)?;
    }
    space.activate();
    Ok(space)
}

/// The image's variables and stacks without the guard pages.
fn image_data() -> Result<RangeSet<16>, Full> {
    let mut data = RangeSet::new();
    image::data().map_or(Ok(()), |span| data.insert(span))?;
    cpu::guard_pages().try_for_each(|(_, guard)| data.remove(guard))?;
    Ok(data)
}

/// RAM without the image and the null page.
fn plain_ram(ram: &[AddrRange]) -> Result<RangeSet<256>, Full> {
    let mut plain = RangeSet::new();
    ram.iter().filter_map(AddrRange::pages_inside).try_for_each(|span| plain.insert(span))?;
    let null_page = AddrRange::sized(0, PAGE_BYTES);
    null_page.into_iter().chain(image::whole()).try_for_each(|span| plain.remove(span))?;
    Ok(plain)
}

impl AddressSpace {
    fn new() -> Result<Self, PagingError> {
        let mut tables = TablePool { unused: None };
        let root = tables.take().ok_or(PagingError::NoMemory)?;
        let root = root.start_address().as_u64() as *mut PageTable;
        // SAFETY: the frame is a page without another owner, aligned as a table must be, below 4 GiB and
        // therefore mapped at its own address; zero bytes are a table of unused entries.
        let root = unsafe {
            root.write_bytes(0, 1);
            &mut *root
        };
        // SAFETY: every table comes from RAM, which is mapped at its own address both by the trampoline (as
        // far as the tables built before the switch go: lowest addresses first) and by these tables.
        let mapper = unsafe { OffsetPageTable::new(root, VirtAddr::zero()) };
        Ok(Self { mapper, tables, has_gib_pages: cpu::has_gib_pages() })
    }

    /// Maps `physical` at `virt`, both on page borders, by the largest pages that fit. Nothing must be mapped
    /// there.
    pub(super) fn map(
        &mut self,
        virt: u64,
        physical: AddrRange,
        flags: PageTableFlags,
    ) -> Result<(), PagingError> {
        let mut done = 0;
        while done < physical.bytes() {
            let (at, from, left) = (virt + done, physical.start() + done, physical.bytes() - done);
            let fits = |size: u64| (at | from).is_multiple_of(size) && left >= size;
            done += if self.has_gib_pages && fits(Size1GiB::SIZE) {
                self.map_page::<Size1GiB>(at, from, flags)?
            } else if fits(Size2MiB::SIZE) {
                self.map_page::<Size2MiB>(at, from, flags)?
            } else {
                self.map_page::<Size4KiB>(at, from, flags)?
            };
        }
        Ok(())
    }

    /// Maps one page and tells its size.
    fn map_page<S>(&mut self, virt: u64, physical: u64, flags: PageTableFlags) -> Result<u64, PagingError>
    where
        S: PageSize,
        OffsetPageTable<'static>: Mapper<S>,
    {
        let virt = VirtAddr::try_new(virt).map_err(|_| PagingError::BadAddress)?;
        let physical = PhysAddr::try_new(physical).map_err(|_| PagingError::BadAddress)?;
        let page = Page::<S>::containing_address(virt);
        let frame = PhysFrame::<S>::containing_address(physical);
        // SAFETY: the callers map RAM at its own address, each page once and with the permissions of what
        // lies there, or device registers in a window that holds nothing else; a page that is mapped already
        // is refused.
        let mapped = unsafe { self.mapper.map_to(page, frame, flags, &mut self.tables) };
        match mapped {
            // Nothing to flush: a page that was not mapped is in no translation cache.
            Ok(flush) => flush.ignore(),
            Err(MapToError::FrameAllocationFailed) => return Err(PagingError::NoMemory),
            Err(MapToError::PageAlreadyMapped(_) | MapToError::ParentEntryHugePage) => {
                return Err(PagingError::AlreadyMapped);
            }
        }
        Ok(S::SIZE)
    }

    /// Takes out a page of RAM that is mapped by itself. `false` if there is none at this address.
    pub(super) fn unmap_page(&mut self, virt: u64) -> bool {
        let Ok(virt) = VirtAddr::try_new(virt) else { return false };
        let unmapped = self.mapper.unmap(Page::<Size4KiB>::containing_address(virt));
        unmapped.map(|(_, flush)| flush.flush()).is_ok()
    }

    /// Physical address of the tables.
    pub(super) fn root(&self) -> u64 {
        VirtAddr::from_ptr(self.mapper.level_4_table()).as_u64()
    }

    /// Makes the processor use these tables.
    fn activate(&self) {
        let frame = PhysFrame::containing_address(PhysAddr::new_truncate(self.root()));
        // SAFETY: the tables map the image with the permissions that its parts need, the stack in use, and
        // all RAM that anything was allocated from, each at the address it had before.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    }
}

/// Frames for page tables. They are never given back: tables live as long as the machine.
struct TablePool {
    unused: Option<AddrRange>,
}

impl TablePool {
    fn take(&mut self) -> Option<PhysFrame> {
        let run = self.unused.take().or_else(|| frames::allocate(TABLES_AT_ONCE * PAGE_BYTES, PAGE_BYTES))?;
        self.unused = AddrRange::between(run.start() + PAGE_BYTES, run.end());
        Some(PhysFrame::containing_address(PhysAddr::try_new(run.start()).ok()?))
    }
}

// SAFETY: the frame allocator hands out each page once, and the pool passes each page on once.
unsafe impl FrameAllocator<Size4KiB> for TablePool {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.take()
    }
}
