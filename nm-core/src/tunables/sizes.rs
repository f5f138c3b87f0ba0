//! How large a memory region is.

use crate::abi::SLOTS_OFFSET;
use crate::nic::HEADROOM;

/// Size and number of the objects of one memory region.
///
/// The default is that of a private region: one port with two pairs of rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of one interface object.
    pub if_size: u32,
    /// Interface objects.
    pub if_num: u32,
    /// Bytes of one ring object: 256 and 16 for each slot.
    pub ring_size: u32,
    /// Ring objects.
    pub ring_num: u32,
    /// Bytes from one buffer to the next; a frame has [`HEADROOM`] less.
    pub buf_size: u32,
    /// Buffers, the two reserved ones included.
    pub buf_num: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { if_size: 1024, if_num: 2, ring_size: 20480, ring_num: 4, buf_size: 2048, buf_num: 4098 }
    }
}

impl Sizes {
    /// The longest frame that a buffer holds, in bytes.
    pub fn frame_max(&self) -> u16 {
        (self.buf_size as usize).saturating_sub(HEADROOM).min(usize::from(u16::MAX)) as u16
    }

    /// The most slots that a ring object holds.
    pub fn slots_max(&self) -> u32 {
        ((self.ring_size as usize).saturating_sub(SLOTS_OFFSET) / size_of::<crate::abi::Slot>()) as u32
    }

    /// These sizes, enlarged where `rings` rings of `slots` slots and `extra` extra buffers need it.
    #[doc(alias = "netmap_mem_private_new")]
    pub fn enlarged_for(self, rings: u32, slots: u32, extra: u32) -> Self {
        let ring_bytes = (SLOTS_OFFSET as u32)
            .saturating_add(slots.saturating_mul(size_of::<crate::abi::Slot>() as u32))
            .checked_next_multiple_of(64)
            .unwrap_or(u32::MAX);
        let buffers = rings.saturating_mul(slots).saturating_add(extra).saturating_add(2);
        Self {
            ring_size: self.ring_size.max(ring_bytes),
            ring_num: self.ring_num.max(rings),
            buf_num: self.buf_num.max(buffers),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grow_with_what_is_asked_and_never_shrink() {
        let base = Sizes::default();
        assert_eq!(base.enlarged_for(4, 1024, 0), base, "two pairs of rings of 1024 slots fit as it is");
        assert_eq!((base.slots_max(), base.frame_max()), (1264, 1984));
        let large = base.enlarged_for(6, 2048, 100);
        assert_eq!((large.ring_num, large.slots_max() >= 2048), (6, true));
        assert_eq!(large.buf_num, 6 * 2048 + 100 + 2);
        let absurd = base.enlarged_for(u32::MAX, u32::MAX, u32::MAX);
        assert_eq!((absurd.ring_size, absurd.buf_num), (u32::MAX, u32::MAX));
    }
}
