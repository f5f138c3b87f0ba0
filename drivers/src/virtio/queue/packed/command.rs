//! Commands in a packed ring: three descriptors that follow each other (section 2.8.6), one command at a time.
use super::layout::{PackedMemory, write_descriptor};
use super::notify::is_doorbell_wanted;
use super::place::RingPosition;
use crate::virtio::queue::Used;
use crate::virtio::queue::command::ring::{CommandRing, Outcome, PARTS, Part, is_long_enough};

/// The id of each command: there is one at a time.
const ID: u16 = 0;

/// A packed ring of at least [`PARTS`] descriptors.
pub(in crate::virtio::queue) struct PackedCommands {
    ring: PackedMemory,
    /// The place of the first descriptor of the command that was sent last.
    sent: RingPosition,
    /// That of the next command.
    next: RingPosition,
}

impl PackedCommands {
    /// `None` when the ring is too short.
    pub(in crate::virtio::queue) fn new(ring: PackedMemory) -> Option<Self> {
        ring.disable_interrupts();
        is_long_enough(ring.size()).then_some(Self {
            ring,
            sent: RingPosition::START,
            next: RingPosition::START,
        })
    }
}

impl CommandRing for PackedCommands {
    /// The last part is written first: the device follows a chain as soon as the first of it is available. It takes the id
    /// from the last.
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool {
        let layout = self.ring.layout();
        self.sent = self.next;
        for (ahead, Part { address, bytes, flags }) in (0..PARTS).zip(parts).rev() {
            let place = layout.skip(self.sent, ahead.into());
            if let Some(descriptor) = self.ring.from(place).first() {
                write_descriptor(descriptor, place.counter().available(ID, flags).take(bytes), address);
            }
        }
        self.next = layout.skip(self.sent, PARTS.into());
        is_doorbell_wanted(&self.ring)
    }

    /// The device says that it is done with a chain in the place of the first descriptor, and passes those of the others.
    fn outcome(&self) -> Outcome {
        match self.ring.used(self.sent) {
            None => Outcome::Pending,
            Some(Used { id, .. }) if id == u32::from(ID) => Outcome::Answered,
            Some(_) => Outcome::Confused,
        }
    }
}
