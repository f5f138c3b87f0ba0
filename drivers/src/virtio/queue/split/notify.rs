//! When driver and device tell each other that something happened (sections 2.7.7, 2.7.10, 2.7.13).
//!
//! Each direction is the same protocol: one side publishes an index, then decides whether to notify; the other says
//! when it wants to be notified, then looks at the index once more before it sleeps. Both put a full fence between
//! their store and their load. Of two such pairs at least one load sees the other side's store:
//!
//! | publisher (here: [`SplitQueue::publish`])  | sleeper (here: [`SplitQueue::arm`]) |
//! |-----------------------------------------|------------------------------------------------------|
//! | store index                             | store the event index, or clear the flag             |
//! | full fence                              | full fence                                           |
//! | load event index or flag: notify?       | load index: anything there? then do not sleep        |
//!
//! Without either fence both loads can be early: neither side notifies, and the sleeper sleeps on.

use core::sync::atomic::{Ordering, fence};

use super::SplitQueue;
use super::layout::{NO_INTERRUPT, NO_NOTIFY, RingMemory};
use crate::virtio::queue::{Direction, Events};

impl<D: Direction> SplitQueue<D> {
    /// Publishes what was posted and rings the doorbell if the device wants it. Returns whether it rang.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.next_avail);
        if old == new || self.is_broken {
            return false;
        }
        self.ring.publish_available(new);
        self.published = new;
        let is_wanted = is_doorbell_wanted(&self.ring, self.events, old, new);
        if is_wanted {
            self.notifier.notify();
        }
        is_wanted
    }
}

impl<D: Direction> SplitQueue<D> {
    /// Asks the device for no completion interrupts. With [`Events::Index`] there is no "never": the device is given
    /// an index that it has just passed, and one stray interrupt can come each 65536 completions.
    pub(super) fn disarm(&mut self) {
        match self.events {
            Events::Index => self.ring.write_used_event(self.next_used.wrapping_sub(1)),
            Events::Flag => self.ring.write_available_flags(NO_INTERRUPT),
        }
    }

    /// Asks the device for an interrupt after `completions` more; `false` when they are there already.
    pub(super) fn arm(&mut self, completions: u16) -> bool {
        let wanted = match self.events {
            Events::Index => {
                self.ring.write_used_event(self.next_used.wrapping_add(completions).wrapping_sub(1));
                completions
            }
            Events::Flag => {
                self.ring.write_available_flags(0);
                1
            }
        };
        // The event index or flag that was just stored before the index that is loaded next; see the module.
        fence(Ordering::SeqCst);
        self.ring.used_index().wrapping_sub(self.next_used) < wanted
    }
}

/// Whether the device wants a doorbell for the entries from `old` to `new`, which have just been published.
#[inline]
pub(super) fn is_doorbell_wanted(ring: &RingMemory, events: Events, old: u16, new: u16) -> bool {
    // The index that was just stored before the event index or flag that is loaded next; see the module.
    fence(Ordering::SeqCst);
    match events {
        Events::Index => has_passed(ring.available_event(), old, new),
        Events::Flag => ring.used_flags() & NO_NOTIFY == 0,
    }
}

/// Whether an index that went from `old` to `new` has gone past the entry `event`; all modulo 65536.
#[inline]
fn has_passed(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::has_passed;

    /// Counts from `old` to `new` and looks whether `event` is among the entries on the way.
    fn has_passed_by_counting(event: u16, old: u16, new: u16) -> bool {
        let mut index = old;
        while index != new {
            if index == event {
                return true;
            }
            index = index.wrapping_add(1);
        }
        false
    }

    #[test]
    fn agrees_with_counting_also_across_the_wrap() {
        let around = |middle: u16| (0..8).map(move |i| middle.wrapping_sub(4).wrapping_add(i));
        for middle in [0, 5, 0x7fff, 0xffff] {
            for old in around(middle) {
                for moved in 0..8 {
                    let new = old.wrapping_add(moved);
                    for event in around(middle).chain(around(middle.wrapping_add(0x8000))) {
                        let expected = has_passed_by_counting(event, old, new);
                        assert_eq!(has_passed(event, old, new), expected, "{event} {old} {new}");
                    }
                }
            }
        }
    }
}
