//! What a sync tells about its queue.

use nm_driver::nic::QueueStatus;

use crate::kring::{Kring, SyncError};

/// Notes what the driver has refused, and whether the device is beyond use.
#[inline]
pub(super) fn check(status: QueueStatus, kring: &Kring) -> Result<(), SyncError> {
    if status.has_kicked {
        kring.counters.kicks.add(1);
    }
    if status.refused == 0 && !status.is_broken {
        return Ok(());
    }
    note_failure(status, kring)
}

#[cold]
fn note_failure(status: QueueStatus, kring: &Kring) -> Result<(), SyncError> {
    kring.counters.refused.set(status.refused.into());
    if status.is_broken { Err(SyncError::DeviceFailed) } else { Ok(()) }
}
