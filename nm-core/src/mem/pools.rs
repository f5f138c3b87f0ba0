//! Who has which object: the three pools of a region, and the books that must balance.
//!
//! ```text
//!              take                           expose
//!   free ──────────────► slots of safe ports ────────► slots of raw ports, extra buffers     the exposed buffers
//!    ▲ ▲                 spare handles                        ▲    │ given back by number
//!    │ └───────────────────────┘                         take │    ▼
//!    │                                                   resting buffers
//!    └───────────── the last raw port leaves ─────────────────┘ (and what is still exposed)
//! ```
//!
//! What a safe port or a spare handle gives back is known to be its own. What a raw port gives back is whatever
//! numbers a program left in memory: such a number is followed only if it names an exposed buffer, so that no program
//! can give back what has another owner, nor the same buffer twice.
//!
//! Nor can the core learn from those numbers which buffers a card of another raw port still fills: programs may have
//! written one number to two rings. So what comes back from a raw port rests, good for nothing but raw ports: their
//! extra buffers, and the rings of an interface that a raw port opens first, are made of it before any free buffer is.
//! Raw ports that come and go beside others thus need no more than those that are open at once. When no raw port is left,
//! and with it no such card, all of it is free, and so is what the programs lost sight of.

use alloc::vec::Vec;

use super::set::ObjectSet;
use super::{MemId, MemoryError, MemoryReport, PoolInfo, PoolKind, RegionError, Usage};
use crate::tunables::Sizes;

/// Buffers that no slot ever holds; a zeroed slot names the first of them.
pub(super) const RESERVED_BUFFERS: u32 = 2;

/// The kind of port that opens an interface first, while no other port is open on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A safe port.
    Safe,
    /// A raw port: no safe one has these rings before they are gone.
    Raw,
}

/// A reason to keep the objects of a region where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The rings, or the interface header, of a port.
    Port,
    /// A spare buffer.
    Spare,
    /// A mapping.
    Mapping,
}

/// The objects that are free, and the number of those that are elsewhere.
#[derive(Debug)]
pub(super) struct Pools {
    interfaces: ObjectSet,
    rings: ObjectSet,
    buffers: ObjectSet,
    /// Buffers that raw ports may name.
    exposed: ObjectSet,
    /// Buffers that raw ports gave back while others were there.
    resting: ObjectSet,
    /// Rings and chains by which a program can name a buffer.
    raw: u32,
    /// Slots of bound rings.
    held: u32,
    /// Extra buffers granted to raw ports that are open.
    extra: u32,
    usage: Usage,
    /// Objects that were not given back: free again since the last raw port, or the last user, left.
    reclaimed: u64,
    /// Buffer numbers that were not followed.
    refused: u64,
}

impl Pools {
    pub(super) fn new(sizes: &Sizes) -> Result<Self, RegionError> {
        Ok(Self {
            interfaces: ObjectSet::from(0, sizes.if_num)?,
            rings: ObjectSet::from(0, sizes.ring_num)?,
            buffers: ObjectSet::from(RESERVED_BUFFERS, sizes.buf_num)?,
            exposed: ObjectSet::empty(sizes.buf_num)?,
            resting: ObjectSet::empty(sizes.buf_num)?,
            raw: 0,
            held: 0,
            extra: 0,
            usage: Usage::default(),
            reclaimed: 0,
            refused: 0,
        })
    }

    fn free(&mut self, kind: PoolKind) -> &mut ObjectSet {
        match kind {
            PoolKind::Interface => &mut self.interfaces,
            PoolKind::Ring => &mut self.rings,
            PoolKind::Buffer => &mut self.buffers,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn report(&self, sizes: &Sizes) -> MemoryReport {
        MemoryReport {
            total: sizes.buf_num.saturating_sub(RESERVED_BUFFERS),
            free: self.buffers.len(),
            held: self.held,
            spare: self.usage.spares,
            extra: self.extra,
            resting: self.resting.len(),
            reclaimed: self.reclaimed,
            refused: self.refused,
        }
    }

    pub(super) fn info(&self, sizes: &Sizes) -> [PoolInfo; 3] {
        let info =
            |kind, size, total, free: &ObjectSet| PoolInfo { kind, size, total, free: free.len(), offset: 0 };
        [
            info(PoolKind::Interface, sizes.if_size, sizes.if_num, &self.interfaces),
            info(PoolKind::Ring, sizes.ring_size, sizes.ring_num, &self.rings),
            info(PoolKind::Buffer, sizes.buf_size, sizes.buf_num, &self.buffers),
        ]
    }
}

/// Users come and go.
impl Pools {
    /// Registers a user. The first finds every object free: that is how the last one left them.
    #[doc(alias = "netmap_mem_finalize")]
    pub(super) fn enter(&mut self, kind: Use) {
        let count = self.usage.of(kind);
        *count = count.saturating_add(1);
    }

    /// Notes that a user has left. If it was the last, everything is free again, as at first: returns how many objects
    /// had not been given back.
    #[doc(alias = "netmap_mem_deref")]
    pub(super) fn leave(&mut self, kind: Use) -> u32 {
        let count = self.usage.of(kind);
        *count = count.saturating_sub(1);
        if self.usage.is_used() {
            return 0;
        }
        let leaked = self.interfaces.insert_from(0)
            + self.rings.insert_from(0)
            + self.buffers.insert_from(RESERVED_BUFFERS);
        self.reclaimed += u64::from(leaked);
        leaked
    }
}

/// Objects change hands.
impl Pools {
    /// Takes `count` objects of a kind into `into`: all of them or none.
    pub(super) fn take(
        &mut self,
        region: MemId,
        pool: PoolKind,
        count: u32,
        into: &mut Vec<u32>,
    ) -> Result<(), MemoryError> {
        let from = self.free(pool);
        let available = from.len();
        if available < count {
            return Err(MemoryError::Exhausted { region, pool, requested: count, available });
        }
        into.extend((0..count).map_while(|_| from.take_first()));
        Ok(())
    }

    /// Takes `count` buffers into `into`, or as many as there are, and as the heap has room to list.
    pub(super) fn take_up_to(&mut self, count: u32, into: &mut Vec<u32>) {
        let count = count.min(self.buffers.len());
        if into.try_reserve_exact(count as usize).is_ok() {
            into.extend((0..count).map_while(|_| self.buffers.take_first()));
        }
    }

    /// The same for a raw port, which can have resting buffers too: these first.
    pub(super) fn take_extra(&mut self, count: u32, into: &mut Vec<u32>) {
        let resting = count.min(self.resting.len());
        if into.try_reserve_exact(resting as usize).is_ok() {
            into.extend((0..resting).map_while(|_| self.resting.take_first()));
        }
        self.take_up_to(count - resting, into);
    }

    /// Takes `count` buffers for a ring of raw ports into `into`, resting ones first, and exposes them: all of them or
    /// none.
    pub(super) fn take_exposed(
        &mut self,
        region: MemId,
        count: u32,
        into: &mut Vec<u32>,
    ) -> Result<(), MemoryError> {
        let (resting, free) = (self.resting.len(), self.buffers.len());
        let available = resting.saturating_add(free);
        if available < count {
            let pool = PoolKind::Buffer;
            return Err(MemoryError::Exhausted { region, pool, requested: count, available });
        }
        let before = into.len();
        let resting = count.min(resting);
        into.extend((0..resting).map_while(|_| self.resting.take_first()));
        into.extend((resting..count).map_while(|_| self.buffers.take_first()));
        self.expose(into.iter().skip(before).copied());
        Ok(())
    }

    /// Puts objects back that the core has kept itself.
    pub(super) fn put_back(&mut self, pool: PoolKind, objects: impl IntoIterator<Item = u32>) {
        let to = self.free(pool);
        objects.into_iter().for_each(|object| {
            to.insert(object);
        });
    }

    /// Puts back the buffers that slots of a safe ring name. Returns how many were refused.
    pub(super) fn put_back_slots(&mut self, buffers: impl Iterator<Item = u32>) -> u32 {
        let mut refused = 0;
        for buffer in buffers {
            let is_own = buffer >= RESERVED_BUFFERS && !self.exposed.contains(buffer);
            refused += u32::from(!(is_own && self.buffers.insert(buffer)));
        }
        self.refused += u64::from(refused);
        refused
    }

    /// Lets raw ports name these buffers, by one more ring or chain.
    pub(super) fn expose(&mut self, buffers: impl Iterator<Item = u32>) {
        self.raw = self.raw.saturating_add(1);
        buffers.for_each(|buffer| {
            self.exposed.insert(buffer);
        });
    }

    /// Takes back a buffer that a raw port named. `false`, and counted, if it was none of theirs.
    pub(super) fn rest(&mut self, buffer: u32) -> bool {
        let was_exposed = self.exposed.remove(buffer) && self.resting.insert(buffer);
        if !was_exposed {
            self.refuse();
        }
        was_exposed
    }

    /// Notes that a ring or chain that was exposed is gone, and no card uses its buffers. With the last, what raw ports
    /// had is free.
    pub(super) fn conceal(&mut self) {
        self.raw = self.raw.saturating_sub(1);
        if self.raw > 0 {
            return;
        }
        while let Some(buffer) = self.resting.take_first() {
            self.buffers.insert(buffer);
        }
        while let Some(buffer) = self.exposed.take_first() {
            self.reclaimed += u64::from(self.buffers.insert(buffer));
        }
    }

    /// Counts a number that was not followed.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Notes that slots came to hold a buffer (positive) or ceased to (negative).
    pub(super) fn adjust_held(&mut self, slots: i32) {
        self.held = self.held.saturating_add_signed(slots);
    }

    /// Notes that extra buffers were granted (positive), or that the port they were granted to is closed (negative).
    pub(super) fn adjust_extra(&mut self, buffers: i32) {
        self.extra = self.extra.saturating_add_signed(buffers);
    }
}

impl Usage {
    fn of(&mut self, kind: Use) -> &mut u32 {
        match kind {
            Use::Port => &mut self.ports,
            Use::Spare => &mut self.spares,
            Use::Mapping => &mut self.mappings,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn slots_give_back_only_what_is_neither_free_nor_reserved_nor_exposed() {
        let sizes = Sizes { buf_num: 18, ..Sizes::default() };
        let mut pools = Pools::new(&sizes).unwrap();
        let mut taken = Vec::new();
        pools.take(MemId::SHARED, PoolKind::Buffer, 4, &mut taken).unwrap();
        assert_eq!(taken, [2, 3, 4, 5]);
        pools.expose([3].into_iter());
        assert_eq!(pools.put_back_slots([0, 1, 2, 2, 3, 6, 18, u32::MAX].into_iter()), 7);
        let report = pools.report(&sizes);
        assert_eq!((report.free, report.refused), (13, 7));
        assert!(pools.rest(3) && !pools.rest(3) && !pools.rest(4));
        let report = pools.report(&sizes);
        assert_eq!((report.free, report.resting, report.refused), (13, 1, 9));
        pools.conceal();
        assert_eq!((pools.report(&sizes).free, pools.report(&sizes).reclaimed), (14, 0));
    }

    #[test]
    fn no_more_is_listed_than_there_is() {
        let mut pools = Pools::new(&Sizes { buf_num: 18, ..Sizes::default() }).unwrap();
        let mut taken = Vec::new();
        pools.take_up_to(u32::MAX, &mut taken);
        assert_eq!((taken.len(), taken.capacity()), (16, 16));
    }
}
