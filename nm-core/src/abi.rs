//! The memory that netmap shares with applications, in the binary layout of API 14.
//!
//! A region holds one [`InterfaceHeader`] for each bound port, then rings ([`RingHeader`], its slots behind it), then
//! packet buffers. Programs written for netmap find their way through it with these three structures alone.
//! Sizes and offsets are asserted below; a change that moves a field does not compile.

use core::mem::{offset_of, size_of};

use bitflags::bitflags;

pub use nm_driver::abi::{Slot, SlotFlags};

/// The generation of the layout.
#[doc(alias = "NETMAP_API")]
pub const API: u32 = 14;

bitflags! {
    /// What a ring's application asks of the core.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RingFlags: u32 {
        /// Write the time of each receive sync, poll's too.
        #[doc(alias = "NR_TIMESTAMP")]
        const TIMESTAMP = 0x0002;
        /// Transparent mode: released slots that are marked [`SlotFlags::FORWARD`] go to the other side.
        #[doc(alias = "NR_FORWARD")]
        const FORWARD = 0x0004;
    }
}

/// A point in time: seconds and microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct TimeVal {
    /// Seconds.
    pub sec: i64,
    /// Microseconds, 0 to 999999.
    pub usec: i64,
}

/// The head of a ring; its slots follow at [`SLOTS_OFFSET`].
#[doc(alias = "netmap_ring")]
#[derive(Debug)]
#[repr(C)]
pub struct RingHeader {
    /// Bytes from this header to the payload of buffer 0.
    pub buf_ofs: i64,
    /// Slots of the ring.
    pub num_slots: u32,
    /// Distance between two buffers, in bytes.
    pub nr_buf_size: u32,
    /// Number of the ring on its interface.
    pub ringid: u16,
    /// [`DIR_TX`] or [`DIR_RX`].
    pub dir: u16,
    /// First slot of the application's window.
    pub head: u32,
    /// The application's wake-up point.
    pub cur: u32,
    /// First slot behind the application's window.
    pub tail: u32,
    /// [`RingFlags`].
    pub flags: u32,
    /// Time of the last receive sync.
    pub ts: TimeVal,
    /// The bits of [`Slot::ptr`] that hold the offset of the payload in its buffer; 0 where payloads begin with their buffers
    /// (see [`Offsets`](crate::Offsets)).
    #[doc(alias("NETMAP_ROFFSET", "NETMAP_WOFFSET"))]
    pub offset_mask: u64,
    /// Alignment of payloads that the device of the ring asks for; 0, no device asks for one.
    pub buf_align: u64,
    reserved: [u8; 56],
    /// Scratch space of the application.
    pub sem: [u8; 128],
}

/// Where a ring's slots begin, in bytes from its header.
pub const SLOTS_OFFSET: usize = size_of::<RingHeader>();

/// [`RingHeader::dir`] of a transmit ring.
pub const DIR_TX: u16 = 0;
/// [`RingHeader::dir`] of a receive ring.
pub const DIR_RX: u16 = 1;

/// What a port finds first: its rings, by offset. The table of `i64` offsets follows at [`RING_OFS_OFFSET`]: hardware
/// transmit, host transmit, hardware receive, host receive; 0 for a ring that the port did not bind.
#[doc(alias = "netmap_if")]
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct InterfaceHeader {
    /// Name of the interface, ended by a zero byte.
    pub name: [u8; 16],
    /// [`API`].
    pub version: u32,
    /// Flags of the interface.
    pub flags: u32,
    /// Hardware transmit rings.
    pub tx_rings: u32,
    /// Hardware receive rings.
    pub rx_rings: u32,
    /// First of the extra buffers, 0 for none.
    pub bufs_head: u32,
    /// Host transmit rings.
    pub host_tx_rings: u32,
    /// Host receive rings.
    pub host_rx_rings: u32,
    /// Unused, zero.
    pub spare: [u32; 3],
}

/// [`InterfaceHeader::flags`]: the port's memory is not the shared region.
#[doc(alias = "NI_PRIV_MEM")]
pub const PRIVATE_MEMORY: u32 = 0x1;

/// Where the table of ring offsets begins, in bytes from an [`InterfaceHeader`].
pub const RING_OFS_OFFSET: usize = size_of::<InterfaceHeader>();

const _: () = {
    assert!(size_of::<RingHeader>() == 256);
    assert!(offset_of!(RingHeader, buf_ofs) == 0 && offset_of!(RingHeader, num_slots) == 8);
    assert!(offset_of!(RingHeader, nr_buf_size) == 12 && offset_of!(RingHeader, ringid) == 16);
    assert!(offset_of!(RingHeader, dir) == 18 && offset_of!(RingHeader, head) == 20);
    assert!(offset_of!(RingHeader, cur) == 24 && offset_of!(RingHeader, tail) == 28);
    assert!(offset_of!(RingHeader, flags) == 32 && offset_of!(RingHeader, ts) == 40);
    assert!(offset_of!(RingHeader, offset_mask) == 56 && offset_of!(RingHeader, buf_align) == 64);
    assert!(offset_of!(RingHeader, sem) == 128);
    assert!(size_of::<InterfaceHeader>() == 56 && offset_of!(InterfaceHeader, bufs_head) == 32);
};
