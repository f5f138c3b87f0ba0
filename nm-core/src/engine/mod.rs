//! The loop over a hardware ring, once for all cards.
//!
//! ```text
//! txsync   prologue → send     [hwcur, rhead) → TxQueue::put …, one kick → reclaim: hwtail follows the oldest unfinished → finalize
//! rxsync   prologue → import   RxQueue::take … → slots from hwtail on    → refill: released slots → RxQueue::give …, one kick → finalize
//! ```
//!
//! A sync is one call of a trait object ([`Engine`]); inside it the calls into the driver are static. The work of one
//! sync is bounded by the number of slots, whatever the device does.

mod rx;
mod tx;

pub(crate) use rx::RxEngine;
pub(crate) use tx::TxEngine;

use crate::kring::{Kring, SyncError};
use crate::nic::QueueHealth;
use crate::stats::Direction;

/// What moves frames between a ring and what is behind it.
pub(crate) trait Engine: Send {
    /// Brings ring and queue into step.
    fn sync(&mut self, kring: &mut Kring) -> Result<(), SyncError>;

    /// The direction that the ring carries.
    fn direction(&self) -> Direction;
}

/// Notes what the driver has refused, and whether the device is past use.
fn check(health: QueueHealth, kring: &Kring) -> Result<(), SyncError> {
    kring.counters.refused.set(health.refused);
    if health.is_broken { Err(SyncError::DeviceFailed) } else { Ok(()) }
}
