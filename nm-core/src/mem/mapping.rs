//! A region as a program that follows netmap's own contract sees it.

use alloc::sync::Arc;
use core::ptr::NonNull;

use super::pools::Use;
use super::{MemId, Region};

/// The right to know where a region is. As long as it is there, the region stays.
///
/// It gives addresses, and no right to follow them: that comes with a bound raw port, under the
/// [contract of the memory](crate::raw#the-contract-of-the-memory).
#[derive(Debug)]
#[doc(alias = "mmap")]
pub struct Mapping {
    region: Arc<Region>,
}

impl Region {
    /// Maps the region. `None` only while it is going away.
    pub(crate) fn map(&self) -> Option<Mapping> {
        self.enter(Use::Mapping).map(|region| Mapping { region })
    }
}

impl Mapping {
    /// Where the region begins; offsets of interfaces and pools count from here.
    pub fn base(&self) -> NonNull<u8> {
        self.region.base()
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.region.bytes()
    }

    /// Whether it is a mapping of this very region.
    pub(crate) fn is_of(&self, region: &Region) -> bool {
        core::ptr::eq(&raw const *self.region, region)
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// The number of the region.
    pub fn region_id(&self) -> MemId {
        self.region.id()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.region.leave(Use::Mapping);
    }
}
