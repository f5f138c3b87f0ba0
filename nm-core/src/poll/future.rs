//! Polling as a future.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::hubs::Hubs;
use super::pass::{Rest, cancel, pass, register};
use super::set::{Entry, Rings};
use super::{Interest, PollError, Ready};
use crate::events::waiters::Ticket;
use crate::port::Port;
use crate::raw::RawPort;
use crate::ring::{Ring, Side};

impl Port {
    /// Completes when one of the port's rings has something of `interest`.
    pub fn ready(&mut self, interest: Interest) -> Readiness<'_> {
        Readiness::new(self, interest)
    }
}

impl RawPort {
    /// Completes as for [`Port::ready`].
    pub fn ready(&self, interest: Interest) -> Readiness<'_> {
        Readiness::new(self, interest)
    }
}

impl<D: Side> Ring<D> {
    /// Completes when the ring has slots that were not looked at.
    pub fn ready(&mut self) -> Readiness<'_> {
        Readiness::new(self, Interest::of(D::DIRECTION))
    }
}

/// A wait for rings, as a future; it completes with what they have, never with nothing. Dropping it ends the wait.
///
/// It is woken by [`Netmap::run_pending`](crate::Netmap::run_pending), which the machine has to call after interrupts. On a
/// machine that takes none, it asks to be polled again at once.
///
/// The waker stays registered until the wait ends. If it owns the future, and the future owns the port, as a task of an
/// executor does, then the executor has to drop the tasks that it does not run to their end: they keep each other otherwise.
#[must_use = "futures do nothing unless they are polled"]
pub struct Readiness<'a> {
    entry: Entry<'a>,
    /// From the first registration on.
    waiting: Option<(Hubs, Ticket)>,
}

impl<'a> Readiness<'a> {
    fn new(rings: &'a dyn Rings, interest: Interest) -> Self {
        Self { entry: Entry { rings, interest }, waiting: None }
    }

    /// Registers `waker`, if an interrupt can wake it.
    fn register(&mut self, waker: &Waker) -> Rest {
        let Self { entry, waiting } = self;
        if waiting.is_none() {
            *waiting = Hubs::of(entry).map(|hubs| {
                let ticket = hubs.ticket();
                (hubs, ticket)
            });
        }
        match waiting {
            Some((hubs, ticket)) if hubs.sleeper().is_some() => register(entry, *ticket, waker),
            _ => Rest::LookAgain,
        }
    }

    fn end(&mut self) {
        if let Some((_, ticket)) = self.waiting.take() {
            cancel(&self.entry, ticket);
        }
    }
}

impl Future for Readiness<'_> {
    type Output = Result<Ready, PollError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = pass(&mut self.entry);
        if outcome.is_none() {
            let rest = self.register(context.waker());
            outcome = pass(&mut self.entry);
            if outcome.is_none() && rest == Rest::LookAgain {
                context.waker().wake_by_ref();
            }
        }
        let Some(outcome) = outcome else { return Poll::Pending };
        self.end();
        Poll::Ready(outcome)
    }
}

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("interest", &self.entry.interest).finish_non_exhaustive()
    }
}
