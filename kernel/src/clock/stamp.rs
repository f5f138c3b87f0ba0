//! The time that log lines begin with.

use core::fmt;

use super::uptime_us;

/// A time since the image was entered, in microseconds, shown as `[    0.012345]`.
pub(crate) struct Stamp {
    us: u64,
}

impl Stamp {
    /// The time now.
    pub(crate) fn now() -> Self {
        Self { us: uptime_us() }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (self.us / 1_000_000, self.us % 1_000_000);
        write!(f, "[{seconds:5}.{fraction:06}]")
    }
}
