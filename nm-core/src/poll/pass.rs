//! One pass over the rings, and the wait that comes after it.

use core::task::Waker;

use super::set::{Member, PollSet};
use super::{Interest, PollError, Ready};
use crate::events::hub::Hub;
use crate::events::waiters::Ticket;
use crate::kring::SyncError;
use crate::nic::Armed;
use crate::stats::Direction;

const BOTH: [Direction; 2] = [Direction::Tx, Direction::Rx];

/// What a pass has found.
struct Found {
    ready: Ready,
    /// The first ring that could not be polled.
    error: Option<PollError>,
}

impl Found {
    fn note(&mut self, member: Member<'_>, synced: Result<(), SyncError>) {
        if let Err(cause) = synced
            && self.error.is_none()
        {
            let (direction, ring) = (member.ring.direction(), member.ring.number());
            self.error =
                Some(PollError { port: member.port, direction, ring, cause, ready: Ready::default() });
        }
    }

    /// What the poll is answered with; `None` when there is nothing to say.
    fn outcome(self) -> Option<Result<Ready, PollError>> {
        let Self { ready, error } = self;
        match error {
            Some(error) => Some(Err(PollError { ready, ..error })),
            None => (!ready.is_none()).then_some(Ok(ready)),
        }
    }
}

/// Looks at all rings once, in netmap's order. `None` when nothing that was asked for is ready.
#[doc(alias = "netmap_poll")]
pub(super) fn pass(set: &dyn PollSet, interest: Interest) -> Option<Result<Ready, PollError>> {
    let mut found = Found { ready: Ready::default(), error: None };
    for direction in BOTH {
        set.visit(direction, &mut |member| {
            let gone = if member.ring.cell().is_gone() { Err(SyncError::Gone) } else { Ok(()) };
            found.note(member, gone);
        });
    }
    if found.error.is_some() {
        return found.outcome();
    }
    let wanted = BOTH.map(|direction| {
        let is_asked = interest.contains(Interest::of(direction));
        is_asked && count(set, direction, &mut found.ready) == 0
    });
    for (direction, is_wanted) in BOTH.into_iter().zip(wanted) {
        set.visit(direction, &mut |member| {
            let cell = member.ring.cell();
            if is_wanted {
                found.note(member, cell.sync_if_due());
            } else if member.sends {
                found.note(member, cell.flush());
            }
        });
        if is_wanted {
            count(set, direction, &mut found.ready);
        }
    }
    found.outcome()
}

/// Adds the slots of one direction that were not looked at to `ready`, and returns them.
fn count(set: &dyn PollSet, direction: Direction, ready: &mut Ready) -> u32 {
    let mut slots = 0u32;
    set.visit(direction, &mut |member| slots = slots.saturating_add(member.avail()));
    ready.add(direction, slots);
    slots
}

/// The hub of the rings of a set, if it has any.
pub(super) fn hub_of(set: &dyn PollSet) -> Option<alloc::sync::Arc<Hub>> {
    let mut hub = None;
    for direction in BOTH {
        set.visit(direction, &mut |member| {
            hub.get_or_insert_with(|| member.ring.signals().hub().clone());
        });
    }
    hub
}

/// Whether the caller may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// An interrupt or a waker ends it.
    Sleep,
    /// Nobody would wake it: there may be something by now, or it will not be announced.
    LookAgain,
}

/// Registers `waker` for what is asked for and then arms the rings. Between this and sleeping the caller makes another
/// [`pass`].
pub(super) fn register(set: &dyn PollSet, interest: Interest, ticket: Ticket, waker: &Waker) -> Rest {
    let mut rest = Rest::Sleep;
    visit_asked(set, interest, |member| {
        if let Some(waiters) = member.waiters() {
            waiters.register(ticket, waker);
        }
        // An error of a ring is found by the pass that follows.
        if member.ring.cell().arm() != Ok(Armed::Yes) {
            rest = Rest::LookAgain;
        }
    });
    rest
}

/// Ends the wait: takes the waker out of all lists, and disarms the rings that nobody else waits for.
pub(super) fn cancel(set: &dyn PollSet, interest: Interest, ticket: Ticket) {
    visit_asked(set, interest, |member| {
        if let Some(waiters) = member.waiters() {
            waiters.cancel(ticket);
        }
        let (signals, direction, number) =
            (member.ring.signals(), member.ring.direction(), member.ring.ringid());
        // Who registers arms afterwards, both inside the ring: either its arming comes behind this, or its registration is
        // seen here.
        member.ring.cell().disarm(|| signals.is_idle(direction, number));
    });
}

fn visit_asked(set: &dyn PollSet, interest: Interest, mut visitor: impl FnMut(Member<'_>)) {
    for direction in BOTH.into_iter().filter(|direction| interest.contains(Interest::of(*direction))) {
        set.visit(direction, &mut visitor);
    }
}
