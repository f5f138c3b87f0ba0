//! Commands in a split ring: three descriptors each, published one command at a time. Descriptors are taken in ring order, as
//! IN_ORDER demands (section 2.7.5); other devices do not mind.

use super::layout::{NO_INTERRUPT, RingMemory};
use super::notify::is_doorbell_wanted;
use crate::virtio::queue::Events;
use crate::virtio::queue::command::ring::{CommandRing, Outcome, PARTS, Part, is_long_enough};

/// A split ring of at least [`PARTS`] descriptors.
pub(in crate::virtio::queue) struct SplitCommands {
    ring: RingMemory,
    events: Events,
    /// Commands so far, modulo 65536.
    count: u16,
    /// The first descriptor of the command that was sent last.
    sent: u16,
    /// That of the next command.
    next: u16,
}

impl SplitCommands {
    /// `None` when the ring is too short.
    pub(in crate::virtio::queue) fn new(ring: RingMemory, events: Events) -> Option<Self> {
        // No interrupt: with an index, not before the 65536th command.
        match events {
            Events::Index => ring.write_used_event(u16::MAX),
            Events::Flag => ring.write_available_flags(NO_INTERRUPT),
        }
        is_long_enough(ring.size()).then_some(Self { ring, events, count: 0, sent: 0, next: 0 })
    }

    /// The descriptor behind this one.
    fn behind(&self, number: u16) -> u16 {
        let next = number + 1;
        if next < self.ring.size() { next } else { 0 }
    }
}

impl CommandRing for SplitCommands {
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool {
        self.sent = self.next;
        for Part { address, bytes, flags } in parts {
            let number = self.next;
            self.next = self.behind(number);
            self.ring.write_address(number, address);
            self.ring.write_rest(number, bytes, flags, self.next);
        }
        let before = self.count;
        self.ring.write_available(before, self.sent);
        self.count = before.wrapping_add(1);
        self.ring.publish_available(self.count);
        is_doorbell_wanted(&self.ring, self.events, before, self.count)
    }

    fn outcome(&self) -> Outcome {
        let before = self.count.wrapping_sub(1);
        match self.ring.used_index() {
            index if index == before => Outcome::Pending,
            index if index == self.count && self.ring.used_id(before) == u32::from(self.sent) => {
                Outcome::Answered
            }
            _ => Outcome::Confused,
        }
    }
}
