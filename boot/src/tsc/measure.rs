//! The comparison of the TSC with a timer.

use super::{MAX_HERTZ, plausible};

/// Length of a measurement in femtoseconds: 10 ms, or one tick of a slower timer.
const WINDOW_FS: u64 = 10_000_000_000_000;
/// How long a timer may take to change at all, in femtoseconds, where its own tick is shorter: emulated ones can move in
/// steps of many ticks.
const PATIENCE_FS: u64 = 1_000_000_000_000;
const FS_PER_SECOND: u128 = 1_000_000_000_000_000;
/// Samples of which the most certain counts, at each end of the measurement.
const SAMPLES: u32 = 4;
/// Measurements before the best of them has to do. One fails, or is uncertain, when something else runs meanwhile.
const ATTEMPTS: u32 = 3;
/// A measurement is good when no more of it is uncertain, in parts per million.
const GOOD_PPM: u64 = 8_000;
/// Samples in one wait: the bound for a TSC that does not count.
const MAX_SAMPLES: u32 = 10_000_000;

/// A timer of known frequency.
pub trait Timer {
    /// Length of a tick in femtoseconds, not 0.
    fn period_fs(&self) -> u64;

    /// The highest count, all bits of which are set: the next is 0.
    fn mask(&self) -> u64;

    /// Has it count from here on. Called before each measurement.
    fn start(&mut self) {}

    /// The count, which rises; `None` when it has run out or there is none.
    fn count(&mut self) -> Option<u64>;
}

/// Why a measurement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The timer does not count, and will not the next time.
    Stopped,
    /// The timer has run out meanwhile, or the result is no frequency.
    Disturbed,
}

/// The timer and the TSC at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The TSC in the middle of the access to the timer.
    at: u64,
    /// How long that access took: the moment is not known more precisely.
    doubt: u64,
    count: u64,
}

/// A result, and how much of it is uncertain.
#[derive(Debug, Clone, Copy)]
struct Measured {
    hertz: u64,
    doubt_ppm: u64,
}

/// Frequency of the TSC, which `tsc` reads, in Hz, by this timer. `None` when the timer does not count, or when what comes
/// out is not [`plausible`].
pub fn measure(timer: &mut dyn Timer, tsc: &dyn Fn() -> u64) -> Option<u64> {
    let mut comparison = Comparison { timer, tsc };
    let mut best: Option<Measured> = None;
    for _ in 0..ATTEMPTS {
        match comparison.attempt() {
            Err(Failure::Stopped) => break,
            Err(Failure::Disturbed) => {}
            Ok(new) => best = Some(best.filter(|best| best.doubt_ppm <= new.doubt_ppm).unwrap_or(new)),
        }
        if best.is_some_and(|best| best.doubt_ppm <= GOOD_PPM) {
            break;
        }
    }
    best.map(|best| best.hertz)
}

struct Comparison<'a> {
    timer: &'a mut dyn Timer,
    tsc: &'a dyn Fn() -> u64,
}

impl Comparison<'_> {
    fn attempt(&mut self) -> Result<Measured, Failure> {
        self.timer.start();
        let period = self.timer.period_fs().max(1);
        let patience = PATIENCE_FS.max(period.saturating_add(period / 4));
        // From one change of the count on: a slow timer has the same count for long.
        let any = self.sample()?;
        self.wait(any, 1, patience)?;
        let first = self.best_sample()?;
        let window = (WINDOW_FS / period).max(1);
        self.wait(first, window, window.saturating_mul(period).saturating_add(patience))?;
        let last = self.best_sample()?;

        let ticks = last.at.saturating_sub(first.at);
        let femtoseconds = u128::from(self.elapsed(first, last)) * u128::from(period);
        let hertz = (u128::from(ticks) * FS_PER_SECOND).checked_div(femtoseconds);
        let hertz =
            hertz.and_then(|hertz| plausible(u64::try_from(hertz).ok()?)).ok_or(Failure::Disturbed)?;
        let doubt = first.doubt.saturating_add(last.doubt);
        Ok(Measured { hertz, doubt_ppm: doubt.saturating_mul(1_000_000) / ticks.max(1) })
    }

    /// Waits until the timer has done so many ticks since `from`. It has stopped when the TSC shows that this takes longer
    /// than `limit` femtoseconds, however fast the TSC runs.
    fn wait(&mut self, from: Sample, ticks: u64, limit: u64) -> Result<(), Failure> {
        let limit = u128::from(limit) * u128::from(MAX_HERTZ) / FS_PER_SECOND;
        for _ in 0..MAX_SAMPLES {
            let now = self.sample()?;
            if self.elapsed(from, now) >= ticks {
                return Ok(());
            }
            if u128::from(now.at.saturating_sub(from.at)) > limit {
                break;
            }
        }
        Err(Failure::Stopped)
    }

    /// Ticks of the timer from one sample to another, which are less apart than its count takes to come round.
    fn elapsed(&self, from: Sample, to: Sample) -> u64 {
        to.count.wrapping_sub(from.count) & self.timer.mask()
    }

    fn sample(&mut self) -> Result<Sample, Failure> {
        let before = (self.tsc)();
        let count = self.timer.count().ok_or(Failure::Disturbed)?;
        let doubt = (self.tsc)().saturating_sub(before);
        Ok(Sample { at: before.saturating_add(doubt / 2), doubt, count })
    }

    /// The most certain of a few samples: where something else runs in between, as under a hypervisor, one is far off.
    fn best_sample(&mut self) -> Result<Sample, Failure> {
        let mut best = self.sample()?;
        for _ in 1..SAMPLES {
            let sample = self.sample()?;
            if sample.doubt < best.doubt {
                best = sample;
            }
        }
        Ok(best)
    }
}
