//! What a port asks of an adapter.

use alloc::sync::Arc;

use super::users::Sharing;
use crate::mem::{Region, Trust};
use crate::name::RingSelection;
use crate::offsets::Offsets;

/// What a port wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) rings: RingSelection,
    pub(crate) sharing: Sharing,
    pub(crate) trust: Trust,
    /// Where payloads begin in their buffers, if not at the start.
    pub(crate) offsets: Option<Offsets>,
}

/// What a port asks of an adapter.
pub(crate) struct Request<'a> {
    pub(crate) wanted: Wanted,
    /// The memory of the interface's ports.
    pub(crate) region: &'a Arc<Region>,
    /// About how many buffers it may have.
    pub(crate) share: u32,
}
