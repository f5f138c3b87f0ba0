//! Transparent mode: the way from the host receive rings of a port down to its card.
//!
//! [`rxsync`] → [`RingCell::forward`](crate::ring::cell::RingCell::forward) → for each frame [`push`] → [`submit`] →
//! [`Kring::submit`](crate::kring::Kring::submit) → in the end [`RingCell::flush`](crate::ring::cell::RingCell::flush) of
//! the card's rings.

use crate::adapter::BoundRing;
use crate::backend::Forward;
use crate::kring::SyncError;
use crate::ring::TxRing;
use crate::ring::cell::RingCell;
use crate::ring::memory::MovedSlot;
use crate::stats::RingKind;

/// The transmit rings that a port lists as its card's: all that the card has, or none. Only with all of them does a port
/// carry frames of the stack down.
///
/// The list of a safe port is not to be believed: its rings are lent as `&mut [TxRing]`, and safe code may exchange them with
/// those of another port, or with host rings of the same one. A frame is a buffer number, which means nothing in another
/// region, and it is for this interface alone. So only [`serving`](Self::serving) rings are ever used.
#[doc(alias = "NAF_CAN_FORWARD_DOWN")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum CardTx<'a> {
    /// Of a safe port.
    Safe(&'a [TxRing]),
    /// Of a raw one.
    Raw(&'a [BoundRing]),
}

impl<'a> CardTx<'a> {
    fn len(self) -> usize {
        match self {
            Self::Safe(rings) => rings.len(),
            Self::Raw(rings) => rings.len(),
        }
    }

    fn get(self, at: usize) -> Option<&'a BoundRing> {
        match self {
            Self::Safe(rings) => rings.get(at).map(TxRing::bound),
            Self::Raw(rings) => rings.get(at),
        }
    }

    /// The rings that may carry frames of host ring `host` down: those of the card of the same interface, in the same
    /// session. Each once, beginning with the ring of the host ring's number, modulo the length of the list.
    fn serving(self, host: &BoundRing) -> impl Iterator<Item = &'a BoundRing> {
        let (len, first) = (self.len(), usize::from(host.number()));
        let rotated = (0..len).filter_map(move |step| self.get((first + step).checked_rem(len)?));
        rotated.filter(move |tx| tx.kind() == RingKind::Hardware && tx.is_in_session_of(host))
    }
}

/// Whether a sync looks at what is behind the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// In any case.
    #[doc(alias = "NAF_FORCE_READ")]
    Forced,
    /// Unless it asks to be left alone for a while.
    IfDue,
}

/// Syncs the receive ring `ring`. Released frames of a host ring that are to be forwarded go to the card: they take slots
/// of its transmit rings, which are flushed then. One that finds no room there stays in its slot, and so do those
/// behind it, until the next time.
pub(crate) fn rxsync(ring: &BoundRing, card: CardTx<'_>, look: Look) -> Result<(), SyncError> {
    if ring.kind() == RingKind::Hardware || card.serving(ring).next().is_none() {
        return match look {
            Look::Forced => ring.cell().sync(),
            Look::IfDue => ring.cell().sync_if_due(),
        };
    }
    let mut outcome = Ok(());
    let mut has_moved = false;
    let synced = ring.cell().forward(&mut |frame| {
        let taken = push(card, ring, frame);
        has_moved |= matches!(taken, Ok(Some(_)));
        taken.unwrap_or_else(|error| {
            outcome = outcome.and(Err(error));
            None
        })
    });
    outcome = outcome.and(synced);
    if has_moved {
        outcome = card.serving(ring).map(|tx| tx.cell().flush()).fold(outcome, Result::and);
    }
    outcome
}

/// Submits `frame` of host ring `host` on one of the card's rings. `None` if no ring has room.
#[doc(alias = "netmap_sw_to_nic")]
fn push(card: CardTx<'_>, host: &BoundRing, frame: MovedSlot) -> Result<Option<MovedSlot>, SyncError> {
    let mut outcome = Ok(None);
    for ring in card.serving(host) {
        match submit(ring.cell(), frame) {
            Ok(None) => {}
            Ok(taken) => return Ok(taken),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// Submits `frame`, whose buffer is of the ring's region, on one ring. When the ring is full, completed slots make room.
fn submit(cell: &RingCell, frame: MovedSlot) -> Result<Option<MovedSlot>, SyncError> {
    cell.with(|inside| {
        inside.kring.prologue()?;
        if let Some(free) = inside.kring.submit(frame) {
            return Ok(Some(free));
        }
        inside.backend.sync(&mut inside.kring, Forward::Own)?;
        Ok(inside.kring.submit(frame))
    })?
}
