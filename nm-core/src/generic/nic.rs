//! A device that passes frames one by one, as a card.
#![expect(unsafe_code, reason = "implements the contract of cards")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::convert::Infallible;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

use super::rx::GenericRx;
use super::tidings::Tidings;
use super::tx::GenericTx;
use super::{Clock, FrameDevice, GenericCounters};
use crate::events::Events;
use crate::nic::{Link, Nic, NicInfo, QueueStatus, Queues, StartParams, StartResult, Stopped};
use crate::tunables::Knobs;

/// A [`Nic`] over a device that knows no rings: one ring each way.
#[doc(alias = "netmap_generic_adapter")]
pub struct GenericNic<D> {
    common: Common<D>,
    frame_max: u16,
}

/// Most slots of a ring.
const SLOTS_MAX: u32 = 32768;
/// Longest frame that is carried, if buffers are shorter: a frame of several slots.
const FRAME_MAX: u16 = 9216;

/// What the card and its queues share at all times.
pub(super) struct Common<D> {
    pub(super) device: Arc<D>,
    pub(super) counters: Arc<GenericCounters>,
    pub(super) knobs: Arc<Knobs>,
    pub(super) clock: Clock,
    pub(super) tidings: Arc<Tidings>,
}

impl<D> Common<D> {
    /// Slots of a ring that is opened now.
    #[doc(alias = "generic_ringsize")]
    fn ring_size(&self) -> u16 {
        self.knobs.generic_ringsize().clamp(2, SLOTS_MAX) as u16
    }
}

impl<D> Clone for Common<D> {
    fn clone(&self) -> Self {
        let Self { device, counters, knobs, clock, tidings } = self;
        Self {
            device: device.clone(),
            counters: counters.clone(),
            knobs: knobs.clone(),
            clock: clock.clone(),
            tidings: tidings.clone(),
        }
    }
}

impl<D: FrameDevice> GenericNic<D> {
    /// A card over `device` that carries frames of up to `frame_max` bytes without CRC; longer ones are dropped and
    /// counted. The ring size is what `knobs` say when it is started, mitigation what they say at any time. The `clock`
    /// serves mitigation alone.
    pub fn new(device: D, frame_max: u16, knobs: Arc<Knobs>, clock: Clock) -> Self {
        let (device, counters, tidings) = (Arc::new(device), Arc::default(), Arc::default());
        Self { common: Common { device, counters, knobs, clock, tidings }, frame_max }
    }

    /// What becomes of frames between rings and device.
    pub fn counters(&self) -> &Arc<GenericCounters> {
        &self.common.counters
    }
}

impl<D> fmt::Debug for GenericNic<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericNic").field("frame_max", &self.frame_max).finish_non_exhaustive()
    }
}

// SAFETY: the queues access buffers only inside of a sync, and keep none.
unsafe impl<D: FrameDevice> Nic for GenericNic<D> {
    type Error = Infallible;

    fn info(&self) -> NicInfo {
        let slots = self.common.ring_size();
        NicInfo {
            mac: self.common.device.mac(),
            tx_queues: 1,
            rx_queues: 1,
            tx_slots: slots,
            rx_slots: slots,
        }
    }

    fn connect(&mut self, events: Events) {
        let Common { device, tidings, .. } = &self.common;
        tidings.is_told.store(device.watch(tidings.watchers(&events)), Relaxed);
    }

    fn link(&self) -> Link {
        self.common.device.link()
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        let staging = || vec![0; self.frame_max.max(FRAME_MAX).into()].into_boxed_slice();
        let (tx_slots, rx_slots) = (params.tx_slots, params.rx_slots);
        Ok(Queues {
            tx: vec![Box::new(GenericTx::new(self.common.clone(), tx_slots, staging()))],
            rx: vec![Box::new(GenericRx::new(self.common.clone(), rx_slots, staging()))],
            receive_len: params.buffer_len,
        })
    }

    fn stop(&mut self) -> Stopped {
        Stopped::Yes
    }
}

/// The status of a queue whose device was gone or not when it was last asked.
pub(super) fn status(is_gone: bool) -> QueueStatus {
    QueueStatus { is_broken: is_gone, ..QueueStatus::default() }
}
