//! Commands in a packed ring: three descriptors that follow each other (section 2.8.6), one command at a time.
#![expect(unsafe_code, reason = "descriptors are reached without a check of their place")]

use super::layout::PackedMemory;
use super::notify::is_doorbell_wanted;
use super::place::Place;
use crate::virtio::queue::CommandQueue;
use crate::virtio::queue::command::{CommandRing, Outcome, PARTS, Part};

/// The id of each command: there is one at a time.
const ID: u16 = 0;

/// A packed ring of at least [`PARTS`] descriptors.
pub(in crate::virtio::queue) struct PackedCommands {
    ring: PackedMemory,
    /// The place of the first descriptor of the command that was sent last.
    sent: Place,
    /// That of the next command.
    next: Place,
}

impl PackedCommands {
    /// `None` when the ring is too short.
    pub(in crate::virtio::queue) fn new(ring: PackedMemory) -> Option<Self> {
        ring.disable_interrupts();
        CommandQueue::is_long_enough(ring.size()).then_some(Self {
            ring,
            sent: Place::START,
            next: Place::START,
        })
    }
}

impl CommandRing for PackedCommands {
    /// The last part is written first: the device follows a chain as soon as the first of it is available. It takes the id
    /// from the last.
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool {
        let circle = self.ring.circle();
        self.sent = self.next;
        for (ahead, Part { address, bytes, flags }) in (0..PARTS).zip(parts).rev() {
            // SAFETY: all places here are of this ring.
            unsafe {
                self.ring.write_descriptor(circle.skip(self.sent, ahead), address, bytes, ID, flags);
            }
        }
        self.next = circle.skip(self.sent, PARTS);
        is_doorbell_wanted(&self.ring)
    }

    /// The device says that it is done with a chain in the place of the first descriptor, and passes those of the others.
    fn outcome(&self) -> Outcome {
        // SAFETY: as in `send`.
        match unsafe { self.ring.used_id(self.sent) } {
            None => Outcome::Pending,
            Some(ID) => Outcome::Answered,
            Some(_) => Outcome::Confused,
        }
    }
}
