//! Rings and a card for reading: every frame is a vector, every step is one slot, nothing is kept in step with anything.
//!
//! What the real ones are told, these are told too; then both must show the same windows, frames and counters.

use std::collections::VecDeque;

use nm_core::SyncError;
use nm_core::stats::RingCounters;

/// Shorter than two addresses and a type.
const FRAME_MIN: usize = 14;

/// The counters of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub packets: u64,
    pub bytes: u64,
    pub syncs: u64,
    pub kicks: u64,
    pub short: u64,
    pub error: u64,
    pub invalid: u64,
    pub full: u64,
    pub unbound: u64,
}

impl Counts {
    pub fn of(counters: &RingCounters) -> Self {
        Self {
            packets: counters.packets.get(),
            bytes: counters.bytes.get(),
            syncs: counters.syncs.get(),
            kicks: counters.kicks.get(),
            short: counters.drop_short.get(),
            error: counters.drop_error.get(),
            invalid: counters.drop_invalid.get(),
            full: counters.full.get(),
            unbound: counters.drop_unbound.get(),
        }
    }

    fn note(&mut self, frame: &[u8]) {
        self.packets += 1;
        self.bytes += frame.len() as u64;
    }
}

/// What application and core see of a ring.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    /// The frame of each slot, empty at first.
    pub slots: Vec<Vec<u8>>,
    pub head: usize,
    pub cur: usize,
    pub tail: usize,
    /// The `head` of the last sync.
    taken: usize,
    /// Transmit: the first slot that waits for the card. Receive: the first slot that is not posted.
    card: usize,
    /// The end of what has come back from the card.
    back: usize,
    /// Transmit: slots that came back out of turn.
    finished: Vec<bool>,
    pub counts: Counts,
}

/// What the application does.
impl Ring {
    fn new(slots: usize, tail: usize, counts: Counts) -> Self {
        let (frames, finished) = (vec![Vec::new(); slots], vec![false; slots]);
        Self { slots: frames, finished, tail, back: tail, counts, ..Self::default() }
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) % self.slots.len()
    }

    fn prev(&self, at: usize) -> usize {
        (at + self.slots.len() - 1) % self.slots.len()
    }

    /// The slots from `from` to the one before `to`.
    fn walk(&self, from: usize, to: usize) -> Vec<usize> {
        let mut walked = Vec::new();
        let mut at = from;
        while at != to {
            walked.push(at);
            at = self.next(at);
        }
        walked
    }

    pub fn window(&self) -> Vec<usize> {
        self.walk(self.head, self.tail)
    }

    pub fn avail(&self) -> u32 {
        self.walk(self.cur, self.tail).len() as u32
    }

    pub fn reserved(&self) -> u32 {
        self.walk(self.head, self.cur).len() as u32
    }

    /// Returns how many slots were given.
    pub fn advance(&mut self, count: usize) -> u32 {
        let given = self.window().len().min(count);
        for _ in 0..given {
            if self.cur == self.head {
                self.cur = self.next(self.cur);
            }
            self.head = self.next(self.head);
        }
        given as u32
    }

    /// Returns how many slots were looked at.
    pub fn look(&mut self, count: usize) -> u32 {
        let looked = self.walk(self.cur, self.tail).len().min(count);
        (0..looked).for_each(|_| self.cur = self.next(self.cur));
        looked as u32
    }

    /// Whether slots were given that no sync has taken over and no card has.
    pub fn has_unsent(&self) -> bool {
        self.head != self.card
    }

    /// Whether slots were released since the last sync.
    pub fn has_released(&self) -> bool {
        self.head != self.taken
    }
}

/// A card with its rings. Rings without a user are there too while it runs.
#[derive(Debug, Default)]
pub struct Card {
    pub tx: Vec<Ring>,
    pub rx: Vec<Ring>,
    frame_max: usize,
    is_reversed: bool,
    is_running: bool,
    pub is_broken: bool,
    pub is_linked: bool,
    /// Frames that may be reported as sent; no limit if there is none.
    pub allowed: Option<usize>,
    pub room: usize,
    tx_queues: Vec<TxQueue>,
    rx_queues: Vec<RxQueue>,
    /// Frames on the wire towards each receive queue.
    pub waiting: Vec<VecDeque<Vec<u8>>>,
    /// Frames that have left, with their queues.
    pub left: Vec<(u16, Vec<u8>)>,
    pub lost: u64,
}

#[derive(Debug, Clone, Default)]
struct TxQueue {
    posted: VecDeque<(usize, Vec<u8>)>,
    sent: VecDeque<usize>,
    done: VecDeque<usize>,
}

#[derive(Debug, Clone, Default)]
struct RxQueue {
    /// Buffers that the card knows of.
    posted: usize,
    /// Buffers of which no doorbell has told.
    unseen: usize,
    done: VecDeque<Vec<u8>>,
}

impl TxQueue {
    fn outstanding(&self) -> usize {
        self.posted.len() + self.sent.len() + self.done.len()
    }
}

/// Beginning and end.
impl Card {
    pub fn new(queues: usize, tx_slots: usize, rx_slots: usize, is_reversed: bool, frame_max: usize) -> Self {
        let rings = |slots| vec![Ring::new(slots, 0, Counts::default()); queues];
        let (tx, rx) = (rings(tx_slots), rings(rx_slots));
        let waiting = vec![VecDeque::new(); queues];
        Self { tx, rx, frame_max, is_reversed, is_linked: true, room: usize::MAX, waiting, ..Self::default() }
    }

    /// The first port is opened.
    pub fn start(&mut self) {
        self.run();
        for ring in &mut self.tx {
            *ring = Ring::new(ring.slots.len(), ring.slots.len() - 1, ring.counts);
        }
        for ring in &mut self.rx {
            *ring = Ring::new(ring.slots.len(), 0, ring.counts);
        }
        (0..self.rx.len()).for_each(|number| self.refill(number, false));
    }

    fn run(&mut self) {
        self.is_running = true;
        self.is_broken = false;
        self.tx_queues = vec![TxQueue::default(); self.tx.len()];
        self.rx_queues = vec![RxQueue::default(); self.rx.len()];
    }

    /// The last ring is closed.
    pub fn stop(&mut self) {
        self.is_running = false;
        (self.tx_queues, self.rx_queues) = (Vec::new(), Vec::new());
    }

    /// The application's slots stay; what the card held counts as sent, or is posted again.
    pub fn reset(&mut self) {
        self.run();
        for ring in &mut self.tx {
            ring.finished.fill(false);
            ring.back = ring.prev(ring.card);
        }
        for number in 0..self.rx.len() {
            self.rx[number].card = self.rx[number].back;
            self.refill(number, false);
        }
    }

    /// A transmit ring gets a new owner.
    pub fn freshen_tx(&mut self, number: usize) {
        let ring = &mut self.tx[number];
        (ring.head, ring.cur, ring.tail) = (ring.taken, ring.taken, ring.back);
        let _ = self.txsync(number);
        // What the card does not have is cleared.
        let ring = &mut self.tx[number];
        let (mut at, end) = (ring.card, ring.next(ring.back));
        loop {
            ring.slots[at].clear();
            at = ring.next(at);
            if at == end {
                break;
            }
        }
    }

    /// A receive ring gets a new owner: what has arrived is dropped.
    pub fn freshen_rx(&mut self, number: usize) {
        self.forget(number);
        let _ = self.rxsync(number);
        self.rx[number].counts.unbound += self.rx[number].window().len() as u64;
        self.forget(number);
        let _ = self.rxsync(number);
    }

    fn forget(&mut self, number: usize) {
        let ring = &mut self.rx[number];
        (ring.head, ring.cur, ring.tail) = (ring.back, ring.back, ring.back);
    }
}

/// Syncs.
impl Card {
    pub fn txsync(&mut self, number: usize) -> Result<(), SyncError> {
        let (room, ring, queue) = (self.room, &mut self.tx[number], &mut self.tx_queues[number]);
        ring.counts.syncs += 1;
        ring.taken = ring.head;
        let before = ring.counts.packets;
        for at in ring.walk(ring.card, ring.taken) {
            let frame = ring.slots[at].clone();
            if frame.is_empty() {
                ring.counts.invalid += 1;
                ring.finished[at] = true;
            } else if queue.outstanding() >= room {
                ring.counts.full += 1;
                break;
            } else {
                ring.counts.note(&frame);
                queue.posted.push_back((at, frame));
            }
            ring.card = ring.next(at);
        }
        ring.counts.kicks += u64::from(ring.counts.packets > before);
        for _ in 0..ring.slots.len() {
            self.work();
            let Some(at) = self.tx_queues[number].done.pop_front() else { break };
            self.tx[number].finished[at] = true;
        }
        let ring = &mut self.tx[number];
        while std::mem::take(&mut ring.finished[(ring.back + 1) % ring.slots.len()]) {
            ring.back = ring.next(ring.back);
        }
        ring.tail = ring.back;
        self.health()
    }

    pub fn rxsync(&mut self, number: usize) -> Result<(), SyncError> {
        self.rx[number].counts.syncs += 1;
        self.rx[number].taken = self.rx[number].head;
        let mut has_returned = false;
        for _ in 0..self.rx[number].slots.len() {
            if self.rx[number].back == self.rx[number].card {
                break;
            }
            self.work();
            let queue = &mut self.rx_queues[number];
            let Some(frame) = queue.done.pop_front() else { break };
            let ring = &mut self.rx[number];
            if (FRAME_MIN..=self.frame_max).contains(&frame.len()) {
                ring.counts.note(&frame);
                ring.slots[ring.back] = frame;
                ring.back = ring.next(ring.back);
            } else {
                let is_short = frame.len() < FRAME_MIN;
                *(if is_short { &mut ring.counts.short } else { &mut ring.counts.error }) += 1;
                queue.unseen += 1;
                has_returned = true;
            }
        }
        if has_returned || self.is_post_due(number) {
            self.refill(number, has_returned);
        }
        self.rx[number].tail = self.rx[number].back;
        self.health()
    }

    /// Posts what was released, but for the slot before it, and tells the card if there is anything to tell.
    fn refill(&mut self, number: usize, has_returned: bool) {
        let (ring, queue) = (&mut self.rx[number], &mut self.rx_queues[number]);
        let released = ring.walk(ring.card, ring.prev(ring.taken)).len();
        ring.card = ring.prev(ring.taken);
        queue.unseen += released;
        if released > 0 || has_returned {
            self.tell(number);
        }
    }

    /// The doorbell.
    fn tell(&mut self, number: usize) {
        let (ring, queue) = (&mut self.rx[number], &mut self.rx_queues[number]);
        ring.counts.kicks += 1;
        queue.posted += std::mem::take(&mut queue.unseen);
    }

    /// Whether released slots are posted now: an eighth of the ring, or the card has less than half of it.
    fn is_post_due(&self, number: usize) -> bool {
        let ring = &self.rx[number];
        let released = ring.walk(ring.card, ring.prev(ring.taken)).len();
        let outstanding = ring.walk(ring.back, ring.card).len();
        released * 8 >= ring.slots.len() || outstanding * 2 < ring.slots.len()
    }

    fn health(&self) -> Result<(), SyncError> {
        if self.is_broken { Err(SyncError::DeviceFailed) } else { Ok(()) }
    }
}

/// What the hardware does.
impl Card {
    pub fn arrive(&mut self, queue: usize, frame: Vec<u8>) {
        if self.is_linked {
            self.waiting[queue].push_back(frame);
        } else {
            self.lost += 1;
        }
    }

    /// Queue by queue: sends, reports, receives.
    pub fn work(&mut self) {
        if !self.is_running || self.is_broken {
            return;
        }
        for number in 0..self.tx.len() {
            let queue = &mut self.tx_queues[number];
            while self.is_linked
                && let Some((at, frame)) = queue.posted.pop_front()
            {
                self.left.push((number as u16, frame));
                queue.sent.push_back(at);
            }
            while self.allowed != Some(0)
                && let Some(at) =
                    if self.is_reversed { queue.sent.pop_back() } else { queue.sent.pop_front() }
            {
                queue.done.push_back(at);
                self.allowed = self.allowed.map(|allowed| allowed - 1);
            }
            let queue = &mut self.rx_queues[number];
            while self.is_linked
                && queue.posted > 0
                && let Some(frame) = self.waiting[number].pop_front()
            {
                queue.posted -= 1;
                queue.done.push_back(frame);
            }
        }
    }
}
