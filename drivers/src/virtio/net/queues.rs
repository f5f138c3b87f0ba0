//! The two queues of a pair, as the core uses them.
#![expect(unsafe_code, reason = "the queue traits carry a contract about buffers")]

use nm_core::nic::{Armed, Content, DmaBuffer, QueueFull, QueueHealth, Received, RxQueue, TxQueue};

use super::packet::PacketLayout;
use crate::virtio::queue::{Completion, FromDevice, ToDevice, Virtqueue};

/// A transmit queue over the virtqueue `Q`, for packets with a header of this length.
#[derive(Debug)]
pub(super) struct Transmit<const HEADER_BYTES: usize, Q> {
    queue: Q,
    layout: PacketLayout<HEADER_BYTES>,
    has_interrupt: bool,
}

/// A receive queue over the virtqueue `Q`, for packets with a header of this length.
#[derive(Debug)]
pub(super) struct Receive<const HEADER_BYTES: usize, Q> {
    queue: Q,
    layout: PacketLayout<HEADER_BYTES>,
    has_interrupt: bool,
}

impl<const HEADER_BYTES: usize, Q> Transmit<HEADER_BYTES, Q> {
    /// Over a queue that was made for packets in this layout.
    pub(super) fn new(queue: Q, layout: PacketLayout<HEADER_BYTES>, has_interrupt: bool) -> Self {
        Self { queue, layout, has_interrupt }
    }
}

impl<const HEADER_BYTES: usize, Q> Receive<HEADER_BYTES, Q> {
    /// Over a queue that was made for packets in this layout.
    pub(super) fn new(queue: Q, layout: PacketLayout<HEADER_BYTES>, has_interrupt: bool) -> Self {
        Self { queue, layout, has_interrupt }
    }
}

// SAFETY: `Virtqueue::pop` reports an id only if it is outstanding, once, and after the device named it as used.
unsafe impl<const HEADER_BYTES: usize, Q> TxQueue for Transmit<HEADER_BYTES, Q>
where
    Q: Virtqueue<Direction = ToDevice>,
{
    #[inline]
    fn capacity(&self) -> u16 {
        self.queue.size()
    }

    /// A `len` beyond the buffer's capacity is cut to it: the device never reads behind a buffer.
    #[inline]
    fn put(&mut self, id: u16, mut buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        let address = PacketLayout::<HEADER_BYTES>::write_header(&mut buffer);
        let bytes = PacketLayout::<HEADER_BYTES>::HEADER_BYTES + u32::from(len.min(buffer.capacity()));
        self.layout.post(&mut self.queue, id, address, bytes)
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.queue.kick()
    }

    #[inline]
    fn reclaim(&mut self) -> Option<u16> {
        self.queue.pop().map(|completion| completion.id)
    }

    fn health(&self) -> QueueHealth {
        self.queue.health()
    }

    fn arm(&mut self, frames: u16) -> Armed {
        if self.has_interrupt { arm(&mut self.queue, frames) } else { Armed::Never }
    }

    fn disarm(&mut self) {
        self.queue.disable_notifications();
    }
}

// SAFETY: as for `Transmit`; `content` checks the length.
unsafe impl<const HEADER_BYTES: usize, Q> RxQueue for Receive<HEADER_BYTES, Q>
where
    Q: Virtqueue<Direction = FromDevice>,
{
    #[inline]
    fn capacity(&self) -> u16 {
        self.queue.size()
    }

    #[inline]
    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let bytes = PacketLayout::<HEADER_BYTES>::HEADER_BYTES + u32::from(buffer.capacity());
        self.layout.post(&mut self.queue, id, PacketLayout::<HEADER_BYTES>::header_phys(&buffer), bytes)
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.queue.kick()
    }

    #[inline]
    fn take(&mut self) -> Option<Received> {
        let completion = self.queue.pop()?;
        Some(Received { id: completion.id, content: content::<HEADER_BYTES>(completion) })
    }

    fn health(&self) -> QueueHealth {
        self.queue.health()
    }

    fn arm(&mut self) -> Armed {
        if self.has_interrupt { arm(&mut self.queue, 1) } else { Armed::Never }
    }

    fn disarm(&mut self) {
        self.queue.disable_notifications();
    }
}

/// Asks the device for an interrupt after this many completions.
fn arm(queue: &mut impl Virtqueue, completions: u16) -> Armed {
    if queue.enable_notifications(completions) { Armed::Yes } else { Armed::Late }
}

/// What the device put into a buffer: at least a header, and no more than the buffer holds.
#[inline]
fn content<const HEADER_BYTES: usize>(completion: Completion) -> Content {
    // `give` posted a header and a capacity of 16 bits: a length up to that capacity is one of 16 bits.
    let capacity = completion.posted - PacketLayout::<HEADER_BYTES>::HEADER_BYTES;
    let len = completion.written.wrapping_sub(PacketLayout::<HEADER_BYTES>::HEADER_BYTES);
    if len <= capacity { Content::Frame(len as u16) } else { Content::Damaged }
}
