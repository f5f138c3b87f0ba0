//! The device side of a split queue (virtio 1.2, section 2.7).

use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::ring::{Buffer, DESCRIPTOR, DeviceRing, Direction, Place, check_flags, read, write};

/// In the used ring's flags: no notifications. With VIRTIO_F_EVENT_IDX the driver does not look at them, and notifies when its
/// index passes `avail_event`. That stays 0, so there is one notification in 65536 buffers.
const NO_NOTIFY: u16 = 1;
/// From the start of either ring: its index, and its entries.
const INDEX: u64 = 2;
const ENTRIES: u64 = 4;
/// Bytes of an entry of the used ring.
const USED: u64 = 8;

/// A split queue.
#[derive(Debug)]
pub(super) struct Split {
    memory: GuestMemoryMmap,
    place: Place,
    direction: Direction,
    /// The driver's index when it was last read.
    available: u16,
    /// Buffers that were taken, and that were used, modulo 2^16.
    taken: u16,
    used: u16,
}

impl Split {
    /// A queue that has just been set up.
    pub(super) fn new(memory: GuestMemoryMmap, place: Place, direction: Direction) -> Result<Self> {
        ensure!(place.size.is_power_of_two(), "a split queue of {} entries", place.size);
        write(&memory, place.device, &NO_NOTIFY.to_le_bytes())?;
        Ok(Self { memory, place, direction, available: 0, taken: 0, used: 0 })
    }

    /// The entry of a ring at `ring` that an index stands for.
    fn entry(&self, ring: u64, index: u16, bytes: u64) -> u64 {
        ring + ENTRIES + u64::from(index & (self.place.size - 1)) * bytes
    }
}

impl DeviceRing for Split {
    fn take(&mut self) -> Result<Option<Buffer>> {
        if self.taken == self.available {
            // Acquire: the entries and descriptors that the driver wrote before this index.
            let index = self.memory.load::<u16>(GuestAddress(self.place.driver + INDEX), Ordering::Acquire);
            self.available = u16::from_le(index.context("no available ring")?);
            if self.taken == self.available {
                return Ok(None);
            }
        }
        let id = u16::from_le_bytes(read(&self.memory, self.entry(self.place.driver, self.taken, 2))?);
        ensure!(id < self.place.size, "descriptor {id} in a queue of {}", self.place.size);
        let descriptor: u128 =
            u128::from_le_bytes(read(&self.memory, self.place.descriptors + u64::from(id) * DESCRIPTOR)?);
        check_flags((descriptor >> 96) as u16, self.direction)?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(Buffer { id, address: descriptor as u64, length: (descriptor >> 64) as u32 }))
    }

    fn put(&mut self, buffer: Buffer, written: u32) -> Result<()> {
        let entry = u64::from(buffer.id) | u64::from(written) << 32;
        write(&self.memory, self.entry(self.place.device, self.used, USED), &entry.to_le_bytes())?;
        self.used = self.used.wrapping_add(1);
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        let index = GuestAddress(self.place.device + INDEX);
        // Release: the entries, and what was written to the buffers, come first.
        self.memory.store(self.used.to_le(), index, Ordering::Release).context("no used ring")
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::tests::queue;
    use super::*;

    /// The driver makes `id` available at `index`.
    fn offer(memory: &GuestMemoryMmap, place: &Place, index: u16, id: u16) {
        let descriptor = (0x8000 + u128::from(id) * 64) | 64 << 64;
        write(memory, place.descriptors + u64::from(id) * 16, &descriptor.to_le_bytes()).unwrap();
        write(memory, place.driver + 4 + u64::from(index % place.size) * 2, &id.to_le_bytes()).unwrap();
        write(memory, place.driver + 2, &index.wrapping_add(1).to_le_bytes()).unwrap();
    }

    #[test]
    fn buffers_come_in_order_and_used_ones_show_when_they_are_published() {
        let (memory, place) = queue();
        let mut ring = Split::new(memory.clone(), place, Direction::FromGuest).unwrap();
        assert_eq!(read(&memory, place.device).unwrap(), NO_NOTIFY.to_le_bytes());
        assert_eq!(ring.take().unwrap(), None);
        for index in 0..=u16::MAX {
            let id = (index + index / 4) % 4;
            offer(&memory, &place, index, id);
            let buffer = ring.take().unwrap().unwrap();
            assert_eq!(buffer, Buffer { id, address: 0x8000 + u64::from(id) * 64, length: 64 });
            assert_eq!(ring.take().unwrap(), None);
            ring.put(buffer, 7).unwrap();
            assert_eq!(read(&memory, place.device + 2).unwrap(), index.to_le_bytes());
            ring.publish().unwrap();
            assert_eq!(read(&memory, place.device + 2).unwrap(), index.wrapping_add(1).to_le_bytes());
            let entry: [u8; 8] = read(&memory, place.device + 4 + u64::from(index % 4) * 8).unwrap();
            assert_eq!(u64::from_le_bytes(entry), u64::from(id) | 7 << 32);
        }
    }

    #[test]
    fn a_descriptor_outside_of_the_queue_is_an_error() {
        let (memory, place) = queue();
        let mut ring = Split::new(memory.clone(), place, Direction::FromGuest).unwrap();
        offer(&memory, &place, 0, 4);
        ring.take().unwrap_err();
    }
}
