//! Those who wait for one thing, and how they are woken.

use alloc::collections::VecDeque;
use core::task::Waker;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};

/// One wait. The same ticket may be in several lists, and is in each of them once. Lists of several netmaps may hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Address of the hub that made it.
    pub(super) hub: usize,
    /// Number among the tickets of that hub.
    pub(super) number: u64,
}

/// How many wakers were called.
pub(crate) struct WakeCount(AtomicU32);

impl WakeCount {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A waker is about to be called, and is in no list any more.
    fn add(&self) {
        // Release: who sees the new count sees what the waker is called for.
        self.0.fetch_add(1, Ordering::Release);
    }

    /// The count. Unchanged since before a registration: that registration was not woken.
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// A list of waiters. Its lock is never taken by an interrupt handler, and no waker is cloned, dropped or called under it.
pub(crate) struct Waiters(Mutex<VecDeque<(Ticket, Waker)>>);

impl Waiters {
    pub(super) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Has `waker` called at the next [`wake`](Self::wake), once. A waker that waits under this ticket is replaced.
    #[doc(alias = "selrecord")]
    pub(crate) fn register(&self, ticket: Ticket, waker: &Waker) {
        let waker = waker.clone();
        let mut list = self.0.lock();
        let replaced = match list.iter_mut().find(|(other, _)| *other == ticket) {
            Some((_, old)) => Some(core::mem::replace(old, waker)),
            None => {
                list.push_back((ticket, waker));
                None
            }
        };
        drop(list);
        drop(replaced);
    }

    /// Ends a wait, whether or not it was woken.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        let mut list = self.0.lock();
        let at = list.iter().position(|(other, _)| *other == ticket);
        let removed = at.and_then(|at| list.remove(at));
        drop(list);
        drop(removed);
    }

    /// Whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Wakes those who wait now. One who registers again from its waker is not woken twice.
    #[doc(alias = "selwakeuppri")]
    pub(super) fn wake(&self, wakes: &WakeCount) {
        self.call(|waker| {
            wakes.add();
            waker.wake();
        });
    }

    /// Has those who wait now look at the time again, which is no reason to look at rings.
    pub(super) fn nudge(&self) {
        self.call(Waker::wake);
    }

    fn call(&self, wake: impl Fn(Waker)) {
        let count = self.0.lock().len();
        for _ in 0..count {
            // The guard is gone before the waker is called.
            let next = self.0.lock().pop_front();
            let Some((_, waker)) = next else { break };
            wake(waker);
        }
    }
}
