//! A ring, a chain and the region as a hostile program sees them: addresses.
#![allow(unsafe_code, reason = "raw ports are used through memory")]

use std::ptr::NonNull;

use nm_core::Netmap;
use nm_core::abi::{InterfaceHeader, RingHeader, SLOTS_OFFSET, Slot};
use nm_core::mem::{Mapping, MemId};
use nm_core::nic::HEADROOM;
use nm_core::raw::RawPort;

/// A ring of an open port, and how many slots it really has.
#[derive(Clone, Copy)]
pub struct View {
    header: NonNull<RingHeader>,
    pub slots: u32,
}

/// The fields of a ring that a program may want to write to, or their first words.
#[derive(Clone, Copy)]
pub enum Field {
    Head,
    Cur,
    Tail,
    NumSlots,
    BufSize,
    Flags,
    BufOfs,
    RingId,
    Time,
    OffsetMask,
    BufAlign,
}

impl Field {
    pub const ALL: [Self; 11] = [
        Self::Head,
        Self::Cur,
        Self::Tail,
        Self::NumSlots,
        Self::BufSize,
        Self::Flags,
        Self::BufOfs,
        Self::RingId,
        Self::Time,
        Self::OffsetMask,
        Self::BufAlign,
    ];
}

impl View {
    pub fn new(header: NonNull<RingHeader>, slots: u32) -> Self {
        Self { header, slots }
    }

    /// `head`, `cur` and `tail`.
    pub fn indices(self) -> [u32; 3] {
        [Field::Head, Field::Cur, Field::Tail].map(|field| self.read(field))
    }

    /// How far `to` is ahead of `from`.
    pub fn distance(self, from: u32, to: u32) -> u32 {
        (to + self.slots - from) % self.slots
    }

    pub fn read(self, field: Field) -> u32 {
        // SAFETY: the port that the ring belongs to is open.
        unsafe { self.word(field).read_volatile() }
    }

    pub fn write(self, field: Field, value: u32) {
        // SAFETY: as above; any value may be written.
        unsafe { self.word(field).write_volatile(value) }
    }

    fn word(self, field: Field) -> *mut u32 {
        let header = self.header.as_ptr();
        // SAFETY: the header is valid, and each of these is at least a word of it.
        unsafe {
            match field {
                Field::Head => &raw mut (*header).head,
                Field::Cur => &raw mut (*header).cur,
                Field::Tail => &raw mut (*header).tail,
                Field::NumSlots => &raw mut (*header).num_slots,
                Field::BufSize => &raw mut (*header).nr_buf_size,
                Field::Flags => &raw mut (*header).flags,
                Field::BufOfs => (&raw mut (*header).buf_ofs).cast(),
                // `dir` behind it too.
                Field::RingId => (&raw mut (*header).ringid).cast(),
                Field::Time => (&raw mut (*header).ts).cast(),
                Field::OffsetMask => (&raw mut (*header).offset_mask).cast(),
                Field::BufAlign => (&raw mut (*header).buf_align).cast(),
            }
        }
    }

    pub fn slot(self, at: u32) -> Slot {
        // SAFETY: as in `read`; the index is that of a slot.
        unsafe { self.slot_at(at).read_volatile() }
    }

    pub fn set_slot(self, at: u32, slot: Slot) {
        // SAFETY: as in `write`; the index is that of a slot.
        unsafe { self.slot_at(at).write_volatile(slot) }
    }

    fn slot_at(self, at: u32) -> NonNull<Slot> {
        assert!(at < self.slots);
        // SAFETY: the ring has that many slots behind its header.
        unsafe { self.header.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(at as usize) }
    }

    /// The words of the ring that the core reads, for a thread that writes them while it does.
    pub fn words(self) -> Vec<NonNull<u32>> {
        let fields = [Field::Head, Field::Cur, Field::Tail, Field::Flags];
        let indices = fields.map(|field| NonNull::new(self.word(field)).unwrap());
        let slots = (0..self.slots).flat_map(|at| {
            let slot = self.slot_at(at).cast::<u32>();
            // SAFETY: buffer number, length and flags are the first two words of the slot.
            [slot, unsafe { slot.add(1) }]
        });
        indices.into_iter().chain(slots).collect()
    }
}

/// The region of an open port, from outside of its rings.
pub struct Memory {
    mapping: Mapping,
    buffers_at: usize,
    buf_size: usize,
    buf_num: u32,
}

impl Memory {
    /// The shared region of `netmap`, which lets it be mapped.
    pub fn new(netmap: &Netmap) -> Self {
        netmap.knobs().set("mmap_unreg", 1).unwrap();
        let mapping = netmap.map(MemId::SHARED).unwrap();
        let buffers_at = netmap.region().info().pools[2].offset as usize;
        let sizes = netmap.region().sizes();
        Self { mapping, buffers_at, buf_size: sizes.buf_size as usize, buf_num: sizes.buf_num }
    }

    /// Whether a slot may name this buffer.
    pub fn has(&self, buffer: u32) -> bool {
        (2..self.buf_num).contains(&buffer)
    }

    fn buffer(&self, buffer: u32) -> NonNull<u8> {
        assert!(buffer < self.buf_num);
        // SAFETY: the region has that many buffers, from there on.
        unsafe { self.mapping.base().add(self.buffers_at + buffer as usize * self.buf_size) }
    }

    /// Whether nothing was ever written to the two buffers that no slot may name.
    pub fn are_reserved_untouched(&self) -> bool {
        // SAFETY: both buffers are inside the region, and have no other owner.
        let bytes = unsafe { std::slice::from_raw_parts(self.buffer(0).as_ptr(), 2 * self.buf_size) };
        bytes.iter().all(|byte| *byte == 0xa5)
    }

    /// The first word of a buffer that the program holds: its link in a chain.
    fn link(&self, buffer: u32) -> NonNull<u32> {
        // SAFETY: the payload begins behind the headroom, inside the buffer.
        unsafe { self.buffer(buffer).add(HEADROOM).cast() }
    }

    pub fn set_link(&self, buffer: u32, next: u32) {
        // SAFETY: the link is inside the buffer, which the program holds.
        unsafe { self.link(buffer).write_volatile(next) }
    }

    /// The chain of extra buffers of a port that was just opened.
    pub fn chain(&self, port: &RawPort) -> Vec<u32> {
        // SAFETY: the port's interface object is in the region, and the core has just written it.
        let first = unsafe { self.bufs_head(port).read_volatile() };
        // SAFETY: as above, for the buffers of the chain.
        let next =
            |buffer: &u32| Some(unsafe { self.link(*buffer).read_volatile() }).filter(|next| *next != 0);
        std::iter::successors(Some(first).filter(|first| *first != 0), next).collect()
    }

    pub fn set_bufs_head(&self, port: &RawPort, head: u32) {
        // SAFETY: the port is open, and any value may be written.
        unsafe { self.bufs_head(port).write_volatile(head) }
    }

    fn bufs_head(&self, port: &RawPort) -> *mut u32 {
        // SAFETY: the interface object is where the port says.
        unsafe {
            let object = self.mapping.base().add(port.offset()).cast::<InterfaceHeader>();
            &raw mut (*object.as_ptr()).bufs_head
        }
    }
}
