//! The real-time clock: its registers are behind an index and a data port.

use millrace_boot::tsc::RealTimeClock;

use super::measured::hertz_by;
use crate::ports::IoPort;

/// The frequency of the TSC, after 1 to 2 s.
pub(super) fn hertz() -> Option<u64> {
    hertz_by(RealTimeClock::find(read)?)
}

/// Reads a register. The highest bit of the index, which masks NMIs, stays clear.
fn read(register: u8) -> u8 {
    IoPort::CMOS_INDEX.write(register & 0x7f);
    IoPort::CMOS_DATA.read()
}
