//! A card that lies: whatever it writes, nothing panics, and an id comes back once for each time that it was posted.

use std::collections::VecDeque;

use millrace_drivers::e1000::SLOTS;
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_core::nic::{Content, QueueHealth, Received};

use super::bench::{Bench, CAPACITY, MODELS, frame};

const DONE: u64 = 1 << 32;
const END: u64 = 1 << 33;

/// What the driver makes of a receive descriptor with this second word.
fn content(word: u64) -> (Option<Content>, u64) {
    let mut bench = Bench::new(IntelSetup::default());
    assert!(bench.give(9) && bench.rx.kick());
    bench.device.complete_falsely(Ring::Receive, word);
    let received = bench.rx.take();
    assert!(received.is_none_or(|received| received.id == 9));
    let content = received.map(|received| received.content);
    let health = bench.rx.health();
    assert!(!health.is_broken);
    assert_eq!(bench.rx.take(), None);
    bench.finish();
    (content, health.refused)
}

#[test]
fn what_cannot_be_is_damaged_and_counted() {
    let whole = DONE | END;
    for (word, expected, refused) in [
        (0, None, 0),
        (END | 60, None, 0),
        (!DONE, None, 0),
        (whole | 60, Some(Content::Frame(60)), 0),
        (whole | 1, Some(Content::Frame(1)), 0),
        (whole | 1522, Some(Content::Frame(1522)), 0),
        (whole | 1523, Some(Content::Damaged), 1),
        (whole | u64::from(CAPACITY), Some(Content::Damaged), 1),
        (whole | 0xffff, Some(Content::Damaged), 1),
        (whole, Some(Content::Damaged), 1),
        (DONE | 60, Some(Content::Damaged), 0),
        (!0, Some(Content::Damaged), 1),
    ] {
        assert_eq!(content(word), (expected, refused), "{word:#x}");
    }
    // Errors of the frame: CE, SE, SEQ, CXE, RXE. Those of checksums inside of it (TCPE, IPE) are not ours.
    for bit in 0..8 {
        let is_damaged = [0, 1, 2, 4, 7].contains(&bit);
        let expected = if is_damaged { Content::Damaged } else { Content::Frame(60) };
        assert_eq!(content(whole | 60 | 1 << (40 + bit)), (Some(expected), 0), "error {bit}");
    }
}

#[test]
fn without_an_end_all_is_damaged_until_it_comes() {
    let mut bench = Bench::new(IntelSetup::default());
    for id in 0..6 {
        assert!(bench.give(id));
    }
    bench.rx.kick();
    for word in [60, 1522, END | 60, END | 60, 60, END | 60] {
        bench.device.complete_falsely(Ring::Receive, DONE | word);
    }
    let seen: Vec<_> = std::iter::from_fn(|| bench.rx.take()).map(|received| received.content).collect();
    let (bad, good) = (Content::Damaged, Content::Frame(60));
    assert_eq!(seen, [bad, bad, bad, good, bad, bad]);
    bench.finish();
}

#[test]
fn a_descriptor_comes_back_once_however_often_it_is_reported() {
    let mut bench = Bench::new(IntelSetup::default());
    assert!(bench.put(3, &frame(1, 60)) && bench.tx.kick() && bench.give(4) && bench.rx.kick());
    for _ in 0..5 {
        for position in 0..520 {
            bench.device.scribble(Ring::Transmit, position, !0);
            bench.device.scribble(Ring::Receive, position, DONE | END | 60);
        }
        bench.tx.kick();
    }
    assert_eq!(bench.reclaim_all(), [3]);
    assert_eq!(bench.rx.take(), Some(Received { id: 4, content: Content::Frame(60) }));
    assert_eq!((bench.tx.reclaim(), bench.rx.take()), (None, None));
    assert_eq!(bench.tx.health(), QueueHealth::default());
}

/// Numbers that repeat from run to run (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// The second word of a descriptor: any bits, or some that nearly make sense.
    fn word(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next(),
            1 => DONE | END | self.below(2000),
            2 => self.next() & (DONE | END | 0xff00_0000_ffff),
            _ => DONE | self.next() & (END | 0xff00_0000_07ff),
        }
    }
}

/// The driver under test, and what is outstanding by an account of its own.
struct Account {
    bench: Bench,
    sent: VecDeque<u16>,
    given: VecDeque<u16>,
    next_sent: u16,
    next_given: u16,
}

impl Account {
    fn post(&mut self, count: u64) {
        for _ in 0..count {
            if self.given.len() < usize::from(SLOTS) {
                assert!(self.bench.give(self.next_given));
                self.given.push_back(self.next_given);
                self.next_given = (self.next_given + 1) % SLOTS;
            }
            if self.sent.len() < usize::from(SLOTS) {
                let number = usize::from(SLOTS + self.next_sent);
                if self.bench.tx.put(self.next_sent, self.bench.buffers.lend(number), 60).is_ok() {
                    self.sent.push_back(self.next_sent);
                    self.next_sent = (self.next_sent + 1) % SLOTS;
                }
            }
        }
    }

    fn collect(&mut self) {
        while let Some(id) = self.bench.tx.reclaim() {
            assert_eq!(self.sent.pop_front(), Some(id));
        }
        while let Some(Received { id, content }) = self.bench.rx.take() {
            assert_eq!(self.given.pop_front(), Some(id));
            assert!(!matches!(content, Content::Frame(len) if len == 0 || len > 1522));
        }
    }

    fn restart(&mut self) {
        self.bench.restart();
        self.bench.device.forget_violations();
        self.sent.clear();
        self.given.clear();
    }
}

#[test]
fn millions_of_random_answers_and_every_id_comes_back_in_turn() {
    const ANSWERS: u64 = if cfg!(debug_assertions) { 400_000 } else { 10_000_000 };
    for (model, seed) in MODELS.into_iter().zip(1..) {
        let bench = Bench::new(IntelSetup::of(model));
        let (sent, given) = (VecDeque::new(), VecDeque::new());
        let mut account = Account { bench, sent, given, next_sent: 0, next_given: 0 };
        let mut random = Random(seed * 0x1234_5678_9abc_def1);
        let mut answers = 0;
        while answers < ANSWERS / MODELS.len() as u64 {
            account.post(random.below(40));
            let kicked = (account.bench.rx.kick(), account.bench.tx.kick());
            for _ in 0..random.below(40) {
                answers += 1;
                let ring = if random.below(2) == 0 { Ring::Receive } else { Ring::Transmit };
                let word = random.word();
                match random.below(20) {
                    0 => account.bench.device.scribble(ring, random.next() as u16, word),
                    _ => account.bench.device.complete_falsely(ring, word),
                }
            }
            account.collect();
            if random.below(200) == 0 || kicked == (false, false) {
                account.restart();
            }
        }
        let Bench { machine, nic, tx, rx, buffers, .. } = account.bench;
        drop((nic, tx, rx, buffers));
        assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
    }
}
