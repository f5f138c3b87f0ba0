//! Transparent mode over all rings of a port.

use crate::adapter::{BoundRing, Cell};
use crate::kring::SyncError;
use crate::ring::memory::SlotValue;

/// Syncs the receive rings `rx`. Frames of the stack that are to go down take slots of the transmit rings `tx`, and
/// those that got some are synced too. An error of one ring does not keep the others from it; the first is returned.
///
/// `tx` is all transmit rings of the card, or none: then nothing goes down.
pub(crate) fn forward<'a>(
    rx: impl Iterator<Item = &'a BoundRing>,
    tx: &[&'a BoundRing],
) -> Result<(), SyncError> {
    let mut outcome = Ok(());
    let mut has_moved = false;
    for ring in rx {
        let mut push = |frame| {
            let taken = push(tx, ring.number(), frame);
            has_moved |= matches!(taken, Ok(Some(_)));
            taken.unwrap_or_else(|error| {
                outcome = outcome.and(Err(error));
                None
            })
        };
        let synced = if tx.is_empty() { ring.cell().sync() } else { ring.cell().forward(&mut push) };
        outcome = outcome.and(synced);
    }
    if has_moved {
        let synced = tx.iter().map(|ring| ring.cell().sync());
        outcome = synced.fold(outcome, Result::and);
    }
    outcome
}

/// Submits `frame` on one of the rings, that of the host ring's number first. `None` if none has room.
fn push(tx: &[&BoundRing], number: u16, frame: SlotValue) -> Result<Option<SlotValue>, SyncError> {
    let start = usize::from(number).checked_rem(tx.len()).unwrap_or(0);
    let mut outcome = Ok(None);
    for ring in tx.iter().cycle().skip(start).take(tx.len()) {
        match submit(ring.cell(), frame) {
            Ok(None) => {}
            Ok(taken) => return Ok(taken),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// Submits `frame` on one ring. When the ring is full, what has left the card makes room.
fn submit(cell: &Cell, frame: SlotValue) -> Result<Option<SlotValue>, SyncError> {
    cell.with(|inside| {
        inside.kring.prologue()?;
        if let Some(free) = inside.kring.submit(frame) {
            return Ok(Some(free));
        }
        inside.engine.sync(&mut inside.kring)?;
        Ok(inside.kring.submit(frame))
    })?
}
