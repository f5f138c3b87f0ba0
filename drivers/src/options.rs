//! How cards are to be used.

use core::num::NonZeroU16;

/// What whoever sets up a driver decides about its card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most queue pairs that are used of those that the card has. The others are never set up.
    pub queue_pairs: NonZeroU16,
    /// Packed queues are used where a virtio card offers them; else split ones, which every virtio card has.
    pub allows_packed: bool,
}

impl Default for Options {
    /// One queue pair, split.
    fn default() -> Self {
        Self { queue_pairs: NonZeroU16::MIN, allows_packed: false }
    }
}
