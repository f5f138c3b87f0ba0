//! The header in front of a packet (section 5.1.6).

use crate::testing::device::Interface;

const ANY_LAYOUT: u64 = 1 << 27;

/// What a packet's descriptors hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A header of 12 bytes and the packet, in one.
    Modern,
    /// A header of 10 bytes and the packet, in one.
    Legacy,
    /// A header of 10 bytes in one, the packet in another.
    LegacyApart,
}

impl Framing {
    /// What goes with these accepted features.
    pub fn of(interface: Interface, accepted: u64) -> Self {
        match interface {
            Interface::Modern => Self::Modern,
            Interface::Legacy if accepted & ANY_LAYOUT != 0 => Self::Legacy,
            Interface::Legacy => Self::LegacyApart,
        }
    }

    pub fn header_bytes(self) -> usize {
        self.received_header().len()
    }

    /// The header of a received packet: `num_buffers` is 1 where it is there, whatever was negotiated (section
    /// 5.1.6.4.1).
    pub fn received_header(self) -> &'static [u8] {
        match self {
            Self::Modern => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
            Self::Legacy | Self::LegacyApart => &[0; 10],
        }
    }

    pub fn is_header_apart(self) -> bool {
        self == Self::LegacyApart
    }
}
