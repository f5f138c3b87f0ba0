//! A card that lies: whatever it writes, nothing panics, slots come back once and in order, and no buffer is in two places.

use std::collections::VecDeque;

use millrace_drivers::e1000::SLOTS;
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_driver::burst::{FRAGMENTS_MAX, RxReport};

use super::bench::{Bench, CAPACITY, MODELS, frame, padded};

const DONE: u64 = 1 << 32;
const END: u64 = 1 << 33;
/// Errors of the frame: CE, SE, SEQ, CXE, RXE (section 3.2.3.2).
const DAMAGED: u64 = 0b1001_0111 << 40;
/// The longest that the card may write to a buffer, as it is started here.
const LIMIT: u64 = 1522;

/// What becomes of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A frame of so many bytes.
    Frame(usize),
    Short,
    Damaged,
    /// Nothing yet.
    Nothing,
}

/// What the driver makes of a receive descriptor with this second word, and how many completions it has refused.
fn fate(word: u64) -> (Fate, u32) {
    let mut bench = Bench::new(IntelSetup::default());
    bench.rx.hold_back(u32::from(SLOTS) - 2);
    bench.rx.sync();
    assert_eq!(bench.rx.outstanding(), 1);
    bench.device.complete_falsely(Ring::Receive, word);
    let report = bench.rx.sync();
    assert!(!bench.rx.status.is_broken);
    let fate = match (report.packets, report.short, report.damaged, report.long) {
        (1, 0, 0, 0) => Fate::Frame(bench.rx.take()[0].len()),
        (0, 1, 0, 0) => Fate::Short,
        (0, 0, 1, 0) => Fate::Damaged,
        (0, 0, 0, 0) => Fate::Nothing,
        other => panic!("{other:?} of {word:#x}"),
    };
    let refused = bench.rx.status.refused;
    assert_eq!(bench.rx.receive().len(), 0);
    bench.finish();
    (fate, refused)
}

#[test]
fn what_cannot_be_is_damaged_and_counted() {
    let whole = DONE | END;
    for (word, expected, refused) in [
        (0, Fate::Nothing, 0),
        (END | 60, Fate::Nothing, 0),
        (!DONE, Fate::Nothing, 0),
        (whole | 60, Fate::Frame(60), 0),
        (whole | 14, Fate::Frame(14), 0),
        (whole | 13, Fate::Short, 0),
        (whole | 1, Fate::Short, 0),
        (whole | 1522, Fate::Frame(1522), 0),
        (whole | 1523, Fate::Damaged, 1),
        (whole | u64::from(CAPACITY), Fate::Damaged, 1),
        (whole | 0xffff, Fate::Damaged, 1),
        (whole, Fate::Damaged, 1),
        (DONE | 60, Fate::Nothing, 0),
        (DONE, Fate::Damaged, 1),
        (DONE | 1523, Fate::Damaged, 1),
        (!0, Fate::Damaged, 1),
    ] {
        assert_eq!(fate(word), (expected, refused), "{word:#x}");
    }
    // Those of checksums inside of the frame (TCPE, IPE) are not ours.
    for bit in 0..8 {
        let is_damaged = DAMAGED >> (40 + bit) & 1 == 1;
        let expected = if is_damaged { Fate::Damaged } else { Fate::Frame(60) };
        assert_eq!(fate(whole | 60 | 1 << (40 + bit)), (expected, 0), "error {bit}");
        // Where the frame does not end, there are no errors yet.
        assert_eq!(fate(DONE | 60 | 1 << (40 + bit)), (Fate::Nothing, 0), "error {bit}");
    }
}

#[test]
fn a_descriptor_comes_back_once_however_often_it_is_reported() {
    let mut bench = Bench::new(IntelSetup::default());
    bench.rx.hold_back(u32::from(SLOTS) - 2);
    assert!(bench.tx.push(&frame(1, 60)));
    assert_eq!((bench.tx.sync().packets, bench.rx.sync().packets, bench.rx.outstanding()), (1, 0, 1));
    let (mut released, mut received) = (0, 0);
    for _ in 0..5 {
        for position in 0..520 {
            bench.device.scribble(Ring::Transmit, position, !0);
            bench.device.scribble(Ring::Receive, position, DONE | END | 60);
        }
        bench.rx.hold_back(u32::from(SLOTS));
        released += bench.tx.sync().released;
        received += bench.rx.sync().packets;
    }
    assert_eq!((released, received), (1, 1));
    assert_eq!((bench.tx.status.refused, bench.tx.status.is_broken), (0, false));
    assert!(bench.tx.is_complete() && bench.rx.is_complete());
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

/// What the words of receive descriptors come to, by the manual: an account of its own.
#[derive(Default)]
struct Oracle {
    fragments: u32,
    bytes: u64,
    is_dropping: bool,
    /// A descriptor was left without DONE: the driver waits for it.
    is_stuck: bool,
    packets: u32,
    short: u32,
    long: u32,
    damaged: u32,
    refused: u32,
    /// Lengths of whole frames.
    frames: Vec<usize>,
}

impl Oracle {
    fn take(&mut self, word: u64) {
        self.is_stuck |= word & DONE == 0;
        if self.is_stuck {
            return;
        }
        let (len, is_last) = (word & 0xffff, word & END != 0);
        let is_possible = (1..=LIMIT).contains(&len);
        self.refused += u32::from(!is_possible);
        if self.is_dropping {
            self.is_dropping = !is_last;
        } else if !is_possible || is_last && word & DAMAGED != 0 {
            self.damaged += 1;
            self.drop_frame(is_last);
        } else {
            (self.fragments, self.bytes) = (self.fragments + 1, self.bytes + len);
            if !is_last && self.fragments == FRAGMENTS_MAX {
                self.long += 1;
                self.drop_frame(is_last);
            } else if is_last && self.bytes < 14 {
                self.short += 1;
                self.drop_frame(is_last);
            } else if is_last {
                self.packets += 1;
                self.frames.push(self.bytes as usize);
                (self.fragments, self.bytes) = (0, 0);
            }
        }
    }

    fn drop_frame(&mut self, is_last: bool) {
        (self.fragments, self.bytes, self.is_dropping) = (0, 0, !is_last);
    }
}

/// The driver under test, and what is in its rings.
struct Account {
    bench: Bench,
    oracle: Oracle,
    /// Words were written to receive descriptors that are not the card's next.
    is_scribbled: bool,
    /// Frames that were pushed and have not left, as they leave; of no meaning once the card has lied about one.
    sent: VecDeque<Vec<u8>>,
    has_lied: bool,
    /// Slots that were pushed and not released.
    held: u32,
    number: u32,
}

impl Account {
    fn new(bench: Bench) -> Self {
        let (oracle, sent) = (Oracle::default(), VecDeque::new());
        Self { bench, oracle, is_scribbled: false, sent, has_lied: false, held: 0, number: 0 }
    }

    /// Pushes some frames, short ones and ones of several slots among them.
    fn push(&mut self, random: &mut Random) {
        for _ in 0..random.below(40) {
            self.number += 1;
            let slots = match random.below(128) {
                0 => 1 + random.below(FRAGMENTS_MAX.into()) as usize,
                1..32 => 1 + random.below(5) as usize,
                _ => 1,
            };
            let most = if random.below(2) == 0 { 30 } else { 200 };
            let len = 1 + random.below(most) as usize;
            let parts: Vec<_> = (0..slots).map(|part| frame(self.number + part as u32, len)).collect();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            if self.bench.tx.push_fragments(&parts) {
                self.sent.push_back(padded(parts.concat()));
                self.held += slots as u32;
            }
        }
    }

    fn sync(&mut self) -> bool {
        let report = self.bench.tx.sync();
        assert_eq!((report.invalid, report.unsupported), (0, 0));
        assert_eq!(report.is_full, self.bench.tx.pending() > 0);
        self.held = self.held.checked_sub(report.released).expect("a slot comes back once");
        let outstanding = self.bench.rx.outstanding();
        let RxReport { packets, short, long, damaged, bad_buffer, .. } = self.bench.rx.sync();
        assert!(packets <= outstanding);
        assert_eq!((self.bench.rx.status.is_broken, bad_buffer), (false, None));
        let frames: Vec<_> = self.bench.rx.take().iter().map(Vec::len).collect();
        assert_eq!(frames.len(), packets as usize);
        if !self.is_scribbled {
            let oracle = &mut self.oracle;
            assert_eq!(frames, std::mem::take(&mut oracle.frames));
            let expected = (oracle.packets, oracle.short, oracle.long, oracle.damaged);
            assert_eq!((packets, short, long, damaged), expected);
            assert_eq!(self.bench.rx.status.refused, oracle.refused);
            (oracle.packets, oracle.short, oracle.long, oracle.damaged) = (0, 0, 0, 0);
        }
        let Bench { tx, rx, .. } = &self.bench;
        assert!(tx.is_complete() && rx.is_complete(), "a buffer is lost, or in two places");
        assert_eq!(tx.free() + self.held, u32::from(SLOTS) - 1);
        tx.status.has_kicked || rx.status.has_kicked
    }

    /// The card does something, honest or not.
    fn answer(&mut self, random: &mut Random, lies_about_frames: bool) {
        let word = random.word();
        match random.below(40) {
            0 if lies_about_frames => {
                self.has_lied = true;
                self.bench.device.scribble(Ring::Transmit, random.next() as u16, word);
            }
            1 if lies_about_frames => {
                self.is_scribbled = true;
                self.bench.device.scribble(Ring::Receive, random.next() as u16, word);
            }
            2..8 if lies_about_frames => {
                self.has_lied = true;
                self.bench.device.complete_falsely(Ring::Transmit, word);
            }
            0..20 => {
                let gone = self.bench.device.transmit();
                if let Some(gone) = gone.filter(|_| !self.has_lied) {
                    assert_eq!(
                        self.sent.pop_front(),
                        Some(gone),
                        "frames leave once, in order, with their bytes"
                    );
                }
            }
            _ if self.bench.device.owned(Ring::Receive) > 0 => {
                self.oracle.take(word);
                self.bench.device.complete_falsely(Ring::Receive, word);
            }
            _ => {}
        }
    }

    fn restart(&mut self) {
        if !self.has_lied {
            // What the card has is sent, and nothing is left.
            while self.held > 0 {
                self.bench.device.transmit_all();
                self.sync();
            }
        }
        self.bench.restart();
        self.bench.device.forget_violations();
        (self.oracle, self.is_scribbled, self.has_lied, self.held) = (Oracle::default(), false, false, 0);
        self.sent.clear();
    }
}

#[test]
fn millions_of_random_answers_and_every_slot_comes_back_in_turn() {
    const ANSWERS: u64 = if cfg!(debug_assertions) { 400_000 } else { 10_000_000 };
    for (model, seed) in MODELS.into_iter().zip(1..) {
        let mut account = Account::new(Bench::new(IntelSetup::of(model)));
        let mut random = Random(seed * 0x1234_5678_9abc_def1);
        let (mut answers, mut run) = (0, 0);
        while answers < ANSWERS / MODELS.len() as u64 {
            account.push(&mut random);
            let has_kicked = account.sync();
            // Each second run has a card that is honest about what it sends.
            for _ in 0..random.below(80) {
                answers += 1;
                account.answer(&mut random, run % 2 == 0);
            }
            account.sync();
            if random.below(200) == 0 || !has_kicked {
                account.restart();
                run += 1;
            }
        }
        let Bench { machine, nic, tx, rx, .. } = account.bench;
        drop((nic, tx, rx));
        assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
    }
}
