//! The stack's end of an interface.

use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};

use super::{HostSide, Outgoing, TransmitError};

/// The stack's end of an interface: its output goes here first. It keeps nothing alive, so the stack may own it.
#[derive(Clone, Debug)]
pub struct HostInterface {
    name: String,
    side: Weak<HostSide>,
}

impl HostInterface {
    pub(crate) fn new(side: &Arc<HostSide>) -> Self {
        Self { name: side.name().to_string(), side: Arc::downgrade(side) }
    }

    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a frame of the stack into the queue of a host receive ring. Never waits for a sync. All errors but
    /// [`NotOurs`](TransmitError::NotOurs) mean that the frame is dropped, and all those but
    /// [`Gone`](TransmitError::Gone) are counted by cause.
    #[doc(alias = "netmap_transmit")]
    pub fn transmit(&self, outgoing: Outgoing<'_>) -> Result<(), TransmitError> {
        self.side.upgrade().ok_or(TransmitError::Gone)?.transmit(outgoing)
    }
}
