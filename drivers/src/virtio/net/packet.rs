//! How a packet is laid before a device: the device's header, `struct virtio_net_hdr` (section 5.1.6), and the frame.
//!
//! | device                     | queue  | header   | descriptors of a packet | packets in a queue of N |
//! |----------------------------|--------|----------|-------------------------|-------------------------|
//! | VERSION_1 with RING_PACKED | packed | 12 bytes | 1                       | N                       |
//! | VERSION_1                  | split  | 12 bytes | 1                       | N                       |
//! | legacy with ANY_LAYOUT     | split  | 10 bytes | 1                       | N                       |
//! | legacy without             | split  | 10 bytes | 2: the header by itself | N / 2                   |
//!
//! The header lies right in front of the payload in any case. Its length and the kind of queue are parts of a queue's type, so
//! that a packet costs no look at them; only legacy devices are asked in which of the two ways.

use core::fmt;

use nm_core::nic::{DmaBuffer, QueueFull};

use crate::virtio::features::Features;
use crate::virtio::queue::{Placement, QueueSize, Virtqueue};

/// Length of the header with VERSION_1, whatever else was negotiated.
pub(super) const HEADER: usize = 12;
/// Length of the header of a legacy device without MRG_RXBUF: the number of buffers at its end is not there.
pub(super) const LEGACY_HEADER: usize = 10;

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

/// The layout of packets with a header of this length.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketLayout<const HEADER_BYTES: usize> {
    /// Only looked at for legacy devices.
    is_header_apart: bool,
}

impl PacketLayout<HEADER> {
    /// With VERSION_1.
    pub(super) const MODERN: Self = Self { is_header_apart: false };
}

impl PacketLayout<LEGACY_HEADER> {
    /// Without.
    pub(super) fn legacy(is_header_apart: bool) -> Self {
        Self { is_header_apart }
    }
}

impl<const HEADER_BYTES: usize> PacketLayout<HEADER_BYTES> {
    /// Length of the device's header.
    pub(super) const HEADER_BYTES: u32 = HEADER_BYTES as u32;

    /// Writes a header that asks for nothing, no checksum and no segmentation, in front of the payload. Returns where the
    /// device finds it.
    #[inline]
    pub(super) fn write_header(buffer: &mut DmaBuffer<'_>) -> u64 {
        buffer.write_header([0; HEADER_BYTES])
    }

    /// Where the device finds the place for the header.
    #[inline]
    pub(super) fn header_phys(buffer: &DmaBuffer<'_>) -> u64 {
        buffer.header_phys::<HEADER_BYTES>()
    }

    /// Posts the `bytes` of header and frame at `address` under `id`.
    #[inline]
    pub(super) fn post(
        self,
        queue: &mut impl Virtqueue,
        id: u16,
        address: u64,
        bytes: u32,
    ) -> Result<(), QueueFull> {
        if HEADER_BYTES == LEGACY_HEADER && self.is_header_apart {
            queue.post_in_two(id, address, bytes, Self::HEADER_BYTES)
        } else {
            queue.post(id, address, bytes)
        }
    }
}
