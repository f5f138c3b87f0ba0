//! A device that passes frames one by one, as a card.
//!
//! Each queue's state is behind a lock that only the ring's owner takes, and [`stop`](Nic::stop): so after it no queue
//! touches a buffer any more, whoever still holds one.
#![expect(unsafe_code, reason = "implements the contract of cards")]

use alloc::sync::Arc;
use alloc::vec;
use core::convert::Infallible;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

use spin::Mutex;

use super::rx::{GenericRx, RxState};
use super::tidings::Tidings;
use super::tx::{GenericTx, TxState};
use super::{Clock, FrameDevice, GenericCounters};
use crate::events::Events;
use crate::nic::{Link, Nic, NicInfo, QueueHealth, Queues, StartResult, Stopped};
use crate::tunables::Knobs;

/// A [`Nic`] over a device that knows no rings: one ring each way.
#[doc(alias = "netmap_generic_adapter")]
pub struct GenericNic<D> {
    common: Common<D>,
    frame_max: u16,
    running: Option<Running>,
}

/// Buffers that a queue can hold: as many as `generic_ringsize` can ever say. So a reset takes nothing from a ring that
/// was opened when the tunable said more. Memory is taken for as many as it says at the start.
pub(super) const CAPACITY: u16 = 32768;

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
        self.knobs.generic_ringsize().clamp(2, CAPACITY.into()) as u16
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

/// The state of the queues of one start.
struct Running {
    tx: Arc<Mutex<TxState>>,
    rx: Arc<Mutex<RxState>>,
}

impl Running {
    /// Lets all buffers go. Queues that are still about accept no more.
    fn end(self) {
        self.tx.lock().end();
        self.rx.lock().end();
    }
}

impl<D: FrameDevice> GenericNic<D> {
    /// A card over `device` that carries frames of up to `frame_max` bytes without CRC; longer ones are dropped and
    /// counted. The ring size is what `knobs` say when it is started, mitigation what they say at any time. The `clock`
    /// serves mitigation alone.
    pub fn new(device: D, frame_max: u16, knobs: Arc<Knobs>, clock: Clock) -> Self {
        let (device, counters, tidings) = (Arc::new(device), Arc::default(), Arc::default());
        Self { common: Common { device, counters, knobs, clock, tidings }, frame_max, running: None }
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

// SAFETY: all buffers are held in `TxState` and `RxState` and used under their locks; `stop` takes both locks, lets the
// buffers go and leaves queues that accept no more; so does dropping the card.
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

    fn start(&mut self) -> StartResult<Self> {
        let slots = self.common.ring_size();
        let tx = Arc::new(Mutex::new(TxState::new(slots, self.frame_max)));
        let rx = Arc::new(Mutex::new(RxState::new(slots, self.frame_max)));
        let queues = Queues {
            tx: vec![GenericTx::new(self.common.clone(), tx.clone()).into()],
            rx: vec![GenericRx::new(self.common.clone(), rx.clone()).into()],
        };
        self.running = Some(Running { tx, rx });
        Ok(queues)
    }

    fn stop(&mut self) -> Stopped {
        if let Some(running) = self.running.take() {
            running.end();
        }
        Stopped::Yes
    }
}

impl<D> Drop for GenericNic<D> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

/// The device was gone when it was last asked.
pub(super) fn health(is_gone: bool) -> QueueHealth {
    QueueHealth { refused: 0, is_broken: is_gone }
}
