//! The two queues of a pair, as the core uses them.
#![expect(unsafe_code, reason = "the queue traits carry a contract about buffers")]

use nm_core::nic::{Armed, Content, DmaBuffer, QueueFull, QueueHealth, Received, RxQueue, TxQueue};

use crate::virtio::queue::{Completion, Direction, FromDevice, SplitQueue, ToDevice};
use crate::virtio::transport::Notifier;

/// Length of the device's header, `struct virtio_net_hdr`: 12 bytes with VERSION_1, whatever else was negotiated
/// (section 5.1.6).
const HEADER: usize = 12;
const HEADER_BYTES: u32 = HEADER as u32;

/// The header of a packet that asks for nothing: no checksum, no segmentation.
const PLAIN: [u8; HEADER] = [0; HEADER];

/// A transmit queue.
#[derive(Debug)]
pub struct Transmit<N> {
    queue: SplitQueue<ToDevice, N>,
    has_interrupt: bool,
}

/// A receive queue.
#[derive(Debug)]
pub struct Receive<N> {
    queue: SplitQueue<FromDevice, N>,
    has_interrupt: bool,
}

impl<N> Transmit<N> {
    pub(super) fn new(queue: SplitQueue<ToDevice, N>, has_interrupt: bool) -> Self {
        Self { queue, has_interrupt }
    }
}

impl<N> Receive<N> {
    pub(super) fn new(queue: SplitQueue<FromDevice, N>, has_interrupt: bool) -> Self {
        Self { queue, has_interrupt }
    }
}

// SAFETY: `SplitQueue::pop` reports an id only if it is outstanding, once, and after the device named it as used.
unsafe impl<N: Notifier> TxQueue for Transmit<N> {
    #[inline]
    fn capacity(&self) -> u16 {
        self.queue.size()
    }

    /// A `len` beyond the buffer's capacity is cut to it: the device never reads behind a buffer.
    #[inline]
    fn put(&mut self, id: u16, mut buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        let address = buffer.write_header(PLAIN);
        let bytes = HEADER_BYTES + u32::from(len.min(buffer.capacity()));
        self.queue.post(id, address, bytes)
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
unsafe impl<N: Notifier> RxQueue for Receive<N> {
    #[inline]
    fn capacity(&self) -> u16 {
        self.queue.size()
    }

    #[inline]
    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let bytes = HEADER_BYTES + u32::from(buffer.capacity());
        self.queue.post(id, buffer.header_phys::<HEADER>(), bytes)
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.queue.kick()
    }

    #[inline]
    fn take(&mut self) -> Option<Received> {
        let completion = self.queue.pop()?;
        Some(Received { id: completion.id, content: content(completion) })
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
fn arm<D: Direction, N>(queue: &mut SplitQueue<D, N>, completions: u16) -> Armed {
    if queue.enable_notifications(completions) { Armed::Yes } else { Armed::Late }
}

/// What the device put into a buffer: at least a header, and no more than the buffer holds.
#[inline]
fn content(completion: Completion) -> Content {
    // `give` posted a header and a capacity of 16 bits: a length up to that capacity is one of 16 bits.
    let capacity = completion.posted - HEADER_BYTES;
    let len = completion.written.wrapping_sub(HEADER_BYTES);
    if len <= capacity { Content::Frame(len as u16) } else { Content::Damaged }
}
