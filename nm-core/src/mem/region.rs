//! The region: where its objects lie, and the lookup table of its buffers.
#![expect(unsafe_code, reason = "addresses of objects are computed inside one owned block")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr::NonNull;

use spin::Mutex;

use super::pool::Pool;
use super::{MemoryError, MemoryReport, PoolKind, RegionError};
use crate::nic::{DmaBuffer, HEADROOM};
use crate::platform::{DmaMemory, OutOfDmaMemory, Platform};
use crate::tunables::Tunables;

/// Buffers that no slot ever holds; a zeroed slot names the first of them.
const RESERVED_BUFFERS: u32 = 2;
/// Pools begin on a page.
const PAGE: usize = 4096;

/// Where a buffer's payload is.
#[derive(Debug, Clone, Copy)]
struct BufferAddress {
    virt: NonNull<u8>,
    phys: u64,
}

/// The free objects of the three pools, and how many slots hold a buffer.
#[derive(Debug)]
struct Pools {
    interfaces: Pool,
    rings: Pool,
    buffers: Pool,
    held: u32,
}

/// A contiguous block of memory with interface objects, ring objects and buffers.
#[derive(Debug)]
pub struct Region {
    memory: DmaMemory,
    tunables: Tunables,
    rings_at: usize,
    buffers_at: usize,
    /// `tunables.frame_max()`, at hand for every packet.
    frame_max: u16,
    /// From buffer number to addresses.
    #[doc(alias = "netmap_lut")]
    table: Box<[BufferAddress]>,
    pools: Mutex<Pools>,
}

// SAFETY: the addresses in the table point into `memory`, which this value owns; who may dereference them is decided
// by the rule that each buffer is in one place (module docs of `mem`), not by which thread holds the region.
unsafe impl Send for Region {}
// SAFETY: as above; the pools are behind a lock and everything else is constant.
unsafe impl Sync for Region {}

impl Region {
    /// Takes the memory for the objects that `tunables` asks for.
    pub(crate) fn new(platform: &Arc<dyn Platform>, tunables: Tunables) -> Result<Arc<Self>, RegionError> {
        if let Some((name, error)) = tunables.invalid() {
            return Err(RegionError::Tunable(name, error));
        }
        let t = &tunables;
        let layout = Self::layout(t);
        let (rings_at, buffers_at, bytes) =
            layout.ok_or(RegionError::OutOfMemory(OutOfDmaMemory { bytes: usize::MAX }))?;
        let memory = DmaMemory::allocate_unzeroed(platform, bytes, PAGE).map_err(RegionError::OutOfMemory)?;
        let table = Self::table(&memory, buffers_at, t)?;
        let pools = Pools {
            interfaces: Pool::new(t.if_num, 0)?,
            rings: Pool::new(t.ring_num, 0)?,
            buffers: Pool::new(t.buf_num, RESERVED_BUFFERS)?,
            held: 0,
        };
        let frame_max = t.frame_max();
        Ok(Arc::new(Self {
            memory,
            tunables,
            rings_at,
            buffers_at,
            frame_max,
            table,
            pools: Mutex::new(pools),
        }))
    }

    /// The lookup table of buffers that begin at `buffers_at`.
    fn table(
        memory: &DmaMemory,
        buffers_at: usize,
        t: &Tunables,
    ) -> Result<Box<[BufferAddress]>, RegionError> {
        let mut table = super::reserve(t.buf_num as usize)?;
        table.extend((0..t.buf_num as usize).map(|i| {
            let offset = buffers_at + i * t.buf_size as usize + HEADROOM;
            // SAFETY: `layout` made the block long enough for all buffers, so the offset lies inside it.
            let virt = unsafe { memory.virt().add(offset) };
            BufferAddress { virt, phys: memory.phys() + offset as u64 }
        }));
        Ok(table.into_boxed_slice())
    }

    /// Offset of the rings, offset of the buffers, and length in all.
    fn layout(t: &Tunables) -> Option<(usize, usize, usize)> {
        let span =
            |num: u32, size: u32| (num as usize).checked_mul(size as usize)?.checked_next_multiple_of(PAGE);
        let rings_at = span(t.if_num, t.if_size)?;
        let buffers_at = rings_at.checked_add(span(t.ring_num, t.ring_size)?)?;
        let bytes = buffers_at.checked_add(span(t.buf_num, t.buf_size)?)?;
        Some((rings_at, buffers_at, bytes))
    }

    /// The sizes that the region was built with.
    pub fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Where the buffers are.
    pub fn report(&self) -> MemoryReport {
        let pools = self.pools.lock();
        let total = self.tunables.buf_num.saturating_sub(RESERVED_BUFFERS);
        MemoryReport { total, free: pools.buffers.available(), held: pools.held }
    }

    /// The longest frame that a buffer holds, in bytes.
    #[inline]
    pub fn frame_max(&self) -> u16 {
        self.frame_max
    }

    /// Where the payload of buffer `index` is, if a slot may name that buffer.
    #[inline]
    pub(crate) fn payload(&self, index: u32) -> Option<NonNull<u8>> {
        self.lookup(index).map(|address| address.virt)
    }

    /// Clears headroom and payload of buffers that were just taken from the pool, so that nothing old leaves by them.
    pub(super) fn clear(&self, buffers: &[u32]) {
        for address in buffers.iter().filter_map(|&index| self.lookup(index)) {
            let bytes = HEADROOM + usize::from(self.frame_max());
            // SAFETY: headroom and payload lie inside the region's block; the buffer was free, so nobody uses it.
            unsafe { address.virt.sub(HEADROOM).write_bytes(0, bytes) };
        }
    }

    /// Buffer `index` on its way to a device, if a slot may name it.
    #[inline]
    pub(crate) fn dma_buffer(&self, index: u32) -> Option<DmaBuffer<'_>> {
        let address = self.lookup(index)?;
        // SAFETY: headroom and payload lie inside the region's block, at `phys` for devices. The value gives access
        // to the headroom only, which no application view covers, and the core makes it for a slot of its own
        // window, where the buffer is in no other slot.
        Some(unsafe { DmaBuffer::new(address.virt, address.phys, self.frame_max()) })
    }

    #[inline]
    fn lookup(&self, index: u32) -> Option<BufferAddress> {
        self.table.get(index as usize).filter(|_| index >= RESERVED_BUFFERS).copied()
    }

    /// Takes `count` objects of a kind into `into`: all of them or none.
    pub(super) fn take(
        &self,
        pool: PoolKind,
        count: u32,
        into: &mut alloc::vec::Vec<u32>,
    ) -> Result<(), MemoryError> {
        let mut pools = self.pools.lock();
        let from = pools.of(pool);
        let available = from.available();
        if available < count {
            return Err(MemoryError { pool, requested: count, available });
        }
        into.extend((0..count).map_while(|_| from.take()));
        Ok(())
    }

    /// Puts objects back. Returns how many were refused, because they were free already or do not exist.
    pub(super) fn put_back(&self, pool: PoolKind, objects: impl IntoIterator<Item = u32>) -> u32 {
        let mut pools = self.pools.lock();
        let to = pools.of(pool);
        let mut refused = 0;
        for object in objects {
            let reserved = pool == PoolKind::Buffer && object < RESERVED_BUFFERS;
            refused += u32::from(reserved || !to.put_back(object));
        }
        refused
    }

    /// Notes that slots came to hold a buffer (positive) or ceased to (negative). When none is left, nobody has a
    /// buffer: what was not given back is reclaimed.
    pub(super) fn adjust_held(&self, slots: i32) {
        let mut pools = self.pools.lock();
        pools.held = pools.held.saturating_add_signed(slots);
        let reclaimed = if pools.held == 0 { pools.buffers.reclaim(RESERVED_BUFFERS) } else { 0 };
        drop(pools);
        if reclaimed > 0 {
            log::info!(target: "netmap", "{reclaimed} buffers that their ports did not give back were reclaimed");
        }
    }

    /// Where interface object `object` is.
    pub(super) fn interface_at(&self, object: u32) -> Option<NonNull<u8>> {
        let valid = object < self.tunables.if_num;
        valid.then(|| self.at(object as usize * self.tunables.if_size as usize))
    }

    /// Where ring object `object` is.
    pub(super) fn ring_at(&self, object: u32) -> Option<NonNull<u8>> {
        let valid = object < self.tunables.ring_num;
        valid.then(|| self.at(self.rings_at + object as usize * self.tunables.ring_size as usize))
    }

    /// Bytes from ring object `object` to the payload of buffer 0.
    pub(super) fn buffers_from_ring(&self, object: u32) -> i64 {
        let ring = self.rings_at + object as usize * self.tunables.ring_size as usize;
        (self.buffers_at + HEADROOM) as i64 - ring as i64
    }

    /// Bytes from interface object `interface` to ring object `ring`.
    pub(super) fn ring_from_interface(&self, interface: u32, ring: u32) -> i64 {
        let ring = self.rings_at + ring as usize * self.tunables.ring_size as usize;
        ring as i64 - (interface as usize * self.tunables.if_size as usize) as i64
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: callers compute the offset of an object that `layout` gave room for.
        unsafe { self.memory.virt().add(offset) }
    }
}

impl Pools {
    fn of(&mut self, kind: PoolKind) -> &mut Pool {
        match kind {
            PoolKind::Interface => &mut self.interfaces,
            PoolKind::Ring => &mut self.rings,
            PoolKind::Buffer => &mut self.buffers,
        }
    }
}
