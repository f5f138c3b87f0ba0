//! Mitigation: no more than one wake-up of a receive ring in an interval.
//!
//! The first interrupt of a ring wakes at once, and an interval begins. Those that come before it has passed are kept
//! in the ring's word; when it has, they wake together and the next interval begins. So a waiter is called a bounded
//! number of times a second, and what a call finds grows with the traffic.
//!
//! | | |
//! |---|---|
//! | interrupt, interval over | wake, interval begins |
//! | interrupt, within the interval | the word stays set, the hub remembers when the interval ends |
//! | interval ends, word set | wake, interval begins |
//! | interval ends, word not set | nothing |
//!
//! [`PendingSource::serve`](super::hub::PendingSource::serve) → [`Due::new`] → [`Interval::is_over`] → [`Due::earliest`] →
//! [`Hub::next_due_ns`].
//!
//! There is no timer. A blocking poll sleeps no longer than until the earliest end; others ask
//! [`Netmap::next_due_ns`](crate::Netmap::next_due_ns).

use super::hub::Hub;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How the wake-ups for an interface's receive rings are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mitigation {
    /// Not at all: the card does it, or there are few interrupts.
    Off,
    /// By the tunable `generic_mit`, which can change at any time.
    Generic,
}

/// When a ring may wake again. Written by who turns its word into wake-ups; if that happens on two threads at once, one
/// wake-up too many may be the result.
#[derive(Debug, Default)]
pub(super) struct Interval(AtomicU64);

/// The time of one run over the words of an interface, and the earliest end of an interval that a word waits for.
pub(super) struct Due<'a> {
    hub: &'a Hub,
    interval_ns: u64,
    now_ns: Option<u64>,
    earliest: Option<u64>,
}

impl<'a> Due<'a> {
    pub(super) fn new(hub: &'a Hub, mitigation: Mitigation) -> Self {
        let interval_ns = match mitigation {
            Mitigation::Off => 0,
            Mitigation::Generic => hub.knobs().generic_mit().into(),
        };
        Self { hub, interval_ns, now_ns: None, earliest: None }
    }

    /// When the first of the words that were left alone is to be looked at.
    pub(super) fn earliest(&self) -> Option<u64> {
        self.earliest
    }
}

impl Interval {
    /// Whether the ring may wake now. If so the next interval begins.
    pub(super) fn is_over(&self, due: &mut Due<'_>) -> bool {
        if due.interval_ns == 0 {
            return true;
        }
        let now_ns = *due.now_ns.get_or_insert_with(|| due.hub.now_ns());
        let end_ns = self.0.load(Relaxed);
        // An end that is further away than an interval was set when intervals were longer.
        if now_ns < end_ns && end_ns - now_ns <= due.interval_ns {
            due.earliest = Some(due.earliest.map_or(end_ns, |earliest| earliest.min(end_ns)));
            return false;
        }
        self.0.store(now_ns.saturating_add(due.interval_ns), Relaxed);
        true
    }
}
