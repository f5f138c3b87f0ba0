//! Time since the image was entered, from the processor's time stamp counter (TSC).
//!
//! The frequency of the TSC is found in two steps: by what needs nothing (`init`), and where that finds none, by what
//! ACPI's tables describe (`init_by_acpi`). Until it is known, the time is 0.

mod sources;
mod stamp;
mod tsc;

use log::Level;
use millrace_acpi::tables::Description;
use millrace_drivers::hal::Hal;
use spin::Once;

pub use sources::Source;
pub(crate) use stamp::Stamp;
pub use tsc::ticks;

static CLOCK: Once<Clock> = Once::new();

struct Clock {
    /// The counter when the loader entered the image.
    entry: u64,
    /// Ticks per second, not 0.
    hertz: u64,
    source: Source,
}

/// Starts the clock, if the processor or the hypervisor states the frequency of the TSC, or there is an 8254 to measure it
/// by, which takes 10 ms. `entry` is the TSC when the loader entered the image.
pub(crate) fn init(entry: u64) {
    if let Some((source, hertz)) = sources::without_tables() {
        start(entry, source, hertz);
    }
}

/// Starts the clock, if `init` did not: by the timers that the tables describe, then by the real-time clock, which takes
/// up to 2 s. Where none of them is there, a frequency is assumed.
pub(crate) fn init_by_acpi(entry: u64, acpi: &Description, hal: &dyn Hal) {
    if CLOCK.get().is_none() {
        let (source, hertz) = sources::with_tables(acpi, hal);
        start(entry, source, hertz);
        report();
    }
}

fn start(entry: u64, source: Source, hertz: u64) {
    CLOCK.call_once(|| Clock { entry, hertz: hertz.max(1), source });
}

/// Logs the frequency and its source, once the clock is started.
pub(crate) fn report() {
    if let Some(Clock { hertz, source, .. }) = CLOCK.get() {
        let level = if is_calibrated() { Level::Info } else { Level::Warn };
        log::log!(target: "clock", level, "{} kHz, {source}", hertz / 1000);
    }
}

/// Whether the frequency of the TSC is known. If it is assumed, times and rates are only as good as the assumption.
pub fn is_calibrated() -> bool {
    CLOCK.get().is_some_and(|clock| clock.source != Source::Assumed)
}

/// What is printed behind a rate: nothing, or that it is uncalibrated.
pub fn mark() -> &'static str {
    if is_calibrated() { "" } else { " (uncalibrated)" }
}

/// Ticks of the counter in a second; 0 before the clock is started.
pub fn hertz() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.hertz)
}

/// Microseconds since the image was entered; 0 before the clock is started.
pub fn uptime_us() -> u64 {
    let Some(clock) = CLOCK.get() else { return 0 };
    let elapsed = u128::from(ticks().saturating_sub(clock.entry));
    u64::try_from(elapsed * 1_000_000 / u128::from(clock.hertz)).unwrap_or(u64::MAX)
}

/// The counter when so many nanoseconds have passed since the image was entered, rounded up.
pub fn ticks_at_ns(ns: u64) -> u64 {
    let Some(clock) = CLOCK.get() else { return 0 };
    let ticks = (u128::from(ns) * u128::from(clock.hertz)).div_ceil(1_000_000_000);
    clock.entry.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
}

/// How many ticks of the counter make up `us` microseconds.
pub fn ticks_in_us(us: u64) -> u64 {
    u64::try_from(u128::from(us) * u128::from(hertz()) / 1_000_000).unwrap_or(u64::MAX)
}
