//! The names of regions and pools.

use core::fmt;

/// Pools begin on a page.
pub(crate) const PAGE: usize = 4096;

/// The number of a memory region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[doc(alias = "nr_mem_id")]
pub struct MemId(u16);

impl MemId {
    /// The region that ports share unless they are opened on another.
    pub const SHARED: Self = Self(1);

    /// The region with this number; 0, which no region has, means the shared one.
    pub fn new(number: u16) -> Self {
        Self(number.max(1))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether it is a region of its own, not the shared one.
    #[doc(alias = "NETMAP_PRIV_MEM")]
    pub fn is_private(self) -> bool {
        self != Self::SHARED
    }

    /// What the tunables that size the region begin with.
    pub(super) fn tunable_prefix(self) -> &'static str {
        if self.is_private() { "priv_" } else { "" }
    }
}

impl fmt::Display for MemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The three kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// Interface objects.
    Interface,
    /// Ring objects.
    Ring,
    /// Packet buffers.
    Buffer,
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Interface => "if",
            Self::Ring => "ring",
            Self::Buffer => "buf",
        })
    }
}
