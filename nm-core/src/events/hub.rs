//! What all interfaces of a netmap have in common: whether any of them has a pending word, and how to wait for it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::waiters::{Ticket, Waiters, WakeCount};
use crate::platform::{Platform, Sleeper};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::tunables::Knobs;

/// An interface whose rings have pending words.
pub(crate) trait PendingSource: Send + Sync {
    /// Turns the pending words into wake-ups, but for those whose interval is not over: the earliest end is returned too.
    /// Returns how many rings had a word.
    fn serve(&self) -> (usize, Option<u64>);
}

/// Interrupts on their way to waiters, for all interfaces of a netmap.
pub(crate) struct Hub {
    platform: Arc<dyn Platform>,
    knobs: Arc<Knobs>,
    /// Whether the machine takes interrupts and can wait for them.
    can_sleep: bool,
    written: Written,
}

/// What handlers and waiters of all processors write. Apart from the rest, which every sync of each of them reads.
#[repr(align(128))]
struct Written {
    /// All interfaces, in the order in which they were attached. Locked for a moment only, never around a waker.
    sources: Mutex<Vec<Weak<dyn PendingSource>>>,
    /// Whether some ring's pending word may be set.
    is_pending: AtomicBool,
    /// When words that were left alone for their interval are to be looked at; [`NEVER`] for no such time.
    next_due_ns: AtomicU64,
    wakes: WakeCount,
    /// Polls that sleep, no longer than until `next_due_ns`.
    sleepers: Waiters,
    tickets: AtomicU64,
}

/// No point in time.
const NEVER: u64 = u64::MAX;

impl Hub {
    pub(crate) fn new(platform: Arc<dyn Platform>, knobs: Arc<Knobs>) -> Arc<Self> {
        Arc::new(Self {
            can_sleep: platform.sleeper().is_some(),
            knobs,
            platform,
            written: Written {
                sources: Mutex::new(Vec::new()),
                is_pending: AtomicBool::new(false),
                next_due_ns: AtomicU64::new(NEVER),
                wakes: WakeCount::new(),
                sleepers: Waiters::new(),
                tickets: AtomicU64::new(0),
            },
        })
    }

    /// Adds the signals of an interface.
    pub(super) fn add(&self, source: Weak<dyn PendingSource>) {
        let mut sources = self.written.sources.lock();
        sources.retain(|source| source.strong_count() > 0);
        sources.push(source);
    }

    pub(crate) fn ticket(&self) -> Ticket {
        // Relaxed: only that each number comes once matters.
        let number = self.written.tickets.fetch_add(1, Ordering::Relaxed);
        Ticket { hub: core::ptr::from_ref(self).addr(), number }
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
        self.written.is_pending.swap(true, Ordering::Release);
    }

    /// Turns pending words into wake-ups. Returns how many rings had one.
    pub(crate) fn run_pending(&self) -> usize {
        // Acquire: as in `note_pending`. A word that is set after the flag is taken raises the flag again.
        let is_raised = self.has_pending() && self.written.is_pending.swap(false, Ordering::Acquire);
        if !is_raised && !self.take_due() {
            return 0;
        }
        let mut served = 0;
        // From the last to the first: when one is taken away meanwhile, those that move up were served already.
        let mut next = self.written.sources.lock().len();
        while let Some(at) = next.checked_sub(1) {
            let source = self.written.sources.lock().get(at).and_then(Weak::upgrade);
            let (count, due_ns) = source.map_or((0, None), |source| source.serve());
            served += count;
            if let Some(due_ns) = due_ns {
                self.serve_at(due_ns);
            }
            next = at;
        }
        served
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.written.is_pending.load(Ordering::Relaxed)
    }

    /// Has the words looked at again at this time.
    fn serve_at(&self, due_ns: u64) {
        // Release: who sees the time, or is nudged, sees that the flag was taken, and sleeps until then.
        if self.written.next_due_ns.fetch_min(due_ns, Ordering::Release) > due_ns {
            self.written.sleepers.nudge();
        }
    }

    /// Who is about to sleep until [`next_due_ns`](Self::next_due_ns), and is to be told if it becomes earlier.
    pub(crate) fn sleepers(&self) -> &Waiters {
        &self.written.sleepers
    }

    /// When words that are waiting for the end of an interval are to be looked at, if there are any.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        Some(self.written.next_due_ns.load(Ordering::Acquire)).filter(|due_ns| *due_ns != NEVER)
    }

    /// Whether that time has come. It is told once. The lock of `sources`, which the run takes next, orders the words behind
    /// it: who set the time has left it before.
    fn take_due(&self) -> bool {
        self.next_due_ns().is_some_and(|due_ns| {
            let has_come = self.now_ns() >= due_ns;
            has_come && self.written.next_due_ns.swap(NEVER, Ordering::Relaxed) != NEVER
        })
    }

    /// How many wakers were called.
    pub(crate) fn wakes(&self) -> &WakeCount {
        &self.written.wakes
    }

    /// Whether receive syncs look at the card without an interrupt. A machine that takes no interrupts has to.
    #[inline]
    pub(crate) fn looks_always(&self) -> bool {
        self.knobs.no_pendintr() || !self.can_sleep
    }

    /// How the core behaves.
    #[inline]
    pub(crate) fn knobs(&self) -> &Arc<Knobs> {
        &self.knobs
    }
}
