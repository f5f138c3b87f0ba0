//! How a packet is laid before a device: the device's header, `struct virtio_net_hdr` (section 5.1.6), and the frame.
//!
//! | device                     | header   | descriptors of a packet | packets in a queue of N |
//! |----------------------------|----------|-------------------------|-------------------------|
//! | VERSION_1                  | 12 bytes | 1                       | N                       |
//! | legacy with ANY_LAYOUT     | 10 bytes | 1                       | N                       |
//! | legacy without             | 10 bytes | 2: the header by itself | N / 2                   |
//!
//! The header lies right in front of the payload in any case. Which generation a device is of, its transport's type says, so
//! that a packet costs no look at it; only legacy devices are asked in which of the two ways.

use core::fmt;
use core::marker::PhantomData;

use nm_core::nic::{DmaBuffer, QueueFull};

use crate::virtio::features::Features;
use crate::virtio::queue::{Direction, Events, Placement, QueueSize, RingMemory, SplitQueue, Virtqueue};
use crate::virtio::transport::Transport;

/// Length of the header with VERSION_1, whatever else was negotiated.
const HEADER: usize = 12;
/// Length of the header of a legacy device without MRG_RXBUF: the number of buffers at its end is not there.
const LEGACY_HEADER: usize = 10;

/// The layout of packets for a device whose registers are reached through `T`.
pub(super) struct PacketLayout<T> {
    /// Only looked at for legacy devices.
    is_header_apart: bool,
    transport: PhantomData<T>,
}

impl<T: Transport> PacketLayout<T> {
    /// Length of the device's header.
    pub(super) const HEADER_BYTES: u32 = (if T::IS_LEGACY { LEGACY_HEADER } else { HEADER }) as u32;

    /// What goes with these features.
    pub(super) fn with(features: Features) -> Self {
        Self { is_header_apart: !features.contains(Features::ANY_LAYOUT), transport: PhantomData }
    }

    /// Whether a packet is two descriptors.
    #[inline]
    fn is_in_two(self) -> bool {
        T::IS_LEGACY && self.is_header_apart
    }

    /// Packets in a queue of this size.
    pub(super) fn capacity(self, size: QueueSize) -> u16 {
        if self.is_in_two() { size.get() / 2 } else { size.get() }
    }

    /// How the device finds the parts of a queue.
    pub(super) fn placement() -> Placement {
        if T::IS_LEGACY { Placement::Contiguous } else { Placement::Free }
    }

    /// A split queue of such packets.
    pub(super) fn split<D: Direction>(
        self,
        ring: RingMemory,
        events: Events,
        notifier: T::Notifier,
    ) -> SplitQueue<D, T::Notifier> {
        if self.is_in_two() {
            SplitQueue::in_two(ring, events, notifier)
        } else {
            SplitQueue::new(ring, events, notifier)
        }
    }

    /// Writes a header that asks for nothing, no checksum and no segmentation, in front of the payload. Returns where the
    /// device finds it.
    #[inline]
    pub(super) fn write_header(buffer: &mut DmaBuffer<'_>) -> u64 {
        if T::IS_LEGACY { buffer.write_header([0; LEGACY_HEADER]) } else { buffer.write_header([0; HEADER]) }
    }

    /// Where the device finds the place for the header.
    #[inline]
    pub(super) fn header_phys(buffer: &DmaBuffer<'_>) -> u64 {
        if T::IS_LEGACY { buffer.header_phys::<LEGACY_HEADER>() } else { buffer.header_phys::<HEADER>() }
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
        if self.is_in_two() {
            queue.post_in_two(id, address, bytes, Self::HEADER_BYTES)
        } else {
            queue.post(id, address, bytes)
        }
    }
}

impl<T> Clone for PacketLayout<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PacketLayout<T> {}

impl<T> fmt::Debug for PacketLayout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketLayout").field("is_header_apart", &self.is_header_apart).finish()
    }
}
