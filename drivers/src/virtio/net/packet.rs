//! How a packet is laid before a device: the device's header, `struct virtio_net_hdr` (section 5.1.6), and the frame.
//!
//! | device                     | queue  | header   | descriptors of a packet | packets in a queue of N |
//! |----------------------------|--------|----------|-------------------------|-------------------------|
//! | VERSION_1 with RING_PACKED | packed | 12 bytes | 1                       | N                       |
//! | VERSION_1                  | split  | 12 bytes | 1                       | N                       |
//! | legacy with ANY_LAYOUT     | split  | 10 bytes | 1                       | N                       |
//! | legacy without             | split  | 10 bytes | 2: the header by itself | N / 2                   |
//!
//! The header lies right in front of the payload in any case.
//!
//! With MRG_RXBUF a received frame may take several buffers. The header has 12 bytes then, also that of a legacy device; its last two
//! say how many buffers there are, and it is in the first of them only. In the others the frame goes on at the start of what was
//! posted, in the headroom; there it is moved up to the payload. So that it fits, a posted buffer is as long as the payload,
//! header included. A legacy device without ANY_LAYOUT is not used in this way: each buffer would have two descriptors.
//!
//! ```text
//!            ┌ headroom ─┬────────── payload ──────────┐
//! first      │  … │header│ frame                 │     │   posted: from the header on, as many bytes as the payload has
//! others     │  … │ frame goes on                │     │
//!            └────┴──────┴───────────────────────┴─────┘
//! ```

use core::fmt;

use crate::virtio::features::Features;
use crate::virtio::queue::{Placement, QueueSize};

/// Length of the header with VERSION_1, whatever else was negotiated, and with MRG_RXBUF.
pub(super) const HEADER: usize = 12;
/// Length of the header of a legacy device without MRG_RXBUF: the number of buffers at its end is not there.
pub(super) const LEGACY_HEADER: usize = 10;
/// Bytes in front of a payload that are cleared before it is sent, whichever header the device has: what one store writes.
pub(super) const CLEARED: usize = 16;

/// The queues and packets of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Packed queues.
    Packed,
    /// Split queues.
    Split,
    /// Those of a legacy device.
    Legacy {
        /// A packet is two descriptors.
        is_header_apart: bool,
    },
}

impl Format {
    /// What goes with these features.
    pub(super) fn of(is_legacy: bool, features: Features) -> Self {
        if is_legacy {
            Self::Legacy { is_header_apart: !features.contains(Features::ANY_LAYOUT) }
        } else if features.contains(Features::RING_PACKED) {
            Self::Packed
        } else {
            Self::Split
        }
    }

    /// Packets in a queue of this size.
    pub(super) fn capacity(self, size: QueueSize) -> u16 {
        if self == (Self::Legacy { is_header_apart: true }) { size.get() / 2 } else { size.get() }
    }

    /// Descriptors for this many packets.
    pub(super) fn descriptors(self, packets: u16) -> u16 {
        let is_two = self == (Self::Legacy { is_header_apart: true });
        if is_two { packets.saturating_mul(2) } else { packets }
    }

    /// Whether received frames can take several buffers.
    pub(super) fn can_merge(self) -> bool {
        self != (Self::Legacy { is_header_apart: true })
    }

    /// How the device finds the parts of a split queue.
    pub(super) fn placement(self) -> Placement {
        if matches!(self, Self::Legacy { .. }) { Placement::Contiguous } else { Placement::Free }
    }
}

/// The kind of queues.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packed => "packed",
            Self::Split => "split",
            Self::Legacy { .. } => "legacy",
        })
    }
}

/// The layout of packets.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketLayout {
    /// Length of the device's header.
    pub(super) header: u32,
    /// A packet is two descriptors, the first of which has the header alone.
    pub(super) is_header_apart: bool,
    /// A received frame may take several buffers.
    pub(super) is_merged: bool,
}

impl PacketLayout {
    /// That of a format, when these features were accepted.
    pub(super) fn of(format: Format, accepted: Features) -> Self {
        let is_merged = accepted.contains(Features::NET_MRG_RXBUF);
        let is_header_apart = format == Format::Legacy { is_header_apart: true };
        let is_short = matches!(format, Format::Legacy { .. }) && !is_merged;
        let header = if is_short { LEGACY_HEADER } else { HEADER };
        Self { header: header as u32, is_header_apart, is_merged }
    }

    /// Bytes of each receive buffer for the device, which writes a frame or a fragment of `receive_len` bytes to it at most.
    pub(super) fn posted(self, receive_len: u16) -> u32 {
        u32::from(receive_len) + if self.is_merged { 0 } else { self.header }
    }

    /// Packets in a queue of this many descriptors.
    pub(super) fn capacity(self, size: u16) -> u16 {
        if self.is_header_apart { size / 2 } else { size }
    }

    /// The first descriptor of the packet with an id.
    pub(super) fn descriptor(self, id: u16) -> u16 {
        if self.is_header_apart { id * 2 } else { id }
    }

    /// The id of the packet whose first descriptor the device has named; one that is never outstanding if none begins there.
    pub(super) fn id(self, descriptor: u32) -> u32 {
        match (self.is_header_apart, descriptor % 2) {
            (false, _) => descriptor,
            (true, 0) => descriptor / 2,
            (true, _) => u32::MAX,
        }
    }
}
