//! One ring with all that belongs to it, shared between those who sync it and those who control it.
#![expect(unsafe_code, reason = "the gate, not the type system, says who is inside")]

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;

use super::memory::RingMemory;
use crate::engine::{Engine, Sink};
use crate::gate::{Gate, Refusal, Stop};
use crate::kring::{Kring, SyncError};
use crate::nic::Armed;
use crate::stats::RingCounters;

/// A ring: its memory and counters for everybody, its kring and engine for who is inside the gate. Aligned so that the
/// rings of two cores share no cache line.
#[repr(align(128))]
pub(crate) struct RingCell<E: ?Sized> {
    memory: RingMemory,
    counters: Arc<RingCounters>,
    gate: Gate,
    inside: UnsafeCell<Inside<E>>,
}

/// What only one at a time may touch.
pub(crate) struct Inside<E: ?Sized> {
    pub(crate) kring: Kring,
    pub(crate) engine: E,
}

// SAFETY: `inside` is `Send` and is reached only by who has entered the gate or has stopped it; the gate lets one in at
// a time and orders one after the other (state table in `gate`).
unsafe impl<E: Send + ?Sized> Sync for RingCell<E> {}

impl<E> RingCell<E> {
    pub(crate) fn new(kring: Kring, engine: E) -> Arc<Self> {
        let (memory, counters) = (kring.ring.clone(), kring.counters.clone());
        Arc::new(Self {
            memory,
            counters,
            gate: Gate::new(),
            inside: UnsafeCell::new(Inside { kring, engine }),
        })
    }
}

impl<E: Engine + ?Sized> RingCell<E> {
    pub(crate) fn memory(&self) -> &RingMemory {
        &self.memory
    }

    pub(crate) fn counters(&self) -> &Arc<RingCounters> {
        &self.counters
    }

    /// Brings ring and queue into step.
    #[inline]
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        self.with(|inside| inside.engine.sync(&mut inside.kring))?
    }

    /// The same, while frames that the ring forwards to the card go to `sink`, which enters other rings only.
    pub(crate) fn forward(&self, sink: Sink<'_>) -> Result<(), SyncError> {
        self.with(|inside| inside.engine.forward(&mut inside.kring, sink))?
    }

    /// As [`sync`](Self::sync), unless what is behind the ring asks to be left alone for a while.
    pub(crate) fn sync_if_due(&self) -> Result<(), SyncError> {
        self.with(|Inside { kring, engine }| if engine.is_due() { engine.sync(kring) } else { Ok(()) })?
    }

    /// As [`sync`](Self::sync), if the application has submitted or released slots that the core has not taken over.
    pub(crate) fn flush(&self) -> Result<(), SyncError> {
        self.with(
            |Inside { kring, engine }| {
                if kring.ring.head() == kring.hwcur.get() { Ok(()) } else { engine.sync(kring) }
            },
        )?
    }

    /// Whether the application has submitted or released slots that the core has not taken over.
    pub(crate) fn has_given(&self) -> Result<bool, SyncError> {
        self.with(|inside| inside.kring.ring.head() != inside.kring.hwcur.get())
    }

    /// Asks what is behind the ring for an interrupt.
    pub(crate) fn arm(&self) -> Result<Armed, SyncError> {
        self.with(|inside| inside.engine.arm(&inside.kring))
    }

    /// Asks for no more interrupts, if `is_idle` says inside that nobody needs them. A ring that cannot be entered keeps
    /// its interrupts, and one comes for nobody.
    pub(crate) fn disarm(&self, is_idle: impl FnOnce() -> bool) {
        let _ = self.with(|inside| {
            if is_idle() {
                inside.engine.disarm();
            }
        });
    }

    /// Whether what was behind the ring has disappeared.
    pub(crate) fn is_gone(&self) -> bool {
        self.gate.is_gone()
    }

    /// Works on the ring as a sync does.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Inside<E>) -> R) -> Result<R, SyncError> {
        let _entered = self.gate.enter().map_err(SyncError::from)?;
        // SAFETY: the gate let us in, so nobody else is, until `_entered` is dropped.
        Ok(work(unsafe { &mut *self.inside.get() }))
    }

    /// Works on the ring from outside of a sync: waits for one that is under way, and keeps others out meanwhile.
    /// Afterwards the ring goes on, unless it is gone. Called under the adapter's lock.
    pub(crate) fn pause<R>(&self, work: impl FnOnce(&mut Inside<E>) -> R) -> R {
        let result = self.stop_for(work);
        self.resume();
        result
    }

    /// The same, and afterwards the ring stays stopped, until [`resume`](Self::resume).
    pub(crate) fn stop_for<R>(&self, work: impl FnOnce(&mut Inside<E>) -> R) -> R {
        self.gate.stop(Stop::Pause);
        // SAFETY: the gate is stopped and nobody is inside; the adapter's lock keeps out others who would stop it.
        work(unsafe { &mut *self.inside.get() })
    }

    /// Keeps syncs out: until [`resume`](Self::resume) or the end of the next [`pause`](Self::pause), or for good.
    pub(crate) fn stop(&self, why: Stop) {
        self.gate.stop(why);
    }

    /// Lets syncs in again after a pause.
    pub(crate) fn resume(&self) {
        self.gate.start();
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

impl<E: ?Sized> fmt::Debug for RingCell<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingCell")
            .field("memory", &self.memory)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
