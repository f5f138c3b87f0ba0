//! Virtqueues, from the driver's side: what is the same whatever the format.
//!
//! ```text
//! split     three parts, one written by each side and the descriptors     (section 2.7: SplitQueue)
//! command   one command at a time, each answer waited for                 (CommandQueue)
//! ```

mod command;
mod split;

use crate::virtio::features::Features;

pub use self::command::CommandQueue;
pub use self::split::SplitQueue;
pub use self::split::layout::{LEGACY_PAGE, Placement, RingMemory};

/// The longest queue that is used, whatever the device offers: a ring of 4096 is beyond what helps forwarding.
pub const MAX_SIZE: u16 = 4096;

/// The buffer continues in another descriptor (`VIRTQ_DESC_F_NEXT`, section 2.7.5).
const DESCRIPTOR_NEXT: u16 = 1;
/// The device may write the buffer (`VIRTQ_DESC_F_WRITE`, section 2.7.5).
const DESCRIPTOR_WRITE: u16 = 2;

/// Which way the data of a queue's buffers goes.
pub trait Direction: Send + 'static {
    /// The flags of each descriptor (section 2.7.5).
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

/// A queue size that this driver works with: a power of two, 1 to [`MAX_SIZE`].
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
