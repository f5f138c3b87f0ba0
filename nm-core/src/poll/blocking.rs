//! Polling that keeps the caller until there is something.

use core::hint::spin_loop;

use super::pass::{Rest, cancel, hub_of, pass, register};
use super::set::PollSet;
use super::{Interest, PollError, Ready, Timeout};
use crate::events::hub::Hub;
use crate::platform::Sleeper;
use crate::port::Port;
use crate::raw::RawPort;
use crate::ring::{Ring, Side};

impl Port {
    /// Waits until one of the port's rings has something of `interest`, and says how much all of them have.
    #[doc(alias = "netmap_poll")]
    pub fn poll(&mut self, interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
        poll(self, interest, timeout)
    }
}

impl RawPort {
    /// Waits as [`Port::poll`] does.
    pub fn poll(&self, interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
        poll(self, interest, timeout)
    }
}

impl<D: Side> Ring<D> {
    /// Waits until the ring has slots that were not looked at, and says how many: 0 when the time is over.
    pub fn poll(&mut self, timeout: Timeout) -> Result<u32, PollError> {
        let ready = poll(self, Interest::of(D::DIRECTION), timeout)?;
        Ok(ready.readable.max(ready.writable))
    }
}

/// Waits until a ring of one of the ports has something of `interest`, and says how much all of them have. All ports
/// belong to one [`Netmap`](crate::Netmap).
pub fn poll_any(ports: &mut [&mut Port], interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
    poll(&ports, interest, timeout)
}

fn poll(set: &dyn PollSet, interest: Interest, timeout: Timeout) -> Result<Ready, PollError> {
    if let Some(outcome) = pass(set, interest) {
        return outcome;
    }
    let Some(hub) = hub_of(set).filter(|_| timeout != Timeout::Now) else { return Ok(Ready::default()) };
    let deadline_ns = match timeout {
        Timeout::After(time) => {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            hub.now_ns().checked_add(ns)
        }
        Timeout::Now | Timeout::Never => None,
    };
    let wait = Wait { set, interest, hub: &hub, deadline_ns };
    match hub.sleeper() {
        Some(sleeper) => wait.sleep(sleeper),
        None => wait.spin(),
    }
}

/// A wait for the rings of `set`.
struct Wait<'a> {
    set: &'a dyn PollSet,
    interest: Interest,
    hub: &'a Hub,
    deadline_ns: Option<u64>,
}

impl Wait<'_> {
    fn is_over(&self) -> bool {
        self.deadline_ns.is_some_and(|deadline| self.hub.now_ns() >= deadline)
    }

    fn spin(&self) -> Result<Ready, PollError> {
        loop {
            let is_over = self.is_over();
            if let Some(outcome) = pass(self.set, self.interest) {
                return outcome;
            }
            if is_over {
                return Ok(Ready::default());
            }
            self.hub.run_pending();
            spin_loop();
        }
    }

    fn sleep(&self, sleeper: &dyn Sleeper) -> Result<Ready, PollError> {
        let (ticket, waker) = (self.hub.ticket(), sleeper.waker());
        let outcome = loop {
            let wakes = self.hub.wakes();
            let rest = register(self.set, self.interest, ticket, &waker);
            let is_over = self.is_over();
            if let Some(outcome) = pass(self.set, self.interest) {
                break outcome;
            }
            if is_over {
                break Ok(Ready::default());
            }
            if rest == Rest::Sleep {
                let is_due = || self.hub.has_pending() || self.hub.wakes() != wakes;
                sleeper.sleep(&is_due, self.deadline_ns);
            }
            self.hub.run_pending();
        };
        cancel(self.set, self.interest, ticket);
        outcome
    }
}
