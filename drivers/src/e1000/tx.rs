//! The transmit queue.
//!
//! ```text
//!      posted, the card does not        the card's        reported, not
//!              know of it                                 given back yet
//! next ◄────────────────────── published ◄────────── done ◄──────────── oldest
//!       put moves it        kick moves it      reclaim moves both
//! ```
//!
//! The card reports a descriptor done only where that was asked for (RS), and then all before it are done too. It is asked
//! of the last descriptor of each batch, and within a long batch of each [`REPORT_EVERY`]th, so that a full ring has room
//! again before all of it was sent. A stretch of descriptors that is reported by its last one is a *group*.
#![expect(unsafe_code, reason = "the queue traits carry a contract about buffers")]

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{Ordering, fence};

use nm_core::nic::{Armed, DmaBuffer, QueueFull, QueueHealth, TxQueue};

use super::ring::{DESCRIPTORS, Position, RingMemory, SLOTS};
use super::{Offset, Registers, StartError, Writer};

/// The longest that a group becomes.
const REPORT_EVERY: u16 = 64;
/// The shortest frame of Ethernet, without its checksum. The card can make a frame longer, but wants 48 bytes to begin
/// with, and does not say what it fills up with (section 3.3.3).
const FRAME_MIN: u16 = 60;
/// The most that one descriptor may carry (section 3.3.3).
pub(super) const FRAME_MAX: u16 = 16288;
/// Zeros for frames that are too short.
pub(super) const ZEROS: usize = FRAME_MIN as usize;

/// Bits in the second word of a descriptor (section 3.3.3). The command is at 24, the status at 32; the length is below.
mod bit {
    /// The frame ends here.
    pub const END: u64 = 1 << 24;
    /// The card appends the checksum.
    pub const CHECKSUM: u64 = 1 << 25;
    /// The card is to report when it is done.
    pub const REPORT: u64 = 1 << 27;
    /// The card is done.
    pub const DONE: u64 = 1 << 32;
}

/// In place of an id, at a descriptor with which no frame ends.
const NO_ID: u16 = u16::MAX;

/// A transmit queue.
#[derive(Debug)]
pub struct Transmit<W> {
    ring: RingMemory,
    tail: W,
    allow: W,
    forbid: W,
    /// What this queue interrupts for; 0 when it does not interrupt.
    causes: u32,
    is_armed: bool,
    next: Position,
    published: Position,
    done: Position,
    oldest: Position,
    /// Descriptors from `oldest` to `next`.
    used: u16,
    /// Where the group that is being made begins, and how many descriptors it has.
    group: Position,
    group_len: u16,
    /// The second word of the descriptor in front of `next`.
    last: (Position, u64),
    /// For each descriptor the id of the frame that ends there.
    ids: Box<[u16]>,
    /// For each descriptor with which a group begins: the last of it.
    ends: Box<[Position]>,
}

impl<W: Writer> Transmit<W> {
    /// The queue over fresh memory that the card knows of.
    pub(super) fn new<R: Registers<Writer = W>>(ring: RingMemory, registers: &R) -> Result<Self, StartError> {
        Ok(Self {
            ring,
            tail: registers.writer(Offset::Tdt)?,
            allow: registers.writer(Offset::Ims)?,
            forbid: registers.writer(Offset::Imc)?,
            causes: registers.interrupts().causes().1,
            is_armed: false,
            next: Position::FIRST,
            published: Position::FIRST,
            done: Position::FIRST,
            oldest: Position::FIRST,
            used: 0,
            group: Position::FIRST,
            group_len: 0,
            last: (Position::FIRST, 0),
            ids: vec![NO_ID; usize::from(DESCRIPTORS)].into(),
            ends: vec![Position::FIRST; usize::from(DESCRIPTORS)].into(),
        })
    }

    /// Whether `count` more descriptors can be posted, so that one at least stays free.
    #[inline]
    fn has_room(&self, count: u16) -> bool {
        self.used + count < DESCRIPTORS
    }

    /// Posts one descriptor of a frame that ends with it, if there is an `id`.
    #[inline]
    fn post(&mut self, address: u64, len: u16, id: u16) {
        let at = self.next;
        let end = if id == NO_ID { 0 } else { bit::END | bit::CHECKSUM };
        let word = u64::from(len) | end;
        self.ring.write(at, address, word);
        if let Some(entry) = self.ids.get_mut(usize::from(at.get())) {
            *entry = id;
        }
        self.last = (at, word);
        self.next = at.next();
        self.used += 1;
        self.group_len += 1;
        if self.group_len >= REPORT_EVERY && id != NO_ID {
            self.close_group();
        }
    }

    /// Posts a frame that is too short, with zeros behind it.
    #[cold]
    fn post_short(&mut self, address: u64, len: u16, id: u16) -> Result<(), QueueFull> {
        if len == 0 || !self.has_room(2) {
            return Err(QueueFull);
        }
        self.post(address, len, NO_ID);
        self.post(self.ring.zeros(), FRAME_MIN - len, id);
        Ok(())
    }

    /// Asks for a report of the descriptor that was posted last, which the card does not know of yet.
    fn close_group(&mut self) {
        let (at, word) = self.last;
        self.ring.write_word(at, word | bit::REPORT);
        if let Some(end) = self.ends.get_mut(usize::from(self.group.get())) {
            *end = at;
        }
        self.group = self.next;
        self.group_len = 0;
    }

    /// The last descriptor of the oldest group, if the card has reported it.
    #[inline]
    fn reported(&self) -> Option<Position> {
        if self.oldest == self.published {
            return None;
        }
        let end = *self.ends.get(usize::from(self.oldest.get()))?;
        (self.ring.read_word(end) & bit::DONE != 0).then_some(end)
    }

    /// Goes one descriptor further that is done; the id of the frame that ended there.
    #[inline]
    fn pass(&mut self) -> Option<u16> {
        let id = self.ids.get(usize::from(self.oldest.get())).copied();
        self.oldest = self.oldest.next();
        self.used -= 1;
        id.filter(|id| *id != NO_ID)
    }
}

// SAFETY: `reclaim` passes each descriptor once, in order, after the card has reported the last of its group; an id is
// kept with the last descriptor of its frame.
unsafe impl<W: Writer> TxQueue for Transmit<W> {
    fn capacity(&self) -> u16 {
        SLOTS
    }

    /// A `len` beyond what the buffer or a descriptor holds is cut to it. There is room for [`capacity`](Self::capacity)
    /// frames if none is shorter than 60 bytes; each that is takes the place of two.
    #[inline]
    fn put(&mut self, id: u16, buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull> {
        let len = len.min(buffer.capacity()).min(FRAME_MAX);
        if len < FRAME_MIN {
            return self.post_short(buffer.phys(), len, id);
        }
        if !self.has_room(1) {
            return Err(QueueFull);
        }
        self.post(buffer.phys(), len, id);
        Ok(())
    }

    fn kick(&mut self) -> bool {
        if self.next == self.published {
            return false;
        }
        if self.group_len > 0 {
            self.close_group();
        }
        // Descriptors and frames before the tail. The processor keeps the order of its stores, also of those to memory
        // and those to registers, so this costs no instruction; without it the compiler could move a store behind the
        // doorbell, and the card would send what was in a descriptor before.
        fence(Ordering::Release);
        self.tail.write(self.next.get().into());
        self.published = self.next;
        true
    }

    #[inline]
    fn reclaim(&mut self) -> Option<u16> {
        loop {
            while self.oldest != self.done {
                let id = self.pass();
                if id.is_some() {
                    return id;
                }
            }
            self.done = self.reported()?.next();
        }
    }

    fn health(&self) -> QueueHealth {
        QueueHealth::default()
    }

    /// The card reports the last frame of a batch; it cannot count others.
    fn arm(&mut self, _frames: u16) -> Armed {
        if self.causes == 0 {
            return Armed::Never;
        }
        self.allow.write(self.causes);
        self.is_armed = true;
        // The mask before the look. A report that comes behind the look finds the mask, or the mask finds its cause: the
        // card remembers causes also while they are masked.
        fence(Ordering::SeqCst);
        let is_late = self.oldest != self.done || self.reported().is_some();
        if is_late { Armed::Late } else { Armed::Yes }
    }

    fn disarm(&mut self) {
        if core::mem::take(&mut self.is_armed) {
            self.forbid.write(self.causes);
        }
    }
}
