//! Packet buffers of a memory region: contiguous, so that an address is base + index × stride.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::shared::{Object, ObjectTable, SharedMemory, SharedObjects};

/// Bytes in front of each payload that belong to the driver, for the packet header of a device.
pub const HEADROOM: usize = 64;
/// Buffers 0 and 1 are reserved: no slot may name them, as in netmap.
pub const RESERVED_BUFFERS: u32 = 2;

/// Buffers are accessed by words of so many bytes.
const WORD: usize = 8;

/// What is in front of the payload.
type Headroom = [AtomicU64; HEADROOM / WORD];

/// The packet buffers of a region: each is its headroom, and the payload behind it.
#[derive(Debug, Clone)]
pub struct Buffers {
    objects: SharedObjects<Headroom, AtomicU64, RESERVED_BUFFERS>,
    /// Where devices see the payload of buffer 0.
    phys: u64,
    /// Longest payload, in bytes.
    capacity: u16,
}

impl Buffers {
    /// The next part of `memory`: `count` buffers of `stride` bytes each, the first `offset` bytes from the start of the block.
    /// `capacity` is the longest payload, in bytes: less where there is not as much room. There are none if the stride is not a
    /// multiple of 8, or less than [`HEADROOM`].
    pub fn new(memory: &mut SharedMemory, offset: usize, stride: u32, count: u32, capacity: u16) -> Self {
        let phys = memory.memory().phys() + (offset + HEADROOM) as u64;
        let objects = memory.objects(offset, count, stride);
        let room = (stride as usize).saturating_sub(HEADROOM);
        Self { objects, phys, capacity: capacity.min(u16::try_from(room).unwrap_or(u16::MAX)) }
    }

    /// Longest payload, in bytes.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Whether a slot may name buffer `index`.
    #[inline]
    pub fn contains(&self, index: u32) -> bool {
        self.objects.table().contains(index)
    }

    /// Bytes from the start of the region to buffer `index`, whether or not there is one.
    pub fn offset(&self, index: u32) -> usize {
        self.objects.offset(index)
    }

    /// Bytes from the start of the region to the payload of buffer `index`, whether or not there is one.
    pub fn payload_offset(&self, index: u32) -> usize {
        self.offset(index) + HEADROOM
    }

    /// Buffer `index`, if a slot may name that buffer.
    #[inline]
    pub fn get(&self, index: u32) -> Option<Buffer<'_>> {
        self.table().get(index)
    }

    /// Where the buffers are, as a value that a loop keeps in registers.
    #[inline]
    pub(crate) fn table(&self) -> BufferTable<'_> {
        BufferTable { objects: self.objects.table(), phys: self.phys, capacity: self.capacity }
    }
}

/// Where buffers are.
#[derive(Clone, Copy)]
pub(crate) struct BufferTable<'a> {
    objects: ObjectTable<'a, Headroom, AtomicU64, RESERVED_BUFFERS>,
    phys: u64,
    capacity: u16,
}

impl<'a> BufferTable<'a> {
    /// Buffer `index`, if a slot may name that buffer.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<Buffer<'a>> {
        let Object { header: headroom, entries: payload } = self.objects.get(index)?;
        let offset = u64::from(index) * u64::from(self.objects.stride());
        Some(Buffer { headroom, payload, phys: self.phys + offset, capacity: self.capacity })
    }
}

/// A packet buffer, for example while the driver posts it or takes it back.
///
/// Its bytes are atomics: what others write meanwhile makes a frame nonsense, and nothing worse.
#[derive(Debug)]
pub struct Buffer<'a> {
    headroom: &'a Headroom,
    payload: &'a [AtomicU64],
    phys: u64,
    capacity: u16,
}

impl Buffer<'_> {
    /// Longest payload, in bytes.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Address of the payload for devices.
    ///
    /// The address alone grants nothing. A device uses it when a driver makes it do so, and when it may do that is part of the
    /// contract of [`Nic`](crate::nic::Nic#safety).
    #[inline]
    pub fn phys(&self) -> u64 {
        self.phys
    }

    /// Address of the payload for the processor, valid for reads and writes of [`capacity`](Self::capacity) bytes as long as the
    /// region is there.
    #[inline]
    pub fn as_non_null(&self) -> NonNull<u8> {
        NonNull::from(self.payload).cast()
    }

    /// Writes a device header right in front of the payload. Bytes of the same word in front of it become zero.
    #[inline]
    pub fn write_header<const N: usize>(&mut self, header: [u8; N]) {
        const { assert!(N <= HEADROOM) };
        let mut bytes = [0; HEADROOM];
        if let Some(end) = bytes.last_chunk_mut() {
            *end = header;
        }
        let (words, _) = bytes.as_chunks::<WORD>();
        let written = const { N.div_ceil(WORD) };
        for (at, word) in self.headroom.iter().zip(words).rev().take(written) {
            at.store(u64::from_ne_bytes(*word), Relaxed);
        }
    }

    /// Makes headroom and payload zero.
    pub fn clear(&mut self) {
        self.headroom.iter().chain(self.payload).for_each(|word| word.store(0, Relaxed));
    }

    /// The first bytes of the payload, as many as a word has.
    pub fn first_word(&self) -> [u8; WORD] {
        self.payload.first().map_or([0; WORD], |word| word.load(Relaxed).to_ne_bytes())
    }

    /// Writes the first bytes of the payload, as many as a word has.
    pub fn set_first_word(&mut self, bytes: [u8; WORD]) {
        if let Some(word) = self.payload.first() {
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
    }

    /// Reads what is right in front of the payload.
    #[inline]
    pub(crate) fn read_header<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= HEADROOM) };
        let mut bytes = [0; HEADROOM];
        let (words, _) = bytes.as_chunks_mut::<WORD>();
        for (word, at) in words.iter_mut().zip(self.headroom).rev().take(const { N.div_ceil(WORD) }) {
            *word = at.load(Relaxed).to_ne_bytes();
        }
        bytes.last_chunk().copied().unwrap_or([0; N])
    }

    /// Copies the first bytes of the payload to `to`: as many as both hold. Returns how many.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let len = to.len().min(usize::from(self.capacity));
        let to = to.get_mut(..len).unwrap_or_default();
        for (to, word) in to.chunks_mut(WORD).zip(self.payload) {
            let bytes = word.load(Relaxed).to_ne_bytes();
            to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        }
        len
    }

    /// Makes the payload begin with `from`, if it fits. Bytes of the same word behind it become zero. Returns its length.
    pub fn copy_from(&mut self, from: &[u8]) -> Option<u16> {
        let len = u16::try_from(from.len()).ok().filter(|len| *len <= self.capacity)?;
        for (from, word) in from.chunks(WORD).zip(self.payload) {
            let mut bytes = [0; WORD];
            bytes.iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
        Some(len)
    }

    /// Moves `len` bytes that begin `before` bytes in front of the payload to its start. Both are cut to what the buffer has. What
    /// is behind them in their last word becomes nonsense.
    pub(crate) fn move_up(&mut self, before: u16, len: u16) {
        let (before, len) = (usize::from(before).min(HEADROOM), usize::from(len.min(self.capacity)));
        let (first, bits) = ((HEADROOM - before) / WORD, (before * 8 % 64) as u32);
        let words = self.headroom.iter().chain(self.payload);
        let word =
            |at: usize| words.clone().nth(first + at).map_or(0, |word| u64::from_le(word.load(Relaxed)));
        // From the last on: the bytes go up, and a word is read before it is written.
        for (to, at) in self.payload.iter().zip(0..len.div_ceil(WORD)).rev() {
            let low = word(at);
            let moved = if bits == 0 { low } else { low >> (64 - bits) | word(at + 1) << bits };
            to.store(moved.to_le(), Relaxed);
        }
    }
}
