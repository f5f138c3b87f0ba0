//! What the back end of a device and its rings share.

use alloc::sync::Arc;

use super::events::DeviceEvents;
use crate::events::hub::Hub;
use crate::generic::GenericCounters;

/// The device, what it counts and what it tells.
pub(super) struct Shared<D> {
    pub(super) device: D,
    pub(super) counters: Arc<GenericCounters>,
    pub(super) hub: Arc<Hub>,
    pub(super) events: Arc<DeviceEvents>,
}
