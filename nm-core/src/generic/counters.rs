//! What becomes of frames between a generic adapter and its device.

use core::fmt;

use crate::stats::Counter;

/// What became of frames between a generic adapter's rings and its device, beyond what the rings' counters say.
/// `Display` is one line.
#[derive(Debug, Default)]
pub struct GenericCounters {
    /// Transmit: offers that the device had no room for. The frame stayed in the ring.
    pub no_room: Counter,
    /// Transmit: frames that the device would not take, or that are longer than the adapter carries; dropped.
    pub refused: Counter,
    /// Receive: frames longer than a buffer, dropped.
    pub too_long: Counter,
    /// Receive: frames that the device reported as damaged, dropped.
    pub damaged: Counter,
    /// Receive: questions to the device whether there is a frame.
    pub looks: Counter,
}

impl fmt::Display for GenericCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { no_room, refused, too_long, damaged, looks } = self;
        write!(f, "no_room={} refused={}", no_room.get(), refused.get())?;
        write!(f, " too_long={} damaged={} looks={}", too_long.get(), damaged.get(), looks.get())
    }
}
