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
/// Bytes that are moved at once.
const MOVED: usize = 64;

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
        let (phys, capacity) = (self.phys + offset, self.capacity);
        Some(Buffer { headroom, payload, phys, capacity, offset: 0 })
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
    /// Where the payload begins, in bytes from the end of the headroom.
    offset: u16,
}

impl Buffer<'_> {
    /// The same buffer, whose payload begins `offset` bytes further on and is as much shorter. `None` if the buffer ends before.
    pub fn at_offset(self, offset: u16) -> Option<Self> {
        let capacity = self.capacity.checked_sub(offset)?;
        Some(Self { phys: self.phys + u64::from(offset), capacity, offset: self.offset + offset, ..self })
    }

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
        let first = NonNull::from(self.payload).cast::<u8>();
        first.map_addr(|address| address.saturating_add(self.offset.into()))
    }

    /// Writes a device header right in front of the payload. Bytes of the same word in front of it become zero, except where the
    /// payload begins at an offset.
    #[inline]
    pub fn write_header<const N: usize>(&mut self, header: [u8; N]) {
        const { assert!(N <= HEADROOM) };
        if self.offset != 0 {
            return self.write(self.start() - N, &header);
        }
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

    /// Makes headroom and buffer zero.
    pub fn clear(&mut self) {
        self.words().for_each(|word| word.store(0, Relaxed));
    }

    /// The first bytes of the payload, as many as a word has.
    pub fn first_word(&self) -> [u8; WORD] {
        let mut bytes = [0; WORD];
        self.read(self.start(), &mut bytes);
        bytes
    }

    /// Writes the first bytes of the payload, as many as a word has.
    pub fn set_first_word(&mut self, bytes: [u8; WORD]) {
        self.write(self.start(), &bytes);
    }

    /// Reads what is right in front of the payload.
    pub(crate) fn read_header<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= HEADROOM) };
        let mut bytes = [0; N];
        self.read(self.start() - N, &mut bytes);
        bytes
    }

    /// Copies the first bytes of the payload to `to`: as many as both hold. Returns how many.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let len = to.len().min(usize::from(self.capacity));
        self.read(self.start(), to.get_mut(..len).unwrap_or_default());
        len
    }

    /// Makes the payload begin with `from`, if it fits. Returns its length.
    pub fn copy_from(&mut self, from: &[u8]) -> Option<u16> {
        let len = u16::try_from(from.len()).ok().filter(|len| *len <= self.capacity)?;
        self.write(self.start(), from);
        Some(len)
    }

    /// Moves `len` bytes that begin `before` bytes in front of the payload to its start. Both are cut to what the buffer has.
    pub(crate) fn move_up(&mut self, before: u16, len: u16) {
        let (before, len) = (usize::from(before).min(HEADROOM), usize::from(len.min(self.capacity)));
        // From the last part on: the bytes go up, and a part is read before it is overwritten.
        for at in (0..len).step_by(MOVED).rev() {
            let mut bytes = [0; MOVED];
            let part = bytes.get_mut(..MOVED.min(len - at)).unwrap_or_default();
            self.read(self.start() - before + at, part);
            self.write(self.start() + at, part);
        }
    }

    /// Where the payload begins, in bytes from the start of the headroom.
    fn start(&self) -> usize {
        HEADROOM + usize::from(self.offset)
    }

    fn words(&self) -> impl Iterator<Item = &AtomicU64> {
        self.headroom.iter().chain(self.payload)
    }

    /// Reads the bytes from `at` on, in bytes from the start of the headroom. What is behind the end of the buffer is not read.
    fn read(&self, at: usize, to: &mut [u8]) {
        let (first, to_rest) = to.split_at_mut(to.len().min((WORD - at % WORD) % WORD));
        let mut words = self.words().skip(at / WORD);
        if !first.is_empty()
            && let Some(word) = words.next()
        {
            copy(first, word.load(Relaxed).to_ne_bytes().get(at % WORD..));
        }
        for (to, word) in to_rest.chunks_mut(WORD).zip(words) {
            copy(to, Some(&word.load(Relaxed).to_ne_bytes()));
        }
    }

    /// Writes the bytes from `at` on, in bytes from the start of the headroom. Those around them stay. What is behind the end of
    /// the buffer is not written.
    fn write(&self, at: usize, from: &[u8]) {
        let (first, rest) = from.split_at(from.len().min((WORD - at % WORD) % WORD));
        let mut words = self.words().skip(at / WORD);
        if !first.is_empty()
            && let Some(word) = words.next()
        {
            write_part(word, at % WORD, first);
        }
        for (from, word) in rest.chunks(WORD).zip(words) {
            match from.first_chunk() {
                Some(bytes) => word.store(u64::from_ne_bytes(*bytes), Relaxed),
                None => write_part(word, 0, from),
            }
        }
    }
}

/// Writes the bytes of a word from `at` on.
fn write_part(word: &AtomicU64, at: usize, from: &[u8]) {
    let mut bytes = word.load(Relaxed).to_ne_bytes();
    copy(bytes.get_mut(at..).unwrap_or_default(), Some(from));
    word.store(u64::from_ne_bytes(bytes), Relaxed);
}

/// Copies as many bytes as both have.
fn copy(to: &mut [u8], from: Option<&[u8]>) {
    to.iter_mut().zip(from.unwrap_or_default()).for_each(|(to, byte)| *to = *byte);
}
