//! The rings of a port.
//!
//! ```text
//! Bound::new → Adapter::acquire → BoundRing … dropped → Adapter::release
//! ```

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::life::{Acquired, Adapter};
use super::request::Request;
use super::session::{Cell, Session, reset_ring};
use super::slots::Slots;
use super::users::Rings;
use crate::abi::RingFlags;
use crate::events::hub::Hub;
use crate::events::signals::Signals;
use crate::open_error::OpenError;
use crate::ring::memory::RingMemory;
use crate::stats::{Direction, RingKind};
use crate::tunables::Verbose;

/// The rings that a port has bound, the hardware's before the host's.
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tx: Vec<BoundRing>,
    pub(crate) rx: Vec<BoundRing>,
    pub(crate) session: Arc<Session>,
}

impl Bound {
    /// Binds rings of `adapter`. Rings that no other port has come without what happened on them before.
    pub(crate) fn new(adapter: &Arc<Adapter>, request: &Request<'_>) -> Result<Self, OpenError> {
        // Held until the rings are reset.
        let acquired = adapter.acquire(request)?;
        let Acquired { session, .. } = &acquired;
        let bind = |direction| -> Vec<BoundRing> {
            let rings = acquired.rings(direction);
            rings.filter_map(|ring| BoundRing::new(adapter, session, direction, ring)).collect()
        };
        let (tx, rx) = (bind(Direction::Tx), bind(Direction::Rx));
        let is_reused = |ring: &&BoundRing| acquired.is_reused(ring.direction, ring.ring);
        // Calls the device, which may panic: the rings are then released as they are dropped.
        tx.iter().chain(&rx).filter(is_reused).for_each(|ring| reset_ring(ring.cell()));
        let (name, hub) = (adapter.name().to_string(), adapter.signals().hub().clone());
        if hub.knobs().verbose().contains(Verbose::BINDING) {
            let numbers = |rings: &[BoundRing]| rings.iter().map(BoundRing::ringid).collect::<Vec<_>>();
            let (tx, rx, sharing) = (numbers(&tx), numbers(&rx), request.wanted.sharing);
            log::info!(target: "netmap", "{name}: a port binds transmit rings {tx:?} and receive rings {rx:?}, {sharing:?}");
        }
        Ok(Self { name, hub, tx, rx, session: session.clone() })
    }
}

/// One bound ring. Dropping it releases the ring.
pub(crate) struct BoundRing {
    kind: RingKind,
    /// Number among the rings of its kind and direction.
    number: u16,
    /// Number on the interface.
    ring: u16,
    direction: Direction,
    /// How many rings the card has one way.
    card_rings: u16,
    cell: Cell,
    signals: Arc<Signals>,
    adapter: Arc<Adapter>,
    /// Until it is released.
    session: Option<Arc<Session>>,
}

impl BoundRing {
    /// A ring whose new user is counted already.
    fn new(adapter: &Arc<Adapter>, session: &Arc<Session>, direction: Direction, ring: u16) -> Option<Self> {
        let (rings, cell) = (session.rings(), session.cell(direction, ring)?.clone());
        let (kind, number) = rings.place(direction, ring);
        let card_rings = rings.hardware(direction);
        let (signals, adapter, session) = (adapter.signals().clone(), adapter.clone(), Some(session.clone()));
        Some(Self { kind, number, ring, direction, card_rings, cell, signals, adapter, session })
    }

    pub(crate) fn kind(&self) -> RingKind {
        self.kind
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// From now on the buffer numbers in its slots are not believed.
    pub(crate) fn distrust(&self) {
        if let Some(session) = &self.session {
            session.distrust(self.direction, self.ring);
        }
    }

    /// Number of the ring on its interface, as its header has it: the host rings come behind the hardware's.
    pub(crate) fn ringid(&self) -> u16 {
        self.ring
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// How many rings the card has the same way.
    pub(crate) fn card_rings(&self) -> u16 {
        self.card_rings
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// How many rings its interface has, and how large they are. `None` only while it is being released.
    pub(crate) fn shape(&self) -> Option<(Rings, Slots)> {
        self.session.as_ref().map(|session| session.shape())
    }

    /// Whether both rings belong to the same session of the same interface, and so to the same memory region.
    pub(crate) fn is_in_session_of(&self, other: &Self) -> bool {
        match (&self.session, &other.session) {
            (Some(mine), Some(other)) => Arc::ptr_eq(mine, other),
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Cell {
        &self.cell
    }
}

/// Time stamps.
impl BoundRing {
    /// Whether its application asks for the time of each sync.
    #[inline]
    pub(crate) fn is_stamped(&self) -> bool {
        self.memory().flags().contains(RingFlags::TIMESTAMP)
    }

    /// Whether a poll that syncs it writes the time.
    #[doc(alias = "no_timestamp")]
    pub(crate) fn is_stamped_in_poll(&self) -> bool {
        !self.signals.hub().knobs().no_timestamp() || self.is_stamped()
    }

    /// Writes the time of a sync. If another thread is syncing the ring, its sync is the later one, and this time is not written.
    pub(crate) fn stamp(&self, now_ns: u64) {
        let _ = self.cell.with(|inside| inside.kring.ring.set_time_ns(now_ns));
    }

    /// Writes the time now, as [`stamp`](Self::stamp) does.
    #[cold]
    pub(crate) fn stamp_now(&self) {
        self.stamp(self.signals.hub().now_ns());
    }

    fn memory(&self) -> &RingMemory {
        self.cell.memory()
    }
}

impl Drop for BoundRing {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.adapter.release(session, self.direction, self.ring);
        }
    }
}

impl fmt::Debug for BoundRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundRing")
            .field("kind", &self.kind)
            .field("number", &self.number)
            .field("cell", &self.cell)
            .finish_non_exhaustive()
    }
}
