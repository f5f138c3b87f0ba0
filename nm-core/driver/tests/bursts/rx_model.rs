//! Random receive operations against an oracle that keeps lists of buffers and searches them.

use std::collections::{HashMap, VecDeque};

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, FRAME_MIN, RxBurst, RxReport};
use nm_driver::offsets::SlotOffsets;
use nm_driver::slots::{SlotArray, SlotValue};
use proptest::prelude::*;

use crate::memory::{CAPACITY, Rx, post_at, slot};
use crate::{config, ids_of};

/// The bits of `ptr` that hold an offset.
const MASK: u64 = 0x7f;

/// What an application and a device do.
#[derive(Debug, Clone)]
enum Step {
    /// In one sync: what the device reports, then posting in runs of at most so many, which leaves so many buffers.
    Sync {
        answers: Vec<Answer>,
        run: usize,
        hold: u32,
    },
    /// The application takes all whole frames, and releases their slots with this `ptr`.
    Take(u64),
    /// A raw program writes to all slots that are the core's, but those that it has released.
    Rewrite(u32, u16, u16, u64),
    Reset,
}

/// One report of the device.
#[derive(Debug, Clone)]
enum Answer {
    Fragment {
        id: Id,
        before: u16,
        len: u32,
        more: bool,
    },
    Damaged {
        id: Id,
        more: bool,
    },
    /// Whole frames in order: so many, and one of this length under this id.
    Run(usize, u32, Id),
    /// Whole frames in any order: under these ids, the last of this length.
    Any(Vec<Id>, u32),
    /// The rest of a frame does not come.
    CutOff,
}

#[derive(Debug, Clone, Copy)]
enum Id {
    /// That of an outstanding buffer, by place in the order of posting.
    Outstanding(usize),
    Any(u32),
}

#[derive(Debug)]
struct Oracle {
    size: u32,
    ids: u32,
    receive_len: u32,
    frame_max: u16,
    flags: u16,
    /// Position of the first slot that is the application's.
    head: u32,
    /// Slots with whole frames.
    received: VecDeque<SlotValue>,
    /// Slots of the frame that is not whole.
    partial: Vec<SlotValue>,
    /// By id, and the ids in the order of posting.
    buffers: HashMap<u32, u32>,
    order: VecDeque<u32>,
    /// Buffers that are free: all but the last can be posted.
    free: VecDeque<u32>,
    /// The largest offset, where slots have one; and by buffer the offset that it is posted with.
    offset_max: Option<u16>,
    offsets: HashMap<u32, u16>,
    /// Ids from the oldest outstanding one to the newest: the others came back out of order.
    window: VecDeque<u32>,
    next: u32,
    is_dropping: bool,
    /// A buffer came back without a frame in this sync: what is free is posted at once.
    has_returned: bool,
    /// A raw program has written to the slots of the frame that is not whole.
    is_rewritten: bool,
    /// Packets, bytes, short, long, damaged.
    report: (u32, u64, u32, u32, u32),
}

impl Oracle {
    fn new(ring: &Rx, frame_max: u16, offset_max: Option<u16>) -> Self {
        let size = ring.memory.size.slots();
        Self {
            size,
            ids: ids_of(size, ring.capacity),
            receive_len: ring.receive_len.min(CAPACITY - offset_max.unwrap_or(0)).into(),
            frame_max,
            flags: ring.flags.bits(),
            head: 0,
            received: VecDeque::new(),
            partial: Vec::new(),
            buffers: HashMap::new(),
            order: VecDeque::new(),
            free: (2..size + 2).collect(),
            offset_max,
            offsets: HashMap::new(),
            window: VecDeque::new(),
            next: 0,
            is_dropping: false,
            has_returned: false,
            is_rewritten: false,
            report: Default::default(),
        }
    }

    fn id(&self, id: Id) -> u32 {
        match id {
            Id::Outstanding(place) => {
                place.checked_rem(self.order.len()).map_or(0, |place| self.order[place])
            }
            Id::Any(id) => id,
        }
    }

    /// The buffer with an id comes back.
    fn take(&mut self, id: u32) -> Option<u32> {
        let place = self.order.iter().position(|&outstanding| outstanding == id)?;
        self.order.remove(place);
        self.pass_gaps();
        self.buffers.remove(&id)
    }

    fn pass_gaps(&mut self) {
        while self.window.front() != self.order.front() {
            self.window.pop_front();
        }
    }

    fn has_gaps(&self) -> bool {
        self.window.len() > self.order.len()
    }

    /// The id of the next buffer that is posted.
    fn next_id(&mut self) -> u32 {
        // The oldest buffer becomes the newest until there is a free id.
        while self.window.len() as u32 == self.ids && self.has_gaps() {
            self.window.rotate_left(1);
            self.order.rotate_left(1);
            self.next += 1;
            self.pass_gaps();
        }
        self.next += 1;
        (self.next - 1) % self.ids
    }

    fn drop_frame(&mut self, buffer: u32, more: bool) {
        self.has_returned = true;
        self.free.push_front(buffer);
        for part in self.partial.drain(..).rev() {
            self.free.push_front(part.buf_idx);
        }
        self.is_dropping = more;
    }

    fn damaged(&mut self, id: u32, more: bool) -> bool {
        let Some(buffer) = self.take(id) else { return false };
        self.report.4 += u32::from(!self.is_dropping);
        self.drop_frame(buffer, more);
        true
    }

    fn fragment(&mut self, id: u32, len: u32, more: bool) -> bool {
        let Some(buffer) = self.take(id) else { return false };
        let bytes = u64::from(len) + self.partial.iter().map(|slot| u64::from(slot.len)).sum::<u64>();
        let count = self.partial.len() as u32 + 1;
        if self.is_dropping {
            // Counted when it began.
        } else if len == 0 && (more || count > 1) {
            self.report.4 += 1;
        } else if len > self.receive_len
            || bytes > self.frame_max.into()
            || more && (count == FRAGMENTS_MAX || count + 1 >= self.size)
        {
            self.report.3 += 1;
        } else if !more && bytes < FRAME_MIN.into() {
            self.report.2 += 1;
        } else {
            let more_flag = if more { SlotFlags::MOREFRAG.bits() } else { 0 };
            self.partial.push(SlotValue { buf_idx: buffer, len: len as u16, flags: self.flags | more_flag });
            if !more {
                self.received.extend(self.partial.drain(..));
                self.report.0 += 1;
                self.report.1 += bytes;
            }
            return true;
        }
        self.drop_frame(buffer, more);
        true
    }

    fn cut_off(&mut self) {
        self.report.4 += u32::from(!self.partial.is_empty());
        self.has_returned |= !self.partial.is_empty();
        for part in self.partial.drain(..).rev() {
            self.free.push_front(part.buf_idx);
        }
        self.is_dropping = false;
    }

    /// How many of these whole frames are taken in one run.
    fn run(&mut self, claimed: &[(u32, u32)]) -> u32 {
        if self.has_gaps() || !self.partial.is_empty() || self.is_dropping || self.offset_max.is_some() {
            return 0;
        }
        // Neither ids nor slots wrap in a run.
        let import = (self.head + self.received.len() as u32) % self.size;
        let most = (self.ids - self.order.front().copied().unwrap_or(0)).min(self.size - import);
        let mut count = 0;
        for &(id, len) in claimed.iter().take(most as usize) {
            let longest = self.receive_len.min(self.frame_max.into());
            let is_whole = (u32::from(FRAME_MIN)..=longest).contains(&len);
            if self.order.front() != Some(&id) || !is_whole {
                break;
            }
            assert!(self.fragment(id, len, false));
            count += 1;
        }
        count
    }

    /// How many of these whole frames are taken in any order.
    fn run_of_any(&mut self, claimed: &[(u32, u32)]) -> u32 {
        if !self.partial.is_empty() || self.is_dropping || self.offset_max.is_some() {
            return 0;
        }
        let import = (self.head + self.received.len() as u32) % self.size;
        let mut count = 0;
        for &(id, len) in claimed.iter().take((self.size - import) as usize) {
            let longest = self.receive_len.min(self.frame_max.into());
            let is_whole = (u32::from(FRAME_MIN)..=longest).contains(&len);
            if !is_whole || !self.fragment(id, len, false) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Whether free buffers but for `keep` are posted, or collected.
    fn is_post_due(&self, keep: usize) -> bool {
        let (size, free) = (self.size as usize, self.free.len().saturating_sub(keep));
        self.has_returned || 8 * free >= size || 2 * self.order.len() < size
    }

    fn offset(&self, buffer: u32) -> u16 {
        self.offsets.get(&buffer).copied().unwrap_or(0)
    }

    fn post(&mut self, keep: usize) -> Vec<(u32, u32, u16)> {
        let mut posted = Vec::new();
        if !self.is_post_due(keep) {
            return posted;
        }
        while self.free.len() > keep {
            let id = self.next_id();
            let buffer = self.free.pop_front().unwrap();
            self.buffers.insert(id, buffer);
            self.order.push_back(id);
            self.window.push_back(id);
            posted.push((id, buffer, self.offset(buffer)));
        }
        posted
    }

    fn reset(&mut self) {
        let mut ids: Vec<_> = self.order.drain(..).collect();
        ids.sort_unstable();
        let outstanding = ids.iter().map(|id| self.buffers[id]);
        let partial = self.partial.drain(..).map(|slot| slot.buf_idx);
        self.free = partial.chain(outstanding).chain(self.free.drain(..)).collect();
        self.buffers.clear();
        self.window.clear();
        (self.next, self.is_dropping) = (0, false);
    }
}

/// Lets the device report, and compares what the burst says of it.
fn answer(burst: &mut RxBurst<'_>, slots: &SlotArray, oracle: &mut Oracle, answer: &Answer) {
    let before = oracle.received.len();
    match *answer {
        Answer::Fragment { id, before, len, more } => {
            let id = oracle.id(id);
            assert_eq!(burst.fragment(id, before, len, more), oracle.fragment(id, len, more), "id {id}");
        }
        Answer::Damaged { id, more } => {
            let id = oracle.id(id);
            assert_eq!(burst.damaged(id, more), oracle.damaged(id, more), "id {id}");
        }
        Answer::Run(count, len, id) => {
            let ids = oracle.order.iter().take(count).map(|id| (*id, 60));
            let claimed: Vec<_> = ids.chain([(oracle.id(id), len)]).collect();
            let taken = burst.receive_run(&claimed, 0, |(claimed, len), id| (*claimed == id).then_some(*len));
            assert_eq!(taken, oracle.run(&claimed));
        }
        Answer::Any(ref ids, len) => {
            let mut claimed: Vec<_> = ids.iter().map(|id| (oracle.id(*id), 60)).collect();
            if let Some(last) = claimed.last_mut() {
                last.1 = len;
            }
            assert_eq!(burst.receive_any(&claimed, 0, |frame| Some(*frame)), oracle.run_of_any(&claimed));
        }
        Answer::CutOff => {
            burst.cut_off();
            oracle.cut_off();
        }
    }
    // What a raw program wrote to the slots of a frame in front of its last is what it gets. It puts them right again.
    if std::mem::take(&mut oracle.is_rewritten) {
        if oracle.received.len() == before {
            oracle.is_rewritten = !oracle.partial.is_empty();
            return;
        }
        for ahead in before..oracle.received.len() - 1 {
            let at = slots.size().index((oracle.head + ahead as u32) % oracle.size).unwrap();
            slots.store(at, oracle.received[ahead]);
            slots.get(at).unwrap().set_ptr(oracle.offset(oracle.received[ahead].buf_idx).into());
        }
    }
}

/// Does one step to both, and compares what came of it.
fn step(ring: &mut Rx, oracle: &mut Oracle, step: &Step) {
    (oracle.report, oracle.has_returned) = Default::default();
    match step {
        Step::Sync { answers, run, hold } => {
            let size = ring.memory.size;
            let free = size.distance(ring.track.posted(), size.prev(ring.head));
            let hold = free.min(*hold);
            let end = size.advance(ring.track.posted(), free - hold);
            let (mut posted, slots) = (Vec::new(), ring.memory.slots());
            let report = ring.sync_up_to(end, |burst| {
                answers.iter().for_each(|a| answer(burst, &slots, oracle, a));
                posted = post_at(burst, *run);
            });
            assert_eq!(posted, oracle.post(hold as usize + 1));
            let RxReport { packets, bytes, short, long, damaged, bad_buffer, .. } = report;
            assert_eq!((packets, bytes, short, long, damaged), oracle.report);
            assert_eq!(bad_buffer, None);
        }
        Step::Take(ptr) => {
            for ahead in 0..oracle.received.len() as u32 {
                ring.memory.set_ptr((oracle.head + ahead) % oracle.size, *ptr);
            }
            if let Some(max) = oracle.offset_max {
                let offset = (ptr & MASK).min(max.into()) as u16;
                oracle.offsets.extend(oracle.received.iter().map(|slot| (slot.buf_idx, offset)));
            }
            let slots: Vec<_> = oracle.received.drain(..).collect();
            oracle.head = (oracle.head + slots.len() as u32) % oracle.size;
            oracle.free.extend(slots.iter().map(|slot| slot.buf_idx));
            assert_eq!(ring.take().concat(), slots);
        }
        Step::Rewrite(buf_idx, len, flags, ptr) => {
            let mut at = ring.hwtail;
            while at != ring.track.posted() {
                ring.memory.slots().store(at, slot(*buf_idx, *len, SlotFlags::from_bits_retain(*flags)));
                ring.memory.set_ptr(at.get(), *ptr);
                at = ring.memory.size.next(at);
            }
            oracle.is_rewritten = !oracle.partial.is_empty();
        }
        Step::Reset => {
            ring.reset();
            oracle.reset();
        }
    }
    compare(ring, oracle);
}

fn compare(ring: &Rx, oracle: &Oracle) {
    let size = ring.memory.size;
    assert_eq!((ring.head.get(), ring.track.outstanding()), (oracle.head, oracle.order.len() as u32));
    assert_eq!(size.distance(ring.head, ring.hwtail), oracle.received.len() as u32);
    // Each buffer is in one place.
    let received = oracle.received.iter().chain(&oracle.partial).map(|slot| slot.buf_idx);
    let mut buffers: Vec<_> =
        received.chain(oracle.buffers.values().copied()).chain(oracle.free.iter().copied()).collect();
    buffers.sort_unstable();
    assert_eq!(buffers, ring.memory.all());
    // What is in the slots: whole frames, then free buffers.
    let at = |ahead: usize| ring.memory.slots().load(size.advance(ring.head, ahead as u32));
    let found: Vec<_> = (0..oracle.received.len()).map(at).collect();
    assert_eq!(found, Vec::from(oracle.received.clone()));
    for (slot, ahead) in oracle.received.iter().zip(0..).filter(|_| oracle.offset_max.is_some()) {
        let ptr = ring.memory.ptr(size.advance(ring.head, ahead).get());
        assert_eq!(ptr & MASK, oracle.offset(slot.buf_idx).into());
    }
    let free: Vec<_> = (oracle.size as usize - oracle.free.len()..oracle.size as usize)
        .map(at)
        .map(|slot| slot.buf_idx)
        .collect();
    assert_eq!(free, Vec::from(oracle.free.clone()));
    assert_eq!(size.distance(ring.track.posted(), ring.head), oracle.free.len() as u32 % oracle.size);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop_oneof![3 => Just(0usize), 1 => 0..8usize];
    let id = prop_oneof![
        6 => place.prop_map(Id::Outstanding),
        1 => prop_oneof![0..17u32, Just(127), Just(128), Just(0x1_0000), Just(u32::MAX)].prop_map(Id::Any),
    ];
    let len = prop_oneof![6 => 14..129u32, 1 => 0..14u32, 1 => prop_oneof![Just(129u32), Just(0x1_0040), Just(u32::MAX)]];
    let more = prop::bool::weighted(0.3);
    let before = prop_oneof![4 => Just(0u16), 1 => 0..70u16];
    let answer = prop_oneof![
        6 => (id.clone(), before, len.clone(), more)
            .prop_map(|(id, before, len, more)| Answer::Fragment { id, before, len, more }),
        2 => (id.clone(), more).prop_map(|(id, more)| Answer::Damaged { id, more }),
        4 => (0..6usize, len.clone(), id.clone()).prop_map(|(count, len, id)| Answer::Run(count, len, id)),
        4 => (prop::collection::vec(id, 1..6), len).prop_map(|(ids, len)| Answer::Any(ids, len)),
        1 => Just(Answer::CutOff),
    ];
    let long = (1..140usize).prop_map(|count| {
        let part = Answer::Fragment { id: Id::Outstanding(0), before: 0, len: 20, more: true };
        vec![part; count]
    });
    let answers = prop_oneof![12 => prop::collection::vec(answer, 0..5), 1 => long];
    let hold = prop_oneof![4 => Just(0u32), 1 => 0..8u32];
    let step = prop_oneof![
        8 => (answers, 1..6usize, hold).prop_map(|(answers, run, hold)| Step::Sync { answers, run, hold }),
        4 => prop_oneof![0..100u64, any::<u64>()].prop_map(Step::Take),
        2 => (0..12u32, any::<u16>(), any::<u16>(), any::<u64>())
            .prop_map(|(buf_idx, len, flags, ptr)| Step::Rewrite(buf_idx, len, flags, ptr)),
        1 => prop_oneof![4 => Just(Step::Take(0)), 1 => Just(Step::Reset)],
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 30 } else { 400 })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_operations_come_to_what_the_oracle_says(
        slots in prop_oneof![6 => 2..=9u32, 2 => Just(16), 1 => Just(if cfg!(miri) { 5 } else { 100 })],
        more in prop_oneof![Just(0), Just(1), Just(3), Just(16), Just(60)],
        receive_len in prop_oneof![4 => Just(CAPACITY), 1 => Just(60), 1 => 0..16u16, 1 => Just(u16::MAX)],
        flags in prop_oneof![Just(SlotFlags::empty()), Just(SlotFlags::FORWARD)],
        frame_max in prop_oneof![3 => Just(u16::MAX), 1 => 0..=CAPACITY, 1 => Just(200)],
        offset_max in prop_oneof![3 => Just(None), 1 => Just(Some(50)), 1 => Just(Some(0))],
        steps in steps(),
    ) {
        let mut ring = Rx::new(slots, (slots + more) as u16).with_frame_max(frame_max);
        if let Some(max) = offset_max {
            ring = ring.with_offsets(SlotOffsets::new(max, MASK.count_ones()).unwrap());
        }
        (ring.receive_len, ring.flags) = (receive_len, flags);
        let mut oracle = Oracle::new(&ring, frame_max, offset_max);
        for s in &steps {
            step(&mut ring, &mut oracle, s);
        }
    }
}
