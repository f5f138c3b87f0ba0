//! What can be polled: anything that has rings.

use crate::Port;
use crate::adapter::BoundRing;
use crate::events::waiters::Waiters;
use crate::raw::RawPort;
use crate::ring::{Ring, Side};
use crate::stats::Direction;

/// One ring of a set.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    /// Place of its port in the set.
    pub(super) port: usize,
    pub(super) ring: &'a BoundRing,
    /// Whether what was submitted is sent even if nobody asks for room.
    pub(super) sends: bool,
    /// Whether its port has all rings of the interface, and there are several.
    is_whole: bool,
}

impl<'a> Member<'a> {
    /// Who waits for it.
    pub(super) fn waiters(&self) -> Option<&'a Waiters> {
        let (signals, direction) = (self.ring.signals(), self.ring.direction());
        if self.is_whole {
            return Some(signals.all(direction));
        }
        signals.ring(direction, self.ring.ringid()).map(|signal| signal.waiters())
    }

    /// The slots of `[cur, tail)`. A ring with impossible indices has none: its next sync says so.
    pub(super) fn avail(&self) -> u32 {
        let memory = self.ring.cell().memory();
        let size = memory.size();
        let indices = size.index(memory.cur()).zip(size.index(memory.tail()));
        indices.map_or(0, |(cur, tail)| size.distance(cur, tail))
    }
}

/// Rings to be polled together.
pub(super) trait PollSet: Sync {
    /// Goes through the rings of one direction.
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>));
}

/// Goes through rings of one direction that belong to one port.
fn visit<'a>(
    port: usize,
    sends: bool,
    rings: impl Iterator<Item = &'a BoundRing> + Clone,
    visitor: &mut dyn FnMut(Member<'_>),
) {
    let count = rings.clone().count();
    for ring in rings {
        let is_whole = count > 1 && count == ring.signals().rings(ring.direction());
        visitor(Member { port, ring, sends, is_whole });
    }
}

fn visit_port(number: usize, port: &Port, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
    match direction {
        Direction::Tx => visit(number, port.sends_in_poll(), port.bound_tx().map(Ring::bound), visitor),
        Direction::Rx => visit(number, false, port.bound_rx().map(Ring::bound), visitor),
    }
}

impl PollSet for Port {
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        visit_port(0, self, direction, visitor);
    }
}

impl PollSet for &mut [&mut Port] {
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        for (number, port) in self.iter().enumerate() {
            visit_port(number, port, direction, visitor);
        }
    }
}

impl PollSet for RawPort {
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        let (tx, rx) = self.bound();
        match direction {
            Direction::Tx => visit(0, self.sends_in_poll(), tx.iter(), visitor),
            Direction::Rx => visit(0, false, rx.iter(), visitor),
        }
    }
}

impl<D: Side> PollSet for Ring<D> {
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        if direction == D::DIRECTION {
            visit(0, false, core::iter::once(self.bound()), visitor);
        }
    }
}
