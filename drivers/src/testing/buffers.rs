//! Packet buffers as the core has them.
#![expect(unsafe_code, reason = "it describes memory of its own to the driver")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;

use nm_core::nic::{DmaBuffer, HEADROOM};
use nm_core::platform::{DmaMemory, OutOfDmaMemory, Platform};

/// A number of packet buffers of the same capacity, with headroom in front of each.
#[derive(Debug)]
pub struct PacketBuffers {
    memory: DmaMemory,
    count: usize,
    stride: usize,
    capacity: u16,
}

impl PacketBuffers {
    /// Allocates `count` buffers for `capacity` bytes of payload.
    pub fn new(platform: &Arc<dyn Platform>, count: usize, capacity: u16) -> Result<Self, OutOfDmaMemory> {
        let stride = (HEADROOM + usize::from(capacity)).next_multiple_of(64);
        let memory = DmaMemory::allocate(platform, stride * count.max(1), 4096)?;
        Ok(Self { memory, count: count.max(1), stride, capacity })
    }

    /// The buffer with this number (modulo their count), to be handed to a queue.
    pub fn lend(&mut self, number: usize) -> DmaBuffer<'_> {
        let offset = self.offset(number);
        // SAFETY: the buffer lies in `memory`, headroom in front of it, and `&mut self` is lent with it.
        unsafe { DmaBuffer::new(self.at(number), self.memory.phys() + offset as u64, self.capacity) }
    }

    /// Fills the headroom with `0xaa` and the payload with as much of `bytes` as fits.
    pub fn fill(&mut self, number: usize, bytes: &[u8]) {
        let at = self.at(number).as_ptr();
        let len = bytes.len().min(usize::from(self.capacity));
        // SAFETY: as for `lend`; `len` is at most the capacity.
        unsafe {
            at.sub(HEADROOM).write_bytes(0xaa, HEADROOM);
            at.copy_from_nonoverlapping(bytes.as_ptr(), len);
        }
    }

    /// The first `len` bytes of payload, or as many as there are.
    pub fn payload(&self, number: usize, len: u16) -> Vec<u8> {
        let at = self.at(number);
        // SAFETY: as for `lend`; `len` is at most the capacity.
        (0..usize::from(len.min(self.capacity))).map(|i| unsafe { at.add(i).read_volatile() }).collect()
    }

    fn offset(&self, number: usize) -> usize {
        number % self.count * self.stride + HEADROOM
    }

    fn at(&self, number: usize) -> NonNull<u8> {
        // SAFETY: the offset of a buffer lies in `memory`, which is `count * stride` long.
        unsafe { self.memory.virt().add(self.offset(number)) }
    }
}
