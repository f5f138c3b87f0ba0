//! Who may be inside a ring: one sync at a time, and none while the ring is stopped. A lock that holds what it protects.
//!
//! One word holds the whole state, so that there is no moment between looking and taking.
//!
//! | state | [`enter`](RingLock::enter) | leave | [`stop`](RingLock::stop) | [`start`](RingLock::start) |
//! |---|---|---|---|---|
//! | idle | → busy | | → busy and stopped, goes on | |
//! | busy | `Busy` | → idle | → busy and stopped, waits | |
//! | busy and stopped | `Stopped` or `Gone` | → stopped | waits | → busy |
//! | stopped | `Stopped` or `Gone` | | → busy and stopped, goes on | → idle |
//!
//! `enter` takes the word from idle with Acquire, `leave` gives it back with Release: what one sync wrote to the
//! kring, the next one sees. A stop waits for that Release with Acquire, and then takes the word itself: so it sees what the last
//! sync wrote, and a second thread that stops the ring waits until the first has left it. `start` lets the next sync in.
//!
//! Stops are not counted: the first `start` ends all of them.
#![expect(unsafe_code, reason = "a lock: the word says which thread may access the value")]

use core::fmt;

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{UnsafeCell, relax};

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

/// What one thread at a time may access, with the busy and stop state of its ring.
#[doc(alias("nr_busy", "nkr_stopped"))]
pub(crate) struct RingLock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: a thread accesses the value only while it has set `BUSY`, which no other has set: it has the value to itself, and sees
// what the thread before it wrote (Release in `Entered::drop`, Acquire where the bit is set).
unsafe impl<T: Send> Sync for RingLock<T> {}

/// The right to be inside; dropping it leaves.
struct Entered<'a, T>(&'a RingLock<T>);

impl<T> RingLock<T> {
    /// A lock that lets in.
    pub(crate) fn new(value: T) -> Self {
        Self { state: AtomicU32::new(IDLE), value: UnsafeCell::new(value) }
    }

    /// Works on the value, if no thread is inside and the ring is not stopped.
    #[inline]
    #[doc(alias = "nm_kr_tryget")]
    pub(crate) fn enter<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R, Refusal> {
        match self.state.compare_exchange(IDLE, BUSY, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Entered(self).work(work)),
            Err(state) if state & GONE != 0 => Err(Refusal::Gone),
            Err(state) if state & STOPPED != 0 => Err(Refusal::Stopped),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Whether what was behind the ring has disappeared.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Relaxed) & GONE != 0
    }

    /// Closes the lock, and waits until no sync is inside.
    #[doc(alias = "netmap_disable_ring")]
    pub(crate) fn stop(&self, why: Stop) {
        self.stop_for(why, |_| ());
    }

    /// The same, and then works on the value. Not to be called from inside.
    pub(crate) fn stop_for<R>(&self, why: Stop, work: impl FnOnce(&mut T) -> R) -> R {
        let bits = match why {
            Stop::Pause => STOPPED,
            Stop::Gone => STOPPED | GONE,
        };
        // If the word was busy, it stays so, and its owner clears it.
        while self.state.fetch_or(bits | BUSY, Ordering::Acquire) & BUSY != 0 {
            relax();
        }
        Entered(self).work(work)
    }

    /// Lets in again after a pause. A ring that is gone stays so.
    pub(crate) fn start(&self) {
        let started = |state| (state & GONE == 0).then_some(state & !STOPPED);
        // A ring that is gone is left as it is.
        let _ = self.state.fetch_update(Ordering::Release, Ordering::Relaxed, started);
    }
}

impl<T> Entered<'_, T> {
    /// Works on the value. The thread that makes an `Entered` has just set `BUSY`, which was not set.
    #[inline]
    fn work<R>(self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: this thread has set `BUSY`, which is cleared when this value is dropped, after the call.
        self.0.value.with_mut(|value| work(unsafe { &mut *value }))
    }
}

impl<T> Drop for Entered<'_, T> {
    #[inline]
    #[doc(alias = "nm_kr_put")]
    fn drop(&mut self) {
        self.0.state.fetch_and(!BUSY, Ordering::Release);
    }
}

impl<T> fmt::Debug for RingLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingLock").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn one_sync_at_a_time_and_none_while_stopped() {
        let lock = RingLock::new(1);
        let again = lock.enter(|value| {
            *value += 1;
            lock.enter(|value| *value)
        });
        assert_eq!(again, Ok(Err(Refusal::Busy)));
        lock.stop(Stop::Pause);
        assert_eq!(lock.enter(|value| *value), Err(Refusal::Stopped));
        let inside = lock.stop_for(Stop::Pause, |value| (lock.enter(|value| *value), *value));
        assert_eq!(inside, (Err(Refusal::Stopped), 2), "a stopped ring is worked on");
        assert_eq!(lock.enter(|value| *value), Err(Refusal::Stopped), "and stays stopped");
        lock.start();
        assert_eq!(lock.enter(|value| *value), Ok(2));
        lock.stop(Stop::Gone);
        lock.start();
        assert_eq!(lock.enter(|value| *value), Err(Refusal::Gone));
        assert_eq!(lock.stop_for(Stop::Pause, |value| *value), 2);
        assert!(lock.is_gone());
    }

    #[test]
    fn a_panic_inside_leaves() {
        let lock = RingLock::new(());
        assert!(catch_unwind(AssertUnwindSafe(|| lock.enter(|()| panic!("inside")))).is_err());
        assert_eq!(lock.enter(|()| ()), Ok(()));
        assert!(
            catch_unwind(AssertUnwindSafe(|| lock.stop_for(Stop::Pause, |()| panic!("inside")))).is_err()
        );
        assert_eq!(lock.enter(|()| ()), Err(Refusal::Stopped));
        lock.start();
        assert_eq!(lock.enter(|()| ()), Ok(()));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A lock around a number; loom reports any two accesses that are not ordered.
    fn model(test: impl Fn(Arc<RingLock<usize>>) + Sync + Send + 'static) {
        loom::model(move || test(Arc::new(RingLock::new(0))));
    }

    fn add(value: &mut usize) {
        *value += 1;
    }

    #[test]
    fn two_syncs_never_meet() {
        model(|lock| {
            let sync = |lock: Arc<RingLock<usize>>| move || lock.enter(add).is_ok();
            let other = thread::spawn(sync(lock.clone()));
            let mine = sync(lock.clone())();
            let synced = usize::from(mine) + usize::from(other.join().unwrap());
            assert!(synced > 0, "at least one gets in");
            assert_eq!(lock.enter(|value| *value), Ok(synced));
        });
    }

    #[test]
    fn who_stops_a_ring_has_it_alone_and_hands_it_on() {
        model(|lock| {
            let syncing = lock.clone();
            let other = thread::spawn(move || (0..2).filter(|_| syncing.enter(add).is_ok()).count());
            lock.stop_for(Stop::Pause, add);
            lock.start();
            let syncs = other.join().unwrap();
            let seen = lock.stop_for(Stop::Gone, |value| *value);
            assert_eq!(seen, syncs + 1);
        });
    }

    /// Whatever other threads do to the ring: none is inside together with a thread that has stopped it.
    #[test]
    fn two_that_stop_a_ring_take_turns() {
        model(|lock| {
            let pausing = lock.clone();
            let other = thread::spawn(move || {
                pausing.stop_for(Stop::Pause, add);
                pausing.start();
            });
            lock.stop_for(Stop::Pause, add);
            lock.start();
            let synced = usize::from(lock.enter(add).is_ok());
            other.join().unwrap();
            lock.start();
            assert_eq!(lock.enter(|value| *value), Ok(2 + synced));
        });
    }
}
