//! A queue whose device uses buffers in the order in which they were posted (VIRTIO_F_IN_ORDER, sections 2.7.9 and 2.8.9), over
//! a queue of either format.
//!
//! The feature obliges both sides. A split queue's descriptors are taken in ring order (section 2.7.5), so a buffer's number in
//! the queue below is not the caller's id but a count of what was posted, modulo the size; [`InOrderQueue`] keeps the id of
//! each number. And the device may report a batch by its last buffer alone. The batch is then what lies between the oldest
//! outstanding number and the number that the device names:
//!
//! ```text
//! numbers    … free │ oldest …  skipped … │ named by the device │ … outstanding … │ next, free …
//!                    └────── the batch, handed out one by one ──┘
//! ```
//!
//! A skipped buffer was used completely (read, or written to its last byte): that is what its length is when the device does
//! not write one, so a device reports a received frame that is shorter in an entry of its own.
//!
//! **A device that lies.** The queue below hands out outstanding numbers only, so a batch consists of outstanding buffers
//! whatever number the device names. One that names a buffer out of order, or more buffers than its index says, has broken its
//! promise; from there on lengths could not be told apart, so the queue is broken.
#![expect(unsafe_code, reason = "the trait of all queues carries a contract about buffers")]

use alloc::boxed::Box;
use alloc::vec;

use nm_core::nic::{QueueFull, QueueHealth};

use super::{Completion, Direction, Virtqueue};

/// What a queue does for [`InOrderQueue`] besides what every queue does.
pub trait SkipBuffers: Virtqueue {
    /// Goes on by `count` buffers behind the completion that [`pop`](Virtqueue::pop) returned last: the device has written
    /// nothing about them. Returns `false`, and does nothing, when the device cannot have used as many.
    #[must_use = "a device that skips more than it can have used has broken the queue"]
    fn skip(&mut self, count: u16) -> bool;

    /// The bytes that were posted under `id`, which is outstanding no more; 0 when it was not.
    fn take_skipped(&mut self, id: u16) -> u32;

    /// [`enable_notifications`](Virtqueue::enable_notifications) of a device that says nothing about skipped buffers. It may
    /// return `false` as soon as one completion is there.
    fn enable_in_order(&mut self, completions: u16) -> bool;
}

/// A queue over `Q` for a device that uses buffers in order.
#[derive(Debug)]
pub struct InOrderQueue<Q> {
    queue: Q,
    /// The caller's id of the buffer with each number.
    ids: Box<[u16]>,
    /// Which ids are outstanding.
    is_outstanding: Box<[bool]>,
    /// The number of the next buffer to post.
    next: u16,
    /// The number of the oldest outstanding buffer.
    oldest: u16,
    /// Buffers of the current batch that were not handed out yet.
    left: u16,
    /// What the device said of the last buffer in the batch.
    last: Completion,
    is_broken: bool,
}

impl<Q: SkipBuffers> InOrderQueue<Q> {
    /// Over a fresh queue that a power of two of buffers can be outstanding in.
    pub fn new(queue: Q) -> Self {
        let size = usize::from(queue.size());
        Self {
            queue,
            ids: vec![0; size].into_boxed_slice(),
            is_outstanding: vec![false; size].into_boxed_slice(),
            next: 0,
            oldest: 0,
            left: 0,
            last: Completion { id: 0, written: 0, posted: 0 },
            is_broken: false,
        }
    }

    /// A count as a number of a buffer.
    #[inline]
    fn wrap(&self, count: u16) -> u16 {
        count & self.queue.size().wrapping_sub(1)
    }

    /// Looks for the next batch; `None` when the device has not reported one.
    fn find_batch(&mut self) -> Option<()> {
        if self.is_broken {
            return None;
        }
        let last = self.queue.pop();
        self.is_broken = self.queue.health().refused > 0;
        let last = last?;
        let skipped = self.wrap(last.id.wrapping_sub(self.oldest));
        if self.is_broken || !self.queue.skip(skipped) {
            self.is_broken = true;
            return None;
        }
        (self.last, self.left) = (last, skipped + 1);
        Some(())
    }
}

// SAFETY: a number is handed out for each `post` of the queue below and comes back from it once, by `pop` or by `take_skipped`;
// the ids of the numbers from `oldest` to the one that the device named are outstanding, and it has used all of these in order.
unsafe impl<Q: SkipBuffers> Virtqueue for InOrderQueue<Q> {
    type Direction = Q::Direction;

    #[inline]
    fn size(&self) -> u16 {
        self.queue.size()
    }

    #[inline]
    fn post(&mut self, id: u16, address: u64, bytes: u32) -> Result<(), QueueFull> {
        let number = self.next;
        let slots = (self.is_outstanding.get_mut(usize::from(id)), self.ids.get_mut(usize::from(number)));
        let (Some(is_outstanding), Some(id_of_number)) = slots else { return Err(QueueFull) };
        if *is_outstanding {
            return Err(QueueFull);
        }
        self.queue.post(number, address, bytes)?;
        (*is_outstanding, *id_of_number) = (true, id);
        self.next = self.wrap(number.wrapping_add(1));
        Ok(())
    }

    #[inline]
    fn kick(&mut self) -> bool {
        !self.is_broken && self.queue.kick()
    }

    /// The device names the last buffer of a batch; those before it come first, each with the length that was posted.
    #[inline]
    fn pop(&mut self) -> Option<Completion> {
        if self.left == 0 {
            self.find_batch()?;
        }
        let number = self.oldest;
        self.left -= 1;
        self.oldest = self.wrap(number.wrapping_add(1));
        let id = self.ids.get(usize::from(number)).copied()?;
        if let Some(is_outstanding) = self.is_outstanding.get_mut(usize::from(id)) {
            *is_outstanding = false;
        }
        if self.left == 0 {
            return Some(Completion { id, ..self.last });
        }
        let posted = self.queue.take_skipped(number);
        let written = if Q::Direction::IS_WRITTEN { posted } else { 0 };
        Some(Completion { id, written, posted })
    }

    fn health(&self) -> QueueHealth {
        let QueueHealth { refused, is_broken } = self.queue.health();
        QueueHealth { refused, is_broken: is_broken || self.is_broken }
    }

    fn enable_notifications(&mut self, completions: u16) -> bool {
        self.is_broken || self.left == 0 && self.queue.enable_in_order(completions)
    }

    fn disable_notifications(&mut self) {
        self.queue.disable_notifications();
    }
}
