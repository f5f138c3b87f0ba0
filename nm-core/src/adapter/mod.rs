//! Adapters: what stands behind a name that ports can be opened on.
//!
//! A name leads to an [`Interface`]. [`hardware`] is a card, or the generic adapter that is a card to its rings, with the
//! host rings of the interface. Pipes', monitors' and switches' adapters implement the same [`Adapter`].

mod config;
mod counters;
pub(crate) mod hardware;
mod interface;
mod list;
mod session;
mod slots;
mod users;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::addr_eq;

use crate::abi::RingFlags;
use crate::events::hub::Hub;
use crate::events::signals::{SignalList, Signals};
use crate::generic::Choice;
use crate::host::HostSide;
use crate::mem::{Hands, MemoryError, PortHeader, Region};
use crate::name::RingSelection;
use crate::nic::{Link, Mac, NicInfo, Shape};
use crate::port::OpenError;
use crate::ring::cell::RingCell;
use crate::ring::memory::RingMemory;
use crate::stats::{Direction, RingKind, RingReport};

pub(crate) use config::has_rings;
use counters::HardwareCounters;
pub(crate) use interface::{Interface, Member, Opener};
pub(crate) use list::Interfaces;
pub(crate) use slots::Slots;
pub(crate) use users::Rings;
pub use users::Sharing;

/// What an interface is whatever adapter it has.
pub(crate) struct Common {
    pub(crate) name: String,
    /// Its host side, if it was attached with a stack.
    pub(crate) host: Option<Arc<HostSide>>,
    counters: HardwareCounters,
}

impl Common {
    /// An interface that never has more queues than `most`.
    pub(crate) fn new(name: &str, host: Option<Arc<HostSide>>, most: (u16, u16)) -> Arc<Self> {
        Arc::new(Self { name: name.to_string(), host, counters: HardwareCounters::new(most) })
    }

    /// The signals of its host rings: transmit, receive.
    fn host_signals(&self) -> (SignalList, SignalList) {
        let of = |direction| self.host.as_ref().map(|host| host.signals(direction)).unwrap_or_default();
        (of(Direction::Tx), of(Direction::Rx))
    }

    /// The rings of the interface when its card is this one.
    pub(crate) fn rings(&self, nic: &NicInfo) -> Rings {
        let (host_tx, host_rx) = self.host.as_ref().map_or((0, 0), |host| (host.rings().tx, host.rings().rx));
        Rings { tx: nic.tx_queues, rx: nic.rx_queues, host_tx, host_rx }
    }

    /// The counters of all its rings when it has these: the card's transmit and receive rings, the host's.
    pub(crate) fn reports(&self, rings: Rings) -> Vec<RingReport> {
        let mut reports = self.counters.reports(&self.name, rings);
        if let Some(host) = &self.host {
            let report = |direction| {
                move |(ring, counters)| {
                    counters::report(&self.name, RingKind::Host, direction, ring, counters)
                }
            };
            reports.extend((0..).zip(host.tx_counters()).map(report(Direction::Tx)));
            reports.extend((0..).zip(host.rx_counters()).map(report(Direction::Rx)));
        }
        reports
    }
}

/// What a port wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) rings: RingSelection,
    pub(crate) sharing: Sharing,
    pub(crate) hands: Hands,
}

/// What a port asks of an adapter.
pub(crate) struct Request<'a> {
    pub(crate) wanted: Wanted,
    /// The memory of the interface's ports.
    pub(crate) region: &'a Arc<Region>,
    /// About how many buffers it may have.
    pub(crate) share: u32,
}

/// What is behind an interface name.
pub(crate) trait Adapter: Send + Sync {
    /// What it is. Asks the card for its link, and if nobody has it open for the rest too.
    fn info(&self) -> AdapterInfo;

    /// Whether ports are open on it, or what is left of it. If not, nothing of the last ones is left.
    fn is_in_use(&self) -> bool;

    /// The rings that it has, without a question to the card.
    fn rings(&self) -> Rings;

    /// How many rings it has and how large they are, or would be with about `share` buffers of `region` at most if it
    /// entered netmap mode now.
    #[doc(alias = "netmap_update_config")]
    fn shape(&self, region: &Region, share: u32) -> (Rings, Slots);

    /// Its pending words and waiters.
    fn signals(&self) -> &Arc<Signals>;

    /// Binds rings. The first binding enters netmap mode.
    fn bind(self: Arc<Self>, request: &Request<'_>) -> Result<Bound, OpenError>;

    /// Resets what is behind the adapter; bound rings go on afterwards, with the application's slots as they were.
    fn reset(&self) -> Result<(), OpenError>;

    /// The interface disappears: its rings do nothing any more, and nothing touches their memory.
    fn disappear(&self);
}

/// A ring as its users share it.
pub(crate) type Cell = Arc<RingCell>;

/// The rings that a port has bound, the hardware's before the host's.
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) hub: Arc<Hub>,
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
    /// How many rings the card has one way.
    card_rings: u16,
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

    /// How many rings the session has, and how large they are.
    fn shape(&self) -> (Rings, Slots);

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
        let card_rings = rings.hardware(direction);
        Self { kind, number, ring, direction, card_rings, cell, signals, lease }
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

    /// How many rings the card has the same way.
    pub(crate) fn card_rings(&self) -> u16 {
        self.card_rings
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// How many rings its interface has, and how large they are.
    pub(crate) fn shape(&self) -> (Rings, Slots) {
        self.lease.shape()
    }

    /// Whether both rings belong to the same session of the same interface, and so to the same memory region.
    pub(crate) fn is_in_session_of(&self, other: &Self) -> bool {
        addr_eq(Arc::as_ptr(&self.lease), Arc::as_ptr(&other.lease))
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

    /// Writes the time of a sync. If somebody else is inside the ring, that one's sync is the later.
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

/// What an adapter is.
pub(crate) struct AdapterInfo {
    nic: NicInfo,
    link: Link,
    is_open: bool,
}

/// What an interface is. `Display` is the line that the console prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Its name.
    pub name: String,
    /// What the card says of itself, or the generic adapter in its place.
    pub nic: NicInfo,
    /// The adapter that its ports have, or that one gets when it is opened.
    pub adapter: Choice,
    /// Link state.
    pub link: Link,
    /// Whether a port is open on it.
    pub is_open: bool,
    /// Whom it belongs to, if it is [claimed](crate::Netmap::claim).
    pub owner: Option<String>,
}

impl fmt::Display for InterfaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, nic, adapter, link, owner, .. } = self;
        write!(f, "{name} mac={} link={link} {}", Mac(nic.mac), Shape(nic))?;
        if *adapter == Choice::Generic {
            f.write_str(" adapter=generic")?;
        }
        owner.as_ref().map_or(Ok(()), |owner| write!(f, " owner={owner}"))
    }
}
