//! Registers at running offsets, one access each, whatever they are reached by.
//!
//! [`Register`](crate::mmio::Register) is for the registers of a packet's way: checked once, then a load or store. Here is what a
//! driver uses a few times a batch at most, where it must not matter whether it is memory, io ports or a model.

use core::fmt;

use crate::mmio::{MmioWindow, ReadOnly, RegisterValue, WriteOnly};

/// Registers of one device. An offset that is out of range or not a multiple of the access is read as all ones, and a write
/// to it does nothing, as on a bus where nobody answers.
pub trait RegisterBank: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn bytes(&self) -> usize;

    /// Reads one byte.
    fn read8(&self, offset: usize) -> u8;

    /// Reads two bytes at once.
    fn read16(&self, offset: usize) -> u16;

    /// Reads four bytes at once.
    fn read32(&self, offset: usize) -> u32;

    /// Writes one byte.
    fn write8(&self, offset: usize, value: u8);

    /// Writes two bytes at once.
    fn write16(&self, offset: usize, value: u16);

    /// Writes four bytes at once.
    fn write32(&self, offset: usize, value: u32);
}

impl RegisterBank for MmioWindow {
    fn bytes(&self) -> usize {
        MmioWindow::bytes(self)
    }

    fn read8(&self, offset: usize) -> u8 {
        read(self, offset).unwrap_or(!0)
    }

    fn read16(&self, offset: usize) -> u16 {
        read(self, offset).unwrap_or(!0)
    }

    fn read32(&self, offset: usize) -> u32 {
        read(self, offset).unwrap_or(!0)
    }

    fn write8(&self, offset: usize, value: u8) {
        write(self, offset, value);
    }

    fn write16(&self, offset: usize, value: u16) {
        write(self, offset, value);
    }

    fn write32(&self, offset: usize, value: u32) {
        write(self, offset, value);
    }
}

fn read<V: RegisterValue>(window: &MmioWindow, offset: usize) -> Option<V> {
    Some(window.register::<V, ReadOnly>(offset).ok()?.read())
}

fn write<V: RegisterValue>(window: &MmioWindow, offset: usize, value: V) {
    if let Ok(register) = window.register::<V, WriteOnly>(offset) {
        register.write(value);
    }
}
