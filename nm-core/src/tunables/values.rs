//! The sizes and numbers, and the behaviour, that a netmap is built from.

use super::{Behaviour, Sizes};

/// Sizes and numbers of the objects in the memory regions, and how the core behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunables {
    /// Bytes of one interface object of the shared region.
    pub if_size: u32,
    /// Interface objects of the shared region.
    pub if_num: u32,
    /// Bytes of one ring object of the shared region: 256 and 16 for each slot.
    pub ring_size: u32,
    /// Ring objects of the shared region.
    pub ring_num: u32,
    /// Bytes from one buffer of the shared region to the next; a frame has [`HEADROOM`](crate::nic::HEADROOM) less.
    pub buf_size: u32,
    /// Buffers of the shared region, the two reserved ones included.
    pub buf_num: u32,
    /// Sizes of a private region when its maker does not say otherwise.
    pub private: Sizes,
    /// How the core behaves.
    pub behaviour: Behaviour,
}

impl Default for Tunables {
    /// The sizes for a machine of 64 MiB or more.
    fn default() -> Self {
        Self {
            if_size: 1024,
            if_num: 32,
            ring_size: 36864,
            ring_num: 64,
            buf_size: 2048,
            buf_num: 8192,
            private: Sizes::default(),
            behaviour: Behaviour::default(),
        }
    }
}

impl Tunables {
    /// The sizes of the shared region.
    pub fn shared(&self) -> Sizes {
        let Self { if_size, if_num, ring_size, ring_num, buf_size, buf_num, .. } = *self;
        Sizes { if_size, if_num, ring_size, ring_num, buf_size, buf_num }
    }
}
