//! The device side of a queue, whichever its format.

use std::fmt;

use anyhow::{Context, Result, ensure};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

/// A descriptor is continued by another one.
const NEXT: u16 = 1;
/// The device writes to the buffer.
const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
const INDIRECT: u16 = 4;

/// Bytes of a descriptor, in both formats.
pub(super) const DESCRIPTOR: u64 = 16;

/// Where a queue is in the guest's memory, as SET_VRING_ADDR names the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) size: u16,
    pub(super) descriptors: u64,
    /// Available ring, or the driver's event suppression of a packed queue.
    pub(super) driver: u64,
    /// Used ring, or the device's event suppression of a packed queue.
    pub(super) device: u64,
}

/// Who writes to the buffers of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The device: a receive queue of the guest.
    ToGuest,
    /// The driver: a transmit queue of the guest.
    FromGuest,
}

/// A buffer that the driver has made available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) id: u16,
    pub(super) address: u64,
    pub(super) length: u32,
}

/// The device side of a queue. It uses buffers in the order in which they come.
pub(super) trait DeviceRing: fmt::Debug + Send {
    /// The next available buffer.
    fn take(&mut self) -> Result<Option<Buffer>>;

    /// Uses a buffer, into which `written` bytes were written. The driver sees it after [`publish`](Self::publish).
    fn put(&mut self, buffer: Buffer, written: u32) -> Result<()>;

    /// Shows the driver all used buffers at once.
    fn publish(&mut self) -> Result<()>;
}

/// Checks that a descriptor is a buffer by itself, for this direction.
pub(super) fn check_flags(flags: u16, direction: Direction) -> Result<()> {
    ensure!(flags & (NEXT | INDIRECT) == 0, "a frame in several descriptors (flags {flags:#x})");
    let is_writable = flags & WRITE != 0;
    ensure!(is_writable == (direction == Direction::ToGuest), "flags {flags:#x} in a queue {direction:?}");
    Ok(())
}

/// `N` bytes of the guest's memory at `address`.
pub(super) fn read<const N: usize>(memory: &GuestMemoryMmap, address: u64) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    read_to(memory, address, &mut bytes)?;
    Ok(bytes)
}

/// Reads as many bytes as `bytes` has of the guest's memory at `address`.
pub(super) fn read_to(memory: &GuestMemoryMmap, address: u64, bytes: &mut [u8]) -> Result<()> {
    let read = memory.read_slice(bytes, GuestAddress(address));
    read.with_context(|| format!("no guest memory at {address:#x}"))
}

/// Writes `bytes` to the guest's memory at `address`.
pub(super) fn write(memory: &GuestMemoryMmap, address: u64, bytes: &[u8]) -> Result<()> {
    let written = memory.write_slice(bytes, GuestAddress(address));
    written.with_context(|| format!("no guest memory at {address:#x}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Memory of a guest, and where a queue of four entries is in it.
    pub(in super::super) fn queue() -> (GuestMemoryMmap, Place) {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap();
        (memory, Place { size: 4, descriptors: 0x1000, driver: 0x2000, device: 0x3000 })
    }

    #[test]
    fn a_descriptor_is_for_one_direction_and_has_no_continuation() {
        check_flags(WRITE, Direction::ToGuest).unwrap();
        check_flags(0, Direction::FromGuest).unwrap();
        for (flags, direction) in [
            (0, Direction::ToGuest),
            (WRITE, Direction::FromGuest),
            (NEXT, Direction::FromGuest),
            (INDIRECT, Direction::FromGuest),
        ] {
            check_flags(flags, direction).unwrap_err();
        }
    }

    #[test]
    fn an_address_outside_of_memory_is_an_error() {
        let (memory, _) = queue();
        assert!(format!("{:#}", read::<16>(&memory, 0xfff8).unwrap_err()).contains("0xfff8"));
        write(&memory, u64::MAX, &[1]).unwrap_err();
    }
}
