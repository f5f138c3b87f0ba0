//! Limits for waiting on the way out, where the clock itself may be what is broken.

use crate::clock;
use crate::ports::IoPort;

/// Questions a microsecond that count as its end without a clock. Each reads a port, which takes 0.2 to 2 µs on a virtual
/// machine: the clock decides where it runs, and without it a limit takes 2 to 20 times its length.
const QUESTIONS_PER_US: u64 = 10;

/// A moment in time, reached at the latest after a number of questions for it.
pub(crate) struct TimeLimit {
    /// The counter at that moment; `None` when the clock was not started.
    end: Option<u64>,
    questions_left: u64,
}

impl TimeLimit {
    /// The moment `us` microseconds from now.
    pub(crate) fn after_us(us: u64) -> Self {
        let is_started = clock::hertz() > 0;
        let end = is_started.then(|| clock::ticks().saturating_add(clock::ticks_in_us(us)));
        Self { end, questions_left: us.saturating_mul(QUESTIONS_PER_US) }
    }

    /// Whether it is reached.
    pub(crate) fn is_over(&mut self) -> bool {
        // For the time that it takes: reading the status of the keyboard controller changes nothing.
        let _: u8 = IoPort::KEYBOARD_COMMAND.read();
        self.questions_left = self.questions_left.saturating_sub(1);
        self.questions_left == 0 || self.end.is_some_and(|end| clock::ticks() >= end)
    }
}
