//! The rings of a bound port, and a buffer for each slot.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::header::{PortHeader, RingCounts};
use super::{MemoryError, PoolKind, Region, Trust};
use crate::abi::{SLOTS_OFFSET, Slot};
use crate::ring::memory::{RingMemory, RingShape};
use crate::stats::{Direction, RingKind};

/// The objects of a bound port. Dropping it gives them back, so it must outlive the device's use of the buffers.
///
/// A ring is a safe port's or free, and then its slots name what the core and the types let them name, or in reach of
/// raw ports, from the start or since [`distrust`](Self::distrust), and then anything may be written to them.
#[derive(Debug)]
pub(crate) struct PortMemory {
    region: Arc<Region>,
    ring_objects: Vec<u32>,
    /// The rings, in the order of the shapes asked for.
    rings: Vec<RingMemory>,
    /// Whose slots a raw program could reach, which may have written any buffer number to them.
    distrusted: Box<[AtomicBool]>,
    /// Dropped last: until then the port is a user of the region.
    header: PortHeader,
}

impl PortMemory {
    /// Takes and initialises the objects for a port named `name` with these rings, in the order of netmap's
    /// table: hardware transmit, host transmit, hardware receive, host receive.
    #[doc(alias = "netmap_mem_rings_create")]
    pub(crate) fn new(
        region: &Arc<Region>,
        name: &str,
        shapes: &[RingShape],
        trust: Trust,
    ) -> Result<Self, MemoryError> {
        check_sizes(region, shapes)?;
        let header = PortHeader::new(region, shapes.len())?;
        let mut memory = Self {
            region: region.clone(),
            ring_objects: Vec::new(),
            rings: Vec::with_capacity(shapes.len()),
            distrusted: shapes.iter().map(|_| AtomicBool::new(trust == Trust::Raw)).collect(),
            header,
        };
        region.take(PoolKind::Ring, shapes.len() as u32, &mut memory.ring_objects)?;
        check_buffers(region, shapes, trust)?;
        for (at, shape) in shapes.iter().enumerate() {
            memory.make_ring(at, shape, trust)?;
        }
        let count = |kind, direction| {
            shapes.iter().filter(|s| (s.kind, s.direction) == (kind, direction)).count() as u32
        };
        let counts = RingCounts {
            tx: count(RingKind::Hardware, Direction::Tx),
            rx: count(RingKind::Hardware, Direction::Rx),
            host_tx: count(RingKind::Host, Direction::Tx),
            host_rx: count(RingKind::Host, Direction::Rx),
        };
        let table = memory.table(|_| true);
        memory.header.describe(name, counts, &table);
        Ok(memory)
    }

    /// Makes the ring of one shape in the ring object at place `at`.
    fn make_ring(&mut self, at: usize, shape: &RingShape, trust: Trust) -> Result<(), MemoryError> {
        let object = self.ring_objects.get(at).copied();
        // `check_sizes` has seen that the slots fit.
        let Some(ring) = object.and_then(|object| RingMemory::new(&self.region, object, shape)) else {
            return Ok(());
        };
        let mut buffers = Vec::new();
        self.region.take_buffers(shape.size.slots(), trust, &mut buffers)?;
        ring.fill(&buffers);
        self.region.pools().adjust_held(shape.size.slots() as i32);
        self.rings.push(ring);
        Ok(())
    }

    /// The rings, in the order of the shapes.
    pub(crate) fn rings(&self) -> &[RingMemory] {
        &self.rings
    }

    #[cfg(test)]
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// The ring objects for the table of a port that has bound the rings that `is_bound` says, by place.
    fn table(&self, is_bound: impl Fn(usize) -> bool) -> Vec<Option<u32>> {
        let objects = self.ring_objects.iter().enumerate();
        objects.map(|(at, &object)| is_bound(at).then_some(object)).collect()
    }
}

/// Raw ports, several of which may be bound to the rings.
impl PortMemory {
    /// From now on the buffer numbers in the slots of the ring at this place among the shapes are not believed. Called
    /// when a raw port has bound the ring, before its program sees it.
    pub(crate) fn distrust(&self, at: usize) {
        let Some((ring, distrusted)) = self.rings.get(at).zip(self.distrusted.get(at)) else { return };
        let mut pools = self.region.pools();
        // Relaxed, and inside the lock: a second raw port does not get by before the slots were read for the first.
        if !distrusted.swap(true, Relaxed) {
            pools.expose(ring.buffer_numbers());
        }
    }

    /// Whether there are such rings.
    pub(crate) fn is_distrusted(&self) -> bool {
        self.distrusted.iter().any(|distrusted| distrusted.load(Relaxed))
    }

    /// An interface object for one more port named `name`, bound to the rings that `is_bound` says (by place among the
    /// shapes), with up to `extra` extra buffers. It goes before this value does.
    pub(crate) fn header(
        &self,
        name: &str,
        counts: RingCounts,
        is_bound: impl Fn(usize) -> bool,
        extra: u32,
    ) -> Result<PortHeader, MemoryError> {
        let mut header = PortHeader::new(&self.region, self.ring_objects.len())?;
        header.describe(name, counts, &self.table(is_bound));
        header.grant_extra(extra);
        Ok(header)
    }
}

/// Whether the rings fit into the region's ring objects.
fn check_sizes(region: &Region, shapes: &[RingShape]) -> Result<(), MemoryError> {
    let (pool, size) = (PoolKind::Ring, region.sizes().ring_size);
    let slots = shapes.iter().map(|shape| shape.size.slots()).max().unwrap_or_default();
    let needed = SLOTS_OFFSET + slots as usize * size_of::<Slot>();
    let fits = needed <= size as usize;
    if fits { Ok(()) } else { Err(MemoryError::TooSmall { region: region.id(), pool, needed, size }) }
}

/// Whether there are buffers for all slots: so an error names what the port needs, not what one of its rings lacks.
fn check_buffers(region: &Region, shapes: &[RingShape], trust: Trust) -> Result<(), MemoryError> {
    let (region, pool, available) = (region.id(), PoolKind::Buffer, region.available(trust));
    let requested = shapes.iter().map(|shape| shape.size.slots()).fold(0, u32::saturating_add);
    if requested <= available {
        Ok(())
    } else {
        Err(MemoryError::Exhausted { region, pool, requested, available })
    }
}

impl Drop for PortMemory {
    fn drop(&mut self) {
        let mut refused: u32 = 0;
        let mut pools = self.region.pools();
        for (ring, distrusted) in self.rings.iter().zip(&self.distrusted) {
            if distrusted.load(Relaxed) {
                refused += ring.buffer_numbers().map(|buffer| u32::from(!pools.rest(buffer))).sum::<u32>();
                pools.conceal();
            } else {
                refused += pools.put_back_slots(ring.buffer_numbers());
            }
            pools.adjust_held(-(ring.size().slots() as i32));
        }
        pools.put_back(PoolKind::Ring, self.ring_objects.drain(..));
        drop(pools);
        if refused > 0 {
            log::warn!(target: "netmap", "{refused} slots of a closed port held buffers that the port did not own");
        }
    }
}
