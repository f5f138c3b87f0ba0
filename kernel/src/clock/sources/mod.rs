//! What the frequency of the TSC is found by, in the order in which it is tried. The first source that answers with a
//! plausible frequency is used; the arithmetic is in [`millrace_boot::tsc`].
//!
//! | source | takes | why in this place |
//! |---|---|---|
//! | CPUID leaf 15H, the hypervisor's leaf, kvm-clock | nothing | exact |
//! | 8254 | 10 ms | needs no tables, so that the log has times from its first line on |
//! | HPET, ACPI PM timer | 10 ms | the finer one first |
//! | CPUID leaf 16H | nothing | the specified frequency, rounded to MHz, not the actual one |
//! | real-time clock | 1 to 2 s | slow |

mod hpet;
mod kvm;
mod measured;
mod pit;
mod pm_timer;
mod rtc;
mod stated;

use core::fmt;

use millrace_acpi::tables::Description;
use millrace_drivers::hal::Hal;

/// What is assumed when there is no way to know. Hardly any processor's TSC is faster: no delay is shorter than asked for.
const ASSUMED_HERTZ: u64 = 4_000_000_000;

/// Where the frequency is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The processor states it.
    Processor,
    /// The hypervisor states it.
    Hypervisor,
    /// The clock of KVM is scaled by it.
    KvmClock,
    /// It was measured against the 8254.
    Pit,
    /// It was measured against the high precision event timer.
    Hpet,
    /// It was measured against the ACPI PM timer.
    PmTimer,
    /// It is the processor's base frequency.
    BaseFrequency,
    /// It was measured against the real-time clock.
    RealTimeClock,
    /// It is not known: times and rates are only as good as the assumption.
    Assumed,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Processor => "stated by the processor",
            Source::Hypervisor => "stated by the hypervisor",
            Source::KvmClock => "stated by kvm-clock",
            Source::Pit => "measured against the 8254 timer",
            Source::Hpet => "measured against the HPET",
            Source::PmTimer => "measured against the ACPI PM timer",
            Source::BaseFrequency => "the base frequency stated by the processor",
            Source::RealTimeClock => "measured against the real-time clock",
            Source::Assumed => {
                "assumed: no source to calibrate by was found, so all times and rates are uncalibrated"
            }
        })
    }
}

/// How a source is asked for the frequency in Hz.
type Ask = fn() -> Option<u64>;
/// The same, with what ACPI's tables describe, and access to device registers.
type AskByTables = fn(&Description, &dyn Hal) -> Option<u64>;

/// The sources that need nothing of the machine but ports and registers that each has at the same place.
const WITHOUT_TABLES: [(Source, Ask); 4] = [
    (Source::Processor, stated::by_processor),
    (Source::Hypervisor, stated::by_hypervisor),
    (Source::KvmClock, kvm::hertz),
    (Source::Pit, pit::hertz),
];

/// The others. They need the heap, and device registers mapped.
const WITH_TABLES: [(Source, AskByTables); 4] = [
    (Source::Hpet, hpet::hertz),
    (Source::PmTimer, pm_timer::hertz),
    (Source::BaseFrequency, |_, _| stated::base_frequency()),
    (Source::RealTimeClock, |_, _| rtc::hertz()),
];

/// The frequency in Hz by the first source that needs no tables, and which that is.
pub(super) fn without_tables() -> Option<(Source, u64)> {
    WITHOUT_TABLES.iter().find_map(|(source, hertz)| Some((*source, hertz()?)))
}

/// The same by the others, or by assumption.
pub(super) fn with_tables(acpi: &Description, hal: &dyn Hal) -> (Source, u64) {
    let found = WITH_TABLES.iter().find_map(|(source, hertz)| Some((*source, hertz(acpi, hal)?)));
    found.unwrap_or((Source::Assumed, ASSUMED_HERTZ))
}
