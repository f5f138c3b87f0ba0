//! How cards are to be used.

use core::num::NonZeroU16;

use crate::iommu::ActiveIommu;

/// Settings of a driver for its card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most queue pairs that are used of those that the card has. The others are never set up.
    pub queue_pairs: NonZeroU16,
    /// Packed queues are used where a virtio card offers them; else split ones, which every virtio card has.
    pub allows_packed: bool,
    /// An IOMMU that keeps cards from memory, if there is one: a card that accesses memory through it is not used.
    pub iommu: Option<ActiveIommu>,
}

impl Default for Options {
    /// One queue pair, split, and no IOMMU in the way.
    fn default() -> Self {
        Self { queue_pairs: NonZeroU16::MIN, allows_packed: false, iommu: None }
    }
}
