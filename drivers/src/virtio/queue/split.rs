//! The split virtqueue (section 2.7), from the driver's side.
//!
//! A buffer is one descriptor, and the buffer's id is the descriptor's number: whoever posts chooses an id that is
//! not outstanding, so there is no list of free descriptors. (Where a device wants a header by itself, a buffer is two: the
//! upper half of the table continues the lower, entry by entry.) What was posted is remembered on this side
//! ([`SplitQueue::post`]), and what the device says is held against it ([`SplitQueue::pop`]); descriptors are written
//! and never read.
//!
//! ```text
//!          posted, the device does      the device's       completed, not
//!               not know of it                              looked at yet
//! next_avail ◄──────────────── published ◄────── used index ◄──────────── next_used
//!      post moves it       kick moves it     the device moves it     pop moves it
//! ```
//!
//! The four indices count entries since the start, modulo 65536, and none overtakes the one to its left. A device
//! whose index does has broken the queue: nothing is taken from it any more.
#![expect(
    unsafe_code,
    reason = "a descriptor is written without a second check of its number; the trait of all queues carries a contract"
)]

mod command;
mod layout;
mod notify;

use alloc::boxed::Box;
use alloc::vec;
use core::marker::PhantomData;

use nm_core::nic::{QueueFull, QueueHealth};

use super::{Completion, DESCRIPTOR_NEXT, Direction, Events, SkipBuffers, Virtqueue};
use crate::virtio::transport::Notifier;

pub(super) use self::command::SplitCommands;
pub use self::layout::{LEGACY_PAGE, Placement, RingMemory};

/// One split virtqueue with buffers that go in direction `D`.
#[derive(Debug)]
pub struct SplitQueue<D> {
    ring: RingMemory,
    /// Index behind the last entry posted.
    next_avail: u16,
    /// `next_avail` as the device knows it.
    published: u16,
    /// The device's index when it was read last.
    used_seen: u16,
    /// Index of the next completion to look at.
    next_used: u16,
    events: Events,
    is_broken: bool,
    /// The length of the buffer that is outstanding under each id; 0 when none is.
    posted: Box<[u32]>,
    notifier: Box<dyn Notifier>,
    refused: u64,
    direction: PhantomData<D>,
}

impl<D: Direction> SplitQueue<D> {
    /// A queue over fresh memory that the device knows of already and does not use before the driver is set up. It
    /// starts with completion interrupts off.
    pub fn new(ring: RingMemory, events: Events, notifier: Box<dyn Notifier>) -> Self {
        let buffers = ring.size();
        Self::for_buffers(buffers, ring, events, notifier)
    }

    /// The same, for this many buffers at once, and not more than it has entries. Those whose ids are below the number of
    /// entries that are left can be posted with [`post_in_two`](Virtqueue::post_in_two): all, if half as many are asked for.
    pub fn for_buffers(buffers: u16, ring: RingMemory, events: Events, notifier: Box<dyn Notifier>) -> Self {
        let buffers = buffers.min(ring.size());
        let posted = vec![0; usize::from(buffers)].into_boxed_slice();
        let mut queue = Self {
            ring,
            next_avail: 0,
            published: 0,
            used_seen: 0,
            next_used: 0,
            events,
            is_broken: false,
            posted,
            notifier,
            refused: 0,
            direction: PhantomData,
        };
        queue.disarm();
        queue
    }

    /// Goes one entry further; `None` if its id is not outstanding.
    #[inline]
    fn take_entry(&mut self) -> Option<Completion> {
        let position = self.next_used;
        self.next_used = position.wrapping_add(1);
        let id = self.ring.used_id(position);
        let outstanding = self.posted.get_mut(usize::try_from(id).ok()?)?;
        let posted = core::mem::take(outstanding);
        let written = if D::IS_WRITTEN { self.ring.used_written(position) } else { 0 };
        // No cut: it is the number of an entry of `posted`.
        (posted != 0).then_some(Completion { id: id as u16, written, posted })
    }

    /// Reads the device's index anew; returns whether there is something to take.
    fn refresh(&mut self) -> bool {
        let used = self.ring.used_index();
        if used == self.next_used || self.is_broken {
            return false;
        }
        let claimed = used.wrapping_sub(self.next_used);
        let known = self.published.wrapping_sub(self.next_used);
        self.is_broken = claimed > known;
        if !self.is_broken {
            self.used_seen = used;
        }
        !self.is_broken
    }
}

// SAFETY: `pop` takes an id out of `posted`, where only `post` and `post_in_two` put it, after the device has put an entry
// with it into the used ring.
unsafe impl<D: Direction> Virtqueue for SplitQueue<D> {
    type Direction = D;

    #[inline]
    fn size(&self) -> u16 {
        // No cut: there are as many entries as `for_buffers` was told.
        self.posted.len() as u16
    }

    #[inline]
    fn post(&mut self, id: u16, address: u64, bytes: u32) -> Result<(), QueueFull> {
        let Some(posted) = self.posted.get_mut(usize::from(id)) else { return Err(QueueFull) };
        if *posted != 0 || bytes == 0 {
            return Err(QueueFull);
        }
        *posted = bytes;
        // SAFETY: `posted` has no more entries than there are descriptors, and one for `id`.
        unsafe { self.ring.write_descriptor(id, address, bytes, D::FLAGS, 0) };
        self.ring.write_available(self.next_avail, id);
        self.next_avail = self.next_avail.wrapping_add(1);
        Ok(())
    }

    /// In a queue [`for_buffers`](SplitQueue::for_buffers) that leave entries for the second descriptors.
    fn post_in_two(&mut self, id: u16, address: u64, bytes: u32, first: u32) -> Result<(), QueueFull> {
        if bytes <= first {
            return self.post(id, address, bytes);
        }
        let second = id.checked_add(self.size()).filter(|&second| second < self.ring.size());
        let (Some(second), Some(posted)) = (second, self.posted.get_mut(usize::from(id))) else {
            return Err(QueueFull);
        };
        if *posted != 0 || first == 0 {
            return Err(QueueFull);
        }
        *posted = bytes;
        let rest = address.wrapping_add(u64::from(first));
        // SAFETY: `second` is the number of a descriptor, and `id` is less.
        unsafe {
            self.ring.write_descriptor(second, rest, bytes - first, D::FLAGS, 0);
            self.ring.write_descriptor(id, address, first, D::FLAGS | DESCRIPTOR_NEXT, second);
        }
        self.ring.write_available(self.next_avail, id);
        self.next_avail = self.next_avail.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.publish()
    }

    /// Entries with an id that is not outstanding are counted and skipped; a device can name an outstanding id only
    /// once for each time that it was posted.
    #[inline]
    fn pop(&mut self) -> Option<Completion> {
        // No longer than what is outstanding: the index that `refresh` accepts does not go beyond it.
        while self.next_used != self.used_seen || self.refresh() {
            let completion = self.take_entry();
            if completion.is_some() {
                return completion;
            }
            self.refused += 1;
        }
        None
    }

    fn health(&self) -> QueueHealth {
        QueueHealth { refused: self.refused, is_broken: self.is_broken }
    }

    fn enable_notifications(&mut self, completions: u16) -> bool {
        self.arm(completions)
    }

    fn disable_notifications(&mut self) {
        self.disarm();
    }
}

impl<D: Direction> SkipBuffers for SplitQueue<D> {
    /// Up to the device's index: the device moves it by the whole batch (section 2.7.9).
    fn skip(&mut self, count: u16) -> bool {
        let is_used = count <= self.used_seen.wrapping_sub(self.next_used);
        if is_used {
            self.next_used = self.next_used.wrapping_add(count);
        }
        is_used
    }

    #[inline]
    fn take_skipped(&mut self, id: u16) -> u32 {
        self.posted.get_mut(usize::from(id)).map_or(0, core::mem::take)
    }

    /// The index counts skipped buffers, too.
    fn enable_in_order(&mut self, completions: u16) -> bool {
        self.arm(completions)
    }
}
