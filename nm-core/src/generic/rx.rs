//! The receive queue in front of a [`FrameDevice`].
//!
//! [`GenericRx::sync`] → [`GenericRx::look`] → [`FrameDevice::receive`] → [`RxBurst::deliver`].

use alloc::boxed::Box;

use nm_driver::burst::RxBurst;
use nm_driver::nic::{Armed, QueueStatus, RxQueue};

use super::nic::{Common, status};
use super::{FrameDevice, ReceiveError};

#[cfg(doc)]
use super::GenericNic;

/// A device that is software has no descriptors: any number of them.
const NO_DESCRIPTORS: &[()] = &[(); 1 << 16];

/// The receive queue of a [`GenericNic`].
pub struct GenericRx<D> {
    common: Common<D>,
    slots: u16,
    staging: Box<[u8]>,
    /// When the device last had nothing, if it had nothing when it was last asked.
    dry_at: Option<u64>,
    is_gone: bool,
}

impl<D: FrameDevice> GenericRx<D> {
    pub(super) fn new(common: Common<D>, slots: u16, staging: Box<[u8]>) -> Self {
        Self { common, slots, staging, dry_at: None, is_gone: false }
    }

    /// Asks the device for a frame. Returns whether there was one.
    fn look(&mut self, burst: &mut RxBurst<'_>) -> bool {
        let counters = &self.common.counters;
        let len = self.staging.len().min(burst.receive_len().into());
        let Some(into) = self.staging.get_mut(..len) else { return false };
        counters.looks.add(1);
        let outcome = self.common.device.receive(into);
        self.dry_at = if outcome.is_none() { Some((self.common.clock)()) } else { None };
        let frame = match outcome {
            None => return false,
            Some(Err(ReceiveError::Gone)) => {
                self.is_gone = true;
                return false;
            }
            Some(Ok(len)) => self.staging.get(..len),
            Some(Err(_)) => None,
        };
        match frame {
            Some(frame) => return burst.deliver(frame).is_some(),
            None if outcome == Some(Err(ReceiveError::Damaged)) => counters.damaged.add(1),
            None => counters.too_long.add(1),
        }
        burst.damaged(burst.expected().into(), false)
    }
}

impl<D: FrameDevice> RxQueue for GenericRx<D> {
    fn capacity(&self) -> u16 {
        self.slots
    }

    /// There is no doorbell: the device is asked, it does not fill buffers by itself.
    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        let mut left = if burst.has_import() { burst.outstanding() } else { 0 };
        while left > 0 && !self.is_gone && self.look(burst) {
            left -= 1;
        }
        while burst.has_free() && burst.post_run(NO_DESCRIPTORS, |(), _, _| {}) > 0 {}
        status(self.is_gone)
    }

    fn is_due(&mut self) -> bool {
        if self.common.tidings.take_arrival() {
            return true;
        }
        let Some(dry_at) = self.dry_at else { return true };
        let passed = (self.common.clock)().checked_sub(dry_at);
        passed.is_none_or(|passed| passed >= u64::from(self.common.knobs.generic_mit()))
    }

    fn arm(&mut self) -> Armed {
        self.common.tidings.armed()
    }
}
