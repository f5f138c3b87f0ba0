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
//! Without either fence both loads can be early: neither side notifies, and the sleeper sleeps on.
//!
//! A device may name the place at which it wants the doorbell. That is not waited for: it rings for what is posted until the
//! device wants none, and one too many does no harm. QEMU (7.2, its network card) names a place that it has already, goes on
//! behind it by itself, even by a whole turn, and then waits for a notification at a stale place.

use core::sync::atomic::{Ordering, fence};

use super::layout::{PackedMemory, Suppression};
use super::place::RingPosition;
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
    /// Rings the doorbell for what was posted if the device wants it. Returns whether it rang.
    #[inline]
    pub(super) fn ring_doorbell(&mut self) -> bool {
        let new = self.next_avail;
        if self.kicked == new {
            return false;
        }
        self.kicked = new;
        let is_wanted = !self.is_broken && is_doorbell_wanted(&self.ring);
        if is_wanted {
            self.notifier.notify();
        }
        is_wanted
    }
}

impl<D: Direction> PackedQueue<D> {
    /// Asks the device for an interrupt after `completions` more, or all that are posted; `false` when they are there already.
    ///
    /// They are there when the place of the last is used and that of the first, too, so that the driver can take them all. A device
    /// may use the last before the first (section 2.8.12), and may have thought of the interrupt by then: so it is asked for one
    /// at the first.
    pub(super) fn arm(&mut self, completions: u16) -> bool {
        let (posted, last) = self.last_of(completions);
        let first = self.next_used;
        self.ask_at(last);
        if posted == 0 || !self.is_used(last) {
            return true;
        }
        if self.is_used(first) {
            return false;
        }
        self.ask_at(first);
        !self.is_used(first)
    }

    /// How many places are posted and not used, and the last of so many `completions` in them, as far as events have places.
    fn last_of(&self, completions: u16) -> (u32, RingPosition) {
        let layout = self.ring.layout();
        let posted = layout.count(self.next_used, self.next_avail);
        let ahead = match self.events {
            Events::Index => u32::from(completions).min(posted).saturating_sub(1),
            Events::Flag => 0,
        };
        (posted, layout.skip(self.next_used, ahead))
    }

    /// Asks the device for an interrupt, at this place where it knows places; what is looked at next is looked at after that.
    fn ask_at(&self, place: RingPosition) {
        let flags = if self.events == Events::Index { AT_PLACE } else { ENABLE };
        self.ring.write_driver_event(Suppression { place: self.ring.layout().event(place), flags });
        // The event suppression that was just stored before the flags that are loaded next; see the module.
        fence(Ordering::SeqCst);
    }

    /// Whether the device has used a place of this queue.
    fn is_used(&self, place: RingPosition) -> bool {
        self.ring.used(place).is_some()
    }
}

impl PackedMemory {
    /// Asks the device for no interrupts.
    pub(super) fn disable_interrupts(&self) {
        self.write_driver_event(Suppression { place: 0, flags: DISABLE });
    }
}

/// Whether the device wants a doorbell for what has just been made available: unless it wants none.
#[inline]
pub(super) fn is_doorbell_wanted(ring: &PackedMemory) -> bool {
    // The flags that were just stored before the event suppression that is loaded next; see the module.
    fence(Ordering::SeqCst);
    ring.device_event_flags() & WHICH != DISABLE
}
