//! Reading physical memory that somebody else wrote, with bounds checked.

/// Read access to physical memory.
///
/// The kernel implements it over its mapping of RAM; tests over a few made-up blocks. Nobody writes the
/// memory while a slice of it is borrowed.
pub trait PhysicalMemory {
    /// The `len` bytes from `address` on, or `None` when not all of them are readable memory.
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]>;
}

/// The little-endian `u16` at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The little-endian `u32` at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The little-endian `u64` at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
pub(crate) mod fake {
    //! Physical memory made of a few blocks.

    use std::vec::Vec;

    use super::PhysicalMemory;

    /// Memory that consists of the blocks put into it and nothing else.
    #[derive(Default)]
    pub(crate) struct Blocks(Vec<(u64, Vec<u8>)>);

    impl Blocks {
        /// Adds a block; later ones do not overlap earlier ones.
        pub(crate) fn with(mut self, address: u64, bytes: impl Into<Vec<u8>>) -> Self {
            self.0.push((address, bytes.into()));
            self
        }
    }

    impl PhysicalMemory for Blocks {
        fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
            self.0.iter().find_map(|(start, block)| {
                let from = usize::try_from(address.checked_sub(*start)?).ok()?;
                block.get(from..from.checked_add(len)?)
            })
        }
    }
}
