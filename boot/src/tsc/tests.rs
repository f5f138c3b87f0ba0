use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Periods in femtoseconds: of the 8254, of the PM timer, of QEMU's HPET, and a second.
const PIT: u64 = 838_095_345;
const PM: u64 = 279_365_114;
const HPET: u64 = 10_000_000;
const SECOND: u64 = 1_000_000_000_000_000;

/// The TSC of a machine: time passes only by what is done, in ticks of it.
#[derive(Clone)]
struct Machine {
    hertz: u64,
    now: Rc<Cell<u64>>,
}

impl Machine {
    fn new(hertz: u64) -> Self {
        Self { hertz, now: Rc::new(Cell::new(77_777_777_777)) }
    }

    fn pass(&self, ticks: u64) {
        self.now.set(self.now.get().wrapping_add(ticks));
    }

    fn pass_us(&self, us: u64) {
        self.pass(us * self.hertz / 1_000_000);
    }

    fn timer(&self, period: u64, bits: u32) -> FakeTimer {
        let mask = u64::MAX >> (64 - bits);
        let count = Count::At(0);
        FakeTimer {
            machine: self.clone(),
            period,
            mask,
            count,
            pauses: VecDeque::new(),
            reads: 0,
            access_us: 1,
        }
    }

    fn measure(&self, timer: &mut dyn Timer) -> Option<u64> {
        let tsc = || {
            self.pass(20);
            self.now.get()
        };
        measure(timer, &tsc)
    }

    /// That `found` is this machine's frequency, to so many parts in a million.
    #[track_caller]
    fn agrees(&self, found: Option<u64>, ppm: u64) {
        let found = found.unwrap_or(0);
        let off = found.abs_diff(self.hertz);
        assert!(off * 1_000_000 / self.hertz <= ppm, "{found} Hz instead of {}", self.hertz);
    }
}

enum Count {
    /// It counts, from this value on.
    At(u64),
    /// It has this value for ever.
    Stuck(u64),
    /// It counts until then, in ticks of its own, and stops.
    Stops(u64),
    /// It counts down once from the highest value, and has run out then.
    Once(Option<u64>),
    /// Two values in turns.
    Flips(u64, u64),
}

struct FakeTimer {
    machine: Machine,
    period: u64,
    mask: u64,
    count: Count,
    /// Microseconds by which an access takes longer, for those to come.
    pauses: VecDeque<u64>,
    reads: u64,
    access_us: u64,
}

impl FakeTimer {
    fn ticks(&self) -> u64 {
        let femtoseconds =
            u128::from(self.machine.now.get()) * u128::from(SECOND) / u128::from(self.machine.hertz);
        (femtoseconds / u128::from(self.period)) as u64
    }
}

impl Timer for FakeTimer {
    fn period_fs(&self) -> u64 {
        self.period
    }

    fn mask(&self) -> u64 {
        self.mask
    }

    fn start(&mut self) {
        let now = self.ticks();
        if let Count::Once(start) = &mut self.count {
            *start = Some(now);
        }
    }

    fn count(&mut self) -> Option<u64> {
        self.reads += 1;
        self.machine.pass_us(self.access_us + self.pauses.pop_front().unwrap_or(0));
        let ticks = self.ticks();
        match self.count {
            Count::At(start) => Some(start.wrapping_add(ticks) & self.mask),
            Count::Stuck(value) => Some(value),
            Count::Stops(end) => Some(ticks.min(end) & self.mask),
            Count::Once(start) => Some(ticks - start?).filter(|passed| *passed < self.mask),
            Count::Flips(a, b) => Some(if self.reads.is_multiple_of(2) { a } else { b }),
        }
    }
}

#[test]
fn what_is_stated_is_converted() {
    assert_eq!(from_crystal(2, 176, 24_000_000), Some(2_112_000_000));
    assert_eq!(from_crystal(2, 176, 0), None, "the crystal is not stated");
    assert_eq!(from_crystal(0, 176, 24_000_000), None);
    assert_eq!(from_crystal(1, u32::MAX, u32::MAX), None);
    assert_eq!(from_khz(2_445_361), Some(2_445_361_000));
    assert_eq!((from_khz(0), from_khz(u32::MAX), from_khz(999)), (None, None, None));
    assert_eq!(from_base_mhz(0xabcd_0000 | 2400), Some(2_400_000_000));
    assert_eq!((from_base_mhz(0xabcd_0000), from_base_mhz(0xffff)), (None, None));
}

#[test]
fn kvm_is_told_by_its_signature() {
    assert!(is_kvm([0x4b4d_564b, 0x564b_4d56, 0x4d]));
    assert!(!is_kvm([0x5447_4354, 0x4354_4743, 0x4743_5447]), "QEMU without KVM");
    assert!(!is_kvm([0; 3]));
}

#[test]
fn the_clock_of_kvm_is_converted_as_it_scales() {
    // As Linux computes them (kvm_get_time_scale): the multiplier is from 2^31 on, and the shift makes up for it.
    let scaled = |hertz: u64| {
        let mut shift = 0_i8;
        let mut multiplier = (1_000_000_000_u128 << 32) / u128::from(hertz);
        while multiplier > u128::from(u32::MAX) {
            (multiplier, shift) = (multiplier >> 1, shift + 1);
        }
        while multiplier < 1 << 31 {
            shift -= 1;
            multiplier = (1_000_000_000_u128 << (32 + shift.unsigned_abs())) / u128::from(hertz);
        }
        (multiplier as u32, shift)
    };
    for hertz in [19_200_000, 999_999_999, 1_000_000_000, 1_000_000_001, 2_445_361_000, 5_700_000_000] {
        let (multiplier, shift) = scaled(hertz);
        Machine::new(hertz).agrees(from_pvclock(multiplier, shift), 1);
    }
    assert_eq!(from_pvclock(0, 0), None);
    for shift in [i8::MIN, -65, 65, i8::MAX] {
        assert_eq!(from_pvclock(1 << 31, shift), None);
    }
}

#[test]
fn every_timer_finds_the_frequency() {
    for hertz in [4_000_000, 1_000_000_000, 2_445_361_000, 9_900_000_000] {
        let machine = Machine::new(hertz);
        for (period, bits) in [(PIT, 16), (PM, 24), (PM, 32), (HPET, 32), (HPET, 64), (SECOND, 64)] {
            let mut timer = machine.timer(period, bits);
            machine.agrees(machine.measure(&mut timer), 1500);
            for lead in [0, 1234] {
                // It comes round after so many ticks.
                timer.count = Count::At((timer.mask - lead).wrapping_sub(timer.ticks()));
                machine.agrees(machine.measure(&mut timer), 1500);
            }
        }
        let mut once = machine.timer(PIT, 16);
        once.count = Count::Once(None);
        machine.agrees(machine.measure(&mut once), 1500);
    }
}

#[test]
fn a_timer_that_is_quick_to_read_is_waited_for() {
    // Under `-icount shift=0` an instruction is a nanosecond, and so is everything between two of them.
    let machine = Machine::new(1_000_000_000);
    let mut timer = machine.timer(PIT, 16);
    timer.access_us = 0;
    machine.agrees(machine.measure(&mut timer), 1500);
    assert!(timer.reads > 200_000, "{} reads", timer.reads);
}

#[test]
fn what_comes_in_between_is_noticed() {
    let machine = Machine::new(2_000_000_000);
    let pauses: [&[u64]; 4] = [
        &[0, 0, 0, 900, 900, 900, 900],
        &[0, 900, 900, 900, 900],
        &[30_000, 30_000, 30_000, 30_000],
        &[0, 0, 60_000, 0, 0, 0, 60_000],
    ];
    for pauses in pauses {
        let mut once = machine.timer(PIT, 16);
        once.count = Count::Once(None);
        once.pauses = pauses.iter().copied().collect();
        machine.agrees(machine.measure(&mut once), 1500);
    }
    // The most certain of a few samples counts: two of three accesses are slow here.
    for seed in 1..20_u64 {
        let mut noisy = machine.timer(PM, 24);
        let slow = (0..10_000).map(|number: u64| (number.wrapping_mul(seed * 7919) >> 3) % 3 * 150);
        noisy.pauses = slow.collect();
        machine.agrees(machine.measure(&mut noisy), 8_000);
    }
    // The least uncertain is taken where all are.
    let mut slow = machine.timer(PM, 24);
    slow.access_us = 200;
    machine.agrees(machine.measure(&mut slow), 50_000);
}

#[test]
fn a_timer_that_does_not_count_is_given_up() {
    let stopped = |count: Count, period, bits| {
        let machine = Machine::new(2_500_000_000);
        let begin = machine.now.get();
        let mut timer = machine.timer(period, bits);
        timer.count = count;
        assert_eq!(machine.measure(&mut timer), None);
        (machine.now.get() - begin) as f64 / machine.hertz as f64
    };
    for (period, bits, limit) in [(PIT, 16, 0.2), (PM, 24, 0.2), (HPET, 32, 0.2), (SECOND, 64, 6.0)] {
        let ones = u64::MAX >> (64 - bits);
        for value in [0, 5, ones] {
            let seconds = stopped(Count::Stuck(value), period, bits);
            assert!(seconds < limit, "{seconds} s for a timer of {period} fs that stays at {value}");
        }
        for flips in [Count::Flips(0, 1), Count::Flips(ones, 0), Count::Flips(3, ones / 2)] {
            let seconds = stopped(flips, period, bits);
            assert!(seconds < 3.0 * limit, "{seconds} s for a timer of {period} fs that flips");
        }
    }
    let machine = Machine::new(2_500_000_000);
    let mut timer = machine.timer(PM, 24);
    timer.count = Count::Stops(timer.ticks() + 10_000);
    assert_eq!(machine.measure(&mut timer), None, "it stops in the middle");
}

#[test]
fn a_counter_that_does_not_count_is_given_up() {
    let machine = Machine::new(2_500_000_000);
    let mut timer = machine.timer(SECOND, 64);
    timer.count = Count::Stuck(7);
    assert_eq!(measure(&mut timer, &|| 42), None);
    let mut timer = machine.timer(PM, 24);
    assert_eq!(measure(&mut timer, &|| 42), None, "no ticks are no frequency");
}

#[test]
fn what_is_out_of_reach_is_no_frequency() {
    for hertz in [900_000, 10_500_000_000] {
        let machine = Machine::new(hertz);
        let mut timer = machine.timer(PM, 24);
        timer.access_us = 5;
        assert_eq!(machine.measure(&mut timer), None);
    }
    assert_eq!((plausible(0), plausible(MIN_HERTZ), plausible(u64::MAX)), (None, Some(MIN_HERTZ), None));
}

proptest! {
    #[test]
    fn whatever_a_timer_says_the_measurement_ends(
        counts in prop::collection::vec(prop::option::weighted(0.95, any::<u64>()), 1..50),
        bits in 1u32..=64,
        period in prop_oneof![any::<u64>(), Just(0), Just(SECOND), Just(HPET)],
    ) {
        let machine = Machine::new(1_000_000_000);
        let mut timer = Scripted { machine: machine.clone(), counts, next: 0, bits, period };
        if let Some(hertz) = machine.measure(&mut timer) {
            prop_assert_eq!(plausible(hertz), Some(hertz));
        }
    }
}

/// These counts again and again.
struct Scripted {
    machine: Machine,
    counts: Vec<Option<u64>>,
    next: usize,
    bits: u32,
    period: u64,
}

impl Timer for Scripted {
    fn period_fs(&self) -> u64 {
        self.period
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    fn count(&mut self) -> Option<u64> {
        self.machine.pass_us(1000);
        self.next += 1;
        self.counts[self.next % self.counts.len()]
    }
}

/// The registers of a real-time clock: 0, A, B and D.
struct Chip {
    machine: Machine,
    a: u8,
    b: u8,
    d: u8,
}

impl Chip {
    /// What a register says, an access later. In the last 2 ms of a second the clock is being changed.
    fn read(&self, register: u8) -> u8 {
        self.machine.pass_us(1);
        let us = self.machine.now.get() / (self.machine.hertz / 1_000_000);
        let second = (us / 1_000_000 % 60) as u8;
        let is_changing = us % 1_000_000 > 998_000;
        match register {
            0x00 if is_changing => 0xff,
            0x00 if self.b & 4 != 0 => second,
            0x00 => ((second / 10) << 4) | (second % 10),
            0x0a => self.a | if us % 1_000_000 > 997_700 { 0x80 } else { 0 },
            0x0b => self.b,
            0x0d => self.d,
            _ => 0xff,
        }
    }
}

#[test]
fn the_seconds_of_a_real_time_clock_are_a_timer() {
    for b in [0x02, 0x06] {
        for begin in [0, 500_000_000, 998_500_000, 58_999_000_000] {
            let machine = Machine::new(1_000_000_000);
            machine.now.set(begin);
            let chip = Chip { machine: machine.clone(), a: 0x26, b, d: 0x80 };
            let mut clock = RealTimeClock::find(|register| chip.read(register)).unwrap();
            machine.agrees(machine.measure(&mut clock), 500);
            assert!(machine.now.get() - begin < 2_100_000_000, "two seconds are enough");
        }
    }
}

#[test]
fn a_real_time_clock_that_cannot_be_trusted_is_none() {
    let find = |a, b, d| {
        let chip = Chip { machine: Machine::new(1_000_000_000), a, b, d };
        RealTimeClock::find(|register| chip.read(register)).is_some()
    };
    assert!(find(0x26, 0x02, 0x80));
    assert!(!find(0xff, 0xff, 0xff), "nothing answers");
    assert!(!find(0x00, 0x00, 0x00), "something that answers zeros");
    assert!(!find(0x66, 0x02, 0x80), "the divider is held in reset");
    assert!(!find(0x26, 0x82, 0x80), "it is being set");
    assert!(!find(0x26, 0x02, 0x00), "its battery is empty");
    for seconds in [0x3a, 0x60, 0xff] {
        let registers = move |register| {
            [(0x0a, 0x26), (0x0b, 0x02), (0x0d, 0x80)]
                .into_iter()
                .find(|(number, _)| *number == register)
                .map_or(seconds, |(_, value)| value)
        };
        let machine = Machine::new(1_000_000_000);
        assert_eq!(machine.measure(&mut RealTimeClock::find(registers).unwrap()), None);
    }
}
