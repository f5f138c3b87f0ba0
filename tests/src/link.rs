//! A way through the image, for frames with a number each: in at one card, out at the other.

use anyhow::Result;

/// One direction between two cards. What comes out is checked against what went in: every byte, in order, nothing twice.
pub trait Link {
    /// Sends up to `count` frames, those with the next numbers, as one burst where it can. Returns how many there was room for.
    fn send(&mut self, count: u64) -> Result<u64>;

    /// Receives and checks what has come out. Returns how many frames that were.
    fn receive(&mut self) -> Result<u64>;
}
