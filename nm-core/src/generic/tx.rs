//! The transmit queue in front of a [`FrameDevice`].
//!
//! [`GenericTx::sync`] → [`gather`] → [`FrameDevice::transmit`] → [`Frame::commit`] → [`TxBurst::complete_oldest`].

use alloc::boxed::Box;

use nm_driver::burst::{FRAGMENTS_MAX, Frame, TxBurst};
use nm_driver::nic::{Armed, QueueStatus, TxQueue};

use super::nic::{Common, status};
use super::{FrameDevice, TransmitError};

#[cfg(doc)]
use super::GenericNic;

/// The transmit queue of a [`GenericNic`].
pub struct GenericTx<D> {
    common: Common<D>,
    slots: u16,
    staging: Box<[u8]>,
    is_gone: bool,
}

impl<D: FrameDevice> GenericTx<D> {
    pub(super) fn new(common: Common<D>, slots: u16, staging: Box<[u8]>) -> Self {
        Self { common, slots, staging, is_gone: false }
    }
}

/// Copies the fragments of a frame to `staging`, one behind the other. `None` if they do not fit.
fn gather<'a>(frame: &mut Frame<'_, '_>, staging: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut at = 0;
    for k in 0..frame.fragments() {
        let (buffer, len) = frame.fragment(k)?;
        buffer.copy_to(staging.get_mut(at..at + usize::from(len))?);
        at += usize::from(len);
    }
    staging.get(..at)
}

impl<D: FrameDevice> TxQueue for GenericTx<D> {
    fn capacity(&self) -> u16 {
        self.slots
    }

    /// There is no doorbell: the device has the frames, or has refused them, when it returns.
    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        let counters = &self.common.counters;
        while !self.is_gone
            && let Some(mut frame) = burst.next_frame(FRAGMENTS_MAX)
        {
            let outcome = match gather(&mut frame, &mut self.staging) {
                Some(bytes) => self.common.device.transmit(bytes),
                None => Err(TransmitError::Refused),
            };
            match outcome {
                Ok(()) => {
                    frame.commit();
                    burst.complete_oldest(1);
                }
                Err(TransmitError::Refused) => {
                    counters.refused.add(1);
                    frame.refuse();
                }
                Err(TransmitError::NoRoom) => {
                    counters.no_room.add(1);
                    frame.postpone();
                    break;
                }
                Err(TransmitError::Gone) => self.is_gone = true,
            }
        }
        status(self.is_gone)
    }

    /// Frames are complete as soon as the device takes them; what may be waited for is that it does.
    fn arm(&mut self, _frames: u16) -> Armed {
        self.common.tidings.armed()
    }
}
