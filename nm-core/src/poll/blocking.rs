//! Polling that keeps the caller until there is something.
//!
//! [`poll`] → [`pass`] → [`Wait::sleep`] → [`register`] → [`pass`] → [`Wait::rest`] → [`Sleeper::sleep`] →
//! [`Hubs::run_pending`] → … → [`cancel`]; on a machine that cannot sleep, [`Wait::spin`] instead.

use core::hint::spin_loop;
use core::task::Waker;

use super::hubs::Hubs;
use super::pass::{Rest, cancel, pass, register};
use super::set::{Entry, PollSet};
use super::{Interest, PollError, Polled, Ready, Timeout};
use crate::events::waiters::Ticket;
use crate::platform::{Sleeper, Slept};
use crate::port::Port;
use crate::raw::RawPort;
use crate::ring::{Ring, Side};

impl Port {
    /// Waits until one of the port's rings has something of `interest`, and says how much all of them have.
    #[doc(alias = "netmap_poll")]
    pub fn poll(&mut self, interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
        poll(Entry { rings: self, interest }, timeout)
    }
}

impl RawPort {
    /// Waits as [`Port::poll`] does.
    pub fn poll(&self, interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
        poll(Entry { rings: self, interest }, timeout)
    }
}

impl<D: Side> Ring<D> {
    /// Waits until the ring has slots that were not looked at, and says how many: 0 when the time is over.
    pub fn poll(&mut self, timeout: Timeout) -> Result<u32, PollError> {
        let ready = poll(Entry { rings: self, interest: Interest::of(D::DIRECTION) }, timeout)?;
        Ok(ready.readable.max(ready.writable))
    }
}

/// Waits until a ring of one of the ports has something of what is waited for there. Says how much all of them have, and
/// in each [`Polled::ready`] what that port has. The ports may belong to several netmaps; the time is that of the first.
pub fn poll_any(ports: &mut [Polled<'_>], timeout: Timeout) -> Result<Ready, PollError> {
    poll(ports, timeout)
}

fn poll(mut set: impl PollSet, timeout: Timeout) -> Result<Ready, PollError> {
    if let Some(outcome) = pass(&mut set) {
        return outcome;
    }
    let Some(hubs) = Hubs::of(&set).filter(|_| timeout != Timeout::Now) else { return Ok(Ready::default()) };
    let deadline_ns = match timeout {
        Timeout::After(time) => {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            hubs.now_ns().checked_add(ns)
        }
        Timeout::Now | Timeout::Never => None,
    };
    let mut wait = Wait { set, hubs: &hubs, deadline_ns };
    match hubs.sleeper() {
        Some(sleeper) => wait.sleep(sleeper),
        None => wait.spin(),
    }
}

/// A wait for the rings of `set`.
struct Wait<'a, S> {
    set: S,
    hubs: &'a Hubs,
    deadline_ns: Option<u64>,
}

impl<S: PollSet> Wait<'_, S> {
    fn is_over(&self) -> bool {
        self.deadline_ns.is_some_and(|deadline| self.hubs.now_ns() >= deadline)
    }

    fn spin(&mut self) -> Result<Ready, PollError> {
        loop {
            let is_over = self.is_over();
            if let Some(outcome) = pass(&mut self.set) {
                return outcome;
            }
            if is_over {
                return Ok(Ready::default());
            }
            self.hubs.run_pending();
            spin_loop();
        }
    }

    fn sleep(&mut self, sleeper: &dyn Sleeper) -> Result<Ready, PollError> {
        let (ticket, waker) = (self.hubs.ticket(), sleeper.waker());
        let outcome = loop {
            let wakes = self.hubs.wakes();
            let rest = register(&self.set, ticket, &waker);
            let is_over = self.is_over();
            if let Some(outcome) = pass(&mut self.set) {
                break outcome;
            }
            if is_over {
                break Ok(Ready::default());
            }
            if rest == Rest::Sleep && self.rest(sleeper, ticket, &waker, wakes) == Slept::Interrupted {
                break Ok(Ready::default());
            }
            self.hubs.run_pending();
        };
        cancel(&self.set, ticket);
        outcome
    }

    /// Sleeps until a waiter is woken, or the time is over. `wakes` is the count from before the registration. An
    /// interrupt that wakes no waiter, because its ring's interval is not over, moves the end of the sleep instead.
    fn rest(&self, sleeper: &dyn Sleeper, ticket: Ticket, waker: &Waker, wakes: u32) -> Slept {
        let is_woken = || self.hubs.wakes() != wakes;
        let slept = loop {
            self.hubs.register_sleeper(ticket, waker);
            let due_ns = self.hubs.next_due_ns();
            let is_due = || self.hubs.has_pending() || is_woken() || self.hubs.next_due_ns() != due_ns;
            let until_ns = [self.deadline_ns, due_ns].into_iter().flatten().min();
            let slept = sleeper.sleep(&is_due, until_ns);
            self.hubs.run_pending();
            if slept == Slept::Interrupted || is_woken() || self.is_over() {
                break slept;
            }
        };
        self.hubs.cancel_sleeper(ticket);
        slept
    }
}
