//! Where the payload of a slot begins in its buffer.

/// The part of [`Slot::ptr`](crate::abi::Slot::ptr) that holds the offset of the payload, and the largest offset.
#[doc(alias("NAF_OFFSETS", "nm_get_offset", "nm_write_offset"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotOffsets {
    /// The low bits that hold it; 0 for a ring without offsets.
    mask: u64,
    max: u16,
}

impl SlotOffsets {
    /// No offsets: each payload begins with its buffer, and `ptr` is not looked at.
    pub const NONE: Self = Self { mask: 0, max: 0 };

    /// Offsets of up to `max` bytes in the low `bits` bits of `ptr`, from 1 to 64. `None` if there are no such bits, or `max` does
    /// not fit into them.
    pub const fn new(max: u16, bits: u32) -> Option<Self> {
        if bits == 0 || bits > u64::BITS {
            return None;
        }
        let mask = u64::MAX >> (u64::BITS - bits);
        if max as u64 <= mask { Some(Self { mask, max }) } else { None }
    }

    /// Whether slots have offsets.
    #[inline]
    pub const fn is_used(self) -> bool {
        self.mask != 0
    }

    /// The bits of `ptr` that hold the offset.
    #[doc(alias = "offset_mask")]
    pub const fn mask(self) -> u64 {
        self.mask
    }

    /// The largest offset, in bytes.
    #[doc(alias = "offset_max")]
    pub const fn max(self) -> u16 {
        self.max
    }

    /// The offset in `ptr`. `None` if it is above the largest.
    pub fn get(self, ptr: u64) -> Option<u16> {
        u16::try_from(ptr & self.mask).ok().filter(|offset| *offset <= self.max)
    }

    /// The offset in `ptr`, or the largest if it is above that.
    pub fn clamped(self, ptr: u64) -> u16 {
        self.get(ptr).unwrap_or(self.max)
    }

    /// `ptr` with this offset. Its other bits are the program's.
    pub const fn set(self, ptr: u64, offset: u16) -> u64 {
        ptr & !self.mask | offset as u64 & self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_takes_the_low_bits_of_ptr_and_leaves_the_others() {
        let offsets = SlotOffsets::new(1000, 12).unwrap();
        assert_eq!((offsets.mask(), offsets.max()), (0xfff, 1000));
        let ptr = offsets.set(0xabcd_ffff, 1000);
        assert_eq!((ptr, offsets.get(ptr)), (0xabcd_f3e8, Some(1000)));
        assert_eq!((offsets.get(ptr + 1), offsets.clamped(ptr + 1)), (None, 1000));
        let whole = SlotOffsets::new(u16::MAX, 64).unwrap();
        assert_eq!((whole.get(65535), whole.get(65536), whole.clamped(u64::MAX)), (Some(65535), None, 65535));
        assert_eq!((SlotOffsets::NONE.get(u64::MAX), SlotOffsets::NONE.set(77, 5)), (Some(0), 77));
        assert_eq!((SlotOffsets::new(4, 2), SlotOffsets::new(3, 2).map(SlotOffsets::mask)), (None, Some(3)));
        assert_eq!((SlotOffsets::new(0, 0), SlotOffsets::new(0, 65)), (None, None));
    }
}
