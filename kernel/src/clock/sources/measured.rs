//! Measuring the TSC against another timer.

use millrace_boot::tsc::{Timer, measure};

use crate::clock::tsc::ticks;

/// The frequency of the TSC in Hz by `timer`; `None` when the timer does not run, or the result is not plausible.
pub(super) fn hertz_by(mut timer: impl Timer) -> Option<u64> {
    measure(&mut timer, &ticks)
}
