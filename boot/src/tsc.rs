//! How fast the time stamp counter (TSC) runs: the arithmetic of what processors and hypervisors state, and the comparison
//! with a timer of known frequency.
//!
//! ```text
//! stated     CPUID leaves 15H and 16H, the hypervisor's leaf 4000_0010H, kvm-clock   ──► hertz
//! measure    8254, HPET, ACPI PM timer ── a `Timer` ──► counted beside the TSC        ──► hertz
//! rtc        a `Timer` of one tick a second over the registers of an MC146818
//! ```
//!
//! How the sources are reached, and in which order they are asked, is the kernel's part (`clock`). Everything here ends in
//! bounded time, whatever a source answers.

mod measure;
mod rtc;
mod stated;
#[cfg(test)]
mod tests;

pub use measure::{Timer, measure};
pub use rtc::RealTimeClock;
pub use stated::{from_base_mhz, from_crystal, from_khz, from_pvclock, is_kvm};

/// The lowest frequency that is believed: emulators such as Bochs count a few million instructions per second.
pub const MIN_HERTZ: u64 = 1_000_000;
/// The highest frequency that is believed: twice that of the fastest processors.
pub const MAX_HERTZ: u64 = 10_000_000_000;

/// `hertz`, if a TSC can run at that frequency.
pub fn plausible(hertz: u64) -> Option<u64> {
    (MIN_HERTZ..=MAX_HERTZ).contains(&hertz).then_some(hertz)
}
