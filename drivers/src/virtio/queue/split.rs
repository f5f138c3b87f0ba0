//! The split virtqueue (section 2.7), from the driver's side.
//!
//! A buffer's id is the number of its first descriptor; a buffer of several descriptors continues in those behind it. As long as
//! ids are posted in order, the entry of the available ring at a position is the same in each lap, and so are the length
//! and the flags of a descriptor that the device writes: they are written in the first lap only.
//!
//! ```text
//!          posted, the device does      the device's       completed, not
//!               not know of it                              looked at yet
//! next_avail ◄──────────────── published ◄────── used index ◄──────────── next_used
//!      post moves it       kick moves it     the device moves it     we move it
//! ```
//!
//! The four indices count entries since the start, modulo 65536, and none overtakes the one to its left. A device
//! whose index does has broken the queue: nothing is taken from it any more.

mod command;
mod layout;
mod notify;

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{DESCRIPTOR_NEXT, Direction, Events, Segment, Used, Virtqueue};
use crate::virtio::transport::Notifier;

pub(super) use self::command::SplitCommands;
use self::layout::{Descriptor, UsedEntry};
pub use self::layout::{Placement, RingMemory};

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
    /// What an id is ahead of its position in the available ring.
    lead: u16,
    /// Entries that are posted before all of the available ring and the descriptors is as it stays.
    unwritten: u16,
    events: Events,
    is_broken: bool,
    notifier: Box<dyn Notifier>,
    refused: u32,
    direction: PhantomData<D>,
}

impl<D: Direction> SplitQueue<D> {
    /// A queue over fresh memory that the device knows of already and does not use before the driver is set up. It
    /// starts with completion interrupts off.
    pub fn new(ring: RingMemory, events: Events, notifier: Box<dyn Notifier>) -> Self {
        let unwritten = ring.size();
        let mut queue = Self {
            ring,
            next_avail: 0,
            published: 0,
            used_seen: 0,
            next_used: 0,
            lead: 0,
            unwritten,
            events,
            is_broken: false,
            notifier,
            refused: 0,
            direction: PhantomData,
        };
        queue.disarm();
        queue
    }

    /// Entries of the used ring that were not looked at. Reads the device's index anew when there are none.
    #[inline]
    fn used(&mut self) -> u16 {
        if self.next_used == self.used_seen {
            self.refresh();
        }
        self.used_seen.wrapping_sub(self.next_used)
    }

    #[inline]
    fn refresh(&mut self) {
        let used = self.ring.used_index();
        if used == self.next_used || self.is_broken {
            return;
        }
        let claimed = used.wrapping_sub(self.next_used);
        let known = self.published.wrapping_sub(self.next_used);
        if claimed <= known {
            self.used_seen = used;
        } else {
            self.is_broken = true;
        }
    }

    /// Writes what the device finds by way of `count` entries, beginning with the id `first`: the entries, and for a device that
    /// writes the buffers what else the descriptors say.
    #[cold]
    fn write_entries(&mut self, first: u16, count: u16, bytes: u32) {
        let lead = first.wrapping_sub(self.next_avail);
        if self.ring.wrap(lead) != self.ring.wrap(self.lead) {
            (self.lead, self.unwritten) = (lead, self.ring.size());
        }
        for ahead in 0..count {
            let id = first.wrapping_add(ahead);
            self.ring.write_available(self.next_avail.wrapping_add(ahead), id);
            if D::IS_WRITTEN {
                self.ring.write_rest(id, bytes, D::FLAGS, 0);
            }
        }
        self.unwritten = self.unwritten.saturating_sub(count);
    }
}

impl<D: Direction> Virtqueue for SplitQueue<D> {
    type Direction = D;
    type Completion = UsedEntry;
    type Descriptor = Descriptor;
    type Mark = ();
    /// Bytes in addition to those of each segment.
    type Available = u32;

    #[inline]
    fn size(&self) -> u16 {
        self.ring.size()
    }

    #[inline]
    fn is_idle(&self) -> bool {
        self.next_used == self.used_seen && (self.ring.used_index() == self.next_used || self.is_broken)
    }

    #[inline]
    fn completions(&mut self, _first: u16) -> (&[UsedEntry], ()) {
        let count = self.used();
        (self.ring.used_from(self.next_used, count), ())
    }

    #[inline]
    fn has_more(&self) -> bool {
        self.next_used != self.used_seen
    }

    #[inline]
    fn used(entry: &UsedEntry, (): &mut (), id: u32) -> Option<u32> {
        let [reported, written] = entry;
        if u32::from_le(reported.load(Ordering::Relaxed)) != id {
            return None;
        }
        Some(if D::IS_WRITTEN { u32::from_le(written.load(Ordering::Relaxed)) } else { 0 })
    }

    #[inline]
    fn report([id, written]: &UsedEntry, (): ()) -> Option<Used> {
        let load = |word: &AtomicU32| u32::from_le(word.load(Ordering::Relaxed));
        Some(Used { id: load(id), written: load(written) })
    }

    #[inline]
    fn consume(&mut self, count: u32) {
        self.next_used = self.next_used.wrapping_add(count as u16);
    }

    #[inline]
    fn descriptors(&self, first: u16, bytes: u32) -> (&[Descriptor], u32) {
        (self.ring.descriptors_from(first), bytes)
    }

    #[inline]
    fn write([address, rest]: &Descriptor, more: &mut u32, (at, bytes): Segment) {
        address.store(at.to_le(), Ordering::Relaxed);
        if !D::IS_WRITTEN {
            rest.store(u64::from(bytes + *more).to_le(), Ordering::Relaxed);
        }
    }

    #[inline]
    fn posted(&mut self, first: u16, count: u32, bytes: u32) {
        let is_in_turn = self.ring.wrap(first.wrapping_sub(self.next_avail)) == self.ring.wrap(self.lead);
        if self.unwritten > 0 || !is_in_turn {
            self.write_entries(first, count as u16, bytes);
        }
        self.next_avail = self.next_avail.wrapping_add(count as u16);
    }

    #[cold]
    fn post_chain(&mut self, first: u16, segments: &[Segment]) {
        for (&(address, bytes), ahead) in segments.iter().zip(0u16..) {
            let id = first.wrapping_add(ahead);
            let is_last = usize::from(ahead) + 1 == segments.len();
            let flags = if is_last { D::FLAGS } else { D::FLAGS | DESCRIPTOR_NEXT };
            self.ring.write_address(id, address);
            self.ring.write_rest(id, bytes, flags, self.ring.wrap(id.wrapping_add(1)) as u16);
        }
        self.ring.write_available(self.next_avail, self.ring.wrap(first) as u16);
        self.next_avail = self.next_avail.wrapping_add(1);
        // The ids of buffers behind it are further ahead of their positions, and its descriptors are not as they stay.
        self.unwritten = self.ring.size();
    }

    #[cold]
    fn peek(&mut self) -> Option<Used> {
        let count = self.used();
        Self::report(self.ring.used_from(self.next_used, count).first()?, ())
    }

    /// The device moves its index by the whole batch (section 2.7.9).
    fn advance(&mut self, buffers: u32, _descriptors: u32) -> bool {
        if buffers > self.used().into() {
            self.break_down();
        }
        if !self.is_broken {
            self.next_used = self.next_used.wrapping_add(buffers as u16);
        }
        !self.is_broken
    }

    fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
        let _ = self.advance(1, 1);
    }

    fn break_down(&mut self) {
        self.is_broken = true;
        self.used_seen = self.next_used;
    }

    #[inline]
    fn kick(&mut self) -> bool {
        self.publish()
    }

    #[inline]
    fn health(&self) -> (u32, bool) {
        (self.refused, self.is_broken)
    }

    fn enable_notifications(&mut self, completions: u16) -> bool {
        self.arm(completions)
    }

    fn disable_notifications(&mut self) {
        self.disarm();
    }
}
