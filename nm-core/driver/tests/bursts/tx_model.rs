//! Random transmit operations against an oracle that keeps lists of frames and searches them.

use std::collections::VecDeque;

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, TxReport};
use nm_driver::slots::SlotValue;
use proptest::prelude::*;

use crate::memory::{CAPACITY, Sent, Tx, slot, submit};
use crate::{config, ids_of};

const ONCE: u16 = 0x0001 | 0x0002 | 0x0020;

/// What an application and a device do.
#[derive(Debug, Clone)]
enum Step {
    /// The application submits so many slots of this kind, as far as slots are free.
    Push(Kind, u32),
    /// The driver submits with so many descriptors, in runs of at most so many.
    Submit {
        room: u32,
        run: usize,
    },
    /// The driver is told that the device has completed an id: that of an outstanding frame, by place.
    Complete(usize),
    /// An id, whether or not it is outstanding.
    Claim(u32),
    /// A list of ids that begins with so many of the outstanding ones, oldest first, and ends with this one.
    CompleteRun(usize, u32),
    /// Frames of one fragment in any order: the ids of outstanding frames by place, and this one behind them.
    CompleteAny(Vec<usize>, u32),
    /// The oldest frames, by number.
    CompleteOldest(u32),
    /// A batch that the device reports by its last frame.
    CompleteThrough(u32),
    /// The device cannot send the next frame.
    Refuse,
    Reset,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain(u16),
    Flagged(u16),
    Part(u16),
    PartFlagged,
    Bad(u32),
    BadPart(u32),
    Empty,
    Long,
    Indirect,
}

impl Kind {
    fn value(self, own: u32) -> SlotValue {
        let flags = SlotFlags::from_bits_retain;
        match self {
            Self::Plain(len) => slot(own, len, flags(0)),
            Self::Flagged(bits) => slot(own, 60, flags(bits & !0x0030)),
            Self::Part(len) => slot(own, len, SlotFlags::MOREFRAG),
            Self::PartFlagged => slot(own, 60, SlotFlags::MOREFRAG | SlotFlags::REPORT | SlotFlags::NO_LEARN),
            Self::Bad(buf_idx) => slot(buf_idx, 60, flags(0)),
            Self::BadPart(buf_idx) => slot(buf_idx, 60, SlotFlags::MOREFRAG),
            Self::Empty => slot(own, 0, SlotFlags::REPORT),
            Self::Long => slot(own, CAPACITY + 1, flags(0)),
            Self::Indirect => slot(own, 60, SlotFlags::INDIRECT),
        }
    }
}

/// A frame that is outstanding.
#[derive(Debug, Clone)]
struct Outstanding {
    ids: Vec<u32>,
    slots: u32,
    has_report: bool,
    is_done: bool,
}

impl Outstanding {
    fn is_plain(&self) -> bool {
        self.ids.len() == 1 && self.slots == 1 && !self.is_done
    }
}

#[derive(Debug)]
struct Oracle {
    size: usize,
    ids: u32,
    /// All slots of the ring, as they are in memory.
    slots: Vec<SlotValue>,
    /// Where the pending slots begin, and how many there are.
    hwcur: usize,
    pending: usize,
    outstanding: VecDeque<Outstanding>,
    next: u32,
    free: u32,
    is_dropping: bool,
    /// What the sync comes to, but `submitted`.
    report: (u32, u32, u64, u32, u32, bool),
    /// Frames that are longer than `frame_max`, in this sync.
    long: u32,
    frame_max: u16,
}

impl Oracle {
    fn new(ring: &Tx, frame_max: u16) -> Self {
        let size = ring.memory.size.slots();
        Self {
            size: size as usize,
            ids: ids_of(size, ring.capacity),
            slots: (0..size).map(|raw| ring.memory.load(raw)).collect(),
            hwcur: 0,
            pending: 0,
            outstanding: VecDeque::new(),
            next: 0,
            free: size - 1,
            is_dropping: false,
            report: Default::default(),
            long: 0,
            frame_max,
        }
    }

    fn at(&self, ahead: usize) -> SlotValue {
        self.slots[(self.hwcur + ahead) % self.size]
    }

    fn is_valid(&self, slot: SlotValue) -> bool {
        (2..self.size as u32 + 2).contains(&slot.buf_idx)
            && (1..=CAPACITY).contains(&slot.len)
            && slot.flags & 0x0010 == 0
    }

    /// Goes on behind so many pending slots.
    fn pass(&mut self, slots: usize) {
        for _ in 0..slots {
            self.slots[self.hwcur].flags &= !ONCE;
            self.hwcur = (self.hwcur + 1) % self.size;
            self.pending -= 1;
        }
    }

    fn release(&mut self, slots: u32) {
        self.report.0 += slots;
        self.free += slots;
    }

    fn drop_slots(&mut self, slots: usize) {
        self.pass(slots);
        match self.outstanding.back_mut() {
            Some(last) => last.slots += slots as u32,
            None => self.release(slots as u32),
        }
    }

    /// The slots of the next frame that can be sent, if it is whole. What is invalid is dropped.
    fn next_frame(&mut self) -> Option<Vec<SlotValue>> {
        while self.pending > 0 {
            let pending: Vec<_> = (0..self.pending).map(|ahead| self.at(ahead)).collect();
            let last = pending.iter().position(|slot| slot.flags & 0x0020 == 0);
            if self.is_dropping {
                self.drop_slots(last.map_or(pending.len(), |last| last + 1));
                self.is_dropping = last.is_none();
                continue;
            }
            match last {
                Some(last) if last < FRAGMENTS_MAX as usize => {
                    let frame = &pending[..=last];
                    let is_valid = frame.iter().all(|slot| self.is_valid(*slot));
                    let is_long =
                        frame.iter().map(|slot| u32::from(slot.len)).sum::<u32>() > self.frame_max.into();
                    if is_valid && !is_long {
                        return Some(frame.to_vec());
                    }
                    self.drop_slots(last + 1);
                    self.report.3 += u32::from(!is_valid);
                    self.long += u32::from(is_valid);
                }
                None if pending.len() < FRAGMENTS_MAX as usize && pending.len() + 1 < self.size => {
                    return None;
                }
                _ => {
                    self.drop_slots(pending.len().min(FRAGMENTS_MAX as usize));
                    self.report.3 += 1;
                    self.is_dropping = true;
                }
            }
        }
        None
    }

    fn submit(&mut self, mut room: u32) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(frame) = self.next_frame() {
            let count = frame.len() as u32;
            if count > room {
                self.report.5 = true;
                break;
            }
            room -= count;
            let ids: Vec<_> = (0..count).map(|k| (self.next + k) % self.ids).collect();
            self.next = (self.next + count) % self.ids;
            let has_report = frame.iter().any(|slot| slot.flags & 0x0002 != 0);
            sent.push(Sent {
                id: ids[0] as u16,
                fragments: frame.iter().map(|slot| (slot.buf_idx, slot.len)).collect(),
            });
            self.outstanding.push_back(Outstanding { ids, slots: count, has_report, is_done: false });
            self.report.1 += 1;
            self.report.2 += frame.iter().map(|slot| u64::from(slot.len)).sum::<u64>();
            self.pass(frame.len());
        }
        sent
    }

    fn complete(&mut self, id: u32) -> Option<u32> {
        let frame = self.outstanding.iter_mut().find(|frame| frame.ids[0] == id && !frame.is_done)?;
        frame.is_done = true;
        let fragments = frame.ids.len() as u32;
        while let Some(&Outstanding { slots, is_done: true, .. }) = self.outstanding.front() {
            self.outstanding.pop_front();
            self.release(slots);
        }
        Some(fragments)
    }

    fn complete_oldest(&mut self, frames: u32) {
        for _ in 0..frames {
            let oldest = self.outstanding.front().map(|frame| frame.ids[0]);
            if let Some(id) = oldest {
                self.complete(id);
            }
        }
    }

    /// How many of these completions are taken in one run.
    fn complete_run(&mut self, claimed: &[u32]) -> u32 {
        if !self.outstanding.iter().all(Outstanding::is_plain) {
            return 0;
        }
        // Ids do not wrap in a run.
        let first = self.outstanding.front().map_or(0, |frame| frame.ids[0]);
        let ids = self.outstanding.iter().map(|frame| frame.ids[0]).take((self.ids - first) as usize);
        let count = ids.zip(claimed).take_while(|(id, claimed)| id == *claimed).count() as u32;
        self.complete_oldest(count);
        count
    }

    /// How many of these completions of frames of one fragment are taken.
    fn complete_any(&mut self, claimed: &[u32]) -> u32 {
        let mut count = 0;
        for id in claimed {
            let is_single = |frame: &&Outstanding| frame.ids == [*id] && !frame.is_done;
            if self.outstanding.iter().find(is_single).is_none() {
                break;
            }
            self.complete(*id);
            count += 1;
        }
        count
    }

    fn frames_through(&self, id: u32) -> Option<(u32, u32)> {
        let last = self.outstanding.iter().position(|frame| frame.ids[0] == id && !frame.is_done)?;
        let frames = self.outstanding.iter().take(last + 1).filter(|frame| !frame.is_done);
        Some(
            frames
                .fold((0, 0), |(frames, fragments), frame| (frames + 1, fragments + frame.ids.len() as u32)),
        )
    }

    fn fragments(&self) -> u32 {
        self.outstanding.iter().map(|frame| frame.ids.len() as u32).sum()
    }

    /// The id of the outstanding frame at a place, also one that is done; any id where nothing is outstanding.
    fn id_at(&self, place: usize) -> u32 {
        let place = place.checked_rem(self.outstanding.len());
        place.map_or(0, |place| self.outstanding[place].ids[0])
    }
}

/// Does one step to both, and compares what came of it.
fn step(ring: &mut Tx, oracle: &mut Oracle, step: &Step) {
    (oracle.report, oracle.long) = Default::default();
    let report = match *step {
        Step::Push(kind, count) => {
            let was_pending = oracle.pending > 0;
            for _ in 0..count.min(ring.free()) {
                let at = ring.head.get() as usize;
                let value = kind.value(at as u32 + 2);
                ring.push_value(value);
                oracle.slots[at] = value;
                oracle.pending += 1;
                oracle.free -= 1;
            }
            let is_half = oracle.fragments() * 2 >= oracle.size as u32;
            let is_due = oracle.pending == 0 || was_pending || is_half;
            ring.sync(|burst| assert_eq!(burst.has_reclaim(), is_due))
        }
        Step::Submit { room, run } => {
            let mut sent = Vec::new();
            let report = ring.sync(|burst| sent = submit(burst, run, room));
            assert_eq!(sent, oracle.submit(room));
            report
        }
        Step::Complete(place) => claim(ring, oracle, oracle.id_at(place)),
        Step::Claim(id) => claim(ring, oracle, id),
        Step::CompleteRun(count, last) => {
            let ids = oracle.outstanding.iter().map(|frame| frame.ids[0]).take(count);
            let claimed: Vec<u32> = ids.chain([last]).collect();
            let mut taken = 0;
            let report =
                ring.sync(|burst| taken = burst.complete_run(&claimed, |claimed, id| *claimed == id));
            assert_eq!(taken, oracle.complete_run(&claimed));
            report
        }
        Step::CompleteAny(ref places, last) => {
            let claimed: Vec<u32> = places.iter().map(|place| oracle.id_at(*place)).chain([last]).collect();
            let mut taken = 0;
            let report = ring.sync(|burst| taken = burst.complete_any(&claimed, |id| Some(*id)));
            assert_eq!(taken, oracle.complete_any(&claimed));
            report
        }
        Step::CompleteOldest(frames) => {
            oracle.complete_oldest(frames);
            ring.sync(|burst| burst.complete_oldest(frames))
        }
        Step::CompleteThrough(place) => {
            let id = if place < 4 { oracle.id_at(place as usize) } else { place - 4 };
            let expected = oracle.frames_through(id);
            let frames = expected.map_or(0, |(frames, _)| frames);
            oracle.complete_oldest(frames);
            ring.sync(|burst| {
                assert_eq!(burst.frames_through(id), expected);
                burst.complete_oldest(frames);
            })
        }
        Step::Refuse => {
            if let Some(frame) = oracle.next_frame() {
                oracle.drop_slots(frame.len());
                oracle.report.4 += 1;
            }
            ring.sync(|burst| {
                if let Some(frame) = burst.next_frame(u32::MAX) {
                    frame.refuse();
                }
            })
        }
        Step::Reset => {
            ring.reset();
            let slots: u32 = oracle.outstanding.drain(..).map(|frame| frame.slots).sum();
            oracle.free += slots;
            (oracle.next, oracle.is_dropping) = (0, false);
            ring.sync(|_| {})
        }
    };
    compare(ring, oracle, report);
}

fn claim(ring: &mut Tx, oracle: &mut Oracle, id: u32) -> TxReport {
    let (answers, report) = ring.complete(&[id]);
    assert_eq!(answers, [oracle.complete(id)], "id {id}");
    report
}

fn compare(ring: &mut Tx, oracle: &Oracle, report: TxReport) {
    let TxReport { submitted, released, packets, bytes, invalid, long, unsupported, is_full } = report;
    assert_eq!((released, packets, bytes, invalid, unsupported, is_full), oracle.report);
    assert_eq!(long, oracle.long);
    assert_eq!(submitted.get() as usize, oracle.hwcur);
    // Each slot is in one place.
    let slots: u32 = oracle.outstanding.iter().map(|frame| frame.slots).sum();
    assert_eq!(slots + oracle.pending as u32 + oracle.free + 1, oracle.size as u32);
    assert_eq!(
        (ring.free(), ring.memory.size.distance(ring.hwcur, ring.head)),
        (oracle.free, oracle.pending as u32)
    );
    let found: Vec<_> = (0..oracle.size as u32).map(|raw| ring.memory.load(raw)).collect();
    assert_eq!(found, oracle.slots);
    let is_left = |frame: &&Outstanding| !frame.is_done;
    assert_eq!(ring.track.outstanding(), oracle.fragments());
    assert_eq!(ring.track.frames(), oracle.outstanding.iter().filter(is_left).count() as u32);
    assert_eq!(ring.track.has_report(), oracle.outstanding.iter().any(|frame| frame.has_report));
    // Nothing is pending, or was left by the sync before this one.
    ring.sync(|burst| assert_eq!((u32::from(burst.next_id()), burst.has_reclaim()), (oracle.next, true)));
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![4 => 1..=CAPACITY, 1 => Just(1), 1 => Just(CAPACITY)];
    let bad = prop_oneof![Just(0), Just(1), Just(u32::MAX), 102..105u32];
    let kind = prop_oneof![
        8 => len.clone().prop_map(Kind::Plain),
        3 => prop_oneof![Just(2u16), Just(1), Just(4), any::<u16>()].prop_map(Kind::Flagged),
        5 => len.prop_map(Kind::Part),
        1 => Just(Kind::PartFlagged),
        1 => bad.clone().prop_map(Kind::Bad),
        1 => bad.prop_map(Kind::BadPart),
        1 => Just(Kind::Empty),
        1 => Just(Kind::Long),
        1 => Just(Kind::Indirect),
    ];
    let count = prop_oneof![20 => 1..4u32, 1 => 60..70u32, 1 => 1..100u32];
    let room = prop_oneof![3 => Just(u32::MAX), 1 => 0..5u32];
    let id = prop_oneof![8 => 0..17u32, 1 => 0..140u32, 1 => Just(0x1_0000), 1 => Just(u32::MAX)];
    let step = prop_oneof![
        8 => (kind, count).prop_map(|(kind, count)| Step::Push(kind, count)),
        6 => (room, 1..6usize).prop_map(|(room, run)| Step::Submit { room, run }),
        5 => (0..4usize).prop_map(Step::Complete),
        2 => id.clone().prop_map(Step::Claim),
        3 => (0..6usize, id.clone()).prop_map(|(count, last)| Step::CompleteRun(count, last)),
        3 => (prop::collection::vec(0..6usize, 0..5), id.clone()).prop_map(|(places, last)| Step::CompleteAny(places, last)),
        2 => (0..5u32).prop_map(Step::CompleteOldest),
        1 => (0..24u32).prop_map(Step::CompleteThrough),
        1 => Just(Step::Refuse),
        1 => prop_oneof![9 => Just(Step::Submit { room: u32::MAX, run: 9 }), 1 => Just(Step::Reset)],
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 30 } else { 400 })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_operations_come_to_what_the_oracle_says(
        slots in prop_oneof![6 => 2..=9u32, 2 => Just(16), 1 => Just(if cfg!(miri) { 5 } else { 100 })],
        more in prop_oneof![Just(0), Just(1), Just(3), Just(16), Just(60)],
        frame_max in prop_oneof![3 => Just(u16::MAX), 1 => 1..=CAPACITY, 1 => Just(200)],
        steps in steps(),
    ) {
        let mut ring = Tx::new(slots, (slots + more) as u16).with_frame_max(frame_max);
        let mut oracle = Oracle::new(&ring, frame_max);
        for s in &steps {
            step(&mut ring, &mut oracle, s);
        }
    }
}
