//! Who may be inside a ring: one sync at a time, and none while the ring is stopped.
//!
//! One word holds the whole state, so that there is no moment between looking and taking.
//!
//! | state | [`enter`](Gate::enter) | leave | [`stop`](Gate::stop) | [`start`](Gate::start) |
//! |---|---|---|---|---|
//! | idle | → busy | | → stopped, at once | |
//! | busy | `Busy` | → idle | → busy and stopped, waits | |
//! | busy and stopped | `Stopped` or `Gone` | → stopped, the waiter goes on | | |
//! | stopped | `Stopped` or `Gone` | | | → idle |
//!
//! `enter` takes the word from idle with Acquire, `leave` gives it back with Release: what one sync wrote to the
//! kring, the next one sees. `stop` waits for that Release with Acquire, so who stopped a ring sees what the last sync
//! wrote, and may work on the ring until it calls `start`, whose Release hands the work to the next sync.
//!
//! Stops are not counted: the adapter's lock of operations lets one of them happen at a time.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::relax;

const IDLE: u32 = 0;
const BUSY: u32 = 1;
const STOPPED: u32 = 2;
const GONE: u32 = 4;

/// Why a ring could not be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another sync is inside.
    Busy,
    /// The ring is stopped, and will be started again.
    Stopped,
    /// What was behind the ring has disappeared.
    Gone,
}

/// Why a ring is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// For a while.
    Pause,
    /// For good.
    Gone,
}

/// The busy and stop state of one ring.
#[derive(Debug)]
#[doc(alias("nr_busy", "nkr_stopped"))]
pub(crate) struct Gate(AtomicU32);

/// The right to be inside; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Entered<'a>(&'a Gate);

impl Gate {
    /// A gate that lets in.
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(IDLE))
    }

    /// Goes in, if nobody is inside and the ring is not stopped.
    #[inline]
    #[doc(alias = "nm_kr_tryget")]
    pub(crate) fn enter(&self) -> Result<Entered<'_>, Refusal> {
        match self.0.compare_exchange(IDLE, BUSY, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Entered(self)),
            Err(state) if state & GONE != 0 => Err(Refusal::Gone),
            Err(state) if state & STOPPED != 0 => Err(Refusal::Stopped),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Whether what was behind the ring has disappeared.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed) & GONE != 0
    }

    /// Lets nobody in any more, and waits until nobody is inside.
    #[doc(alias = "netmap_disable_ring")]
    pub(crate) fn stop(&self, why: Stop) {
        let bits = match why {
            Stop::Pause => STOPPED,
            Stop::Gone => STOPPED | GONE,
        };
        self.0.fetch_or(bits, Ordering::Acquire);
        while self.0.load(Ordering::Acquire) & BUSY != 0 {
            relax();
        }
    }

    /// Lets in again after a pause. A ring that is gone stays so.
    pub(crate) fn start(&self) {
        let paused = self.0.load(Ordering::Relaxed) & GONE == 0;
        if paused {
            self.0.store(IDLE, Ordering::Release);
        }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    #[doc(alias = "nm_kr_put")]
    fn drop(&mut self) {
        self.0.0.fetch_and(!BUSY, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_sync_at_a_time_and_none_while_stopped() {
        let gate = Gate::new();
        let inside = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err(), Refusal::Busy);
        drop(inside);
        gate.stop(Stop::Pause);
        assert_eq!(gate.enter().unwrap_err(), Refusal::Stopped);
        gate.start();
        drop(gate.enter().unwrap());
        gate.stop(Stop::Gone);
        gate.start();
        assert_eq!(gate.enter().unwrap_err(), Refusal::Gone);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A ring's state behind its gate; loom reports any two accesses that are not ordered.
    struct Guarded {
        gate: Gate,
        state: UnsafeCell<u32>,
    }

    // SAFETY: the gate lets one in at a time; that is what the test is about.
    #[expect(unsafe_code, reason = "shares what the gate guards")]
    unsafe impl Sync for Guarded {}

    impl Guarded {
        fn work(&self) {
            // SAFETY: checked by loom.
            #[expect(unsafe_code, reason = "loom's cell hands out pointers")]
            self.state.with_mut(|state| unsafe { *state += 1 });
        }
    }

    fn model(test: impl Fn(Arc<Guarded>) + Sync + Send + 'static) {
        loom::model(move || test(Arc::new(Guarded { gate: Gate::new(), state: UnsafeCell::new(0) })));
    }

    #[test]
    fn two_syncs_never_meet() {
        model(|ring| {
            let sync = |ring: Arc<Guarded>| move || ring.gate.enter().map(|_inside| ring.work()).is_ok();
            let other = thread::spawn(sync(ring.clone()));
            let mine = sync(ring.clone())();
            assert!(other.join().unwrap() || mine, "at least one gets in");
        });
    }

    #[test]
    fn who_stops_a_ring_has_it_alone_and_hands_it_on() {
        model(|ring| {
            let syncing = ring.clone();
            let other = thread::spawn(move || {
                (0..2).filter(|_| syncing.gate.enter().map(|_inside| syncing.work()).is_ok()).count()
            });
            ring.gate.stop(Stop::Pause);
            ring.work();
            ring.gate.start();
            let syncs = other.join().unwrap();
            ring.gate.stop(Stop::Gone);
            ring.state.with(|state| {
                // SAFETY: checked by loom.
                #[expect(unsafe_code, reason = "loom's cell hands out pointers")]
                let seen = unsafe { *state };
                assert_eq!(seen as usize, syncs + 1);
            });
        });
    }
}
