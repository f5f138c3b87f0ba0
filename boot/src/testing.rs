//! Physical memory for tests.

use std::vec::Vec;

use crate::PhysicalMemory;

/// Physical memory that consists of the blocks added to it; reads elsewhere, and across the end of a block, fail.
#[derive(Default)]
pub struct Blocks(Vec<(u64, Vec<u8>)>);

impl Blocks {
    /// Adds a block at physical address `address`. Blocks must not overlap.
    #[must_use]
    pub fn with(mut self, address: u64, bytes: impl Into<Vec<u8>>) -> Self {
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
