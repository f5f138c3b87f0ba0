//! Counters: what each ring moved, and why it did not move the rest.
//!
//! Each counter has one writer at a time: who syncs the ring, and for the drops of a host receive ring who holds the
//! lock of its queue. It is a relaxed atomic, so that
//! any reader may read it at any time without disturbing the writer; two counters read together may be a sync apart.
//! Interrupts are counted by handlers, beside the pending word that they write.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use nm_driver::Direction;

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

    /// Adds 1, from wherever: a locked addition.
    #[inline]
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Takes over a count that is kept elsewhere.
    #[inline]
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

/// What is at the other end of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingKind {
    /// The card.
    Hardware,
    /// The host stack: see [`host`](crate::host).
    #[doc(alias("NETMAP_SW_RING", "NR_REG_SW"))]
    Host,
}

impl RingKind {
    /// What the console has in front of a ring's direction and number.
    pub(crate) fn console_prefix(self) -> &'static str {
        match self {
            Self::Hardware => "",
            Self::Host => "host-",
        }
    }
}

/// Which ring, as the console has it.
#[derive(Debug, Clone)]
pub(crate) struct RingName {
    pub(crate) interface: Arc<str>,
    pub(crate) kind: RingKind,
    pub(crate) direction: Direction,
    /// Number of the ring among those of its interface, kind and direction.
    pub(crate) number: u16,
}

impl fmt::Display for RingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, kind, direction, number } = self;
        write!(f, "{interface} {}{direction}{number}", kind.console_prefix())
    }
}

/// The counters of one ring. Aligned so that the rings of two cores share no cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RingCounters {
    /// Frames moved: received, or submitted to the card.
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
    /// Receive: frames that no port had taken in, dropped when the next one opened the ring.
    pub drop_unbound: Counter,
    /// Transmit: of the frames moved, those that the card had not reported as sent when it was reset.
    pub drop_reset: Counter,
    /// Transmit: slots with an impossible buffer or length, dropped.
    pub drop_invalid: Counter,
    /// Transmit: syncs that ended early because the device's queue was full.
    pub full: Counter,
    /// Completions that made no sense and were ignored.
    pub refused: Counter,
    /// Frames that are longer than the MTU allows, dropped. Receive: also those that do not fit into a buffer, or into as many
    /// slots as a frame may have.
    pub drop_long: Counter,
    /// Host receive: frames for which ring and queue had no room, dropped.
    pub drop_full: Counter,
    /// Host receive: frames that wanted an offload, dropped.
    pub drop_offload: Counter,
    /// Host receive: frames for a ring that no port has, dropped.
    pub drop_unread: Counter,
    /// Frames that the other side did not take: the host stack one that went up, the card one that was to go down.
    pub drop_refused: Counter,
    /// Frames that went to the other side in transparent mode.
    pub forwarded: Counter,
    /// Times that the ring was initialised again because its indices were impossible.
    #[doc(alias = "netmap_ring_reinit")]
    pub reinit: Counter,
    /// Slots that named no buffer, or more bytes than one has, when that happened.
    pub bad_slots: Counter,
}

/// The counters of one ring with its name; `Display` is the line that the console prints.
#[derive(Debug, Clone)]
pub struct RingReport {
    /// Name of the interface.
    pub interface: String,
    /// What is at the other end.
    pub kind: RingKind,
    /// Which way the ring carries.
    pub direction: Direction,
    /// Number of the ring among those of its interface, kind and direction.
    pub ring: u16,
    /// Live counters.
    pub counters: Arc<RingCounters>,
    /// Interrupts of the card for this ring until the report was made, of those that were netmap's; 0 for a host ring.
    pub interrupts: u64,
}

impl fmt::Display for RingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &*self.counters;
        write!(f, "{} {}{}{}", self.interface, self.kind.console_prefix(), self.direction, self.ring)?;
        let moved = [("packets", &c.packets), ("bytes", &c.bytes), ("syncs", &c.syncs)];
        moved.into_iter().try_for_each(|entry| put(f, entry))?;
        match (self.kind, self.direction) {
            (RingKind::Hardware, _) => self.hardware(f, c),
            (RingKind::Host, Direction::Tx) => {
                [("drop_invalid", &c.drop_invalid), ("drop_refused", &c.drop_refused)]
                    .into_iter()
                    .try_for_each(|entry| put(f, entry))
            }
            (RingKind::Host, Direction::Rx) => host_rx(f, c),
        }?;
        if c.reinit.get() > 0 {
            put(f, ("reinit", &c.reinit))?;
            put(f, ("bad_slots", &c.bad_slots))?;
        }
        Ok(())
    }
}

impl RingReport {
    /// What only rings of cards count. Frames lost by a reset or too long, and transparent mode, are mentioned where they happened.
    fn hardware(&self, f: &mut fmt::Formatter<'_>, c: &RingCounters) -> fmt::Result {
        put(f, ("kicks", &c.kicks))?;
        write!(f, " interrupts={}", self.interrupts)?;
        match self.direction {
            Direction::Rx => {
                put(f, ("drop_short", &c.drop_short))?;
                put(f, ("drop_error", &c.drop_error))?;
                put(f, ("drop_unbound", &c.drop_unbound))?;
            }
            Direction::Tx => {
                put(f, ("drop_invalid", &c.drop_invalid))?;
                put(f, ("full", &c.full))?;
            }
        }
        put(f, ("refused", &c.refused))?;
        for rare in [("drop_long", &c.drop_long), ("drop_reset", &c.drop_reset)] {
            if rare.1.get() > 0 {
                put(f, rare)?;
            }
        }
        if c.forwarded.get() > 0 || c.drop_refused.get() > 0 {
            put(f, ("forwarded", &c.forwarded))?;
            put(f, ("drop_refused", &c.drop_refused))?;
        }
        Ok(())
    }
}

/// What only host receive rings count.
fn host_rx(f: &mut fmt::Formatter<'_>, c: &RingCounters) -> fmt::Result {
    let entries = [
        ("drop_short", &c.drop_short),
        ("drop_long", &c.drop_long),
        ("drop_full", &c.drop_full),
        ("drop_offload", &c.drop_offload),
        ("drop_unread", &c.drop_unread),
        ("drop_unbound", &c.drop_unbound),
        ("drop_refused", &c.drop_refused),
        ("forwarded", &c.forwarded),
    ];
    entries.into_iter().try_for_each(|entry| put(f, entry))
}

fn put(f: &mut fmt::Formatter<'_>, (name, counter): (&str, &Counter)) -> fmt::Result {
    write!(f, " {name}={}", counter.get())
}
