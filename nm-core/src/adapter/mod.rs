//! Adapters: what stands behind a name that ports can be opened on.
//!
//! [`hardware`] is the card, with the host rings of its interface. Pipes', monitors' and switches' adapters implement
//! the same [`Adapter`].

pub(crate) mod hardware;
mod session;
mod slots;
mod users;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::engine::Engine;
use crate::events::signals::Signals;
use crate::host::HostSide;
use crate::mem::{MemoryError, PortHeader, Region};
use crate::nic::{Link, NicInfo};
use crate::port::OpenError;
use crate::ring::cell::RingCell;
use crate::stats::{Direction, RingKind, RingReport};

pub use users::Sharing;
pub(crate) use users::{RingSet, Rings};

/// What is behind an interface name.
pub(crate) trait Adapter: Send + Sync {
    /// Name of the interface.
    fn name(&self) -> &str;

    /// What the interface is. Asks the card for its link.
    fn info(&self) -> InterfaceInfo;

    /// How many rings it has.
    fn rings(&self) -> Rings;

    /// Its host side, if it was attached with a stack.
    fn host(&self) -> Option<&Arc<HostSide>>;

    /// The counters of all its rings, transmit rings first.
    fn counters(&self) -> Vec<RingReport>;

    /// Its pending words and waiters.
    fn signals(&self) -> &Arc<Signals>;

    /// Binds the rings of `set`. The first binding enters netmap mode, with about `share` buffers at most.
    fn bind(
        self: Arc<Self>,
        region: &Arc<Region>,
        set: RingSet,
        sharing: Sharing,
        share: u32,
    ) -> Result<Bound, OpenError>;

    /// Resets what is behind the adapter; bound rings go on afterwards, with the application's slots as they were.
    fn reset(&self) -> Result<(), OpenError>;

    /// The interface disappears: its rings do nothing any more, and nothing touches their memory.
    fn disappear(&self);
}

/// A ring as its users share it.
pub(crate) type Cell = Arc<RingCell<dyn Engine>>;

/// The rings that a port has bound, the hardware's before the host's.
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) tx: Vec<BoundRing>,
    pub(crate) rx: Vec<BoundRing>,
    pub(crate) lease: Arc<dyn Lease>,
}

/// One bound ring. Dropping it releases the ring.
pub(crate) struct BoundRing {
    kind: RingKind,
    /// Number among the rings of its kind and direction.
    number: u16,
    /// Number on the interface.
    ring: u16,
    direction: Direction,
    cell: Cell,
    signals: Arc<Signals>,
    lease: Arc<dyn Lease>,
}

/// Where bound rings are given back. The last of a session's leases to go leaves netmap mode.
pub(crate) trait Lease: Send + Sync {
    /// One user of this ring less.
    fn release(&self, direction: Direction, ring: u16);

    /// From now on the buffer numbers in the slots of this ring are not believed: they are in reach of a raw port.
    fn distrust(&self, direction: Direction, ring: u16);

    /// Whether there are such rings in the session.
    fn is_distrusted(&self) -> bool;

    /// An interface object for a raw port that has bound these rings, with up to `extra` extra buffers.
    fn header(&self, tx: &[BoundRing], rx: &[BoundRing], extra: u32) -> Result<PortHeader, MemoryError>;
}

impl BoundRing {
    /// A ring whose new user is counted already.
    fn new(
        rings: Rings,
        ring: u16,
        direction: Direction,
        cell: Cell,
        signals: Arc<Signals>,
        lease: Arc<dyn Lease>,
    ) -> Self {
        let (kind, number) = rings.place(direction, ring);
        Self { kind, number, ring, direction, cell, signals, lease }
    }

    pub(crate) fn kind(&self) -> RingKind {
        self.kind
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// From now on the buffer numbers in its slots are not believed.
    pub(crate) fn distrust(&self) {
        self.lease.distrust(self.direction, self.ring);
    }

    /// Number of the ring on its interface, as its header has it: the host rings come behind the hardware's.
    pub(crate) fn ringid(&self) -> u16 {
        self.ring
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Cell {
        &self.cell
    }
}

impl Drop for BoundRing {
    fn drop(&mut self) {
        self.lease.release(self.direction, self.ring);
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

/// What an interface is. `Display` is the line that the console prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Its name.
    pub name: String,
    /// What the card says of itself.
    pub nic: NicInfo,
    /// Link state.
    pub link: Link,
    /// Whether a port is open on it.
    pub is_open: bool,
}

/// Six bytes as people write a station address.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for InterfaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, nic, link, .. } = self;
        let link = match link {
            Link::Up => "up",
            Link::Down => "down",
        };
        write!(f, "{name} mac={} link={link}", Mac(nic.mac))?;
        write!(f, " tx={}x{} rx={}x{}", nic.tx_queues, nic.tx_slots, nic.rx_queues, nic.rx_slots)
    }
}
