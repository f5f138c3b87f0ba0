//! Software queues in front of a [`FrameDevice`].
//!
//! Each queue's state is behind a lock that only the ring's owner takes, and [`stop`](Nic::stop): so after it no queue
//! touches a buffer any more, whoever still holds one.
#![expect(unsafe_code, reason = "implements the contract of cards and queues")]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec;
use core::convert::Infallible;
use core::fmt;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::task::Waker;

use spin::Mutex;

use super::{Clock, FrameDevice, ReceiveError, TransmitError, Watchers};
use crate::events::Events;
use crate::nic::{
    Armed, Content, DmaBuffer, HeldBuffer, Link, Nic, NicInfo, QueueFull, QueueHealth, Queues, Received,
    RxQueue, StartResult, TxQueue,
};
use crate::stats::Counter;
use crate::tunables::Knobs;

/// What became of frames between a generic adapter's rings and its device, beyond what the rings' counters say.
/// `Display` is one line.
#[derive(Debug, Default)]
pub struct GenericCounters {
    /// Transmit: offers that the device had no room for. The frame stayed in the ring.
    pub no_room: Counter,
    /// Transmit: frames that the device would not take, or that are longer than the adapter carries; dropped.
    pub refused: Counter,
    /// Receive: frames longer than a buffer, dropped.
    pub too_long: Counter,
    /// Receive: frames that the device reported as damaged, dropped.
    pub damaged: Counter,
    /// Receive: questions to the device whether there is a frame.
    pub looks: Counter,
}

impl fmt::Display for GenericCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { no_room, refused, too_long, damaged, looks } = self;
        write!(f, "no_room={} refused={}", no_room.get(), refused.get())?;
        write!(f, " too_long={} damaged={} looks={}", too_long.get(), damaged.get(), looks.get())
    }
}

/// A [`Nic`] over a device that knows no rings: one ring each way.
#[doc(alias = "netmap_generic_adapter")]
pub struct GenericNic<D> {
    common: Common<D>,
    frame_max: u16,
    running: Option<Running>,
}

/// Buffers that a queue can hold: as many as `generic_ringsize` can ever say. So a reset takes nothing from a ring that
/// was opened when the tunable said more. Memory is taken for as many as it says at the start.
const CAPACITY: u16 = 32768;

/// What the card and its queues share at all times.
struct Common<D> {
    device: Arc<D>,
    counters: Arc<GenericCounters>,
    knobs: Arc<Knobs>,
    clock: Clock,
    tidings: Arc<Tidings>,
}

/// What the device has told.
#[derive(Default)]
struct Tidings {
    /// Whether it tells at all.
    is_told: AtomicBool,
    /// A frame has arrived since the last look.
    has_arrived: AtomicBool,
}

impl Tidings {
    fn armed(&self) -> Armed {
        if self.is_told.load(Relaxed) { Armed::Yes } else { Armed::Never }
    }
}

/// What the device tells of an arrival.
struct Arrival {
    tidings: Arc<Tidings>,
    interrupt: Waker,
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: who finds it set sees the frame in the device. Before the interrupt, so that who is woken finds it.
        self.tidings.has_arrived.store(true, Release);
        self.interrupt.wake_by_ref();
    }
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
        self.tx.lock().is_ended = true;
        let mut rx = self.rx.lock();
        rx.is_ended = true;
        rx.posted = VecDeque::new();
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
    type Tx = GenericTx<D>;
    type Rx = GenericRx<D>;
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
        let arrival = Arrival { tidings: tidings.clone(), interrupt: events.rx_waker(0) };
        let watchers = Watchers { arrival: Arc::new(arrival).into(), room: events.tx_waker(0) };
        tidings.is_told.store(device.watch(watchers), Relaxed);
    }

    fn link(&self) -> Link {
        self.common.device.link()
    }

    fn start(&mut self) -> StartResult<Self> {
        let slots = self.common.ring_size();
        let tx = Arc::new(Mutex::new(TxState::new(slots, self.frame_max)));
        let rx = Arc::new(Mutex::new(RxState::new(slots, self.frame_max)));
        let queues = Queues {
            tx: vec![GenericTx { common: self.common.clone(), state: tx.clone() }],
            rx: vec![GenericRx { common: self.common.clone(), state: rx.clone() }],
        };
        self.running = Some(Running { tx, rx });
        Ok(queues)
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
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
fn health(is_gone: bool) -> QueueHealth {
    QueueHealth { refused: 0, is_broken: is_gone }
}

/// The transmit queue of a [`GenericNic`].
pub struct GenericTx<D> {
    common: Common<D>,
    state: Arc<Mutex<TxState>>,
}

struct TxState {
    /// Frames that the device has, by id, not yet reported.
    done: VecDeque<u16>,
    staging: Box<[u8]>,
    is_gone: bool,
    /// The card was stopped.
    is_ended: bool,
}

impl TxState {
    fn new(slots: u16, frame_max: u16) -> Self {
        let staging = vec![0; usize::from(frame_max)].into();
        Self { done: VecDeque::with_capacity(slots.into()), staging, is_gone: false, is_ended: false }
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

/// The receive queue of a [`GenericNic`].
pub struct GenericRx<D> {
    common: Common<D>,
    state: Arc<Mutex<RxState>>,
}

struct RxState {
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
    fn new(slots: u16, frame_max: u16) -> Self {
        Self {
            posted: VecDeque::with_capacity(slots.into()),
            staging: vec![0; usize::from(frame_max)].into(),
            dry_at: None,
            is_gone: false,
            is_ended: false,
        }
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
        // Acquire: as in `Arrival::wake_by_ref`. Taken before the look, so that a frame which comes later counts anew.
        if self.common.tidings.has_arrived.swap(false, Acquire) {
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
