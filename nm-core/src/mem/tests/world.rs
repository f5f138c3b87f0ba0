//! Ports' memory against a naive model of who has what.

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use alloc::sync::Arc;
use proptest::prelude::*;

use super::{
    BUFFERS, PortHeader, PortMemory, Region, RingCounts, RingMemory, SLOTS, Spare, Trust, assert_all_free,
    open, regions, set_next, write_slot,
};

/// Operations of one list; Miri takes its time.
const OPS: usize = if cfg!(miri) { 16 } else { 80 };

/// What happens to a region that safe ports, raw ports and spare handles use.
#[derive(Debug, Clone)]
enum Op {
    Open(Trust),
    Close(usize),
    Spare,
    DropSpare(usize),
    /// A raw port is bound to a ring of a port.
    Raw {
        port: usize,
        extra: u32,
    },
    CloseRaw(usize),
    /// The program writes a number into a slot of a distrusted ring, a link of any buffer, or `bufs_head`.
    WriteSlot {
        port: usize,
        at: u32,
        buffer: u32,
    },
    WriteLink {
        buffer: u32,
        next: u32,
    },
    WriteHead {
        raw: usize,
        head: u32,
    },
    /// A safe port keeps a frame: a slot and a spare handle exchange their buffers.
    Swap {
        port: usize,
        at: u32,
        spare: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let which = 0usize..4;
    let buffer = prop_oneof![30 => 0u32..BUFFERS + 2, 1 => Just(u32::MAX)];
    prop_oneof![
        2 => Just(Op::Open(Trust::Safe)),
        2 => Just(Op::Open(Trust::Raw)),
        1 => which.clone().prop_map(Op::Close),
        2 => Just(Op::Spare),
        1 => which.clone().prop_map(Op::DropSpare),
        2 => (which.clone(), 0u32..12).prop_map(|(port, extra)| Op::Raw { port, extra }),
        1 => which.clone().prop_map(Op::CloseRaw),
        4 => (which.clone(), 0..SLOTS, buffer.clone()).prop_map(|(port, at, buffer)| Op::WriteSlot { port, at, buffer }),
        4 => (buffer.clone(), buffer.clone()).prop_map(|(buffer, next)| Op::WriteLink { buffer, next }),
        2 => (which.clone(), buffer).prop_map(|(raw, head)| Op::WriteHead { raw, head }),
        2 => (which.clone(), 0..SLOTS, which).prop_map(|(port, at, spare)| Op::Swap { port, at, spare }),
    ]
}

/// Everything that is alive. The first rings of a port are safe: both at first if a safe port opened it, ring 0 when a raw
/// port is bound to ring 1, none if a raw port opened it.
#[derive(Default)]
struct World {
    ports: Vec<(PortMemory, usize)>,
    raws: Vec<PortHeader>,
    spares: Vec<Spare>,
}

fn pick<T>(list: &mut Vec<T>, at: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.swap_remove(at % list.len()))
}

impl World {
    fn apply(&mut self, op: &Op, region: &Arc<Region>) {
        let ports = self.ports.len().max(1);
        match *op {
            Op::Open(trust) => {
                let safe = if trust == Trust::Safe { 2 } else { 0 };
                self.ports.extend(open(region, trust).ok().map(|port| (port, safe)));
            }
            Op::Close(at) => drop(pick(&mut self.ports, at)),
            Op::Spare => self.spares.extend(region.spare()),
            Op::DropSpare(at) => drop(pick(&mut self.spares, at)),
            Op::Raw { port, extra } => {
                if let Some((port, safe)) = self.ports.get_mut(port % ports) {
                    let counts = RingCounts { tx: 1, rx: 1, ..RingCounts::default() };
                    self.raws.extend(port.header("em0", counts, |at| at == 1, extra));
                    port.distrust(1);
                    *safe = (*safe).min(1);
                }
            }
            Op::CloseRaw(at) => drop(pick(&mut self.raws, at)),
            Op::WriteSlot { port, at, buffer } => {
                if let Some((port, safe)) = self.ports.get(port % ports) {
                    port.rings()[*safe..].iter().for_each(|ring| write_slot(ring, at, buffer));
                }
            }
            Op::WriteLink { buffer, next } => set_next(region, buffer, next),
            Op::WriteHead { raw, head } => {
                let raws = self.raws.len().max(1);
                self.raws.get_mut(raw % raws).into_iter().for_each(|raw| raw.set_bufs_head(head));
            }
            Op::Swap { port, at, spare } => {
                let spares = self.spares.len().max(1);
                if let Some(((port, 1..), spare)) =
                    self.ports.get(port % ports).zip(self.spares.get_mut(spare % spares))
                {
                    let ring = &port.rings()[0];
                    let at = ring.size().index(at).unwrap();
                    ring.set_slot(at, spare.exchange(region, ring.slot(at)).unwrap());
                }
            }
        }
    }

    /// The buffers of safe owners.
    fn safe(&self) -> Vec<u32> {
        let rings = self.ports.iter().flat_map(|(port, safe)| &port.rings()[..*safe]);
        rings.flat_map(RingMemory::buffer_numbers).chain(self.spares.iter().map(Spare::buf_idx)).collect()
    }

    /// What safe owners have: each buffer once, each a real one, none of them free.
    fn check(&self, region: &Region) {
        let safe = self.safe();
        let distinct: BTreeSet<_> = safe.iter().copied().collect();
        assert_eq!(distinct.len(), safe.len(), "a buffer has two safe owners: {safe:?}");
        assert!(safe.iter().all(|buffer| (2..BUFFERS).contains(buffer)), "{safe:?}");
        let report = region.report();
        assert!(
            report.free as usize + safe.len() <= report.total as usize,
            "a free buffer has an owner: {report}"
        );
        assert_eq!(report.held as usize, self.ports.len() * 2 * SLOTS as usize);
        assert_eq!(report.spare as usize, self.spares.len());
        let usage = region.info().usage;
        assert_eq!(usage.ports as usize, self.ports.len() + self.raws.len());
    }
}

proptest! {
    /// Whatever programs write: safe owners keep what is theirs, the walk ends, and everything is free in the end.
    #[test]
    fn no_program_takes_a_buffer_from_a_safe_owner(ops in prop::collection::vec(op(), 0..OPS)) {
        let regions = regions();
        let region = regions.shared();
        let mut world = World::default();
        for op in &ops {
            world.apply(op, region);
            world.check(region);
            // No buffer that is handed out now is one that a safe owner has.
            let probe: BTreeSet<_> = region.spares(u32::MAX).iter().map(Spare::buf_idx).collect();
            prop_assert!(world.safe().iter().all(|buffer| !probe.contains(buffer)));
        }
        drop(world);
        assert_all_free(region);
    }
}
