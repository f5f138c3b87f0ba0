//! What all interfaces of a netmap have in common: whether any of them has a pending word, and how to wait for it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use super::signals::Signals;
use super::waiters::Ticket;
use crate::platform::{Platform, Sleeper};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::tunables::Knobs;

/// Interrupts on their way to waiters, for all interfaces of a netmap.
pub(crate) struct Hub {
    platform: Arc<dyn Platform>,
    /// All interfaces, in the order in which they were attached. Locked for a moment only, never around a waker.
    sources: Mutex<Vec<Weak<Signals>>>,
    /// Whether some ring's pending word may be set.
    is_pending: AtomicBool,
    /// How many wakers were called.
    wakes: AtomicU32,
    tickets: AtomicU64,
    knobs: Arc<Knobs>,
    /// Whether the machine takes interrupts and can wait for them.
    can_sleep: bool,
    mitigation_us: AtomicU32,
}

impl Hub {
    pub(crate) fn new(platform: Arc<dyn Platform>, knobs: Arc<Knobs>) -> Arc<Self> {
        Arc::new(Self {
            can_sleep: platform.sleeper().is_some(),
            knobs,
            platform,
            sources: Mutex::new(Vec::new()),
            is_pending: AtomicBool::new(false),
            wakes: AtomicU32::new(0),
            tickets: AtomicU64::new(0),
            mitigation_us: AtomicU32::new(0),
        })
    }

    /// Adds the signals of an interface.
    pub(super) fn add(&self, signals: &Arc<Signals>) {
        let mut sources = self.sources.lock();
        sources.retain(|source| source.strong_count() > 0);
        sources.push(Arc::downgrade(signals));
    }

    pub(crate) fn ticket(&self) -> Ticket {
        // Relaxed: only that each number comes once matters.
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.platform.now_ns()
    }

    /// How to sleep, if the machine can.
    pub(crate) fn sleeper(&self) -> Option<&dyn Sleeper> {
        self.platform.sleeper()
    }

    /// For an interrupt handler, after it has set a ring's pending word.
    pub(super) fn note_pending(&self) {
        // Release: who takes the flag sees the word that was set before it. An exchange, not a store, so that it passes on
        // what an earlier handler released: one run takes both, and must see the words of both.
        self.is_pending.swap(true, Ordering::Release);
    }

    /// Turns pending words into wake-ups. Returns how many rings had one.
    pub(crate) fn run_pending(&self) -> usize {
        // Acquire: as in `note_pending`. A word that is set after the flag is taken raises the flag again.
        if !self.has_pending() || !self.is_pending.swap(false, Ordering::Acquire) {
            return 0;
        }
        let mut served = 0;
        // From the last to the first: when one is taken away meanwhile, those that move up were served already.
        let mut next = self.sources.lock().len();
        while let Some(at) = next.checked_sub(1) {
            let signals = self.sources.lock().get(at).and_then(Weak::upgrade);
            served += signals.map_or(0, |signals| signals.serve());
            next = at;
        }
        served
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.is_pending.load(Ordering::Relaxed)
    }

    /// A waker is about to be called, and is in no list any more.
    pub(super) fn note_wake(&self) {
        // Release: who sees the new count sees what the waker is called for.
        self.wakes.fetch_add(1, Ordering::Release);
    }

    /// How many wakers were called. Unchanged since before a registration: that registration was not woken.
    pub(crate) fn wakes(&self) -> u32 {
        self.wakes.load(Ordering::Acquire)
    }

    /// Whether receive syncs look at the card without an interrupt. A machine that takes no interrupts has to.
    #[inline]
    pub(crate) fn looks_always(&self) -> bool {
        self.knobs.no_pendintr() || !self.can_sleep
    }

    pub(crate) fn mitigation(&self) -> Duration {
        Duration::from_micros(self.mitigation_us.load(Ordering::Relaxed).into())
    }

    pub(crate) fn set_mitigation(&self, interval: Duration) {
        let us = u32::try_from(interval.as_micros()).unwrap_or(u32::MAX);
        self.mitigation_us.store(us, Ordering::Relaxed);
    }
}
