//! The objects of a region as structures of atomics: what [`abi`](crate::abi) describes for programs.

use core::mem::offset_of;
use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use nm_driver::shared_struct;

use crate::abi::{InterfaceHeader, RING_OFS_OFFSET, RingHeader, SLOTS_OFFSET, TimeVal};

shared_struct! {
    /// [`RingHeader`].
    #[derive(Debug)]
    pub(crate) struct RingCells {
        pub(crate) buf_ofs: AtomicI64,
        pub(crate) num_slots: AtomicU32,
        pub(crate) nr_buf_size: AtomicU32,
        pub(crate) ringid: AtomicU16,
        pub(crate) dir: AtomicU16,
        pub(crate) head: AtomicU32,
        pub(crate) cur: AtomicU32,
        pub(crate) tail: AtomicU32,
        pub(crate) flags: AtomicU32,
        pub(crate) unused: AtomicU32,
        /// Seconds and microseconds of [`TimeVal`].
        pub(crate) ts: [AtomicI64; 2],
        pub(crate) offset_mask: AtomicU64,
        /// What the core does not use, to the end of the header.
        pub(crate) rest: [AtomicU64; 24],
    }
}

shared_struct! {
    /// [`InterfaceHeader`].
    #[derive(Debug)]
    pub(crate) struct InterfaceCells {
        pub(crate) name: [AtomicU8; 16],
        pub(crate) version: AtomicU32,
        pub(crate) flags: AtomicU32,
        pub(crate) tx_rings: AtomicU32,
        pub(crate) rx_rings: AtomicU32,
        pub(crate) bufs_head: AtomicU32,
        pub(crate) host_tx_rings: AtomicU32,
        pub(crate) host_rx_rings: AtomicU32,
        pub(crate) spare: [AtomicU32; 3],
    }
}

/// Asserts that fields of the two structures are at the same offset.
macro_rules! assert_same {
    ($cells:ident as $header:ident: $($field:ident)*) => {
        $(assert!(offset_of!($cells, $field) == offset_of!($header, $field));)*
    };
}

const _: () = {
    assert!(size_of::<RingCells>() == SLOTS_OFFSET && size_of::<InterfaceCells>() == RING_OFS_OFFSET);
    assert_same!(RingCells as RingHeader: buf_ofs num_slots nr_buf_size ringid dir head cur tail flags ts offset_mask);
    assert!(offset_of!(RingCells, rest) == offset_of!(RingHeader, buf_align));
    assert!(offset_of!(TimeVal, sec) == 0 && offset_of!(TimeVal, usec) == 8);
    assert_same!(InterfaceCells as InterfaceHeader: name version flags tx_rings rx_rings bufs_head);
    assert_same!(InterfaceCells as InterfaceHeader: host_tx_rings host_rx_rings spare);
};
