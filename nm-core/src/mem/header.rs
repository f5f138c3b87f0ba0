//! The interface object of one port: what a program finds first.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI64, Ordering::Relaxed};

use nm_driver::shared::{SharedArray, SharedRef};

use super::chain::{self, GivenBack};
use super::objects::InterfaceCells;
use super::pools::Use;
use super::{Mapping, MemoryError, PoolKind, Region};
use crate::abi::{self, RING_OFS_OFFSET};

/// How many rings of each kind the interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RingCounts {
    pub(crate) tx: u32,
    pub(crate) rx: u32,
    pub(crate) host_tx: u32,
    pub(crate) host_rx: u32,
}

/// The interface object of a port, and the extra buffers that were granted to it. As long as it is there, the port
/// counts as a user of the region. Dropping it gives back the object, and the chain that the program left in
/// `bufs_head`.
#[derive(Debug)]
#[doc(alias("netmap_if_new", "netmap_mem_if_new"))]
pub(crate) struct PortHeader {
    region: Arc<Region>,
    object: u32,
    cells: SharedRef<InterfaceCells>,
    /// Offsets of the rings, from the object.
    table: SharedArray<AtomicI64>,
    /// Extra buffers that were granted.
    extra: u32,
}

impl PortHeader {
    /// Takes an interface object of `region` with room for a table of `rings` rings, and registers the user.
    pub(super) fn new(region: &Region, rings: usize) -> Result<Self, MemoryError> {
        let (id, pool) = (region.id(), PoolKind::Interface);
        let (needed, size) = (RING_OFS_OFFSET + rings * size_of::<i64>(), region.sizes().if_size);
        if needed > size as usize {
            return Err(MemoryError::TooSmall { region: id, pool, needed, size });
        }
        let exhausted = MemoryError::Exhausted { region: id, pool, requested: 1, available: 0 };
        let region = region.enter(Use::Port).ok_or(exhausted)?;
        let mut taken = Vec::new();
        let result = region.take(pool, 1, &mut taken);
        let place = taken.first().and_then(|&object| Some((object, region.interface(object)?)));
        let Some((object, (cells, table))) = place else {
            region.leave(Use::Port);
            return Err(result.err().unwrap_or(exhausted));
        };
        let mut header = Self { region, object, cells, table, extra: 0 };
        header.describe("", RingCounts::default(), &[]);
        Ok(header)
    }

    /// Describes the interface `name`. `rings` are the ring objects, in the order of netmap's table (hardware transmit,
    /// host transmit, hardware receive, host receive); `None` for one that the port has not bound.
    pub(super) fn describe(&mut self, name: &str, counts: RingCounts, rings: &[Option<u32>]) {
        let InterfaceCells { name: name_bytes, spare, .. } = &*self.cells;
        let name = name.bytes().take(name_bytes.len() - 1).chain(core::iter::repeat(0));
        name_bytes.iter().zip(name).for_each(|(to, from)| to.store(from, Relaxed));
        spare.iter().for_each(|word| word.store(0, Relaxed));
        let flags = if self.region.id().is_private() { abi::PRIVATE_MEMORY } else { 0 };
        for (cell, value) in [
            (&self.cells.version, abi::API),
            (&self.cells.flags, flags),
            (&self.cells.tx_rings, counts.tx),
            (&self.cells.rx_rings, counts.rx),
            (&self.cells.bufs_head, chain::END),
            (&self.cells.host_tx_rings, counts.host_tx),
            (&self.cells.host_rx_rings, counts.host_rx),
        ] {
            cell.store(value, Relaxed);
        }
        let own = self.region.interface_offset(self.object) as i64;
        let offset = |ring: u32| self.region.ring_offset(ring) as i64 - own;
        for (entry, ring) in self.table.iter().zip(rings) {
            entry.store(ring.map_or(0, offset), Relaxed);
        }
    }

    /// Where the object is, in bytes from the beginning of the region.
    #[doc(alias = "nr_offset")]
    pub(crate) fn offset(&self) -> usize {
        self.region.interface_offset(self.object)
    }

    /// The region that the object is in, as long as its program uses it.
    pub(crate) fn map(&self) -> Option<Mapping> {
        self.region.map()
    }

    /// How many extra buffers were granted.
    pub(crate) fn extra(&self) -> u32 {
        self.extra
    }

    /// Takes up to `count` buffers for the program and chains them to `bufs_head`. Returns how many there were. Once
    /// for each port.
    #[doc(alias = "nr_extra_bufs")]
    pub(crate) fn grant_extra(&mut self, count: u32) -> u32 {
        if self.extra > 0 {
            return 0;
        }
        let mut buffers = Vec::new();
        self.region.take_extra_buffers(count, &mut buffers);
        if buffers.is_empty() {
            return 0;
        }
        let head = chain::link(&self.region, &buffers);
        let granted = buffers.len() as u32;
        {
            let mut pools = self.region.pools();
            pools.expose(buffers.into_iter());
            pools.adjust_extra(granted as i32);
        }
        self.extra = granted;
        self.set_bufs_head(head);
        granted
    }

    pub(super) fn bufs_head(&self) -> u32 {
        self.cells.bufs_head.load(Relaxed)
    }

    pub(super) fn set_bufs_head(&mut self, head: u32) {
        self.cells.bufs_head.store(head, Relaxed);
    }
}

impl Drop for PortHeader {
    fn drop(&mut self) {
        let GivenBack { buffers, broken_at } = chain::give_back(&self.region, self.bufs_head());
        if let Some(buffer) = broken_at {
            let (id, extra) = (self.region.id(), self.extra);
            log::warn!(target: "netmap", "region {id}: the chain of extra buffers contains the invalid number {buffer}; {buffers} of {extra} buffers were returned");
        }
        {
            let mut pools = self.region.pools();
            pools.adjust_extra(-(self.extra as i32));
            if self.extra > 0 {
                pools.conceal();
            }
            pools.put_back(PoolKind::Interface, [self.object]);
        }
        self.region.leave(Use::Port);
    }
}
