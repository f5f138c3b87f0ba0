//! The slot of a netmap ring, in the binary layout of API 14.

use core::mem::{offset_of, size_of};

use bitflags::bitflags;

bitflags! {
    /// What a slot says about its buffer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SlotFlags: u16 {
        /// The application put another buffer into the slot.
        #[doc(alias = "NS_BUF_CHANGED")]
        const BUF_CHANGED = 0x0001;
        /// Report completion of this slot as soon as it is sent.
        #[doc(alias = "NS_REPORT")]
        const REPORT = 0x0002;
        /// Hand the frame to the other side, host stack or card, at the next sync.
        #[doc(alias = "NS_FORWARD")]
        const FORWARD = 0x0004;
        /// Do not learn the source address of this frame.
        #[doc(alias = "NS_NO_LEARN")]
        const NO_LEARN = 0x0008;
        /// The slot's `ptr` holds the address of the data.
        #[doc(alias = "NS_INDIRECT")]
        const INDIRECT = 0x0010;
        /// The frame goes on in the next slot.
        #[doc(alias = "NS_MOREFRAG")]
        const MOREFRAG = 0x0020;
    }
}

/// One place of a ring: which buffer, and how much of it is a frame.
#[doc(alias = "netmap_slot")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Slot {
    /// Number of the buffer.
    pub buf_idx: u32,
    /// Bytes of the frame in it.
    pub len: u16,
    /// [`SlotFlags`].
    pub flags: u16,
    /// Address of the data for indirect buffers, or the data's offset in the buffer.
    pub ptr: u64,
}

const _: () = assert!(
    size_of::<Slot>() == 16
        && offset_of!(Slot, len) == 4
        && offset_of!(Slot, flags) == 6
        && offset_of!(Slot, ptr) == 8
);
