//! Registers that are played by safe code.

use alloc::sync::Arc;
use core::fmt;

use crate::registers::IoRegion;

/// The registers of a device model, or a wrapper around the registers of another one. A
/// [`FakeMachine`](super::FakeMachine) makes an [`IoRegion`] of it.
pub trait RegisterModel: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn bytes(&self) -> usize;

    /// Reads `width` bytes (1, 2 or 4) at `offset`, which is in range and aligned.
    fn read(&self, offset: usize, width: usize) -> u32;

    /// Writes the lower `width` bytes of `value` to `offset`, likewise.
    fn write(&self, offset: usize, width: usize, value: u32);
}

impl<R: IoRegion + fmt::Debug + ?Sized> RegisterModel for Arc<R> {
    fn bytes(&self) -> usize {
        R::bytes(self)
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        R::read(self, offset, width)
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        R::write(self, offset, width, value);
    }
}
