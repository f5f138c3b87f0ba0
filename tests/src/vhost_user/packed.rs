//! The device side of a packed queue (virtio 1.2, section 2.8).

use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::ring::{Buffer, DESCRIPTOR, DeviceRing, Direction, Place, check_flags, read, write};

/// In a descriptor's flags: equal to the driver's wrap counter when it is available, and to the device's when it is used.
const AVAILABLE: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// In the event suppression's flags: no notifications.
const DISABLE: u16 = 1;
/// From the start of a descriptor: its length, its id and its flags.
const LENGTH: u64 = 8;
const ID: u64 = 12;
const FLAGS: u64 = 14;
/// From the start of an event suppression: its flags.
const EVENT_FLAGS: u64 = 2;

/// A packed queue.
#[derive(Debug)]
pub(super) struct Packed {
    memory: GuestMemoryMmap,
    place: Place,
    direction: Direction,
    next: Position,
    used: Position,
    /// The first descriptor that was used and not published: its address and flags. The driver looks at descriptors in order, so
    /// it sees none behind this one.
    unpublished: Option<(u64, u16)>,
}

/// A place in the ring.
#[derive(Debug, Clone, Copy)]
struct Position {
    index: u16,
    /// The wrap counter.
    wrap: bool,
}

impl Packed {
    /// A queue that has just been set up.
    pub(super) fn new(memory: GuestMemoryMmap, place: Place, direction: Direction) -> Result<Self> {
        ensure!(place.size > 0, "a packed queue without entries");
        write(&memory, place.device + EVENT_FLAGS, &DISABLE.to_le_bytes())?;
        let start = Position { index: 0, wrap: true };
        Ok(Self { memory, place, direction, next: start, used: start, unpublished: None })
    }

    fn descriptor(&self, position: Position) -> u64 {
        self.place.descriptors + u64::from(position.index) * DESCRIPTOR
    }
}

impl Position {
    fn advance(&mut self, size: u16) {
        self.index += 1;
        if self.index == size {
            *self = Self { index: 0, wrap: !self.wrap };
        }
    }
}

impl DeviceRing for Packed {
    fn take(&mut self) -> Result<Option<Buffer>> {
        let at = self.descriptor(self.next);
        // Acquire: the rest of the descriptor, which the driver wrote before the flags.
        let flags = self.memory.load::<u16>(GuestAddress(at + FLAGS), Ordering::Acquire);
        let flags = u16::from_le(flags.context("no descriptors")?);
        let (is_available, is_used) = (flags & AVAILABLE != 0, flags & USED != 0);
        if is_available != self.next.wrap || is_used == self.next.wrap {
            return Ok(None);
        }
        check_flags(flags, self.direction)?;
        let descriptor = u128::from_le_bytes(read(&self.memory, at)?);
        self.next.advance(self.place.size);
        let (length, id) = ((descriptor >> 64) as u32, (descriptor >> 96) as u16);
        Ok(Some(Buffer { id, address: descriptor as u64, length }))
    }

    fn put(&mut self, buffer: Buffer, written: u32) -> Result<()> {
        let at = self.descriptor(self.used);
        write(&self.memory, at + LENGTH, &written.to_le_bytes())?;
        write(&self.memory, at + ID, &buffer.id.to_le_bytes())?;
        let flags = if self.used.wrap { AVAILABLE | USED } else { 0 };
        match self.unpublished {
            None => self.unpublished = Some((at, flags)),
            Some(_) => write(&self.memory, at + FLAGS, &flags.to_le_bytes())?,
        }
        self.used.advance(self.place.size);
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        match self.unpublished.take() {
            // Release: the descriptors, and what was written to the buffers, come first.
            Some((at, flags)) => self
                .memory
                .store(flags.to_le(), GuestAddress(at + FLAGS), Ordering::Release)
                .context("no descriptors"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::tests::queue;
    use super::*;

    const WRITE: u16 = 2;

    /// The driver makes `id` available at `index` of the round with this wrap counter.
    fn offer(memory: &GuestMemoryMmap, place: &Place, (index, wrap): (u16, bool), id: u16) {
        let flags = WRITE | if wrap { AVAILABLE } else { USED };
        let address = 0x8000 + u128::from(id) * 64;
        let descriptor = address | 64 << 64 | u128::from(id) << 96 | u128::from(flags) << 112;
        write(memory, place.descriptors + u64::from(index) * 16, &descriptor.to_le_bytes()).unwrap();
    }

    /// Length, id and flags of the descriptor at `index`, once the driver may look at it.
    fn used(memory: &GuestMemoryMmap, place: &Place, (index, wrap): (u16, bool)) -> Option<(u32, u16)> {
        let bytes = read(memory, place.descriptors + u64::from(index) * 16).unwrap();
        let descriptor = u128::from_le_bytes(bytes);
        let flags = (descriptor >> 112) as u16 & (AVAILABLE | USED);
        let is_used = flags == if wrap { AVAILABLE | USED } else { 0 };
        is_used.then_some(((descriptor >> 64) as u32, (descriptor >> 96) as u16))
    }

    #[test]
    fn buffers_come_in_order_and_a_batch_shows_when_it_is_published() {
        let (memory, place) = queue();
        let mut ring = Packed::new(memory.clone(), place, Direction::ToGuest).unwrap();
        assert_eq!(read(&memory, place.device + 2).unwrap(), DISABLE.to_le_bytes());
        assert_eq!(ring.take().unwrap(), None);
        // Batches of three in a ring of four: each begins at another place.
        let positions: Vec<_> =
            (0..30).map(|count: u16| (count % 4, (count / 4).is_multiple_of(2))).collect();
        for batch in positions.chunks(3) {
            batch.iter().zip([2, 0, 1]).for_each(|(position, id)| offer(&memory, &place, *position, id));
            for id in [2, 0, 1] {
                let buffer = ring.take().unwrap().unwrap();
                assert_eq!(buffer, Buffer { id, address: 0x8000 + u64::from(id) * 64, length: 64 });
                ring.put(buffer, 7 + u32::from(id)).unwrap();
            }
            assert_eq!(ring.take().unwrap(), None);
            assert_eq!(used(&memory, &place, batch[0]), None);
            ring.publish().unwrap();
            let seen: Vec<_> = batch.iter().map(|position| used(&memory, &place, *position)).collect();
            assert_eq!(seen, [Some((9, 2)), Some((7, 0)), Some((8, 1))]);
        }
    }
}
