//! The header in front of a packet (section 5.1.6).

use alloc::vec::Vec;

use crate::testing::device::Interface;

const MRG_RXBUF: u64 = 1 << 15;
const ANY_LAYOUT: u64 = 1 << 27;

/// What a packet's descriptors hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A header of 12 bytes and the packet, in one.
    Modern,
    /// The same, but a received packet may be spread over several buffers.
    Merged,
    /// A header of 10 bytes and the packet, in one.
    Legacy,
    /// A header of 10 bytes in one, the packet in another.
    LegacyApart,
}

impl Framing {
    /// What goes with these accepted features.
    pub fn of(interface: Interface, accepted: u64) -> Self {
        match interface {
            _ if accepted & MRG_RXBUF != 0 => Self::Merged,
            Interface::Modern => Self::Modern,
            Interface::Legacy if accepted & ANY_LAYOUT != 0 => Self::Legacy,
            Interface::Legacy => Self::LegacyApart,
        }
    }

    pub fn header_bytes(self) -> usize {
        match self {
            Self::Modern | Self::Merged => 12,
            Self::Legacy | Self::LegacyApart => 10,
        }
    }

    /// The header of a received packet in so many buffers: `num_buffers` is there with 12 bytes, whatever was negotiated
    /// (section 5.1.6.4.1).
    pub fn received_header(self, buffers: u16) -> Vec<u8> {
        let number = buffers.to_le_bytes();
        [0; 10].into_iter().chain(number).take(self.header_bytes()).collect()
    }

    pub fn is_header_apart(self) -> bool {
        self == Self::LegacyApart
    }
}
