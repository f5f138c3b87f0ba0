//! The receive queue in front of a [`FrameDevice`].
//!
//! [`GenericRx::give`] → [`GenericRx::take`] → [`RxState::look`] → [`FrameDevice::receive`] → [`HeldBuffer::copy_from`].
#![expect(unsafe_code, reason = "implements the contract of queues")]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;

use spin::Mutex;

use super::nic::{CAPACITY, Common, health};
use super::{FrameDevice, ReceiveError};
use crate::nic::{Armed, Content, DmaBuffer, HeldBuffer, QueueFull, QueueHealth, Received, RxQueue};

#[cfg(doc)]
use super::GenericNic;

/// The receive queue of a [`GenericNic`].
pub struct GenericRx<D> {
    common: Common<D>,
    state: Arc<Mutex<RxState>>,
}

impl<D> GenericRx<D> {
    pub(super) fn new(common: Common<D>, state: Arc<Mutex<RxState>>) -> Self {
        Self { common, state }
    }
}

/// Its state, shared with the card.
pub(super) struct RxState {
    /// Buffers to be filled, oldest first.
    posted: VecDeque<(u16, HeldBuffer)>,
    staging: Box<[u8]>,
    /// When the device last had nothing, if it had nothing when it was last asked.
    dry_at: Option<u64>,
    is_gone: bool,
    /// The card was stopped.
    is_ended: bool,
}

impl RxState {
    pub(super) fn new(slots: u16, frame_max: u16) -> Self {
        Self {
            posted: VecDeque::with_capacity(slots.into()),
            staging: vec![0; usize::from(frame_max)].into(),
            dry_at: None,
            is_gone: false,
            is_ended: false,
        }
    }

    /// The card is stopped: all buffers are let go of, and none is accepted any more.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.posted = VecDeque::new();
    }

    /// Asks the device for a frame, no longer than the oldest posted buffer.
    fn look<D: FrameDevice>(&mut self, common: &Common<D>) -> Option<Received> {
        let (_, buffer) = self.posted.front()?;
        let len = self.staging.len().min(buffer.capacity().into());
        let into = self.staging.get_mut(..len)?;
        common.counters.looks.add(1);
        let outcome = common.device.receive(into);
        self.dry_at = if outcome.is_none() { Some((common.clock)()) } else { None };
        let outcome = outcome?;
        if outcome == Err(ReceiveError::Gone) {
            self.is_gone = true;
            return None;
        }
        let (id, mut buffer) = self.posted.pop_front()?;
        let content = match outcome {
            Ok(len) => self.staging.get(..len).and_then(|frame| buffer.copy_from(frame)),
            Err(_) => None,
        };
        match content {
            Some(len) => return Some(Received { id, content: Content::Frame(len) }),
            None if outcome == Err(ReceiveError::Damaged) => common.counters.damaged.add(1),
            None => common.counters.too_long.add(1),
        }
        Some(Received { id, content: Content::Damaged })
    }
}

// SAFETY: an id leaves `posted` once, when it is reported, and its buffer is not touched after that; a frame is copied only
// if it fits.
unsafe impl<D: FrameDevice> RxQueue for GenericRx<D> {
    fn capacity(&self) -> u16 {
        CAPACITY
    }

    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let mut state = self.state.lock();
        if state.is_ended || state.posted.len() >= usize::from(CAPACITY) {
            return Err(QueueFull);
        }
        // SAFETY: the buffer leaves `posted` before its id is reported, and `stop` empties `posted`.
        let held = unsafe { buffer.hold() };
        state.posted.push_back((id, held));
        Ok(())
    }

    /// There is no doorbell: the device is asked, it does not fill buffers by itself.
    fn kick(&mut self) -> bool {
        false
    }

    fn take(&mut self) -> Option<Received> {
        let mut state = self.state.lock();
        if state.is_gone { None } else { state.look(&self.common) }
    }

    fn is_due(&mut self) -> bool {
        if self.common.tidings.take_arrival() {
            return true;
        }
        let state = self.state.lock();
        let Some(dry_at) = state.dry_at else { return true };
        let passed = (self.common.clock)().checked_sub(dry_at);
        passed.is_none_or(|passed| passed >= u64::from(self.common.knobs.generic_mit()))
    }

    fn arm(&mut self) -> Armed {
        self.common.tidings.armed()
    }

    fn health(&self) -> QueueHealth {
        health(self.state.lock().is_gone)
    }
}
