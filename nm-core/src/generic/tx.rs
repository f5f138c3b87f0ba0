//! The transmit queue in front of a [`FrameDevice`].
//!
//! [`GenericTx::put`] → [`TxState::offer`] → [`FrameDevice::transmit`] → [`GenericTx::reclaim`].
#![expect(unsafe_code, reason = "implements the contract of queues")]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;

use spin::Mutex;

use super::nic::{CAPACITY, Common, health};
use super::{FrameDevice, TransmitError};
use crate::nic::{Armed, DmaBuffer, QueueFull, QueueHealth, TxQueue};

#[cfg(doc)]
use super::GenericNic;

/// The transmit queue of a [`GenericNic`].
pub struct GenericTx<D> {
    common: Common<D>,
    state: Arc<Mutex<TxState>>,
}

impl<D> GenericTx<D> {
    pub(super) fn new(common: Common<D>, state: Arc<Mutex<TxState>>) -> Self {
        Self { common, state }
    }
}

/// Its state, shared with the card.
pub(super) struct TxState {
    /// Frames that the device has, by id, not yet reported.
    done: VecDeque<u16>,
    staging: Box<[u8]>,
    is_gone: bool,
    /// The card was stopped.
    is_ended: bool,
}

impl TxState {
    pub(super) fn new(slots: u16, frame_max: u16) -> Self {
        let staging = vec![0; usize::from(frame_max)].into();
        Self { done: VecDeque::with_capacity(slots.into()), staging, is_gone: false, is_ended: false }
    }

    /// The card is stopped: nothing is accepted any more.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Offers one frame to the device. `Err` when it is to be offered again.
    fn offer<D: FrameDevice>(
        &mut self,
        common: &Common<D>,
        buffer: &DmaBuffer<'_>,
        len: u16,
    ) -> Result<(), QueueFull> {
        let counters = &common.counters;
        let Some(frame) = self.staging.get_mut(..usize::from(len)) else {
            counters.refused.add(1);
            return Ok(());
        };
        buffer.copy_to(frame);
        match common.device.transmit(frame) {
            Ok(()) => Ok(()),
            Err(TransmitError::Refused) => {
                counters.refused.add(1);
                Ok(())
            }
            Err(TransmitError::NoRoom) => {
                counters.no_room.add(1);
                Err(QueueFull)
            }
            Err(TransmitError::Gone) => {
                self.is_gone = true;
                Err(QueueFull)
            }
        }
    }
}

// SAFETY: an id is reported once, after `put` noted it, and by then the frame was copied out.
unsafe impl<D: FrameDevice> TxQueue for GenericTx<D> {
    fn capacity(&self) -> u16 {
        CAPACITY
    }

    fn put(&mut self, id: u16, buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        let mut state = self.state.lock();
        if state.is_gone || state.is_ended || state.done.len() >= usize::from(CAPACITY) {
            return Err(QueueFull);
        }
        state.offer(&self.common, &buffer, len)?;
        state.done.push_back(id);
        Ok(())
    }

    /// There is no doorbell: the device has had the frames since they were put.
    fn kick(&mut self) -> bool {
        false
    }

    fn reclaim(&mut self) -> Option<u16> {
        self.state.lock().done.pop_front()
    }

    /// Frames are finished with as soon as the device takes them; what may be waited for is that it does.
    fn arm(&mut self, _frames: u16) -> Armed {
        self.common.tidings.armed()
    }

    fn health(&self) -> QueueHealth {
        health(self.state.lock().is_gone)
    }
}
