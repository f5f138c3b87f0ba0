//! Raw ports: netmap's own contract, for programs that reach rings and buffers through memory.
//!
//! Several raw ports may have the same ring. Anything may be written to it at any time; the core reads each field once,
//! as a copy, and checks it. Indices outside the window make a sync fail with
//! [`BadIndices`](crate::SyncError::BadIndices) and put the ring back; a slot that names no buffer, or bytes that are not
//! all in its buffer, is not sent.
//!
//! # The contract of the memory
//!
//! Opening a raw port is safe: it gives addresses ([`RawPort::mapping`], [`RawPort::tx_ring`], [`RawPort::rx_ring`]). To follow
//! them takes unsafe code, whose author promises this for each access:
//!
//! - The port is open, and what is accessed is its interface object, a ring that it has bound, a buffer that a slot of the window
//!   `[head, tail)` of such a ring names, or one of its extra buffers.
//! - While safe ports or spare buffers are in use on the same memory region, a buffer number that is written to a slot, or left in
//!   the chain of extra buffers, is one that a ring or chain of a raw port held while this port was open. The buffers of others
//!   would be handed to a card that writes them, or to two owners at once. No buffer is left in the chain that a ring holds too.
//!
//! What else is written (indices, lengths, flags, numbers that are no buffers) may be anything, and accesses may race with those of
//! the core, if they are atomic.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

use crate::abi::RingHeader;
use crate::adapter::{Bound, BoundRing};
use crate::events::hub::Hub;
use crate::host::forward::{self, CardTx, Look};
use crate::kring::SyncError;
use crate::mem::{Mapping, PortHeader, Trust};
use crate::netmap::Netmap;
use crate::offsets::Offsets;
use crate::open_error::OpenError;
use crate::stats::RingKind;

pub use crate::adapter::Sharing;
pub use crate::port::TxPoll;

/// A port whose rings are used through memory. Dropping it gives back its extra buffers and releases its rings.
///
/// A program finds everything from the beginning of [`mapping`](Self::mapping): its interface object at
/// [`offset`](Self::offset), from there its rings, from each ring the buffers.
pub struct RawPort {
    name: String,
    hub: Arc<Hub>,
    /// Before the rings, so that it is dropped while their session is there.
    header: PortHeader,
    mapping: Mapping,
    tx: Vec<BoundRing>,
    rx: Vec<BoundRing>,
    tx_poll: TxPoll,
}

/// What a raw port asks for besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawOptions {
    /// Whether others may have the same rings.
    pub sharing: Sharing,
    /// Extra buffers, chained through their first four bytes from the interface object's `bufs_head` on. Fewer may be
    /// granted. What the program leaves there when the port closes is given back.
    #[doc(alias = "nr_extra_bufs")]
    pub extra_buffers: u32,
    /// What a poll sends that does not ask for room.
    #[doc(alias("NETMAP_NO_TX_POLL", "NR_NO_TX_POLL"))]
    pub tx_poll: TxPoll,
    /// Offsets of the payloads in their buffers, for all rings of the interface. All ports that are open on an interface at a time
    /// ask for the same; a safe port asks for none.
    #[doc(alias("NETMAP_REQ_OPT_OFFSETS", "nmreq_opt_offsets"))]
    pub offsets: Option<Offsets>,
}

impl Default for RawOptions {
    /// Shared rings, no extra buffers, a poll sends what waits, and payloads begin with their buffers.
    fn default() -> Self {
        Self { sharing: Sharing::Shared, extra_buffers: 0, tx_poll: TxPoll::Pending, offsets: None }
    }
}

impl Netmap {
    /// Opens the raw port of this name (see [`name`](crate::name)). What may be done at the addresses that it gives is the
    /// [contract of the memory](crate::raw#the-contract-of-the-memory).
    pub fn open_raw(&self, name: &str, options: RawOptions) -> Result<RawPort, OpenError> {
        let Bound { name, hub, tx, rx, session } =
            self.bind(name, options.sharing, Trust::Raw, options.offsets)?;
        tx.iter().chain(&rx).for_each(BoundRing::distrust);
        let rings = tx.iter().chain(&rx).map(|ring| (ring.direction(), ring.ringid()));
        let header = session.header(rings, options.extra_buffers).map_err(OpenError::Memory)?;
        let mapping = header.map().ok_or_else(|| OpenError::Gone(name.clone()))?;
        Ok(RawPort { name, hub, header, mapping, tx, rx, tx_poll: options.tx_poll })
    }
}

impl RawPort {
    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The memory that holds the port's interface object, rings and buffers, under the
    /// [contract](crate::raw#the-contract-of-the-memory).
    #[doc(alias = "nr_memsize")]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Where the port's interface object is, in bytes from the beginning of the mapping.
    #[doc(alias = "nr_offset")]
    pub fn offset(&self) -> usize {
        self.header.offset()
    }

    /// How many extra buffers were granted.
    pub fn extra_buffers(&self) -> u32 {
        self.header.extra()
    }

    /// Where the transmit ring of this number is, if the port has it; host rings are numbered on from the card's. Its
    /// slots follow at
    /// [`SLOTS_OFFSET`](crate::abi::SLOTS_OFFSET), its buffers at `buf_ofs`. Valid until the port is dropped, under the
    /// [contract](crate::raw#the-contract-of-the-memory).
    pub fn tx_ring(&self, number: u16) -> Option<NonNull<RingHeader>> {
        header(&self.tx, number)
    }

    /// Where the receive ring of this number is, as for [`tx_ring`](Self::tx_ring).
    pub fn rx_ring(&self, number: u16) -> Option<NonNull<RingHeader>> {
        header(&self.rx, number)
    }

    /// Syncs all transmit rings of the port. An error of one does not keep the others from it; the first is returned.
    #[doc(alias = "NIOCTXSYNC")]
    pub fn txsync(&self) -> Result<(), SyncError> {
        sync_all(&self.tx)
    }

    /// Syncs all receive rings of the port, as [`txsync`](Self::txsync) does. In transparent mode (see
    /// [`host`](crate::host#transparent-mode)) released frames are carried on, those of the stack if the port has the
    /// rings of the card too: they take slots of the transmit rings from `head` on. Each ring is given the time.
    #[doc(alias = "NIOCRXSYNC")]
    pub fn rxsync(&self) -> Result<(), SyncError> {
        let mut outcome = Ok(());
        for ring in &self.rx {
            let synced = forward::rxsync(ring, self.card_tx(), Look::Forced);
            ring.stamp_now();
            outcome = outcome.and(synced);
        }
        outcome
    }
}

/// What [`poll`](crate::poll) does with it.
impl RawPort {
    pub(crate) fn sends_in_poll(&self) -> bool {
        self.tx_poll == TxPoll::Pending
    }

    /// The hardware's rings come first.
    pub(crate) fn card_tx(&self) -> CardTx<'_> {
        let of_card = self.tx.partition_point(|ring| ring.kind() == RingKind::Hardware);
        CardTx::Raw(self.tx.get(..of_card).unwrap_or_default())
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn bound(&self) -> (&[BoundRing], &[BoundRing]) {
        (&self.tx, &self.rx)
    }
}

fn header(rings: &[BoundRing], number: u16) -> Option<NonNull<RingHeader>> {
    let ring = rings.iter().find(|ring| ring.ringid() == number)?;
    Some(ring.cell().memory().header())
}

fn sync_all(rings: &[BoundRing]) -> Result<(), SyncError> {
    let mut outcome = Ok(());
    for ring in rings {
        let synced = ring.cell().sync();
        outcome = outcome.and(synced);
    }
    outcome
}

impl fmt::Debug for RawPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPort").field("name", &self.name).finish_non_exhaustive()
    }
}
