//! The two queues of a pair, as the core uses them.
//!
//! Each sync has a loop over runs, and a slow path for what a run stops at. A device that uses buffers in order (VIRTIO_F_IN_ORDER,
//! sections 2.7.9 and 2.8.9) may report a batch by its last buffer: all outstanding buffers up to that one are used, and those that
//! have no entry of their own were used completely.

use nm_driver::buffers::Buffer;
use nm_driver::burst::{FRAGMENTS_MAX, Lengths, RxBurst, TxBurst};
use nm_driver::nic::{Armed, QueueStatus, RxQueue, TxQueue};

use super::packet::{CLEARED, PacketLayout};
use crate::virtio::queue::{FromDevice, ToDevice, Used, Virtqueue};

/// A queue of packets over the virtqueue `Q`: a transmit queue if that is [`ToDevice`], else a receive queue.
#[derive(Debug)]
pub(super) struct PacketQueue<Q> {
    queue: Q,
    layout: PacketLayout,
    is_in_order: bool,
    has_interrupt: bool,
    /// Receive: the rest of a merged frame has so many buffers. 0 between syncs.
    left: u16,
    /// Receive: frames whose number of buffers cannot be.
    odd_frames: u32,
}

impl<Q: Virtqueue> PacketQueue<Q> {
    /// Over a fresh queue.
    pub(super) fn new(queue: Q, layout: PacketLayout, is_in_order: bool, has_interrupt: bool) -> Self {
        Self { queue, layout, is_in_order, has_interrupt, left: 0, odd_frames: 0 }
    }

    /// Packets that the queue can hold.
    fn packets(&self) -> u16 {
        self.layout.capacity(self.queue.size())
    }

    /// Kicks the queue. Returns what is known of it.
    #[inline]
    fn status(&mut self) -> QueueStatus {
        let has_kicked = self.queue.kick();
        let (refused, is_broken) = self.queue.health();
        QueueStatus { refused: refused.saturating_add(self.odd_frames), is_broken, has_kicked }
    }

    /// Asks the device for an interrupt after this many completions.
    fn arm_after(&mut self, completions: u16) -> Armed {
        match self.has_interrupt {
            false => Armed::Never,
            true if self.queue.enable_notifications(completions) => Armed::Yes,
            true => Armed::Pending,
        }
    }
}

impl<Q: Virtqueue<Direction = ToDevice>> PacketQueue<Q> {
    /// Takes back what the device has sent.
    #[inline]
    fn reclaim(&mut self, burst: &mut TxBurst<'_>) {
        loop {
            let (places, mut mark) = self.queue.completions(burst.expected());
            if places.is_empty() {
                break;
            }
            let count = burst.complete_run(places, |place, id| Q::used(place, &mut mark, id).is_some());
            if count > 0 {
                self.queue.consume(count);
            } else if !self.reclaim_any(burst) && !self.reclaim_one(burst) {
                break;
            }
            if !self.queue.has_more() {
                break;
            }
        }
    }

    /// Reclaims a run of frames of one descriptor that completed in any order. Returns whether there was one.
    #[cold]
    fn reclaim_any(&mut self, burst: &mut TxBurst<'_>) -> bool {
        if self.is_in_order {
            return false;
        }
        let (places, mark) = self.queue.completions(burst.expected());
        let count = burst.complete_any(places, |place| Q::report(place, mark).map(|used| used.id));
        self.queue.consume(count);
        count > 0
    }

    /// Takes back a frame that is not the one expected, or has several fragments. Returns whether there was a completion.
    #[cold]
    fn reclaim_one(&mut self, burst: &mut TxBurst<'_>) -> bool {
        let Some(Used { id, .. }) = self.queue.peek() else { return false };
        let id = self.layout.id(id);
        if self.is_in_order {
            let Some((frames, fragments)) = burst.frames_through(id) else {
                self.queue.break_down();
                return false;
            };
            let is_there = self.queue.advance(frames, fragments);
            if is_there {
                burst.complete_oldest(frames);
            }
            return is_there;
        }
        match burst.complete(id) {
            Some(fragments) => self.queue.advance(1, fragments),
            None => {
                self.queue.refuse();
                true
            }
        }
    }

    /// Posts what is pending.
    #[inline]
    fn submit(&mut self, burst: &mut TxBurst<'_>) {
        let header = self.layout.header;
        while burst.is_pending() {
            let first = burst.next_id();
            let (descriptors, mut next) = self.queue.descriptors(first, header);
            let count = burst.submit_run(descriptors, Lengths::ANY, |descriptor, _, mut buffer, len| {
                buffer.write_header([0; CLEARED]);
                Q::write(descriptor, &mut next, (address(&buffer, header), len));
            });
            if count > 0 {
                self.queue.posted(first, count, 0);
            } else if !self.submit_one(burst) {
                break;
            }
        }
    }

    /// Posts one frame that has several fragments, or whose slot is flagged. Returns whether there was one, and room for it.
    #[cold]
    fn submit_one(&mut self, burst: &mut TxBurst<'_>) -> bool {
        let header = self.layout.header;
        let Some(mut frame) = burst.next_frame(FRAGMENTS_MAX) else { return false };
        let mut segments = [(0, 0); FRAGMENTS_MAX as usize + 1];
        let mut count = 0;
        for k in 0..frame.fragments() {
            let Some((mut buffer, len)) = frame.fragment(k) else {
                frame.refuse();
                return true;
            };
            let mut segment = (address(&buffer, 0), u32::from(len));
            if k == 0 {
                buffer.write_header([0; CLEARED]);
                segment = (address(&buffer, header), header + u32::from(len));
            }
            if let Some(place) = segments.get_mut(count) {
                *place = segment;
                count += 1;
            }
        }
        let first = frame.first_id();
        if self.layout.is_header_apart {
            // The queue has two descriptors for each id.
            if count > 1 {
                frame.refuse();
                return true;
            }
            let (address, bytes) = segments.first().copied().unwrap_or_default();
            let apart = [(address, header), (address + u64::from(header), bytes - header)];
            self.queue.post_chain(self.layout.descriptor(first), &apart);
        } else {
            self.queue.post_chain(first, segments.get(..count).unwrap_or_default());
        }
        frame.commit();
        true
    }
}

impl<Q: Virtqueue<Direction = ToDevice>> PacketQueue<Q> {
    /// A sync with a device that wants the header in a descriptor of its own: nothing of it is a run.
    #[cold]
    fn transmit_apart(&mut self, burst: &mut TxBurst<'_>) {
        while self.reclaim_one(burst) {}
        while self.submit_one(burst) {}
    }
}

impl<Q: Virtqueue<Direction = FromDevice>> PacketQueue<Q> {
    /// Imports what the device has received.
    #[inline]
    fn import(&mut self, burst: &mut RxBurst<'_>) {
        let header = self.layout.header;
        loop {
            let (places, mut mark) = self.queue.completions(burst.expected());
            if places.is_empty() {
                break;
            }
            let count = burst.receive_run(places, header, |place, id| Q::used(place, &mut mark, id));
            if count > 0 {
                self.queue.consume(count);
            } else if !self.import_any(burst) && !self.import_one(burst) {
                break;
            }
            if !self.queue.has_more() {
                break;
            }
        }
    }

    /// Imports a run of whole frames whose buffers came back in any order. Returns whether there was one. Out of line, so that the
    /// loop for frames in order keeps its registers.
    #[cold]
    fn import_any(&mut self, burst: &mut RxBurst<'_>) -> bool {
        if self.is_in_order {
            return false;
        }
        let (places, mark) = self.queue.completions(burst.expected());
        let report = |place: &_| Q::report(place, mark).map(|used| (used.id, used.written));
        let count = burst.receive_any(places, self.layout.header, report);
        self.queue.consume(count);
        count > 0
    }

    /// Imports a buffer that is not the one expected, or holds no frame by itself. Returns whether there was a completion.
    #[cold]
    fn import_one(&mut self, burst: &mut RxBurst<'_>) -> bool {
        let Some(Used { id, written }) = self.queue.peek() else { return false };
        let id = self.layout.id(id);
        if self.is_in_order {
            return self.import_batch(burst, id, written);
        }
        if self.take_one(burst, id, written) {
            return self.queue.advance(1, 1);
        }
        self.queue.refuse();
        true
    }

    /// Imports all buffers up to this one: those before it were written to the last byte.
    fn import_batch(&mut self, burst: &mut RxBurst<'_>, id: u32, written: u32) -> bool {
        let Some(ahead) = burst.buffers_through(id).and_then(|buffers| buffers.checked_sub(1)) else {
            self.queue.break_down();
            return false;
        };
        if !self.queue.advance(ahead + 1, ahead + 1) {
            return false;
        }
        let full = self.layout.posted(burst.receive_len());
        for _ in 0..ahead {
            self.take_one(burst, burst.expected().into(), full);
        }
        self.take_one(burst, id, written)
    }

    /// Takes the buffer with this id, to which the device says that it wrote so many bytes. Returns `false` when the id is not
    /// outstanding.
    fn take_one(&mut self, burst: &mut RxBurst<'_>, id: u32, written: u32) -> bool {
        if self.layout.is_merged {
            return self.take_merged(burst, id, written);
        }
        match written.checked_sub(self.layout.header) {
            Some(len) if len <= burst.receive_len().into() => burst.fragment(id, 0, len, false),
            _ => burst.damaged(id, false),
        }
    }

    /// The same for a frame of one buffer or several. The device fills all but the last (section 5.1.6.3.2). Only the first has a
    /// header, and in it the number of buffers.
    fn take_merged(&mut self, burst: &mut RxBurst<'_>, id: u32, written: u32) -> bool {
        let Some(number) = burst.headroom(id) else { return false };
        let (is_first, full) = (self.left == 0, self.layout.posted(burst.receive_len()));
        let left = if is_first { u16::from_le_bytes(number) } else { self.left };
        let is_odd = left == 0 || is_first && u32::from(left) > burst.outstanding();
        if is_odd {
            self.odd_frames = self.odd_frames.saturating_add(1);
            return burst.damaged(id, false);
        }
        self.left = left - 1;
        let more = self.left > 0;
        let (header, before) =
            if is_first { (self.layout.header, 0) } else { (0, self.layout.header as u16) };
        match written.checked_sub(header).filter(|_| if more { written == full } else { written <= full }) {
            Some(len) => burst.fragment(id, before, len, more),
            None => burst.damaged(id, more),
        }
    }

    /// Imports frames of one buffer or several. A device uses the buffers of a frame together (section 5.1.6.3.2): one whose rest
    /// is not there is dropped.
    #[cold]
    fn import_merged(&mut self, burst: &mut RxBurst<'_>) {
        while self.import_one(burst) && self.queue.has_more() {}
        if core::mem::take(&mut self.left) > 0 {
            self.odd_frames = self.odd_frames.saturating_add(1);
            burst.cut_off();
        }
    }

    /// Posts what is free.
    #[inline]
    fn post(&mut self, burst: &mut RxBurst<'_>) {
        let header = self.layout.header;
        let bytes = self.layout.posted(burst.receive_len());
        while burst.has_free() {
            let first = burst.next_id();
            let (descriptors, mut next) = self.queue.descriptors(first, bytes);
            let count = burst.post_run(descriptors, |descriptor, _, buffer| {
                Q::write(descriptor, &mut next, (address(&buffer, header), 0));
            });
            if count == 0 {
                break;
            }
            self.queue.posted(first, count, bytes);
        }
    }

    /// Posts what is free, each buffer with the header in a descriptor of its own.
    #[cold]
    fn post_apart(&mut self, burst: &mut RxBurst<'_>) {
        let header = self.layout.header;
        while burst.has_free() {
            let (first, mut at) = (burst.next_id(), 0);
            if burst.post_run(&[()], |(), _, buffer| at = address(&buffer, header)) == 0 {
                break;
            }
            let apart = [(at, header), (at + u64::from(header), burst.receive_len().into())];
            self.queue.post_chain(self.layout.descriptor(first), &apart);
        }
    }

    /// A sync with a device that wants the header in a descriptor of its own: nothing of it is a run.
    #[cold]
    fn receive_apart(&mut self, burst: &mut RxBurst<'_>) {
        while burst.has_import() && self.import_one(burst) {}
        self.post_apart(burst);
    }
}

/// Where the device finds a buffer whose last `header` bytes of headroom are for it.
#[inline]
fn address(buffer: &Buffer<'_>, header: u32) -> u64 {
    buffer.phys().wrapping_sub(header.into())
}

impl<Q: Virtqueue<Direction = ToDevice>> TxQueue for PacketQueue<Q> {
    fn capacity(&self) -> u16 {
        self.packets()
    }

    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        if self.layout.is_header_apart {
            self.transmit_apart(burst);
        } else {
            if burst.has_reclaim() {
                self.reclaim(burst);
            }
            self.submit(burst);
        }
        self.status()
    }

    fn arm(&mut self, frames: u16) -> Armed {
        self.arm_after(if self.is_in_order { 1 } else { frames })
    }

    fn disarm(&mut self) {
        self.queue.disable_notifications();
    }
}

impl<Q: Virtqueue<Direction = FromDevice>> RxQueue for PacketQueue<Q> {
    fn capacity(&self) -> u16 {
        self.packets()
    }

    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        if self.layout.is_header_apart {
            self.receive_apart(burst);
        } else {
            if burst.has_import() {
                if self.layout.is_merged {
                    self.import_merged(burst);
                } else {
                    self.import(burst);
                }
            }
            self.post(burst);
        }
        self.status()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    fn arm(&mut self) -> Armed {
        self.arm_after(1)
    }

    fn disarm(&mut self) {
        self.queue.disable_notifications();
    }
}
