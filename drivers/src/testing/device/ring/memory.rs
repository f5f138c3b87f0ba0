//! What a queue's memory says to the device and the device to it, in either format.
//!
//! Positions are counted from the start of the device on and never wrap around: entries of the split queue's rings, places
//! of a packed queue's ring. Where one of them lies in memory, the format knows.

use alloc::vec::Vec;
use core::fmt::Debug;

use super::area::Area;
use super::owned::Part;
use crate::testing::device::Violation;

/// The buffer continues in another descriptor (sections 2.7.5 and 2.8.6).
pub const FLAG_NEXT: u16 = 1;
/// The device writes the buffer (sections 2.7.5 and 2.8.3).
pub const FLAG_WRITE: u16 = 2;

/// What the driver has made available at one position.
#[derive(Debug)]
pub struct Chain {
    pub id: u16,
    /// Its descriptors, in order: one at least.
    pub parts: Vec<Part>,
    /// How many positions it takes.
    pub positions: u64,
}

/// The memory of a queue. Where it is gone, or makes no sense, a method says what rule was broken.
pub trait QueueMemory: Debug + Send {
    fn area(&self) -> &Area;

    /// The position up to which the driver has published. The device has read up to `seen`.
    fn published(&self, seen: u64) -> Result<u64, Violation>;

    /// How many positions behind `seen` the driver may fill while the device has completed those up to `used`.
    fn room(&self, seen: u64, used: u64) -> u64;

    /// What is wrong at the position `seen`, where nothing is published.
    fn oddity(&mut self, seen: u64) -> Option<Violation>;

    /// Reads what was published at `seen`.
    fn chain(&mut self, seen: u64) -> Result<Chain, Violation>;

    /// What was done to a descriptor that the driver must leave alone: it was `then`, and is something else `now`.
    fn rewriting(&self, id: u16, then: &[u8; 16], now: Option<&[u8; 16]>) -> Violation;

    /// The descriptors that the driver may use again when the device completes a buffer of these `parts`, or of none that it
    /// knows, and goes on from `used` by so many positions.
    fn given_back(&self, used: u64, positions: u64, parts: &[Part]) -> Vec<u16>;

    /// Tells the driver at the position `used` that a buffer was used, and that `written` bytes of it were written. The device
    /// goes on by so many positions: those of the buffer, or with buffers in order those of a batch that it is the last of.
    fn complete(&mut self, used: u64, positions: u64, id: u32, written: u32) -> Option<()>;

    /// Has buffers look used that were not, `distance` positions from `used` on or as many as that can be. Returns how many;
    /// `None` where the memory is gone.
    fn jump(&mut self, used: u64, distance: u16) -> Option<u64>;

    /// What is wrong with what the driver says about interrupts.
    fn event_complaint(&self) -> Option<Violation>;

    /// Whether the driver wants an interrupt when the device goes on from `before` to `after`.
    fn is_interrupt_wanted(&self, before: u64, after: u64) -> bool;

    /// Whether the driver has asked for an interrupt at the position `taken`, or could not have as the device is at `used`.
    fn is_armed(&self, taken: u64, used: u64) -> bool;

    /// Says which doorbells the device wants that has read up to `seen`, or that it wants none.
    fn ask(&self, seen: u64, is_quiet: bool);

    /// Says what [`ask`](Self::ask) does not say again: a flag, where it is apart.
    fn set_quiet(&self, is_quiet: bool);

    /// Makes up what the device says about doorbells.
    fn scribble(&self, flags: u16, event: u16);
}
