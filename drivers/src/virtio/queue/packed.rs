//! The packed virtqueue (section 2.8), from the driver's side.
//!
//! There is one ring of descriptors, which both sides write. A buffer is one descriptor in the next place of the ring, with
//! the id that the caller chose. When the device is done with a buffer it says so in the next place of its own, which
//! another buffer may have been posted in: places are used in order, ids come back in any order. So a place is written again
//! only after the device has used it, and a completion is looked for in one place, the oldest that is not used. What was
//! posted is remembered on this side ([`post`](Virtqueue::post)), and what the device says is held against it
//! ([`pop`](Virtqueue::pop)).
//!
//! ```text
//!          posted, the device may see it       used, not looked at yet
//! next_avail ◄──────────────────────── (the device) ◄──────────── next_used
//!      post moves it                                           pop moves it
//! ```
//!
//! Both are places in the ring with the turn that they are in (see `place.rs`). A descriptor is the device's as soon as its flags
//! say so, before [`kick`](Virtqueue::kick): that only decides about the doorbell.
//!
//! **A device that lies.** Outside the places that are posted and not used nothing is looked at, so `pop` ends after as many
//! looks as there are such places, and `next_used` does not overtake `next_avail`. A place with an id that is not outstanding
//! is counted and passed. It was used up for the buffer of somebody, who has no place left to come back in: each such place
//! costs one buffer, until the restart. So there are always
//!
//! ```text
//! ids outstanding = places posted and not used + places refused  ≤ size
//! ```
//!
//! and an id that is not outstanding has a free place without a look at how many there are. Once no place is posted and not used
//! though ids are outstanding, none of those can come back any more: the queue is broken.
//!
//! The specification also has sizes that are no powers of two and indirect descriptors, which are not needed here.
//! Chains of descriptors are for commands alone: see `command.rs`. For use in order see `in_order.rs`.
#![expect(unsafe_code, reason = "the trait of all queues carries a contract about buffers")]

mod command;
mod layout;
mod notify;
mod place;

use alloc::boxed::Box;
use alloc::vec;
use core::marker::PhantomData;

use nm_core::nic::{QueueFull, QueueHealth};

use super::{Completion, Direction, Events, SkipBuffers, Virtqueue};
use crate::virtio::transport::Notifier;

pub(super) use self::command::PackedCommands;
pub use self::layout::PackedMemory;
use self::place::Place;

/// One packed virtqueue with buffers that go in direction `D`.
#[derive(Debug)]
pub struct PackedQueue<D> {
    ring: PackedMemory,
    /// The next place to post in.
    next_avail: Place,
    /// `next_avail` when the doorbell was thought of last.
    kicked: Place,
    /// The next place to look for a completion in.
    next_used: Place,
    events: Events,
    /// The length of the buffer that is outstanding under each id; 0 when none is.
    posted: Box<[u32]>,
    notifier: Box<dyn Notifier>,
    refused: u64,
    direction: PhantomData<D>,
}

impl<D: Direction> PackedQueue<D> {
    /// A queue over fresh memory that the device knows of already and does not use before the driver is set up. It
    /// starts with completion interrupts off.
    pub fn new(ring: PackedMemory, events: Events, notifier: Box<dyn Notifier>) -> Self {
        let posted = vec![0; usize::from(ring.size())].into_boxed_slice();
        ring.disable_interrupts();
        Self {
            ring,
            next_avail: Place::START,
            kicked: Place::START,
            next_used: Place::START,
            events,
            posted,
            notifier,
            refused: 0,
            direction: PhantomData,
        }
    }

    /// Takes the buffer that is outstanding under `id`, which the device named in `place`.
    #[inline]
    fn take(&mut self, id: u16, place: Place) -> Option<Completion> {
        let posted = core::mem::take(self.posted.get_mut(usize::from(id))?);
        // SAFETY: as in `post`.
        let written = if D::IS_WRITTEN { unsafe { self.ring.used_written(place) } } else { 0 };
        (posted != 0).then_some(Completion { id, written, posted })
    }
}

// SAFETY: `pop` takes an id out of `posted`, where only `post` puts it, after the device has used a place with it.
unsafe impl<D: Direction> Virtqueue for PackedQueue<D> {
    type Direction = D;

    #[inline]
    fn size(&self) -> u16 {
        self.ring.size()
    }

    /// The device may use the buffer at once.
    #[inline]
    fn post(&mut self, id: u16, address: u64, bytes: u32) -> Result<(), QueueFull> {
        let Some(posted) = self.posted.get_mut(usize::from(id)) else { return Err(QueueFull) };
        if *posted != 0 || bytes == 0 {
            return Err(QueueFull);
        }
        *posted = bytes;
        // SAFETY: all places here are of this ring. This one is free, as the id was not outstanding: see the module.
        unsafe { self.ring.write_descriptor(self.next_avail, address, bytes, id, D::FLAGS) };
        self.ring.circle().advance(&mut self.next_avail);
        Ok(())
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.ring_doorbell()
    }

    /// Places with an id that is not outstanding are counted and passed; a device can name an outstanding id only once for
    /// each time that it was posted.
    #[inline]
    fn pop(&mut self) -> Option<Completion> {
        // Each time around one place less is left.
        while self.next_used != self.next_avail {
            let place = self.next_used;
            // SAFETY: as in `post`.
            let id = unsafe { self.ring.used_id(place) }?;
            self.ring.circle().advance(&mut self.next_used);
            let completion = self.take(id, place);
            if completion.is_some() {
                return completion;
            }
            self.refused += 1;
        }
        None
    }

    /// It is broken when no place is left in which the buffers could come back whose places were refused.
    fn health(&self) -> QueueHealth {
        let is_broken = self.refused > 0 && self.next_used == self.next_avail;
        QueueHealth { refused: self.refused, is_broken }
    }

    fn enable_notifications(&mut self, completions: u16) -> bool {
        self.arm(completions)
    }

    fn disable_notifications(&mut self) {
        self.ring.disable_interrupts();
    }
}

impl<D: Direction> SkipBuffers for PackedQueue<D> {
    /// Up to the next place to post in: the device writes to the first place of a batch, and goes on behind its last (section
    /// 2.8.9).
    fn skip(&mut self, count: u16) -> bool {
        let circle = self.ring.circle();
        let is_posted = count <= circle.count(self.next_used, self.next_avail);
        if is_posted {
            self.next_used = circle.skip(self.next_used, count);
        }
        is_posted
    }

    #[inline]
    fn take_skipped(&mut self, id: u16) -> u32 {
        self.posted.get_mut(usize::from(id)).map_or(0, core::mem::take)
    }

    fn enable_in_order(&mut self, completions: u16) -> bool {
        self.arm_in_order(completions)
    }
}
