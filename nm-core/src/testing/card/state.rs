//! The insides of a fake card.
#![expect(
    unsafe_code,
    reason = "the card's end of the memory: it reads and writes buffers by device address"
)]

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::spec::Random;
use super::{CardSpec, Order};
use crate::events::Events;
use crate::nic::{Armed, Link, QueueStatus, Stopped};
use crate::stats::Direction;
use crate::testing::HeapPlatform;

/// How many breaches are kept.
const BREACHES_MAX: usize = 100;

/// A buffer that the card holds; to transmit, the buffers of a frame.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) id: u16,
    /// Address and length of each. Receive: there is one, and its length is what it can hold.
    pub(super) parts: Vec<(u64, u16)>,
}

impl Posted {
    fn holds(&self, phys: u64) -> bool {
        self.parts.iter().any(|part| part.0 == phys)
    }

    /// The frame.
    fn bytes(&self) -> Vec<u8> {
        let part = |&(phys, len): &(u64, u16)| {
            // SAFETY: the core posted the buffer, so until it is reported back its bytes are the card's to read.
            unsafe { core::slice::from_raw_parts(HeapPlatform::virt(phys), usize::from(len)) }
        };
        self.parts.iter().flat_map(part).copied().collect()
    }
}

/// A buffer that the card has finished with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) id: u16,
    pub(super) content: Content,
}

/// What a finished buffer holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// So many bytes of a frame, which ends here unless more is to come in the next buffer.
    Frame { len: u16, more: bool },
    /// Nothing usable.
    Damaged,
}

/// Something that takes effect at a time.
#[derive(Debug)]
struct Due<T> {
    at: u64,
    what: T,
}

/// One queue of the card.
#[derive(Debug, Default)]
struct Queue {
    /// Posted since the last doorbell: the card does not know of them.
    unseen: Vec<Posted>,
    /// The card's own.
    owned: VecDeque<Posted>,
    /// Transmitted, not reported.
    sent: VecDeque<Due<Posted>>,
    done: VecDeque<Received>,
    /// Ids that were posted and not reported.
    outstanding: Vec<u16>,
    /// Buffers reported since the start.
    reported: u64,
    /// Completions since the start at which it interrupts.
    armed_at: Option<u64>,
}

impl Queue {
    /// Completions since the start, reported or not.
    fn completed(&self) -> u64 {
        self.reported + self.done.len() as u64
    }

    /// Whether it is time for an interrupt that was asked for. It is told once.
    fn take_interrupt(&mut self) -> bool {
        let is_due = self.armed_at.is_some_and(|at| self.completed() >= at);
        if is_due {
            self.armed_at = None;
        }
        is_due
    }

    fn holds(&self, phys: u64) -> bool {
        let sent = self.sent.iter().map(|due| &due.what);
        self.unseen.iter().chain(&self.owned).chain(sent).any(|posted| posted.holds(phys))
    }
}

/// The card's insides, shared with the wire.
#[derive(Debug)]
pub(super) struct State {
    pub(super) spec: CardSpec,
    random: Random,
    /// Looks at the card so far: its time.
    now: u64,
    tx: Vec<Queue>,
    rx: Vec<Queue>,
    /// Frames on the wire towards each receive queue.
    to_card: Vec<VecDeque<Due<Vec<u8>>>>,
    /// Frames that have left, with the queue by which.
    pub(super) from_card: VecDeque<(u16, Vec<u8>)>,
    /// Frames moved since the start.
    moved: u64,
    /// Frames that were sent towards a card without link.
    pub(super) lost: u64,
    pub(super) breaches: Vec<String>,
    pub(super) is_running: bool,
    pub(super) is_held: bool,
    pub(super) completions_allowed: u32,
    pub(super) queue_room: usize,
    pub(super) health: QueueStatus,
    pub(super) link: Link,
    /// Where its interrupts go.
    pub(super) line: Option<Events>,
}

impl State {
    pub(super) fn new(spec: CardSpec) -> Self {
        let random = Random::new(if let Order::Shuffled(seed) = spec.order { seed } else { 1 });
        let wires = usize::from(spec.info.rx_queues);
        Self {
            spec,
            random,
            now: 0,
            tx: Vec::new(),
            rx: Vec::new(),
            to_card: (0..wires).map(|_| VecDeque::new()).collect(),
            from_card: VecDeque::new(),
            moved: 0,
            lost: 0,
            breaches: Vec::new(),
            is_running: false,
            is_held: false,
            completions_allowed: 1,
            queue_room: usize::MAX,
            health: QueueStatus::default(),
            link: Link::Up,
            line: None,
        }
    }

    pub(super) fn start(&mut self) {
        self.to_card.resize_with(self.spec.info.rx_queues.into(), VecDeque::new);
        let queues = |count| (0..count).map(|_| Queue::default()).collect();
        (self.tx, self.rx) = (queues(self.spec.info.tx_queues), queues(self.spec.info.rx_queues));
        self.is_running = true;
        self.health = QueueStatus::default();
        self.moved = 0;
    }

    /// Lets everything go, unless it does not stop.
    pub(super) fn stop(&mut self) -> Stopped {
        if !self.spec.stops {
            return Stopped::No;
        }
        self.is_running = false;
        (self.tx, self.rx) = (Vec::new(), Vec::new());
        Stopped::Yes
    }

    fn queues(&mut self, direction: Direction) -> &mut Vec<Queue> {
        match direction {
            Direction::Tx => &mut self.tx,
            Direction::Rx => &mut self.rx,
        }
    }

    /// What hardware would do by itself: sends what is posted, receives what is on the wire.
    pub(super) fn work(&mut self) {
        self.now += 1;
        let queues = self.tx.len().max(self.rx.len());
        for number in (0..).take(queues) {
            self.transmit(number);
            self.report(number);
            self.receive(number);
        }
        self.interrupt();
    }

    /// What armed queues have finished interrupts, once.
    fn interrupt(&mut self) {
        let Some(line) = &self.line else { return };
        for (number, queue) in (0..).zip(&mut self.rx) {
            if queue.take_interrupt() {
                let _ = line.rx_interrupt(number);
            }
        }
        for (number, queue) in (0..).zip(&mut self.tx) {
            if queue.take_interrupt() {
                let _ = line.tx_interrupt(number);
            }
        }
    }

    /// What hardware does in its own time, when it is waited for.
    pub(super) fn work_if_armed(&mut self) {
        if self.rx.iter().chain(&self.tx).any(|queue| queue.armed_at.is_some()) {
            self.work();
        }
    }

    /// Asks one queue for an interrupt when `buffers` more are finished than were reported.
    pub(super) fn arm(&mut self, direction: Direction, number: u16, buffers: u16) -> Armed {
        if self.line.is_none() {
            return Armed::Never;
        }
        self.work();
        let Some(queue) = self.queues(direction).get_mut(usize::from(number)) else { return Armed::Never };
        let at = queue.reported + u64::from(buffers);
        let is_late = queue.completed() >= at;
        queue.armed_at = (!is_late).then_some(at);
        if !is_late && usize::from(buffers) > queue.outstanding.len().max(1) {
            self.breaches.push(alloc::format!("an interrupt after {buffers} frames, more than there are"));
        }
        if is_late { Armed::Pending } else { Armed::Yes }
    }

    pub(super) fn disarm(&mut self, direction: Direction, number: u16) {
        if let Some(queue) = self.queues(direction).get_mut(usize::from(number)) {
            queue.armed_at = None;
        }
    }

    /// Whether queue 0 is armed.
    pub(super) fn is_armed(&self, direction: Direction) -> bool {
        let queues = match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        };
        queues.first().is_some_and(|queue| queue.armed_at.is_some())
    }

    fn can_move(&self) -> bool {
        self.is_running && !self.health.is_broken && self.link == Link::Up
    }

    /// Notes that a frame was moved, after which the card may break down.
    fn note_moved(&mut self) {
        self.moved += 1;
        if self.spec.breaks_after.is_some_and(|after| self.moved >= after) {
            self.break_down();
        }
    }

    /// The card moves nothing more until it is started anew.
    pub(super) fn break_down(&mut self) {
        self.health = QueueStatus { refused: 1, is_broken: true, has_kicked: false };
    }

    /// Sends the frames of one queue, in order.
    fn transmit(&mut self, number: u16) {
        let delay = self.spec.tx_delays.get(usize::from(number)).map_or(0, |&delay| u64::from(delay));
        while self.can_move()
            && let Some(queue) = self.tx.get_mut(usize::from(number))
            && let Some(posted) = queue.owned.pop_front()
        {
            self.from_card.push_back((number, posted.bytes()));
            queue.sent.push_back(Due { at: self.now + self.random.below(delay + 1), what: posted });
            self.note_moved();
        }
    }

    /// Reports sent frames of one queue, as far as it is allowed.
    fn report(&mut self, number: u16) {
        let Some(queue) = self.tx.get_mut(usize::from(number)) else { return };
        if self.health.is_broken {
            return;
        }
        while self.completions_allowed > 0
            && let Some(at) = pick_due(self.spec.order, &mut self.random, &queue.sent, self.now)
            && let Some(Due { what: posted, .. }) = queue.sent.remove(at)
        {
            self.completions_allowed = self.completions_allowed.saturating_sub(u32::from(self.is_held));
            queue.done.push_back(Received { id: posted.id, content: Content::Frame { len: 0, more: false } });
        }
    }

    /// Fills buffers of one queue with the frames that have arrived, in order: as many as each frame needs. One that needs more
    /// than the queue ever has is cut, and damaged.
    fn receive(&mut self, number: u16) {
        while self.can_move()
            && let Some(queue) = self.rx.get_mut(usize::from(number))
            && let Some(wire) = self.to_card.get_mut(usize::from(number))
            && let Some(due) = wire.front().filter(|due| due.at <= self.now)
            && let Some(room) =
                queue.owned.front().and_then(|posted| Some(usize::from(posted.parts.first()?.1)))
        {
            let buffers = due.what.len().div_ceil(room.max(1)).max(1);
            let is_cut =
                buffers >= usize::from(self.spec.info.rx_slots) || self.spec.info.scatter_min.is_none();
            let buffers = if is_cut { 1 } else { buffers };
            if queue.owned.len() < buffers {
                break;
            }
            let frame = wire.pop_front().map_or(Vec::new(), |due| due.what);
            let mut rest = frame.as_slice();
            for left in (0..buffers).rev() {
                let at = pick(self.spec.order, &mut self.random, queue.owned.len());
                let Some(posted) = at.and_then(|at| queue.owned.remove(at)) else { break };
                let (part, behind) = rest.split_at(rest.len().min(room));
                let content = fill(&posted, part, left > 0).filter(|_| left > 0 || behind.is_empty());
                queue
                    .done
                    .push_back(Received { id: posted.id, content: content.unwrap_or(Content::Damaged) });
                rest = behind;
            }
            self.note_moved();
        }
    }

    /// Receive queues that frames are on the way to: those of the last start.
    pub(super) fn wires(&self) -> u16 {
        self.to_card.len() as u16
    }

    /// A frame on the wire towards a queue. Without link it is lost.
    pub(super) fn arrive(&mut self, number: u16, frame: Vec<u8>) {
        let delay = self.spec.rx_delays.get(usize::from(number)).map_or(0, |&delay| u64::from(delay));
        let at = self.now + self.random.below(delay + 1);
        match self.to_card.get_mut(usize::from(number)) {
            Some(wire) if self.link == Link::Up => wire.push_back(Due { at, what: frame }),
            _ => self.lost += 1,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.to_card.iter().map(VecDeque::len).sum()
    }

    /// Accepts a posted buffer, and notes what is wrong with it.
    pub(super) fn post(&mut self, direction: Direction, number: u16, posted: Posted) {
        let id = posted.id;
        for &(phys, _) in &posted.parts {
            if self.tx.iter().chain(&self.rx).any(|queue| queue.holds(phys)) {
                self.note_breach(|| alloc::format!("buffer at {phys:#x} was given twice"));
            }
        }
        let Some(queue) = self.queues(direction).get_mut(usize::from(number)) else {
            self.note_breach(|| alloc::format!("buffer given to a stopped card under id {id}"));
            return;
        };
        if queue.outstanding.contains(&id) {
            self.note_breach(|| alloc::format!("id {id} was used while outstanding"));
            return;
        }
        queue.outstanding.push(id);
        queue.unseen.push(posted);
    }

    /// Notes what the core did that it must not: the first few times, as a hostile program makes it do so for ever.
    fn note_breach(&mut self, what: impl FnOnce() -> String) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(what());
        }
    }

    /// Whether a transmit queue says that it is full.
    pub(super) fn is_full(&mut self, number: u16) -> bool {
        let one_in = u64::from(self.spec.full_one_in);
        let room = self.queue_room;
        let is_full = self.tx.get(usize::from(number)).is_some_and(|queue| queue.outstanding.len() >= room);
        is_full || (one_in > 0 && self.random.below(one_in) == 0)
    }

    /// The doorbell: the card learns of what was posted.
    pub(super) fn kick(&mut self, direction: Direction, number: u16) {
        let Some(queue) = self.queues(direction).get_mut(usize::from(number)) else { return };
        let new = core::mem::take(&mut queue.unseen);
        let is_empty = new.is_empty();
        queue.owned.extend(new);
        if is_empty {
            self.note_breach(|| "doorbell with nothing new".into());
        }
    }

    /// The next finished buffer.
    pub(super) fn take(&mut self, direction: Direction, number: u16) -> Option<Received> {
        self.work();
        let queue = self.queues(direction).get_mut(usize::from(number))?;
        let received = queue.done.pop_front()?;
        queue.reported += 1;
        queue.outstanding.retain(|id| *id != received.id);
        Some(received)
    }
}

/// Picks one of `count`, in the order asked for.
fn pick(order: Order, random: &mut Random, count: usize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    Some(match order {
        Order::Posted => 0,
        Order::Reversed => last,
        Order::Shuffled(_) => random.below(count as u64) as usize,
    })
}

/// Picks one of those that are due. In posted order nothing overtakes, so the first alone may be picked.
fn pick_due(order: Order, random: &mut Random, from: &VecDeque<Due<Posted>>, now: u64) -> Option<usize> {
    let is_due = |due: &Due<Posted>| due.at <= now;
    if order == Order::Posted {
        return from.front().filter(|due| is_due(due)).map(|_| 0);
    }
    let count = from.iter().filter(|due| is_due(due)).count();
    let nth = pick(order, random, count)?;
    from.iter().enumerate().filter(|(_, due)| is_due(due)).nth(nth).map(|(at, _)| at)
}

/// Puts a part of a frame into a receive buffer, if it fits.
fn fill(posted: &Posted, part: &[u8], more: bool) -> Option<Content> {
    let &(phys, room) = posted.parts.first()?;
    let len = u16::try_from(part.len()).ok().filter(|len| *len <= room)?;
    // SAFETY: the buffer was given to the card and holds `room` bytes.
    unsafe { HeapPlatform::virt(phys).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
    Some(Content::Frame { len, more })
}
