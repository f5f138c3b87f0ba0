//! How fast the time stamp counter runs: as the processor or the hypervisor says, else measured against the
//! 8254 timer.

use core::arch::x86_64::{__cpuid, CpuidResult};
use core::fmt;

use super::ticks;
use crate::ports::IoPort;

/// Ticks of the 8254 in a second.
const TIMER_HERTZ: u64 = 1_193_182;
/// Length of the measurement in ticks of the 8254: 10 ms. It runs out after 55 ms.
const WINDOW_TICKS: u16 = 11_932;
/// The output of a timer's channel in its status: high when it has run out.
const STATUS_OUTPUT: u8 = 1 << 7;
/// Samples of which the best counts, at each end of the measurement.
const SAMPLES: u32 = 4;
/// Samples before a timer that does not move counts as broken; each takes a microsecond at least.
const PATIENCE: u32 = 100_000;
/// Measurements before giving up: one fails when something else runs for more than 45 ms in between.
const ATTEMPTS: u32 = 3;
/// What is assumed when there is no way to know.
const ASSUMED_HERTZ: u64 = 1_000_000_000;

/// CPUID leaf: ratio of counter and crystal, frequency of the crystal (Intel SDM, CPUID leaf 15H).
const LEAF_TSC: u32 = 0x15;
/// CPUID leaf that says whether a hypervisor is there (leaf 1, ecx bit 31).
const LEAF_FEATURES: u32 = 1;
/// CPUID leaf: the highest leaf of the hypervisor.
const LEAF_HYPERVISOR: u32 = 0x4000_0000;
/// CPUID leaf: frequency of the counter in kHz, as hypervisors tell it.
const LEAF_HYPERVISOR_TIMING: u32 = 0x4000_0010;

/// Where the frequency is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The processor says it.
    Processor,
    /// The hypervisor says it.
    Hypervisor,
    /// It was measured against the 8254 timer.
    Timer,
    /// Nobody knows: times are only as good as the assumption of 1 GHz.
    Assumed,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Processor => "as the processor says",
            Source::Hypervisor => "as the hypervisor says",
            Source::Timer => "measured against the 8254 timer",
            Source::Assumed => "assumed, for want of a timer",
        })
    }
}

/// The frequency of the counter in ticks per second, and where it is from.
pub(super) fn measure() -> (u64, Source) {
    let said = || from_processor().map(|hertz| (hertz, Source::Processor));
    let told = || from_hypervisor().map(|hertz| (hertz, Source::Hypervisor));
    let timed = || from_timer().map(|hertz| (hertz, Source::Timer));
    said().or_else(told).or_else(timed).unwrap_or((ASSUMED_HERTZ, Source::Assumed))
}

fn from_processor() -> Option<u64> {
    let CpuidResult { eax: denominator, ebx: numerator, ecx: crystal, .. } = leaf(0, LEAF_TSC)?;
    let hertz = u64::from(crystal) * u64::from(numerator);
    hertz.checked_div(u64::from(denominator)).filter(|hertz| *hertz > 0)
}

fn from_hypervisor() -> Option<u64> {
    let is_guest = __cpuid(LEAF_FEATURES).ecx & 1 << 31 != 0;
    let khz = is_guest.then(|| leaf(LEAF_HYPERVISOR, LEAF_HYPERVISOR_TIMING)).flatten()?.eax;
    (khz > 0).then_some(u64::from(khz) * 1000)
}

/// The CPUID leaf `number`, when the range that begins at `range` goes so far.
fn leaf(range: u32, number: u32) -> Option<CpuidResult> {
    (__cpuid(range).eax >= number).then(|| __cpuid(number))
}

/// Compares the counter with the timer's channel 0, at two moments about 10 ms apart.
fn from_timer() -> Option<u64> {
    (0..ATTEMPTS).find_map(|_| {
        start_timer();
        let first = best_sample()?;
        let is_later = |sample: &Sample| first.count.saturating_sub(sample.count) >= WINDOW_TICKS;
        (0..PATIENCE).map_while(|_| sample()).find(is_later)?;
        let last = best_sample()?;
        let timer_ticks = first.count.checked_sub(last.count).filter(|ticks| *ticks >= WINDOW_TICKS)?;
        let ticks = last.at.checked_sub(first.at).filter(|ticks| *ticks > 0)?;
        Some(ticks.saturating_mul(TIMER_HERTZ) / u64::from(timer_ticks))
    })
}

/// Lets channel 0 count down from its highest value, once (Intel 8254, mode 0). Its interrupt goes nowhere.
fn start_timer() {
    IoPort::TIMER_COMMAND.write(0b0011_0000_u8);
    IoPort::TIMER_CHANNEL_0.write(0xff_u8);
    IoPort::TIMER_CHANNEL_0.write(0xff_u8);
}

/// The timer and the counter at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The time stamp counter, in the middle of the access that stopped the timer's value.
    at: u64,
    /// How long that access took: the moment is not known more precisely.
    uncertainty: u64,
    /// The timer's value, which falls.
    count: u16,
}

/// Reads both; `None` when the timer has run out, or when there is none (all bits read as set).
fn sample() -> Option<Sample> {
    let before = ticks();
    // Read-back of status and count of channel 0: both are held until they are read.
    IoPort::TIMER_COMMAND.write(0b1100_0010_u8);
    let after = ticks();
    let status: u8 = IoPort::TIMER_CHANNEL_0.read();
    let count = u16::from_le_bytes([IoPort::TIMER_CHANNEL_0.read(), IoPort::TIMER_CHANNEL_0.read()]);
    let uncertainty = after.saturating_sub(before);
    let is_running = status & STATUS_OUTPUT == 0;
    is_running.then_some(Sample { at: before + uncertainty / 2, uncertainty, count })
}

/// The most certain of a few samples: where something else runs in between, as under a hypervisor, one is far
/// off.
fn best_sample() -> Option<Sample> {
    (0..SAMPLES).map_while(|_| sample()).min_by_key(|sample| sample.uncertainty)
}
