//! Time since the image was entered, from the processor's time stamp counter.

mod calibration;
mod tsc;

use spin::Once;

pub use calibration::Source;
pub use tsc::ticks;

static CLOCK: Once<Clock> = Once::new();

struct Clock {
    /// The counter when the loader entered the image.
    entry: u64,
    /// Ticks per second, not 0.
    hertz: u64,
}

/// Starts the clock: finds out how fast the counter runs, which takes 10 ms when nobody says so. Tells where
/// the number is from.
pub(crate) fn init(entry: u64) -> Source {
    let (hertz, source) = calibration::measure();
    CLOCK.call_once(|| Clock { entry, hertz: hertz.max(1) });
    source
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
