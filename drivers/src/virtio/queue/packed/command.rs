//! Commands in a packed ring: three descriptors that follow each other (section 2.8.6), one command at a time.

use super::layout::PackedMemory;
use super::notify::is_doorbell_wanted;
use crate::virtio::queue::command::{CommandRing, Outcome, PARTS, Part};
use crate::virtio::queue::{CommandQueue, Events};

/// The id of each command: there is one at a time.
const ID: u16 = 0;

/// A packed ring of at least [`PARTS`] descriptors.
pub(in crate::virtio::queue) struct PackedCommands {
    ring: PackedMemory,
    events: Events,
    /// Index of the place of the next command's first descriptor.
    next: u16,
}

impl PackedCommands {
    /// `None` when the ring is too short.
    pub(in crate::virtio::queue) fn new(ring: PackedMemory, events: Events) -> Option<Self> {
        ring.disable_interrupts();
        CommandQueue::is_long_enough(ring.size()).then_some(Self { ring, events, next: 0 })
    }
}

impl CommandRing for PackedCommands {
    /// The last part is written first: the device follows a chain as soon as the first of it is available. It takes the id
    /// from the last.
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool {
        let first = self.next;
        for (ahead, Part { address, bytes, flags }) in (0..PARTS).zip(parts).rev() {
            self.ring.write_descriptor(first.wrapping_add(ahead), address, bytes, ID, flags);
        }
        self.next = first.wrapping_add(PARTS);
        is_doorbell_wanted(&self.ring, self.events, first, self.next)
    }

    /// The device says that it is done with a chain in the place of the first descriptor, and passes those of the others.
    fn outcome(&self) -> Outcome {
        match self.ring.used_id(self.next.wrapping_sub(PARTS)) {
            None => Outcome::Pending,
            Some(ID) => Outcome::Answered,
            Some(_) => Outcome::Confused,
        }
    }
}
