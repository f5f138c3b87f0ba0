//! The packed virtqueue (section 2.8), from the driver's side.
//!
//! There is one ring of descriptors, which both sides write. A buffer is one or several descriptors in the next positions of the
//! ring. When the device is done with a buffer it says so in the next position of its own, which another buffer may have been
//! posted in: positions are used in order, ids come back in any order. So a position is written again only after the device has
//! used it, and a completion is looked for in one position, the oldest that is not used.
//!
//! ```text
//!          posted, the device may see it       used, not looked at yet
//! next_avail ◄──────────────────────── (the device) ◄──────────── next_used
//!      post moves it                                           pop moves it
//! ```
//!
//! Both are positions in the ring with the wrap counter that goes with them (see `place.rs`). A descriptor is the device's as soon
//! as its flags say so, before [`kick`](Virtqueue::kick): that only decides about the doorbell.
//!
//! **A device that lies.** Outside the positions that are posted and not used nothing is looked at, so looking ends after as many
//! steps as there are such positions, and `next_used` does not overtake `next_avail`. A position with an id that is not outstanding
//! is counted and passed. It was used up for a buffer that can no longer complete: each such position costs one buffer, until
//! the restart. So there are always
//!
//! ```text
//! ids outstanding = positions posted and not used + positions refused  ≤ size
//! ```
//!
//! and an id that is not outstanding has a free position. Once no position is posted and not used though ids are outstanding, none
//! of those can complete any more: the queue is broken.
//!
//! The specification also has sizes that are no powers of two and indirect descriptors, which are not needed here.

mod command;
mod layout;
mod notify;
mod place;

use alloc::boxed::Box;
use core::marker::PhantomData;

use super::{DESCRIPTOR_NEXT, Direction, Events, Segment, Used, Virtqueue};
use crate::virtio::transport::Notifier;

pub(super) use self::command::PackedCommands;
pub use self::layout::PackedMemory;
use self::layout::{Descriptor, last_word, write_descriptor};
use self::place::{AvailableWord, RingPosition, UsedWord};

/// One packed virtqueue with buffers that go in direction `D`.
#[derive(Debug)]
pub struct PackedQueue<D> {
    ring: PackedMemory,
    /// The next position to post in.
    next_avail: RingPosition,
    /// `next_avail` when the doorbell was decided last.
    kicked: RingPosition,
    /// The next position to look for a completion in.
    next_used: RingPosition,
    events: Events,
    /// A buffer of several descriptors may be outstanding: only the first of its positions becomes used.
    has_chains: bool,
    is_broken: bool,
    notifier: Box<dyn Notifier>,
    refused: u32,
    direction: PhantomData<D>,
}

impl<D: Direction> PackedQueue<D> {
    /// A queue over fresh memory that the device knows of already and does not use before the driver is set up. It
    /// starts with completion interrupts off.
    pub fn new(ring: PackedMemory, events: Events, notifier: Box<dyn Notifier>) -> Self {
        ring.disable_interrupts();
        Self {
            ring,
            next_avail: RingPosition::START,
            kicked: RingPosition::START,
            next_used: RingPosition::START,
            events,
            has_chains: false,
            is_broken: false,
            notifier,
            refused: 0,
            direction: PhantomData,
        }
    }

    /// Positions that are posted and not used.
    #[inline]
    fn posted_positions(&self) -> u32 {
        self.ring.layout().count(self.next_used, self.next_avail)
    }
}

impl<D: Direction> Virtqueue for PackedQueue<D> {
    type Direction = D;
    type Completion = Descriptor;
    type Descriptor = Descriptor;
    type Mark = UsedWord;
    type Available = AvailableWord;

    #[inline]
    fn size(&self) -> u16 {
        self.ring.size()
    }

    #[inline]
    fn is_idle(&self) -> bool {
        let next = self.ring.from(self.next_used).first();
        let is_used = next.is_some_and(|next| self.next_used.counter().is_used(last_word(next)));
        !is_used || self.is_broken || self.next_used == self.next_avail
    }

    #[inline]
    fn completions(&mut self, first: u16) -> (&[Descriptor], UsedWord) {
        let all = self.ring.from(self.next_used);
        let most = if self.is_idle() { 0 } else { self.posted_positions() as usize };
        (all.get(..most).unwrap_or(all), self.next_used.counter().used(first))
    }

    #[inline]
    fn has_more(&self) -> bool {
        !self.is_idle()
    }

    #[inline]
    fn used(descriptor: &Descriptor, expected: &mut UsedWord, _id: u32) -> Option<u32> {
        let word = last_word(descriptor);
        // No cut: the length is the lower half.
        expected.is_next(word).then_some(word as u32)
    }

    #[inline]
    fn report(descriptor: &Descriptor, expected: UsedWord) -> Option<Used> {
        layout::used(descriptor, expected.counter())
    }

    #[inline]
    fn consume(&mut self, count: u32) {
        self.next_used = self.ring.layout().skip(self.next_used, count);
    }

    #[inline]
    fn descriptors(&self, first: u16, bytes: u32) -> (&[Descriptor], AvailableWord) {
        let word = self.next_avail.counter().available(first, D::FLAGS);
        (self.ring.from(self.next_avail), word.with_bytes(bytes))
    }

    /// The device may use the buffer at once.
    #[inline]
    fn write(descriptor: &Descriptor, next: &mut AvailableWord, (address, bytes): Segment) {
        write_descriptor(descriptor, next.take(bytes), address);
    }

    #[inline]
    fn posted(&mut self, _first: u16, count: u32, _bytes: u32) {
        self.next_avail = self.ring.layout().skip(self.next_avail, count);
    }

    /// The first descriptor is written last: the device follows a chain as soon as the first of it is available. The id is in the
    /// last (section 2.8.6).
    #[cold]
    fn post_chain(&mut self, first: u16, segments: &[Segment]) {
        // No cut: a queue has no more descriptors than 16 bits count.
        let (layout, count) = (self.ring.layout(), segments.len() as u32);
        for (ahead, &(address, bytes)) in (0..count).zip(segments).rev() {
            let flags = if ahead + 1 == count { D::FLAGS } else { D::FLAGS | DESCRIPTOR_NEXT };
            let place = layout.skip(self.next_avail, ahead);
            if let Some(descriptor) = self.ring.from(place).first() {
                write_descriptor(descriptor, place.counter().available(first, flags).take(bytes), address);
            }
        }
        self.next_avail = layout.skip(self.next_avail, count);
        self.has_chains |= count > 1;
    }

    #[cold]
    fn peek(&mut self) -> Option<Used> {
        if self.is_broken || self.next_used == self.next_avail {
            return None;
        }
        self.ring.used(self.next_used)
    }

    /// The device writes to the first position of a buffer or a batch, and goes on behind its last (section 2.8.9).
    fn advance(&mut self, _buffers: u32, descriptors: u32) -> bool {
        self.is_broken |= descriptors > self.posted_positions();
        if !self.is_broken {
            self.next_used = self.ring.layout().skip(self.next_used, descriptors);
            self.has_chains &= self.next_used != self.next_avail;
        }
        !self.is_broken
    }

    fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
        let _ = self.advance(1, 1);
        // No position is left in which the buffers could come back whose positions were refused.
        self.is_broken |= self.next_used == self.next_avail;
    }

    fn break_down(&mut self) {
        self.is_broken = true;
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.ring_doorbell()
    }

    #[inline]
    fn health(&self) -> (u32, bool) {
        (self.refused, self.is_broken || self.refused > 0 && self.next_used == self.next_avail)
    }

    fn enable_notifications(&mut self, completions: u16) -> bool {
        self.arm(if self.has_chains { 1 } else { completions })
    }

    fn disable_notifications(&mut self) {
        self.ring.disable_interrupts();
    }
}
