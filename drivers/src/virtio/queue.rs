//! Virtqueues, from the driver's side: what is the same whatever the format.
//!
//! ```text
//! split     a table of descriptors, a ring that each side writes     (section 2.7: SplitQueue)
//! packed    one ring of descriptors, which both sides write          (section 2.8: PackedQueue)
//! in_order  either of them, with a device that keeps the order       (InOrderQueue, over the two)
//! command   one command at a time, each answer waited for            (CommandQueue, of either kind)
//! ```
//!
//! What a queue of packets does is a trait, [`Virtqueue`].
#![expect(unsafe_code, reason = "the trait of all queues carries a contract about buffers")]

mod command;
mod in_order;
mod packed;
mod split;

use nm_core::nic::{QueueFull, QueueHealth};

use crate::virtio::features::Features;

pub use self::command::CommandQueue;
pub use self::in_order::{InOrderQueue, SkipBuffers};
pub use self::packed::{PackedMemory, PackedQueue};
pub use self::split::{LEGACY_PAGE, Placement, RingMemory, SplitQueue};

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

    impl Sealed for super::ToDevice {}
    impl Sealed for super::FromDevice {}
}

impl Direction for ToDevice {
    const FLAGS: u16 = 0;
    const IS_WRITTEN: bool = false;
}

impl Direction for FromDevice {
    const FLAGS: u16 = DESCRIPTOR_WRITE;
    const IS_WRITTEN: bool = true;
}

/// A buffer that the device is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The id it was posted under.
    pub id: u16,
    /// How many bytes the device says it wrote. Not checked; 0 in a queue [`ToDevice`].
    pub written: u32,
    /// How many bytes were posted.
    pub posted: u32,
}

/// A virtqueue, whatever its format.
///
/// # Safety
/// The device is told of the bytes that are posted and of no others, and that it may write them only in a queue [`FromDevice`].
/// [`pop`](Virtqueue::pop) returns an id only if it was posted, once for each post, and only after the device named it as
/// used or, if the device uses buffers in order, one that was posted later; [`Completion::posted`] is the number of bytes that were posted under it.
pub unsafe trait Virtqueue: Send + 'static {
    /// Which way the data of its buffers goes.
    type Direction: Direction;

    /// Buffers that can be outstanding at once; ids are below it.
    fn size(&self) -> u16;

    /// Posts the `bytes` at the device's address `address` under `id`. Refused when the id is out of range or outstanding,
    /// and when there are no bytes. The device may know of it before [`kick`](Virtqueue::kick), or not.
    fn post(&mut self, id: u16, address: u64, bytes: u32) -> Result<(), QueueFull>;

    /// The same with the `first` of the bytes in a descriptor of their own. A queue that was not made for it refuses. A buffer of
    /// no more bytes than `first` is one descriptor, as any queue takes it.
    fn post_in_two(&mut self, id: u16, address: u64, bytes: u32, first: u32) -> Result<(), QueueFull> {
        if bytes <= first { self.post(id, address, bytes) } else { Err(QueueFull) }
    }

    /// Lets the device know of all that was posted, and rings the doorbell if it wants that. Returns whether it rang. To be
    /// called before twice as many buffers are posted as the queue holds.
    fn kick(&mut self) -> bool;

    /// The next buffer that the device is done with. What the device says of buffers that are not outstanding is counted and
    /// skipped.
    fn pop(&mut self) -> Option<Completion>;

    /// What the queue has seen go wrong.
    fn health(&self) -> QueueHealth;

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
