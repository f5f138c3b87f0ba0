//! One ring with all that belongs to it, shared between those who sync it and those who control it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use nm_driver::nic::Armed;

use super::memory::RingMemory;
use crate::backend::{Forward, RingBackend, Sink};
use crate::kring::{Kring, SyncError};
use crate::ring_lock::{Refusal, RingLock, Stop};
use crate::stats::RingCounters;
use crate::sync::relax;

/// A ring. Memory and counters are shared; kring and back end belong to the thread inside of the lock. Aligned so that the rings
/// of two cores share no cache line.
#[repr(align(128))]
pub(crate) struct RingCell {
    memory: RingMemory,
    counters: Arc<RingCounters>,
    lock: RingLock<RingState>,
}

/// What one thread at a time may access.
pub(crate) struct RingState {
    pub(crate) kring: Kring,
    pub(crate) backend: Box<dyn RingBackend>,
}

impl RingCell {
    pub(crate) fn new(kring: Kring, backend: Box<dyn RingBackend>) -> Arc<Self> {
        let (memory, counters) = (kring.ring.clone(), kring.counters.clone());
        Arc::new(Self { memory, counters, lock: RingLock::new(RingState { kring, backend }) })
    }
}

impl RingCell {
    pub(crate) fn memory(&self) -> &RingMemory {
        &self.memory
    }

    pub(crate) fn counters(&self) -> &Arc<RingCounters> {
        &self.counters
    }

    /// Brings ring and queue into step.
    #[inline]
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        self.with(|inside| inside.backend.sync(&mut inside.kring, Forward::Own))?
    }

    /// The same, while frames that the ring forwards to the card go to `sink`, which enters other rings only.
    pub(crate) fn forward(&self, sink: Sink<'_>) -> Result<(), SyncError> {
        self.with(|inside| inside.backend.sync(&mut inside.kring, Forward::To(sink)))?
    }

    /// As [`sync`](Self::sync), unless what is behind the ring asks to be left alone for a while.
    pub(crate) fn sync_if_due(&self) -> Result<(), SyncError> {
        self.with(
            |RingState { kring, backend }| {
                if backend.is_due() { backend.sync(kring, Forward::Own) } else { Ok(()) }
            },
        )?
    }

    /// As [`sync`](Self::sync), if the application has submitted or released slots that the core has not taken over.
    pub(crate) fn flush(&self) -> Result<(), SyncError> {
        self.with(|RingState { kring, backend }| {
            if kring.ring.head() == kring.hwcur.get() { Ok(()) } else { backend.sync(kring, Forward::Own) }
        })?
    }

    /// Whether the application has submitted or released slots that the core has not taken over.
    pub(crate) fn has_given(&self) -> Result<bool, SyncError> {
        self.with(|inside| inside.kring.ring.head() != inside.kring.hwcur.get())
    }

    /// Asks what is behind the ring for an interrupt.
    pub(crate) fn arm(&self) -> Result<Armed, SyncError> {
        self.with(|inside| inside.backend.arm(&inside.kring))
    }

    /// Asks for no more interrupts, if `is_idle` says inside that they are not needed. A ring that cannot be entered keeps
    /// its interrupts, and a spurious one may follow.
    pub(crate) fn disarm(&self, is_idle: impl FnOnce() -> bool) {
        let _ = self.with(|inside| {
            if is_idle() {
                inside.backend.disarm();
            }
        });
    }

    /// Makes the slots name all buffers of the ring, also those that are posted. Waits for a sync or a reset that is under way;
    /// the slots of a ring that is gone name them already.
    pub(crate) fn restore_slots(&self) {
        while let Err(SyncError::Busy | SyncError::Stopped) =
            self.with(|inside| inside.backend.restore_slots(&inside.kring))
        {
            relax();
        }
    }

    /// Whether what was behind the ring has disappeared.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock.is_gone()
    }

    /// Works on the ring as a sync does.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut RingState) -> R) -> Result<R, SyncError> {
        self.lock.enter(work).map_err(SyncError::from)
    }

    /// Works on the ring from outside of a sync: waits for one that is under way, and keeps others out meanwhile.
    /// Afterwards the ring goes on, unless it is gone. Called under the adapter's lock of operations.
    pub(crate) fn pause<R>(&self, work: impl FnOnce(&mut RingState) -> R) -> R {
        let result = self.stop_for(work);
        self.resume();
        result
    }

    /// The same, and afterwards the ring stays stopped, until [`resume`](Self::resume).
    pub(crate) fn stop_for<R>(&self, work: impl FnOnce(&mut RingState) -> R) -> R {
        self.lock.stop_for(Stop::Pause, work)
    }

    /// Keeps syncs out: until [`resume`](Self::resume) or the end of the next [`pause`](Self::pause), or for good.
    pub(crate) fn stop(&self, why: Stop) {
        self.lock.stop(why);
    }

    /// Lets syncs in again after a pause.
    pub(crate) fn resume(&self) {
        self.lock.start();
    }
}

impl From<Refusal> for SyncError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy => Self::Busy,
            Refusal::Stopped => Self::Stopped,
            Refusal::Gone => Self::Gone,
        }
    }
}

impl fmt::Debug for RingCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingCell")
            .field("memory", &self.memory)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}
