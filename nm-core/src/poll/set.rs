//! What can be polled: anything that has rings.

use alloc::sync::Arc;

use super::{Interest, Polled, Ready};
use crate::Port;
use crate::adapter::BoundRing;
use crate::events::hub::Hub;
use crate::events::waiters::Waiters;
use crate::host::forward::CardTx;
use crate::raw::RawPort;
use crate::ring::{Ring, Side};
use crate::stats::{Direction, RingKind};

/// One ring that is polled.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) ring: &'a BoundRing,
    /// Whether its port has all rings of the card, and there are several.
    is_whole: bool,
}

impl<'a> Member<'a> {
    /// Who waits for it.
    pub(super) fn waiters(&self) -> Option<&'a Waiters> {
        let (signals, direction) = (self.ring.signals(), self.ring.direction());
        if self.is_whole {
            return Some(signals.all(direction));
        }
        let signal = signals.ring(self.ring.kind(), direction, self.ring.number());
        signal.map(|signal| signal.waiters())
    }

    /// The slots of `[cur, tail)`. A ring with impossible indices has none: its next sync says so.
    pub(super) fn avail(&self) -> u32 {
        let memory = self.ring.cell().memory();
        let size = memory.size();
        let indices = size.index(memory.cur()).zip(size.index(memory.tail()));
        indices.map_or(0, |(cur, tail)| size.distance(cur, tail))
    }
}

/// The rings of one port, or one of them.
pub(super) trait Rings: Sync {
    /// The hub of the netmap that the port was opened on.
    fn hub(&self) -> &Arc<Hub>;

    /// Goes through the rings of one direction.
    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>));

    /// Whether what was submitted is sent even if room is not asked for.
    fn sends(&self) -> bool;

    /// Where frames of the stack go that are to be forwarded.
    fn card_tx(&self) -> CardTx<'_>;
}

/// Rings, and what is waited for on them.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) rings: &'a dyn Rings,
    pub(super) interest: Interest,
}

/// What is polled together: the entries from number 0 on.
pub(super) trait PollSet {
    fn entry(&self, at: usize) -> Option<Entry<'_>>;

    /// Keeps what a pass has found for one entry.
    fn note(&mut self, _at: usize, _ready: Ready) {}

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..).map_while(|at| self.entry(at))
    }
}

impl PollSet for Entry<'_> {
    fn entry(&self, at: usize) -> Option<Entry<'_>> {
        (at == 0).then_some(*self)
    }
}

impl PollSet for &mut [Polled<'_>] {
    fn entry(&self, at: usize) -> Option<Entry<'_>> {
        let polled = self.get(at)?;
        Some(Entry { rings: &*polled.port, interest: polled.interest })
    }

    fn note(&mut self, at: usize, ready: Ready) {
        if let Some(polled) = self.get_mut(at) {
            polled.ready = ready;
        }
    }
}

/// Goes through rings of one direction that belong to one port.
fn visit<'a>(rings: impl Iterator<Item = &'a BoundRing> + Clone, visitor: &mut dyn FnMut(Member<'_>)) {
    let of_card = |ring: &&BoundRing| ring.kind() == RingKind::Hardware;
    let count = rings.clone().filter(of_card).count();
    for ring in rings {
        let is_whole = of_card(&ring) && count > 1 && count == usize::from(ring.card_rings());
        visitor(Member { ring, is_whole });
    }
}

impl Rings for Port {
    fn hub(&self) -> &Arc<Hub> {
        Port::hub(self)
    }

    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        match direction {
            Direction::Tx => visit(self.bound_tx().map(Ring::bound), visitor),
            Direction::Rx => visit(self.bound_rx().map(Ring::bound), visitor),
        }
    }

    fn sends(&self) -> bool {
        self.sends_in_poll()
    }

    fn card_tx(&self) -> CardTx<'_> {
        Port::card_tx(self)
    }
}

impl Rings for RawPort {
    fn hub(&self) -> &Arc<Hub> {
        RawPort::hub(self)
    }

    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        let (tx, rx) = self.bound();
        match direction {
            Direction::Tx => visit(tx.iter(), visitor),
            Direction::Rx => visit(rx.iter(), visitor),
        }
    }

    fn sends(&self) -> bool {
        self.sends_in_poll()
    }

    fn card_tx(&self) -> CardTx<'_> {
        RawPort::card_tx(self)
    }
}

impl<D: Side> Rings for Ring<D> {
    fn hub(&self) -> &Arc<Hub> {
        self.bound().signals().hub()
    }

    fn visit(&self, direction: Direction, visitor: &mut dyn FnMut(Member<'_>)) {
        if direction == D::DIRECTION {
            visit(core::iter::once(self.bound()), visitor);
        }
    }

    fn sends(&self) -> bool {
        false
    }

    fn card_tx(&self) -> CardTx<'_> {
        CardTx::Safe(&[])
    }
}
