//! The 8254: channel 0, in mode 0, counts down once from its highest value.

use millrace_boot::tsc::Timer;

use super::measured::hertz_by;
use crate::ports::IoPort;

/// Length of a tick in femtoseconds, at 1.193182 MHz.
const PERIOD_FS: u64 = 1_000_000_000_000_000 / 1_193_182;
/// Channel 0, both bytes of the count, mode 0.
const COUNT_ONCE: u8 = 0b0011_0000;
/// Read-back of channel 0: status and count are both held until they are read.
const READ_BACK: u8 = 0b1100_0010;
/// The output of a channel in its status: high when it has run out.
const STATUS_OUTPUT: u8 = 1 << 7;

struct Channel0;

/// The frequency of the TSC. The channel's interrupt goes nowhere.
pub(super) fn hertz() -> Option<u64> {
    hertz_by(Channel0)
}

impl Timer for Channel0 {
    fn period_fs(&self) -> u64 {
        PERIOD_FS
    }

    fn mask(&self) -> u64 {
        u16::MAX.into()
    }

    fn start(&mut self) {
        IoPort::TIMER_COMMAND.write(COUNT_ONCE);
        IoPort::TIMER_CHANNEL_0.write(0xff_u8);
        IoPort::TIMER_CHANNEL_0.write(0xff_u8);
    }

    /// `None` when it has run out, after 55 ms, or when there is no 8254: all bits read as set.
    fn count(&mut self) -> Option<u64> {
        IoPort::TIMER_COMMAND.write(READ_BACK);
        let status: u8 = IoPort::TIMER_CHANNEL_0.read();
        let left = u16::from_le_bytes([IoPort::TIMER_CHANNEL_0.read(), IoPort::TIMER_CHANNEL_0.read()]);
        (status & STATUS_OUTPUT == 0).then_some(u64::from(u16::MAX - left))
    }
}
