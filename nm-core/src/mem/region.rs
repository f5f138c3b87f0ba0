//! The region: where its objects lie, and the lookup table of its buffers.

use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::AtomicI64;

use nm_driver::buffers::Buffers;
use nm_driver::platform::{DmaMemory, OutOfDmaMemory, Platform};
use nm_driver::shared::{SharedArray, SharedMemory, SharedObjects, SharedRef};
use nm_driver::slots::SlotCell;
use spin::{Mutex, MutexGuard};

use super::objects::{InterfaceCells, RingCells};
use super::pools::{Pools, Use};
use super::{Info, MemId, MemoryError, MemoryReport, PAGE, PoolKind, RegionError, Trust};
use crate::tunables::{Sizes, Tunables};

/// A contiguous block of memory with interface objects, ring objects and buffers.
#[derive(Debug)]
#[doc(alias = "netmap_mem_d")]
pub struct Region {
    /// The region itself, for what is taken from it and keeps it.
    this: Weak<Self>,
    id: MemId,
    name: String,
    memory: Arc<DmaMemory>,
    sizes: Sizes,
    /// Each with a table of the offsets of its rings.
    interfaces: SharedObjects<InterfaceCells, AtomicI64>,
    rings: SharedObjects<RingCells, SlotCell>,
    #[doc(alias = "netmap_lut")]
    buffers: Buffers,
    /// A leaf among locks: nothing else is locked while it is held, and no sync takes it.
    pools: Mutex<Pools>,
}

/// Made, and described.
impl Region {
    /// The shared region that `tunables` asks for.
    pub(crate) fn new(platform: &Arc<dyn Platform>, tunables: Tunables) -> Result<Arc<Self>, RegionError> {
        if let Some((name, error)) = tunables.invalid() {
            return Err(RegionError::Tunable(name, error));
        }
        Self::build(platform, MemId::SHARED, "shared", tunables.shared())
    }

    /// A private region of these sizes.
    pub(super) fn private(
        platform: &Arc<dyn Platform>,
        id: MemId,
        name: &str,
        sizes: Sizes,
    ) -> Result<Arc<Self>, RegionError> {
        let tunables = Tunables { private: sizes, ..Tunables::default() };
        if let Some((name, error)) = tunables.invalid() {
            return Err(RegionError::Tunable(name, error));
        }
        Self::build(platform, id, name, sizes)
    }

    fn build(
        platform: &Arc<dyn Platform>,
        id: MemId,
        name: &str,
        sizes: Sizes,
    ) -> Result<Arc<Self>, RegionError> {
        let layout = Self::layout(&sizes);
        let (rings_at, buffers_at, bytes) =
            layout.ok_or(RegionError::OutOfMemory(OutOfDmaMemory { bytes: usize::MAX }))?;
        let mut memory =
            SharedMemory::allocate_unzeroed(platform, bytes, PAGE).map_err(RegionError::OutOfMemory)?;
        let interfaces = memory.objects(0, sizes.if_num, sizes.if_size);
        let rings = memory.objects(rings_at, sizes.ring_num, sizes.ring_size);
        let (stride, count) = (sizes.buf_size, sizes.buf_num);
        let buffers = Buffers::new(&mut memory, buffers_at, stride, count, sizes.frame_max());
        let pools = Mutex::new(Pools::new(&sizes)?);
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            id,
            name: name.to_string(),
            memory: memory.memory().clone(),
            sizes,
            interfaces,
            rings,
            buffers,
            pools,
        }))
    }

    /// Offset of the rings, offset of the buffers, and length in all.
    fn layout(sizes: &Sizes) -> Option<(usize, usize, usize)> {
        let span =
            |num: u32, size: u32| (num as usize).checked_mul(size as usize)?.checked_next_multiple_of(PAGE);
        let rings_at = span(sizes.if_num, sizes.if_size)?;
        let buffers_at = rings_at.checked_add(span(sizes.ring_num, sizes.ring_size)?)?;
        let bytes = buffers_at.checked_add(span(sizes.buf_num, sizes.buf_size)?)?;
        Some((rings_at, buffers_at, bytes))
    }

    /// Its number.
    pub fn id(&self) -> MemId {
        self.id
    }

    /// The sizes that the region was built with.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Where the buffers are.
    pub fn report(&self) -> MemoryReport {
        self.pools.lock().report(&self.sizes)
    }

    /// How many buffers there are for rings of a port of this kind.
    pub(crate) fn available(&self, trust: Trust) -> u32 {
        let report = self.report();
        match trust {
            Trust::Safe => report.free,
            Trust::Raw => report.free + report.resting,
        }
    }

    /// What the region is made of, and who uses it.
    pub fn info(&self) -> Info {
        let (mut pools, usage) = {
            let pools = self.pools.lock();
            (pools.info(&self.sizes), pools.usage())
        };
        let offsets = [self.interfaces.offset(0), self.rings.offset(0), self.buffers.offset(0)];
        for (pool, offset) in pools.iter_mut().zip(offsets) {
            pool.offset = offset as u64;
        }
        let references = self.this.strong_count();
        Info { id: self.id, name: self.name.clone(), bytes: self.bytes() as u64, pools, usage, references }
    }

    /// The longest frame that a buffer holds, in bytes.
    #[inline]
    pub fn frame_max(&self) -> u16 {
        self.buffers.capacity()
    }

    /// The packet buffers.
    #[inline]
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

/// Users, and the objects that they take and give back.
impl Region {
    /// Registers a user, who from now on keeps the region.
    pub(super) fn enter(&self, kind: Use) -> Option<Arc<Self>> {
        let this = self.this.upgrade()?;
        self.pools.lock().enter(kind);
        Some(this)
    }

    /// Notes that a user has left, with nothing of the region left in its hands.
    pub(super) fn leave(&self, kind: Use) {
        let leaked = self.pools.lock().leave(kind);
        if leaked > 0 {
            let (id, name) = (self.id, &self.name);
            log::warn!(target: "netmap", "region {id} {name}: reclaimed {leaked} objects that had not been returned");
        }
    }

    /// The books of the region. Locked: to be let go of before anything else is called.
    pub(super) fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock()
    }

    /// Takes `count` objects of a kind into `into`: all of them or none.
    pub(super) fn take(&self, pool: PoolKind, count: u32, into: &mut Vec<u32>) -> Result<(), MemoryError> {
        self.pools.lock().take(self.id, pool, count, into)
    }

    /// Takes `count` buffers with nothing old in them for a ring into `into`: all of them or none. Those for raw ports
    /// are exposed from here on.
    pub(super) fn take_buffers(
        &self,
        count: u32,
        trust: Trust,
        into: &mut Vec<u32>,
    ) -> Result<(), MemoryError> {
        let before = into.len();
        match trust {
            Trust::Safe => self.take(PoolKind::Buffer, count, into)?,
            Trust::Raw => self.pools.lock().take_exposed(self.id, count, into)?,
        }
        self.clear(into.get(before..).unwrap_or_default());
        Ok(())
    }

    /// Takes `count` buffers with nothing old in them into `into`, or as many as there are.
    pub(super) fn take_buffers_up_to(&self, count: u32, into: &mut Vec<u32>) {
        let before = into.len();
        self.pools.lock().take_up_to(count, into);
        self.clear(into.get(before..).unwrap_or_default());
    }

    /// Takes `count` buffers with nothing old in them for a raw port into `into`, or as many as there are.
    pub(super) fn take_extra_buffers(&self, count: u32, into: &mut Vec<u32>) {
        let before = into.len();
        self.pools.lock().take_extra(count, into);
        self.clear(into.get(before..).unwrap_or_default());
    }

    /// Clears headroom and payload of buffers, so that nothing old leaves by them. They were just taken from the pool, or are
    /// those of a ring that no port has bound and no device uses.
    pub(crate) fn clear(&self, buffers: &[u32]) {
        buffers.iter().filter_map(|&index| self.buffers.get(index)).for_each(|mut buffer| buffer.clear());
    }
}

/// Addresses.
impl Region {
    /// Where the region begins.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.memory.virt()
    }

    /// Where the payload of buffer `index` is, if a slot may name that buffer.
    #[inline]
    pub(crate) fn payload(&self, index: u32) -> Option<NonNull<u8>> {
        self.buffers.get(index).map(|buffer| buffer.as_non_null())
    }

    /// Bytes from the beginning of the region to interface object `object`.
    pub(super) fn interface_offset(&self, object: u32) -> usize {
        self.interfaces.offset(object)
    }

    /// Bytes from the beginning of the region to ring object `object`.
    pub(super) fn ring_offset(&self, object: u32) -> usize {
        self.rings.offset(object)
    }

    /// Interface object `object`, and its table of rings.
    pub(super) fn interface(
        &self,
        object: u32,
    ) -> Option<(SharedRef<InterfaceCells>, SharedArray<AtomicI64>)> {
        self.interfaces.get(object)
    }

    /// Ring object `object`, and its slots.
    pub(crate) fn ring(&self, object: u32) -> Option<(SharedRef<RingCells>, SharedArray<SlotCell>)> {
        self.rings.get(object)
    }

    /// Bytes from ring object `object` to the payload of buffer 0.
    pub(crate) fn buffers_from_ring(&self, object: u32) -> i64 {
        self.buffers.payload_offset(0) as i64 - self.ring_offset(object) as i64
    }
}
