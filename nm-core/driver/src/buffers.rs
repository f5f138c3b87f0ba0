//! Packet buffers of a memory region: contiguous, so that an address is base + index × stride.
#![expect(unsafe_code, reason = "addresses of buffers are computed here, and their headroom is written")]

use core::marker::PhantomData;
use core::ptr::NonNull;

/// Bytes in front of each payload that belong to the driver, for the packet header of a device.
pub const HEADROOM: usize = 64;
/// Buffers 0 and 1 are reserved: no slot may name them, as in netmap.
pub const RESERVED_BUFFERS: u32 = 2;

/// Where the packet buffers of a region are.
#[derive(Debug, Clone, Copy)]
pub struct Buffers {
    /// Payload of buffer 0, as the processor sees it.
    virt: NonNull<u8>,
    /// The same as devices see it.
    phys: u64,
    /// Distance of two buffers, in bytes.
    stride: u32,
    /// Number of buffers that a slot may name.
    usable: u32,
    /// Longest payload, in bytes.
    capacity: u16,
}

// SAFETY: the addresses grant nothing by themselves; each access says why it is sound.
unsafe impl Send for Buffers {}
// SAFETY: as above.
unsafe impl Sync for Buffers {}

impl Buffers {
    /// `count` buffers with payloads of `capacity` bytes, the first at `virt` and, for devices, at `phys`, the others each
    /// `stride` bytes further.
    ///
    /// # Safety
    /// For each of them [`HEADROOM`] bytes in front of the payload and `capacity` bytes of it are valid for reads and writes,
    /// at both addresses, for as long as the value or a copy of it is used. The payload is not part of another buffer.
    pub unsafe fn new(virt: NonNull<u8>, phys: u64, stride: u32, count: u32, capacity: u16) -> Self {
        Self { virt, phys, stride, usable: count.saturating_sub(RESERVED_BUFFERS), capacity }
    }

    /// Longest payload, in bytes.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Whether a slot may name buffer `index`.
    #[inline]
    pub fn contains(&self, index: u32) -> bool {
        index.wrapping_sub(RESERVED_BUFFERS) < self.usable
    }

    /// Address of the payload of buffer `index`, if a slot may name that buffer.
    #[inline]
    pub fn payload(&self, index: u32) -> Option<NonNull<u8>> {
        // SAFETY: the index is one of a buffer that was promised to `new`.
        self.contains(index).then(|| unsafe { self.virt.add(self.offset(index)) })
    }

    /// Buffer `index` for the length of a call, if a slot may name it.
    #[inline]
    pub(crate) fn get<'a>(&self, index: u32) -> Option<Buffer<'a>> {
        if !self.contains(index) {
            return None;
        }
        let offset = self.offset(index);
        // SAFETY: as in `payload`.
        let payload = unsafe { self.virt.add(offset) };
        Some(Buffer { payload, phys: self.phys + offset as u64, capacity: self.capacity, lent: PhantomData })
    }

    #[inline]
    fn offset(&self, index: u32) -> usize {
        index as usize * self.stride as usize
    }
}

/// A packet buffer while the driver posts it or takes it back.
#[derive(Debug)]
pub struct Buffer<'a> {
    payload: NonNull<u8>,
    phys: u64,
    capacity: u16,
    lent: PhantomData<&'a mut [u8]>,
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

    /// Writes a device header right in front of the payload.
    #[inline]
    pub fn write_header<const N: usize>(&mut self, header: [u8; N]) {
        const { assert!(N <= HEADROOM) };
        // SAFETY: `N` is at most `HEADROOM`, so the bytes lie in the headroom that `Buffers::new` was promised.
        unsafe { self.payload.as_ptr().sub(N).cast::<[u8; N]>().write(header) };
    }

    /// Reads what is right in front of the payload.
    #[inline]
    pub(crate) fn read_header<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= HEADROOM) };
        // SAFETY: as in `write_header`.
        unsafe { self.payload.as_ptr().sub(N).cast::<[u8; N]>().read_volatile() }
    }

    /// Copies the first bytes of the payload to `to`: as many as both hold. Returns how many.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let len = to.len().min(usize::from(self.capacity));
        // SAFETY: `capacity` bytes from `payload` on are valid, and `to` is other memory: no reference leads into a region.
        unsafe { self.payload.as_ptr().copy_to_nonoverlapping(to.as_mut_ptr(), len) };
        len
    }

    /// Makes the payload begin with `from`, if it fits. Returns its length.
    pub fn copy_from(&mut self, from: &[u8]) -> Option<u16> {
        let len = u16::try_from(from.len()).ok().filter(|len| *len <= self.capacity)?;
        // SAFETY: as in `copy_to`.
        unsafe { self.payload.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Some(len)
    }

    /// Moves `len` bytes that begin `before` bytes in front of the payload to its start. Both are cut to what the buffer has.
    pub(crate) fn move_up(&mut self, before: u16, len: u16) {
        let (before, len) = (usize::from(before).min(HEADROOM), usize::from(len.min(self.capacity)));
        // SAFETY: both ranges lie in headroom and payload.
        unsafe { self.payload.as_ptr().copy_from(self.payload.as_ptr().sub(before), len) };
    }
}
