//! Virtqueues, from the driver's side: what is the same whatever the format.
//!
//! ```text
//! split     a table of descriptors, a ring that each side writes     (section 2.7: SplitQueue)
//! packed    one ring of descriptors, which both sides write          (section 2.8: PackedQueue)
//! command   one command at a time, each answer waited for            (CommandQueue, of either kind)
//! ```
//!
//! What a queue of packets does is a trait, [`Virtqueue`]. A queue moves descriptors and nothing else: which ids are
//! outstanding is known in one place, the burst of the ring ([`nm_driver::burst`]).

mod command;
mod packed;
mod split;

use crate::virtio::features::Features;

pub use self::command::CommandQueue;
pub use self::packed::{PackedMemory, PackedQueue};
pub use self::split::{Placement, RingMemory, SplitQueue};

/// The longest queue that is used, whatever the device offers: a ring of 4096 is beyond what helps forwarding.
pub const MAX_SIZE: u16 = 4096;

/// The buffer continues in another descriptor (`VIRTQ_DESC_F_NEXT`, sections 2.7.5 and 2.8.6).
const DESCRIPTOR_NEXT: u16 = 1;
/// The device may write the buffer (`VIRTQ_DESC_F_WRITE`, sections 2.7.5 and 2.8.3).
const DESCRIPTOR_WRITE: u16 = 2;

/// Which way the data of a queue's buffers goes: [`ToDevice`] or [`FromDevice`].
pub trait Direction: sealed::Sealed + Send + 'static {
    /// The flags of each descriptor (sections 2.7.5 and 2.8.3).
    const FLAGS: u16;
    /// The device says how much it wrote.
    const IS_WRITTEN: bool;
}

/// The device reads the buffers.
#[derive(Debug)]
pub enum ToDevice {}

/// The device writes the buffers.
#[derive(Debug)]
pub enum FromDevice {}

mod sealed {
    /// Flags of a descriptor say more than a direction: who else wrote them could break a queue.
    pub trait Sealed {}
}

impl sealed::Sealed for ToDevice {}
impl sealed::Sealed for FromDevice {}

impl Direction for ToDevice {
    const FLAGS: u16 = 0;
    const IS_WRITTEN: bool = false;
}

impl Direction for FromDevice {
    const FLAGS: u16 = DESCRIPTOR_WRITE;
    const IS_WRITTEN: bool = true;
}

/// What the device says of a buffer that it has used. Nothing of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The id of the buffer.
    pub id: u32,
    /// How many bytes the device wrote; of no meaning in a queue [`ToDevice`].
    pub written: u32,
}

/// One descriptor of a buffer: address for the device, and bytes.
pub type Segment = (u64, u32);

/// A virtqueue, whatever its format.
///
/// The caller posts no id that is outstanding, and no more descriptors than the queue has: ids and free descriptors are
/// the burst's business. Buffers of one descriptor are posted and taken in runs: consecutive places in the memory of the queue.
pub trait Virtqueue: Send + 'static {
    /// Direction of the data.
    type Direction: Direction;
    /// Where the device reports a used buffer.
    type Completion;
    /// A descriptor.
    type Descriptor;
    /// What is expected in the next place of a run of used buffers.
    type Mark: Copy;
    /// What is written to the next descriptor of a run of available buffers, besides its segment.
    type Available: Copy;

    /// Number of descriptors. Ids are below it.
    fn size(&self) -> u16;

    /// Whether the device reports no used buffer.
    fn is_idle(&self) -> bool;

    /// Places in which the next used buffers are reported, if they are, and what is expected there for the ids from `first` on.
    /// No places when the device reports no used buffer.
    fn completions(&mut self, first: u16) -> (&[Self::Completion], Self::Mark);

    /// Whether there may be more used buffers behind those that were consumed, as far as the device's index was read.
    fn has_more(&self) -> bool;

    /// How many bytes the device wrote, if it reports the buffer with this id in this place. Of no meaning in a queue
    /// [`ToDevice`]. Called for consecutive places and ids from the first on; `mark` goes on to the next.
    fn used(place: &Self::Completion, mark: &mut Self::Mark, id: u32) -> Option<u32>;

    /// What the device reports in this place, if it does.
    fn report(place: &Self::Completion, mark: Self::Mark) -> Option<Used>;

    /// Goes on behind as many buffers of one descriptor.
    fn consume(&mut self, count: u32);

    /// Descriptors for the ids from `first` on, for buffers with a length of `bytes` in addition to the one that each is written
    /// with.
    fn descriptors(&self, first: u16, bytes: u32) -> (&[Self::Descriptor], Self::Available);

    /// Writes a descriptor. Called for consecutive descriptors from the first on; `next` goes on to the next id.
    fn write(descriptor: &Self::Descriptor, next: &mut Self::Available, segment: Segment);

    /// Descriptors for the ids from `first` on were written. All buffers of one descriptor that a queue [`FromDevice`] ever gets
    /// have the same length, `bytes`.
    fn posted(&mut self, first: u16, count: u32, bytes: u32);

    /// Posts one buffer of several descriptors, with the ids from `first` on, behind the last of which comes 0. The device
    /// reports it under `first`.
    fn post_chain(&mut self, first: u16, segments: &[Segment]);

    /// The next used buffer. It stays the next until [`advance`](Virtqueue::advance).
    fn peek(&mut self) -> Option<Used>;

    /// Goes on behind `buffers` used buffers, which were posted in `descriptors` descriptors. Returns `false`, and breaks the
    /// queue, if the device cannot have used as many.
    fn advance(&mut self, buffers: u32, descriptors: u32) -> bool;

    /// Goes on behind a used buffer whose id is not outstanding, and counts it.
    fn refuse(&mut self);

    /// The device broke its rules beyond repair: nothing is taken any more.
    fn break_down(&mut self);

    /// Publishes what was posted, and rings the doorbell if the device wants it. Returns whether it rang.
    fn kick(&mut self) -> bool;

    /// Used buffers that were refused, and whether the queue is broken.
    fn health(&self) -> (u32, bool);

    /// Asks the device for an interrupt when `completions` more are there than were taken, from 1 to those outstanding; a
    /// device that has no index for it interrupts at the next. Returns `true` when the interrupt is certain to come as soon as
    /// they are there; `false` when they are there already, and no interrupt may announce them: take them, and ask again.
    #[must_use = "a completion that is there already is not announced by an interrupt"]
    fn enable_notifications(&mut self, completions: u16) -> bool;

    /// Asks the device for no completion interrupts, or as few as there can be.
    fn disable_notifications(&mut self);
}

/// A queue size that this driver works with: a power of two, 1 to [`MAX_SIZE`]. A packed ring may have other sizes
/// (section 2.8.10.1); nothing here needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSize(u16);

impl QueueSize {
    /// The largest usable size within what a device offers; `None` when it offers nothing.
    pub fn within(offered: u16) -> Option<Self> {
        let power = offered.checked_ilog2()?;
        Some(Self((1 << power).min(MAX_SIZE)))
    }

    /// The smallest size within this one for at least `entries` entries.
    pub fn at_least(self, entries: u16) -> Self {
        let wanted = entries.max(1).checked_next_power_of_two().unwrap_or(MAX_SIZE);
        Self(wanted.min(self.0))
    }

    /// Number of entries.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// How the two sides say when they want to be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// By index: `VIRTIO_F_EVENT_IDX` was negotiated.
    Index,
    /// By a flag: on or off.
    Flag,
}

impl From<Features> for Events {
    /// What goes with these accepted features.
    fn from(accepted: Features) -> Self {
        if accepted.contains(Features::RING_EVENT_IDX) { Self::Index } else { Self::Flag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_powers_of_two_up_to_the_limit() {
        let usable = |offered| QueueSize::within(offered).map(QueueSize::get);
        assert_eq!(usable(0), None);
        for (offered, expected) in [
            (1, 1),
            (2, 2),
            (3, 2),
            (255, 128),
            (256, 256),
            (257, 256),
            (4096, 4096),
            (4097, 4096),
            (0xffff, 4096),
        ] {
            assert_eq!(usable(offered), Some(expected), "offered {offered}");
        }
    }
}
