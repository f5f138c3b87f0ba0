//! A network card without hardware.
#![expect(
    unsafe_code,
    reason = "the card's end of the memory: it reads and writes buffers by device address"
)]

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use super::HeapPlatform;
use crate::nic::{
    Content, DmaBuffer, Link, Nic, NicInfo, QueueFull, QueueHealth, Queues, Received, RxQueue, StartResult,
    TxQueue,
};

/// In which order a card finishes with buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were posted.
    Posted,
    /// The youngest first.
    Reversed,
    /// Any, by a generator with this seed.
    Shuffled(u64),
}

/// What kind of card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardSpec {
    /// What it says of itself. It has one ring each way.
    pub info: NicInfo,
    /// How it completes.
    pub order: Order,
    /// Whether [`Nic::start`] succeeds.
    pub starts: bool,
}

impl CardSpec {
    /// A card with `slots` slots each way that completes in `order`; `number` makes its address unique.
    pub fn new(number: u8, slots: u16, order: Order) -> Self {
        let mac = [0x52, 0x54, 0, 0, 0, number];
        Self {
            info: NicInfo { mac, tx_queues: 1, rx_queues: 1, tx_slots: slots, rx_slots: slots },
            order,
            starts: true,
        }
    }
}

/// The fake card was told not to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardError;

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card was told not to start")
    }
}

impl core::error::Error for CardError {}

/// A buffer that the card holds.
#[derive(Debug, Clone, Copy)]
struct Posted {
    id: u16,
    phys: u64,
    /// Transmit: length of the frame. Receive: capacity.
    len: u16,
}

/// One direction of the card.
#[derive(Debug, Default)]
struct Half {
    /// Posted since the last doorbell: the card does not know of them.
    unseen: Vec<Posted>,
    /// The card's own.
    owned: VecDeque<Posted>,
    done: VecDeque<Received>,
    /// Ids that were posted and not reported.
    outstanding: Vec<u16>,
}

/// The card's insides, shared with the wire.
#[derive(Debug)]
struct State {
    spec: CardSpec,
    random: u64,
    tx: Half,
    rx: Half,
    to_card: VecDeque<Vec<u8>>,
    from_card: VecDeque<Vec<u8>>,
    breaches: Vec<String>,
    is_running: bool,
    /// Transmitted, not reported.
    sent: VecDeque<Posted>,
    is_held: bool,
    completions_allowed: u32,
    queue_room: usize,
    health: QueueHealth,
    link: Link,
}

/// A card to be attached, and the other end of its cable.
pub fn card(spec: CardSpec) -> (FakeCard, Wire) {
    let random = if let Order::Shuffled(seed) = spec.order { seed | 1 } else { 1 };
    let state = State {
        spec,
        random,
        tx: Half::default(),
        rx: Half::default(),
        to_card: VecDeque::new(),
        from_card: VecDeque::new(),
        breaches: Vec::new(),
        is_running: false,
        sent: VecDeque::new(),
        is_held: false,
        completions_allowed: 1,
        queue_room: usize::MAX,
        health: QueueHealth::default(),
        link: Link::Up,
    };
    let state = Arc::new(Mutex::new(state));
    (FakeCard(state.clone()), Wire(state))
}

/// Picks one of `from`, in the order asked for.
fn pick(order: Order, random: &mut u64, from: &mut VecDeque<Posted>) -> Option<Posted> {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    match order {
        Order::Posted => from.pop_front(),
        Order::Reversed => from.pop_back(),
        Order::Shuffled(_) => from.remove((*random % from.len().max(1) as u64) as usize),
    }
}

impl State {
    /// What hardware would do by itself: sends what is posted, receives what is on the wire.
    fn work(&mut self) {
        if !self.is_running || self.health.is_broken {
            return;
        }
        while let Some(posted) = self.tx.owned.pop_front() {
            // SAFETY: the core posted the buffer, so until it is reported back its bytes are the card's to read.
            let bytes = unsafe {
                core::slice::from_raw_parts(HeapPlatform::virt(posted.phys), usize::from(posted.len))
            };
            self.from_card.push_back(bytes.to_vec());
            self.sent.push_back(posted);
        }
        while self.completions_allowed > 0
            && let Some(posted) = pick(self.spec.order, &mut self.random, &mut self.sent)
        {
            self.completions_allowed = self.completions_allowed.saturating_sub(u32::from(self.is_held));
            self.tx.done.push_back(Received { id: posted.id, content: Content::Frame(posted.len) });
        }
        while !self.to_card.is_empty()
            && let Some(posted) = pick(self.spec.order, &mut self.random, &mut self.rx.owned)
        {
            let content = self.to_card.pop_front().map_or(Content::Damaged, |frame| fill(posted, &frame));
            self.rx.done.push_back(Received { id: posted.id, content });
        }
    }

    /// Accepts a posted buffer, and notes what is wrong with it.
    fn post(&mut self, half: fn(&mut Self) -> &mut Half, posted: Posted) -> Result<(), QueueFull> {
        let held = |half: &Half| half.unseen.iter().chain(&half.owned).any(|p| p.phys == posted.phys);
        if held(&self.tx) || held(&self.rx) || self.sent.iter().any(|p| p.phys == posted.phys) {
            self.breaches.push(alloc::format!("buffer at {:#x} was given twice", posted.phys));
        }
        if !self.is_running {
            self.breaches.push(alloc::format!("buffer given to a stopped card under id {}", posted.id));
        }
        let half = half(self);
        if half.outstanding.contains(&posted.id) {
            self.breaches.push(alloc::format!("id {} was used while outstanding", posted.id));
            return Ok(());
        }
        half.outstanding.push(posted.id);
        half.unseen.push(posted);
        Ok(())
    }

    /// The doorbell: the card learns of what was posted.
    fn kick(&mut self, half: fn(&mut Self) -> &mut Half) {
        let half = half(self);
        let new = core::mem::take(&mut half.unseen);
        let is_empty = new.is_empty();
        half.owned.extend(new);
        if is_empty {
            self.breaches.push("doorbell with nothing new".into());
        }
    }

    /// The next finished buffer.
    fn take(&mut self, half: fn(&mut Self) -> &mut Half) -> Option<Received> {
        self.work();
        let half = half(self);
        let received = half.done.pop_front()?;
        half.outstanding.retain(|id| *id != received.id);
        Some(received)
    }
}

/// Puts a frame into a receive buffer, if it fits.
fn fill(posted: Posted, frame: &[u8]) -> Content {
    match u16::try_from(frame.len()) {
        Ok(len) if len <= posted.len => {
            // SAFETY: the buffer was given to the card and holds `posted.len` bytes.
            unsafe { HeapPlatform::virt(posted.phys).copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
            Content::Frame(len)
        }
        _ => Content::Damaged,
    }
}

/// The card, to be attached to a [`Netmap`](crate::Netmap).
#[derive(Debug)]
pub struct FakeCard(Arc<Mutex<State>>);

/// Its transmit queue.
#[derive(Debug)]
pub struct FakeTx(Arc<Mutex<State>>);

/// Its receive queue.
#[derive(Debug)]
pub struct FakeRx(Arc<Mutex<State>>);

// SAFETY: `stop` empties both halves, and a card without posted buffers touches none.
unsafe impl Nic for FakeCard {
    type Tx = FakeTx;
    type Rx = FakeRx;
    type Error = CardError;

    fn info(&self) -> NicInfo {
        self.0.lock().spec.info.clone()
    }

    fn link(&self) -> Link {
        self.0.lock().link
    }

    fn start(&mut self) -> StartResult<Self> {
        let mut state = self.0.lock();
        if !state.spec.starts {
            return Err(CardError);
        }
        state.is_running = true;
        state.health = QueueHealth::default();
        Ok(Queues { tx: alloc::vec![FakeTx(self.0.clone())], rx: alloc::vec![FakeRx(self.0.clone())] })
    }

    fn stop(&mut self) {
        let mut state = self.0.lock();
        state.is_running = false;
        state.tx = Half::default();
        state.rx = Half::default();
        state.sent.clear();
    }
}

// SAFETY: an id is reported when its buffer leaves the card, and buffers leave once.
unsafe impl TxQueue for FakeTx {
    fn capacity(&self) -> u16 {
        self.0.lock().spec.info.tx_slots
    }

    fn put(&mut self, id: u16, mut buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        buffer.write_header([0xee; 12]);
        let mut state = self.0.lock();
        if state.tx.outstanding.len() >= state.queue_room {
            return Err(QueueFull);
        }
        state.post(|state| &mut state.tx, Posted { id, phys: buffer.phys(), len })
    }

    fn kick(&mut self) -> bool {
        self.0.lock().kick(|state| &mut state.tx);
        true
    }

    fn reclaim(&mut self) -> Option<u16> {
        self.0.lock().take(|state| &mut state.tx).map(|received| received.id)
    }

    fn health(&self) -> QueueHealth {
        self.0.lock().health
    }
}

// SAFETY: as for `FakeTx`; lengths are checked against the capacity in `fill`.
unsafe impl RxQueue for FakeRx {
    fn capacity(&self) -> u16 {
        self.0.lock().spec.info.rx_slots
    }

    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let posted = Posted { id, phys: buffer.phys(), len: buffer.capacity() };
        self.0.lock().post(|state| &mut state.rx, posted)
    }

    fn kick(&mut self) -> bool {
        self.0.lock().kick(|state| &mut state.rx);
        true
    }

    fn take(&mut self) -> Option<Received> {
        self.0.lock().take(|state| &mut state.rx)
    }

    fn health(&self) -> QueueHealth {
        self.0.lock().health
    }
}

/// The other end of a card's cable, and the knobs of the card.
#[derive(Debug, Clone)]
pub struct Wire(Arc<Mutex<State>>);

impl Wire {
    /// Puts a frame on the wire towards the card.
    pub fn send(&self, frame: &[u8]) {
        self.0.lock().to_card.push_back(frame.to_vec());
    }

    /// The frames that have left the card since the last call.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        let mut state = self.0.lock();
        state.work();
        state.from_card.drain(..).collect()
    }

    /// How many frames wait on the wire for a receive buffer.
    pub fn waiting(&self) -> usize {
        self.0.lock().to_card.len()
    }

    /// From now on the card reports transmitted frames only as far as [`complete`](Self::complete) allows.
    pub fn hold_completions(&self) {
        let mut state = self.0.lock();
        (state.is_held, state.completions_allowed) = (true, 0);
    }

    /// Lets the card report `count` more transmitted frames.
    pub fn complete(&self, count: u32) {
        self.0.lock().completions_allowed += count;
    }

    /// Limits how many frames the transmit queue holds, below what the card promised.
    pub fn limit_queue(&self, room: usize) {
        self.0.lock().queue_room = room;
    }

    /// The card breaks down: it moves nothing more until it is started anew.
    pub fn break_down(&self) {
        self.0.lock().health = QueueHealth { refused: 1, is_broken: true };
    }

    /// Whether the card starts when it is told to.
    pub fn set_starts(&self, starts: bool) {
        self.0.lock().spec.starts = starts;
    }

    /// Plugs the cable in or pulls it.
    pub fn set_link(&self, link: Link) {
        self.0.lock().link = link;
    }

    /// Whether the card is started.
    pub fn is_running(&self) -> bool {
        self.0.lock().is_running
    }

    /// What the core did that it must not.
    pub fn breaches(&self) -> Vec<String> {
        self.0.lock().breaches.clone()
    }
}
