//! The objects of one bound port: its interface header, its rings, and a buffer for each slot.
#![expect(unsafe_code, reason = "the headers of freshly taken objects are written")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::{MemoryError, PoolKind, Region};
use crate::abi::{self, InterfaceHeader, RING_OFS_OFFSET};
use crate::index::RingSize;
use crate::ring::memory::RingMemory;
use crate::stats::Direction;

/// A ring to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingShape {
    pub(crate) direction: Direction,
    pub(crate) number: u16,
    pub(crate) size: RingSize,
}

/// The objects of a bound port. Dropping it gives them back, so it must outlive the device's use of the buffers.
#[derive(Debug)]
pub(crate) struct PortMemory {
    region: Arc<Region>,
    interface: Vec<u32>,
    ring_objects: Vec<u32>,
    /// The rings, in the order of the shapes asked for.
    rings: Vec<RingMemory>,
    /// Whether slots were in reach of somebody who may have written any buffer number to them.
    is_distrusted: AtomicBool,
}

impl PortMemory {
    /// Takes and initialises the objects for a port named `name` with these rings, transmit rings first.
    pub(crate) fn new(region: &Arc<Region>, name: &str, shapes: &[RingShape]) -> Result<Self, MemoryError> {
        let rings = Vec::with_capacity(shapes.len());
        let mut memory = Self {
            region: region.clone(),
            interface: Vec::new(),
            ring_objects: Vec::new(),
            rings,
            is_distrusted: AtomicBool::new(false),
        };
        region.take(PoolKind::Interface, 1, &mut memory.interface)?;
        region.take(PoolKind::Ring, shapes.len() as u32, &mut memory.ring_objects)?;
        for (&object, shape) in memory.ring_objects.iter().zip(shapes) {
            let mut buffers = Vec::new();
            region.take(PoolKind::Buffer, shape.size.slots(), &mut buffers)?;
            region.clear(&buffers);
            let Some(at) = region.ring_at(object) else { break };
            // SAFETY: the object was just taken from the pool, so it belongs to this port alone, and whoever asked
            // for the size kept it within `Tunables::slots_max`.
            let ring = unsafe {
                RingMemory::new(region.clone(), at.cast(), shape, region.buffers_from_ring(object), &buffers)
            };
            region.adjust_held(shape.size.slots() as i32);
            memory.rings.push(ring);
        }
        memory.write_interface(name, shapes);
        Ok(memory)
    }

    /// The rings, in the order of the shapes.
    pub(crate) fn rings(&self) -> &[RingMemory] {
        &self.rings
    }

    #[cfg(test)]
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// From now on the buffer numbers in the slots are not believed, so the buffers are not given back with them: they
    /// are reclaimed when the region has no users left.
    pub(crate) fn distrust(&self) {
        // Relaxed: read by whoever binds or drops next, both under the adapter's lock.
        self.is_distrusted.store(true, Ordering::Relaxed);
    }

    /// Whether they are not.
    pub(crate) fn is_distrusted(&self) -> bool {
        self.is_distrusted.load(Ordering::Relaxed)
    }

    fn write_interface(&self, name: &str, shapes: &[RingShape]) {
        let Some(&object) = self.interface.first() else { return };
        let Some(at) = self.region.interface_at(object) else { return };
        let count = |direction| shapes.iter().filter(|s| s.direction == direction).count() as u32;
        let mut bytes = [0; 16];
        bytes.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
        let header = InterfaceHeader {
            name: bytes,
            version: abi::API,
            flags: 0,
            tx_rings: count(Direction::Tx),
            rx_rings: count(Direction::Rx),
            bufs_head: 0,
            host_tx_rings: 0,
            host_rx_rings: 0,
            spare: [0; 3],
        };
        let room = (self.region.tunables().if_size as usize - RING_OFS_OFFSET) / size_of::<i64>();
        // SAFETY: the object is this port's alone, at least 128 bytes long and aligned to 64; the table is cut to
        // what fits behind the header.
        unsafe {
            at.cast::<InterfaceHeader>().write(header);
            let table = at.add(RING_OFS_OFFSET).cast::<i64>();
            for (i, &ring) in self.ring_objects.iter().take(room).enumerate() {
                table.add(i).write(self.region.ring_from_interface(object, ring));
            }
        }
    }
}

impl Drop for PortMemory {
    fn drop(&mut self) {
        let mut refused = 0;
        for ring in &self.rings {
            if !self.is_distrusted() {
                refused += self.region.put_back(PoolKind::Buffer, ring.buffers());
            }
            self.region.adjust_held(-(ring.size().slots() as i32));
        }
        if refused > 0 {
            log::error!(target: "netmap", "{refused} slots of a closed port held a buffer that was not theirs");
        }
        self.region.put_back(PoolKind::Ring, self.ring_objects.drain(..));
        self.region.put_back(PoolKind::Interface, self.interface.drain(..));
    }
}
