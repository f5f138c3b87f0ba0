//! Waiting for frames, or for room: over one ring, one port, or several.
//!
//! | way | all rings of a port | several ports | one ring |
//! |---|---|---|---|
//! | blocking | [`Port::poll`], [`RawPort::poll`] | [`poll_any`] | [`Ring::poll`] |
//! | `.await` | [`Port::ready`], [`RawPort::ready`] | the tools of an executor | [`Ring::ready`] |
//!
//! A ring is ready when the application has slots that it has not looked at: those of `[cur, tail)`, of which there are
//! [`avail`](crate::ring::Ring::avail). [`Ready`] counts them, which is the data of netmap's kevents.
//!
//! One pass over a port is netmap's:
//!
//! | step | what |
//! |---|---|
//! | 1 | a ring whose interface has disappeared ends the poll |
//! | 2 | if room is asked for, the windows of the transmit rings are looked at, without entering any; room in one of them is enough |
//! | 3 | if room is asked for and there is none, all transmit rings are synced. Otherwise those are in which slots wait to be sent, unless the port is [`without_tx_poll`](Port::without_tx_poll) |
//! | 4 | if frames are asked for, each receive ring is synced that has none for the application, or of which it has released slots. In transparent mode (see [`host`](crate::host#transparent-mode)) what was released is carried on: up to the stack, and down to the card if the port has all rings of both. The time of the sync is written to the ring (see [`RxRing::timestamp`](crate::RxRing::timestamp)) unless the tunable `no_timestamp` says not to and the ring does not ask for it |
//!
//! When nothing is ready, the waiter registers, the cards are armed, and the pass is made once more: only then does
//! the caller sleep. Why that loses no wake-up is told in [`events`](crate::events). A port that has all rings of its
//! card, and more than one, waits for the card; any other waits for each of its rings. Host rings are waited for one by
//! one: the stack wakes who waits. On a machine that takes no interrupts, or with a card that gives none, waiting is one
//! pass after another.
//!
//! Ports are bound from the moment they are opened, and in netmap mode. What netmap answers for a file that is bound to
//! nothing is [`ctl::Descriptor`](crate::ctl::Descriptor)'s to answer.

mod blocking;
mod future;
mod hubs;
mod pass;
mod set;

#[cfg(all(test, loom))]
mod loom_tests;

use core::fmt;
use core::time::Duration;

use bitflags::bitflags;

use crate::kring::SyncError;
use crate::stats::{Direction, RingKind};

pub use blocking::poll_any;
pub use future::Readiness;

use crate::Port;
#[cfg(doc)]
use crate::{raw::RawPort, ring::Ring};

bitflags! {
    /// What is waited for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Interest: u8 {
        /// Frames that have arrived.
        #[doc(alias("POLLIN", "EVFILT_READ"))]
        const READABLE = 1;
        /// Room for frames to be sent.
        #[doc(alias("POLLOUT", "EVFILT_WRITE"))]
        const WRITABLE = 2;
    }
}

impl Interest {
    /// What is waited for on rings of this direction.
    pub(crate) fn of(direction: Direction) -> Self {
        match direction {
            Direction::Tx => Self::WRITABLE,
            Direction::Rx => Self::READABLE,
        }
    }
}

/// A port that is polled together with others ([`poll_any`]), and what is waited for on it.
#[doc(alias = "pollfd")]
#[derive(Debug)]
pub struct Polled<'a> {
    /// The port.
    pub port: &'a mut Port,
    /// What is waited for.
    #[doc(alias = "events")]
    pub interest: Interest,
    /// The answer: what of it the port has.
    #[doc(alias = "revents")]
    pub ready: Ready,
}

impl<'a> Polled<'a> {
    /// Waits for `interest` on `port`.
    pub fn new(port: &'a mut Port, interest: Interest) -> Self {
        Self { port, interest, ready: Ready::default() }
    }
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// One pass, and back.
    Now,
    /// No longer than this.
    After(Duration),
    /// Until something is ready or wrong.
    Never,
}

/// What is ready: how many slots were not looked at, over all rings that were polled. Nothing, when the time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// Slots with frames that have arrived, if that was asked for.
    pub readable: u32,
    /// Slots with room for frames to be sent, if that was asked for.
    pub writable: u32,
}

impl Ready {
    /// Whether there is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, direction: Direction, slots: u32) {
        let sum = match direction {
            Direction::Tx => &mut self.writable,
            Direction::Rx => &mut self.readable,
        };
        *sum = sum.saturating_add(slots);
    }
}

/// A ring could not be polled. The others were, and `ready` says what they have.
#[doc(alias = "POLLERR")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollError {
    /// Place of the port among those that were polled; 0 when there is one.
    pub port: usize,
    /// Which way the ring carries.
    pub direction: Direction,
    /// What is at its other end.
    pub kind: RingKind,
    /// Number of the ring among those of its kind.
    pub ring: u16,
    /// What is wrong with it.
    pub cause: SyncError,
    /// What is ready elsewhere.
    pub ready: Ready,
}

impl PollError {
    /// The number that netmap gives for a sync that fails so.
    pub fn errno(&self) -> i32 {
        self.cause.errno()
    }
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}: {}", self.kind.console_prefix(), self.direction, self.ring, self.cause)
    }
}

impl core::error::Error for PollError {}
