//! Raw ports: netmap's own contract, for programs that reach rings and buffers through memory.
//!
//! Several raw ports may have the same ring. Anything may be written to it at any time; the core reads each field once,
//! as a copy, and checks it. Indices outside the window make a sync fail with
//! [`BadIndices`](crate::SyncError::BadIndices) and put the ring back; a slot that names no buffer, or more bytes than a
//! buffer has, is not sent.
#![expect(unsafe_code, reason = "opening a raw port is a promise about memory")]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

use crate::abi::RingHeader;
use crate::adapter::{Bound, BoundRing};
use crate::kring::SyncError;
use crate::netmap::Netmap;
use crate::port::OpenError;

pub use crate::adapter::Sharing;

/// A port whose rings are used through memory. Dropping it releases its rings.
pub struct RawPort {
    name: String,
    tx: Vec<BoundRing>,
    rx: Vec<BoundRing>,
}

impl Netmap {
    /// Opens the raw port of this name (see [`name`](crate::name)).
    ///
    /// # Safety
    /// While safe ports or spare buffers are in use on the same memory region, every buffer number that is written to a
    /// slot of the port's rings is one that this port's rings held before: buffers of others would be handed to a card
    /// that writes them, or to two owners at once. What else is written (indices, lengths, flags, numbers that are no
    /// buffers) may be anything.
    pub unsafe fn open_raw(&self, name: &str, sharing: Sharing) -> Result<RawPort, OpenError> {
        let Bound { name, tx, rx, .. } = self.bind(name, sharing)?;
        tx.iter().chain(&rx).for_each(BoundRing::distrust);
        Ok(RawPort { name, tx, rx })
    }
}

impl RawPort {
    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the transmit ring of this number is, if the port has it; its slots follow at
    /// [`SLOTS_OFFSET`](crate::abi::SLOTS_OFFSET), its buffers at `buf_ofs`. Valid until the port is dropped.
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

    /// Syncs all receive rings of the port, as [`txsync`](Self::txsync) does.
    #[doc(alias = "NIOCRXSYNC")]
    pub fn rxsync(&self) -> Result<(), SyncError> {
        sync_all(&self.rx)
    }
}

fn header(rings: &[BoundRing], number: u16) -> Option<NonNull<RingHeader>> {
    let ring = rings.iter().find(|ring| ring.number() == number)?;
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
