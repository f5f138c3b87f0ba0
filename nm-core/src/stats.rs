//! Counters: what each ring moved, and why it did not move the rest.
//!
//! Each counter has one writer, the owner of the ring, which adds once per sync. It is a relaxed atomic, so that
//! anybody may read it at any time without disturbing the writer; two counters read together may be a sync apart.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows, with a single writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Adds `n`. Load and store, not a locked addition: there is one writer.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes over a count that is kept elsewhere.
    #[inline]
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

/// Which way a ring carries frames, seen from the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the application to the wire.
    Tx,
    /// From the wire to the application.
    Rx,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tx => "tx",
            Self::Rx => "rx",
        })
    }
}

/// The counters of one ring. Aligned so that the rings of two cores share no cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RingCounters {
    /// Frames moved.
    pub packets: Counter,
    /// Bytes of those frames, without CRC.
    pub bytes: Counter,
    /// Calls of txsync or rxsync.
    pub syncs: Counter,
    /// Doorbells rung.
    pub kicks: Counter,
    /// Receive: frames shorter than an Ethernet header, dropped.
    pub drop_short: Counter,
    /// Receive: buffers that the device reported as damaged, dropped.
    pub drop_error: Counter,
    /// Receive: frames that arrived while no port had the ring, dropped when one opened it.
    pub drop_unbound: Counter,
    /// Transmit: slots with an impossible buffer or length, dropped.
    pub drop_invalid: Counter,
    /// Transmit: syncs that ended early because the device's queue was full.
    pub full: Counter,
    /// Completions that made no sense and were ignored.
    pub refused: Counter,
}

/// The counters of one ring with its name; `Display` is the line that the console prints.
#[derive(Debug, Clone)]
pub struct RingReport {
    /// Name of the interface.
    pub interface: String,
    /// Which way the ring carries.
    pub direction: Direction,
    /// Number of the ring on its interface.
    pub ring: u16,
    /// Live counters.
    pub counters: Arc<RingCounters>,
}

impl fmt::Display for RingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counters;
        write!(f, "{} {}{}", self.interface, self.direction, self.ring)?;
        let mut put = |name: &str, counter: &Counter| write!(f, " {name}={}", counter.get());
        put("packets", &c.packets)?;
        put("bytes", &c.bytes)?;
        put("syncs", &c.syncs)?;
        put("kicks", &c.kicks)?;
        match self.direction {
            Direction::Rx => {
                put("drop_short", &c.drop_short)?;
                put("drop_error", &c.drop_error)?;
                put("drop_unbound", &c.drop_unbound)?;
            }
            Direction::Tx => {
                put("drop_invalid", &c.drop_invalid)?;
                put("full", &c.full)?;
            }
        }
        put("refused", &c.refused)
    }
}
