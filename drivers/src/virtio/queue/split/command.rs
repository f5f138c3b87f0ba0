//! Commands in a split ring: always the same three descriptors, published one command at a time.
#![expect(unsafe_code, reason = "a descriptor is written without a second check of its number")]

use super::layout::{NO_INTERRUPT, RingMemory};
use super::notify::is_doorbell_wanted;
use crate::virtio::queue::command::{CommandRing, Outcome, PARTS, Part};
use crate::virtio::queue::{CommandQueue, Events};

/// A split ring of at least [`PARTS`] descriptors.
pub(in crate::virtio::queue) struct SplitCommands {
    ring: RingMemory,
    events: Events,
    /// Commands so far, modulo 65536.
    count: u16,
}

impl SplitCommands {
    /// `None` when the ring is too short.
    pub(in crate::virtio::queue) fn new(ring: RingMemory, events: Events) -> Option<Self> {
        // No interrupt: with an index, not before the 65536th command.
        match events {
            Events::Index => ring.write_used_event(u16::MAX),
            Events::Flag => ring.write_available_flags(NO_INTERRUPT),
        }
        CommandQueue::is_long_enough(ring.size()).then_some(Self { ring, events, count: 0 })
    }
}

impl CommandRing for SplitCommands {
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool {
        for (number, Part { address, bytes, flags }) in (0..).zip(parts) {
            // SAFETY: `new` saw that the ring has a descriptor for each part.
            unsafe { self.ring.write_descriptor(number, address, bytes, flags, number + 1) };
        }
        let before = self.count;
        self.ring.write_available(before, 0);
        self.count = before.wrapping_add(1);
        self.ring.publish_available(self.count);
        is_doorbell_wanted(&self.ring, self.events, before, self.count)
    }

    fn outcome(&self) -> Outcome {
        let before = self.count.wrapping_sub(1);
        match self.ring.used_index() {
            index if index == before => Outcome::Pending,
            index if index == self.count && self.ring.used_id(before) == 0 => Outcome::Answered,
            _ => Outcome::Confused,
        }
    }
}
