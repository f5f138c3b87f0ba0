//! The real-time clock of a PC (Motorola MC146818) as a timer of one tick a second.
//!
//! Its seconds are counted, although its periodic interrupt flag comes a thousand times as often: the flag does not count,
//! so that an unnoticed one would make the TSC seem too fast.

use super::Timer;

/// Registers, and bits of them.
const SECONDS: u8 = 0x00;
const REGISTER_A: u8 = 0x0a;
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const DIVIDER: u8 = 0b111 << 4;
/// The divider's setting for the usual crystal of 32.768 kHz; with others the clock may stand still.
const DIVIDER_RUNS: u8 = 0b010 << 4;
const REGISTER_B: u8 = 0x0b;
/// The clock is held for setting.
const SET: u8 = 1 << 7;
/// The registers are binary, not decimal with four bits for each digit (BCD).
const BINARY: u8 = 1 << 2;
const REGISTER_D: u8 = 0x0d;
/// There was power all the time.
const VALID: u8 = 1 << 7;

const SECONDS_PER_MINUTE: u8 = 60;

/// A clock whose registers `read` reads.
#[derive(Debug)]
pub struct RealTimeClock<R> {
    read: R,
    is_binary: bool,
    /// The last second read.
    second: Option<u8>,
    count: u64,
}

impl<R: FnMut(u8) -> u8> RealTimeClock<R> {
    /// The clock, if there is one and it runs.
    pub fn find(mut read: R) -> Option<Self> {
        let is_running = read(REGISTER_A) & DIVIDER == DIVIDER_RUNS;
        let mode = read(REGISTER_B);
        let is_there = is_running && mode & SET == 0 && read(REGISTER_D) & VALID != 0;
        is_there.then_some(Self { read, is_binary: mode & BINARY != 0, second: None, count: 0 })
    }

    /// The second of the minute; `None` while it changes. An invalid one is an error.
    fn second(&mut self) -> Result<Option<u8>, Invalid> {
        // Without it, the registers stay as they are for another 244 µs at least.
        if (self.read)(REGISTER_A) & UPDATE_IN_PROGRESS != 0 {
            return Ok(None);
        }
        let register = (self.read)(SECONDS);
        let (tens, ones) = (register >> 4, register & 0xf);
        let second = match self.is_binary {
            true => register,
            false if ones < 10 => tens * 10 + ones,
            false => return Err(Invalid),
        };
        if second < SECONDS_PER_MINUTE { Ok(Some(second)) } else { Err(Invalid) }
    }
}

/// The register does not hold a second.
struct Invalid;

impl<R: FnMut(u8) -> u8> Timer for RealTimeClock<R> {
    fn period_fs(&self) -> u64 {
        1_000_000_000_000_000
    }

    fn mask(&self) -> u64 {
        u64::MAX
    }

    fn count(&mut self) -> Option<u64> {
        if let Some(second) = self.second().ok()? {
            let last = self.second.replace(second).unwrap_or(second);
            let passed = (second + SECONDS_PER_MINUTE - last) % SECONDS_PER_MINUTE;
            self.count = self.count.wrapping_add(passed.into());
        }
        Some(self.count)
    }
}
