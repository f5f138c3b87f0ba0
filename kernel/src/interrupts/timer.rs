//! One interrupt at a time to come (Intel SDM volume 3, 11.5.4): by the time stamp counter itself where the processor can
//! do that, else by the local APIC's own counter, whose speed is measured against it.
#![expect(unsafe_code, reason = "a model-specific register")]

use core::arch::x86_64::{__cpuid, _mm_mfence};
use core::fmt;
use core::hint::spin_loop;

use x86_64::registers::model_specific::Msr;

use crate::apic::{LocalApic, MASKED, Offset, TIMER};
use crate::clock;

/// CPUID leaf 1, ecx: the timer compares with the time stamp counter.
const CPUID_DEADLINE: u32 = 1 << 24;
/// In the timer's entry: it compares with the time stamp counter. Without it counts down once.
const BY_DEADLINE: u32 = 0b10 << 17;
/// The time stamp counter at which the timer interrupts; 0 for never.
const DEADLINE: Msr = Msr::new(0x6e0);
/// The counter counts every 16th tick: it reaches more than a minute where it runs at 1 GHz.
const BY_16: u32 = 0b0011;
/// Length of a measurement in microseconds; two looks at registers, some hundredths of it, are what it is off by.
const WINDOW_US: u64 = 200;
/// Measurements of which the best counts: something else may run meanwhile, as under a hypervisor.
const MEASUREMENTS: u32 = 3;

/// The timer of the local APIC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    /// Interrupts at a value of the time stamp counter.
    Deadline,
    /// Interrupts when it has counted down.
    Counter(Speed),
}

/// What the counter counts while the time stamp counter does `ticks`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed {
    counts: u64,
    ticks: u64,
}

impl Timer {
    /// The timer of this processor, ready to be set; `None` when it does not run.
    pub(super) fn find(apic: &LocalApic) -> Option<Self> {
        let timer = if __cpuid(1).ecx & CPUID_DEADLINE != 0 {
            Self::Deadline
        } else {
            apic.write(Offset::TimerEntry, MASKED);
            apic.write(Offset::Divider, BY_16);
            Self::Counter(Speed::measure(apic)?)
        };
        timer.join(apic);
        Some(timer)
    }

    /// Gets the timer of another processor, which runs this, ready to be set.
    pub(super) fn join(self, apic: &LocalApic) {
        let vector = u32::from(TIMER);
        match self {
            Self::Deadline => {
                apic.write(Offset::TimerEntry, BY_DEADLINE | vector);
                // SAFETY: every 64-bit processor has it. The entry is in memory and the deadline is not: without the fence
                // a deadline could come before the mode, and be lost (11.5.4.1).
                unsafe { _mm_mfence() };
            }
            Self::Counter(_) => {
                apic.write(Offset::Divider, BY_16);
                apic.write(Offset::InitialCount, 0);
                apic.write(Offset::TimerEntry, vector);
            }
        }
    }

    /// Interrupts when the time stamp counter is at `ticks`, or a little earlier or later, or at once if it is past that.
    /// What was asked for before is forgotten.
    pub(super) fn set(self, apic: &LocalApic, ticks: u64) {
        match self {
            Self::Deadline => set_deadline(ticks.max(1)),
            Self::Counter(speed) => {
                let left = speed.counts(ticks.saturating_sub(clock::ticks()));
                apic.write(Offset::InitialCount, left);
            }
        }
    }

    /// Interrupts no more.
    pub(super) fn clear(self, apic: &LocalApic) {
        match self {
            Self::Deadline => set_deadline(0),
            Self::Counter(_) => apic.write(Offset::InitialCount, 0),
        }
    }
}

fn set_deadline(ticks: u64) {
    let mut register = DEADLINE;
    // SAFETY: the processor has the register, as CPUID says; its interrupt has a handler.
    unsafe { register.write(ticks) };
}

impl Speed {
    fn measure(apic: &LocalApic) -> Option<Self> {
        let window = clock::ticks_in_us(WINDOW_US).max(1);
        let best = (0..MEASUREMENTS).map(|_| Self::sample(apic, window)).min_by_key(|(_, doubt)| *doubt);
        best.map(|(speed, _)| speed).filter(|speed| speed.counts > 0)
    }

    /// One measurement, and how many ticks it may be off by.
    fn sample(apic: &LocalApic, window: u64) -> (Self, u64) {
        let before = clock::ticks();
        apic.write(Offset::InitialCount, u32::MAX);
        let start = clock::ticks();
        while clock::ticks().saturating_sub(start) < window {
            spin_loop();
        }
        let end = clock::ticks();
        let left = apic.read(Offset::CurrentCount);
        let doubt = start.saturating_sub(before) + clock::ticks().saturating_sub(end);
        let counts = u64::from(u32::MAX - left);
        (Self { counts, ticks: end.saturating_sub(start).max(1) }, doubt)
    }

    /// What it counts in so many ticks: 1 at least, since 0 would be never, and as many as it can at most.
    fn counts(self, ticks: u64) -> u32 {
        let counts = u128::from(ticks) * u128::from(self.counts) / u128::from(self.ticks);
        u32::try_from(counts).unwrap_or(u32::MAX).max(1)
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("timer by TSC deadline"),
            Self::Counter(Speed { counts, ticks }) => {
                let hertz = u128::from(*counts) * u128::from(clock::hertz()) / u128::from(*ticks);
                write!(f, "timer of {} kHz{}", hertz / 1000, clock::mark())
            }
        }
    }
}
