//! One pass over the rings, and the wait that comes after it.
//!
//! [`pass`] → [`pass_one`] → [`transmit`] → [`receive`] → [`count`]; nothing is ready → [`register`] → [`pass`] → sleep →
//! … → [`cancel`].

use core::task::Waker;

use super::set::{Entry, Member, PollSet};
use super::{Interest, PollError, Ready};
use crate::events::waiters::Ticket;
use crate::host::forward::{self, Look};
use crate::kring::SyncError;
use crate::nic::Armed;
use crate::stats::Direction;

pub(super) const BOTH: [Direction; 2] = [Direction::Tx, Direction::Rx];

/// What a pass has found.
#[derive(Default)]
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
            let (direction, kind, ring) = (member.ring.direction(), member.ring.kind(), member.ring.number());
            self.error = Some(PollError { port: 0, direction, kind, ring, cause, ready: Ready::default() });
        }
    }

    /// Adds what was found for the port at place `port`.
    fn add(&mut self, port: usize, other: Self) {
        self.ready.readable = self.ready.readable.saturating_add(other.ready.readable);
        self.ready.writable = self.ready.writable.saturating_add(other.ready.writable);
        self.error = self.error.or(other.error.map(|error| PollError { port, ..error }));
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

/// Looks at all rings once, port by port, in netmap's order. `None` when nothing that was asked for is ready.
#[doc(alias = "netmap_poll")]
pub(super) fn pass(set: &mut impl PollSet) -> Option<Result<Ready, PollError>> {
    let mut found = Found::default();
    let mut at = 0;
    while let Some(entry) = set.entry(at) {
        let here = pass_one(entry);
        set.note(at, here.ready);
        found.add(at, here);
        at += 1;
    }
    found.outcome()
}

/// A pass over the rings of one port.
fn pass_one(entry: Entry<'_>) -> Found {
    let mut found = Found::default();
    for direction in BOTH {
        entry.rings.visit(direction, &mut |member| {
            let gone = if member.ring.cell().is_gone() { Err(SyncError::Gone) } else { Ok(()) };
            found.note(member, gone);
        });
    }
    if found.error.is_some() {
        return found;
    }
    let [asks_tx, asks_rx] = BOTH.map(|direction| entry.interest.contains(Interest::of(direction)));
    // Room in one ring is room enough: then only pending slots are sent.
    let wants_tx = asks_tx && count(entry, Direction::Tx, &mut found.ready) == 0;
    if wants_tx || entry.rings.sends() {
        transmit(entry, wants_tx, &mut found);
    }
    if asks_rx {
        receive(entry, &mut found);
    }
    found
}

/// Syncs the transmit rings: all of them if room is wanted, else those with slots that wait to be sent.
fn transmit(entry: Entry<'_>, is_wanted: bool, found: &mut Found) {
    entry.rings.visit(Direction::Tx, &mut |member| {
        let cell = member.ring.cell();
        found.note(member, if is_wanted { cell.sync_if_due() } else { cell.flush() });
    });
    if is_wanted {
        count(entry, Direction::Tx, &mut found.ready);
    }
}

/// Syncs the receive rings that have nothing for the application, or that it has released slots of: frames that it has not
/// looked at on one ring must keep neither the other rings from being served nor buffers from the card. In transparent
/// mode released frames are carried on.
fn receive(entry: Entry<'_>, found: &mut Found) {
    let card_tx = entry.rings.card_tx();
    let mut now_ns = None;
    entry.rings.visit(Direction::Rx, &mut |member| {
        match needs_rxsync(member) {
            Ok(true) => found.note(member, forward::rxsync(member.ring, card_tx, Look::IfDue)),
            Ok(false) => return,
            Err(error) => found.note(member, Err(error)),
        }
        if member.ring.is_stamped_in_poll() {
            member.ring.stamp(*now_ns.get_or_insert_with(|| member.ring.signals().hub().now_ns()));
        }
    });
    count(entry, Direction::Rx, &mut found.ready);
}

/// Whether a receive ring is to be synced. A ring with frames that were not looked at is ready whatever happens to it: if
/// another thread is in it, or it is being reset, released slots wait for the next pass.
fn needs_rxsync(member: Member<'_>) -> Result<bool, SyncError> {
    if member.avail() == 0 {
        return Ok(true);
    }
    match member.ring.cell().has_given() {
        Err(SyncError::Busy | SyncError::Stopped) => Ok(false),
        given => given,
    }
}

/// Adds the slots of one direction that were not looked at to `ready`, and returns them.
fn count(entry: Entry<'_>, direction: Direction, ready: &mut Ready) -> u32 {
    let mut slots = 0u32;
    entry.rings.visit(direction, &mut |member| slots = slots.saturating_add(member.avail()));
    ready.add(direction, slots);
    slots
}

/// Whether the caller may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// An interrupt or a waker ends it.
    Sleep,
    /// Nothing would wake it: there may be something by now, or it will not be announced.
    LookAgain,
}

/// Registers `waker` for what is asked for and then arms the rings. Between this and sleeping the caller makes another
/// [`pass`].
pub(super) fn register(set: &impl PollSet, ticket: Ticket, waker: &Waker) -> Rest {
    let mut rest = Rest::Sleep;
    visit_asked(set, |member| {
        match member.waiters() {
            Some(waiters) => waiters.register(ticket, waker),
            None => rest = Rest::LookAgain,
        }
        // An error of a ring is found by the pass that follows.
        if member.ring.cell().arm() != Ok(Armed::Yes) {
            rest = Rest::LookAgain;
        }
    });
    rest
}

/// Ends the wait: takes the waker out of all lists, and disarms the rings without another waiter.
pub(super) fn cancel(set: &impl PollSet, ticket: Ticket) {
    visit_asked(set, |member| {
        if let Some(waiters) = member.waiters() {
            waiters.cancel(ticket);
        }
        let (signals, kind, direction, number) =
            (member.ring.signals(), member.ring.kind(), member.ring.direction(), member.ring.number());
        // Who registers arms afterwards, both inside the ring: either its arming comes behind this, or its registration is
        // seen here.
        member.ring.cell().disarm(|| signals.is_idle(kind, direction, number));
    });
}

fn visit_asked(set: &impl PollSet, mut visitor: impl FnMut(Member<'_>)) {
    for entry in set.entries() {
        let is_asked = |direction: &Direction| entry.interest.contains(Interest::of(*direction));
        for direction in BOTH.into_iter().filter(is_asked) {
            entry.rings.visit(direction, &mut visitor);
        }
    }
}
