//! When driver and device tell each other that something happened (sections 2.8.10, 2.8.14, 2.8.21).
//!
//! Each direction is the same protocol: one side writes descriptors, then decides whether to notify; the other says
//! when it wants to be notified, then looks at the ring once more before it sleeps. Both put a full fence between
//! their store and their load. Of two such pairs at least one load sees the other side's store:
//!
//! | publisher (here: [`PackedQueue::ring_doorbell`])      | sleeper (here: [`PackedQueue::arm`])      |
//! |----------------------------------------------|------------------------------------------------------------|
//! | store the flags of descriptors               | store the event suppression structure                      |
//! | full fence                                   | full fence                                                 |
//! | load the event suppression structure: notify? | load the flags of descriptors: used? then do not sleep    |
//!
//! Without either fence both loads can be early: nobody notifies, and the sleeper sleeps on.

use core::sync::atomic::{Ordering, fence};

use super::layout::{PackedMemory, Suppression};
use super::{Direction, Events, PackedQueue};

/// Always (`RING_EVENT_FLAGS_ENABLE`, section 2.8.10).
const ENABLE: u16 = 0;
/// Never (`RING_EVENT_FLAGS_DISABLE`).
const DISABLE: u16 = 1;
/// When a certain place is reached (`RING_EVENT_FLAGS_DESC`).
const AT_PLACE: u16 = 2;
/// The bits that say which. The others are reserved.
const WHICH: u16 = 3;

impl<D: Direction> PackedQueue<D> {
    /// Rings the doorbell for what was posted if the device wants it. Returns whether it rang. To be called at least once for
    /// 65535 buffers, as they are counted modulo 65536.
    #[inline]
    pub(super) fn ring_doorbell(&mut self) -> bool {
        let (old, new) = (self.kicked, self.next_avail);
        if old == new {
            return false;
        }
        self.kicked = new;
        let is_wanted = is_doorbell_wanted(&self.ring, self.events, old, new);
        if is_wanted {
            self.notifier.notify();
        }
        is_wanted
    }
}

impl<D: Direction> PackedQueue<D> {
    /// Asks the device for an interrupt after `completions` more; `false` when they are there already.
    ///
    /// They are there when the place of the last is used and that of the first, too, so that whoever takes them gets on,
    /// whatever a device writes. Only for a moment may an honest one have used the last and not the first (section 2.8.12),
    /// before it thinks of the interrupt for both.
    pub(super) fn arm(&mut self, completions: u16) -> bool {
        let (ahead, flags) = match self.events {
            Events::Index => (completions.saturating_sub(1), AT_PLACE),
            Events::Flag => (0, ENABLE),
        };
        let last = self.next_used.wrapping_add(ahead);
        self.ring.write_driver_event(Suppression { place: self.ring.laps().event(last), flags });
        // The event suppression that was just stored before the flags that are loaded next; see the module.
        fence(Ordering::SeqCst);
        let is_posted = ahead < self.next_avail.wrapping_sub(self.next_used);
        let is_used = |place| self.ring.used_id(place).is_some();
        !(is_posted && is_used(self.next_used) && is_used(last))
    }
}

impl PackedMemory {
    /// Asks the device for no interrupts.
    pub(super) fn disable_interrupts(&self) {
        self.write_driver_event(Suppression { place: 0, flags: DISABLE });
    }
}

/// Whether the device wants a doorbell for the places from `old` to `new`, which have just been made available. One that names
/// a place though that was not negotiated, or writes what is reserved, is rung for.
#[inline]
pub(super) fn is_doorbell_wanted(ring: &PackedMemory, events: Events, old: u16, new: u16) -> bool {
    // The flags that were just stored before the event suppression that is loaded next; see the module.
    fence(Ordering::SeqCst);
    let Suppression { place, flags } = ring.device_event();
    match (flags & WHICH, events) {
        (DISABLE, _) => false,
        (AT_PLACE, Events::Index) => ring.laps().has_passed(place, old, new),
        _ => true,
    }
}
