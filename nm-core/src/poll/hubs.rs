//! The hubs that a wait depends on: one for each netmap that its rings belong to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Waker;

use super::pass::BOTH;
use super::set::PollSet;
use crate::events::hub::Hub;
use crate::events::waiters::Ticket;
use crate::platform::Sleeper;

/// The hubs of a set. Mostly there is one, and then nothing is allocated.
pub(super) struct Hubs {
    first: Arc<Hub>,
    others: Vec<Arc<Hub>>,
}

impl Hubs {
    /// The hubs of all ports and rings of `set`; `None` if it has no port. A ring may be of another netmap than its port,
    /// as safe code can exchange rings.
    pub(super) fn of(set: &impl PollSet) -> Option<Self> {
        let mut hubs: Option<Self> = None;
        let mut note = |hub: &Arc<Hub>| match &mut hubs {
            Some(hubs) if hubs.iter().any(|known| Arc::ptr_eq(known, hub)) => {}
            Some(hubs) => hubs.others.push(hub.clone()),
            None => hubs = Some(Self { first: hub.clone(), others: Vec::new() }),
        };
        for entry in set.entries() {
            note(entry.rings.hub());
            for direction in BOTH {
                entry.rings.visit(direction, &mut |member| note(member.ring.signals().hub()));
            }
        }
        hubs
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Hub>> {
        core::iter::once(&self.first).chain(&self.others)
    }

    /// A ticket that no list of any hub has.
    pub(super) fn ticket(&self) -> Ticket {
        self.first.ticket()
    }

    /// The time on the machine of the first port.
    pub(super) fn now_ns(&self) -> u64 {
        self.first.now_ns()
    }

    /// How to sleep: as on the machine of the first port, if all of them take interrupts.
    pub(super) fn sleeper(&self) -> Option<&dyn Sleeper> {
        let can_sleep = self.others.iter().all(|hub| hub.sleeper().is_some());
        self.first.sleeper().filter(|_| can_sleep)
    }

    /// Whether any ring's pending word may be set.
    pub(super) fn has_pending(&self) -> bool {
        self.iter().any(|hub| hub.has_pending())
    }

    /// Turns pending words into wake-ups.
    pub(super) fn run_pending(&self) {
        self.iter().for_each(|hub| _ = hub.run_pending());
    }

    /// How many wakers were called, modulo 2^32. Changed: some waiter was woken.
    pub(super) fn wakes(&self) -> u32 {
        self.iter().fold(0, |sum, hub| sum.wrapping_add(hub.wakes().get()))
    }

    /// When words that wait for the end of an interval are to be looked at.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.iter().filter_map(|hub| hub.next_due_ns()).min()
    }

    /// Notes that the caller is about to sleep until [`next_due_ns`](Self::next_due_ns).
    pub(super) fn register_sleeper(&self, ticket: Ticket, waker: &Waker) {
        self.iter().for_each(|hub| hub.sleepers().register(ticket, waker));
    }

    /// Ends what [`register_sleeper`](Self::register_sleeper) began.
    pub(super) fn cancel_sleeper(&self, ticket: Ticket) {
        self.iter().for_each(|hub| hub.sleepers().cancel(ticket));
    }
}
