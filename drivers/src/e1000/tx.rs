//! The transmit queue.
//!
//! ```text
//!      posted, the card does not        the card's
//!              know of it
//! next ◄────────────────────── published ◄────────── oldest
//!     submit moves it      kick moves it       reclaim moves it
//! ```
//!
//! The card reports a descriptor done only where that was asked for (RS), and then all before it are done too. It is asked
//! of the last descriptor of each batch, and within a long batch of each [`REPORT_EVERY`]th, so that a full ring has room
//! again before all of it was sent. A stretch of descriptors that is reported by its last one is a *group*.

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{Ordering, fence};

use nm_driver::burst::{FRAGMENTS_MAX, Lengths, TxBurst};
use nm_driver::nic::{Armed, QueueStatus, TxQueue};

use super::registers::{InterruptMask, Registers};
use super::ring::{self, DESCRIPTORS, Position, RingMemory, SLOTS};
use super::{Interrupts, Offset};

/// The longest that a group becomes.
const REPORT_EVERY: u16 = 64;
/// The shortest frame of Ethernet, without its checksum. The card can make a frame longer, but wants 48 bytes to begin
/// with, and does not say what it fills up with (section 3.3.3).
const FRAME_MIN: u16 = 60;
/// The most that one descriptor may carry (section 3.3.3).
pub(super) const FRAME_MAX: u16 = 16288;
/// Frames that are one descriptor.
const FRAMES: Lengths = Lengths { shortest: FRAME_MIN, longest: FRAME_MAX };
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

/// A group of descriptors.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// The last of them.
    end: Position,
    /// How many there are.
    descriptors: u16,
    /// How many frames end in them.
    frames: u16,
}

/// A transmit queue.
#[derive(Debug)]
pub(super) struct Transmit {
    ring: RingMemory,
    registers: Registers,
    interrupt: InterruptMask,
    next: Position,
    published: Position,
    oldest: Position,
    /// Descriptors from `oldest` to `next`.
    used: u16,
    /// The group that is being made: its first descriptor, and what it has so far.
    first: Position,
    group: Group,
    /// The second word of the last descriptor of the group.
    last: u64,
    /// By the first descriptor of each group.
    groups: Box<[Group]>,
}

impl Transmit {
    /// The queue over fresh memory that the card knows of.
    pub(super) fn new(ring: RingMemory, registers: &Registers, interrupts: Interrupts) -> Self {
        let group = Group { end: Position::FIRST, descriptors: 0, frames: 0 };
        Self {
            ring,
            registers: registers.clone(),
            interrupt: InterruptMask::new(registers.clone(), interrupts.causes().1),
            next: Position::FIRST,
            published: Position::FIRST,
            oldest: Position::FIRST,
            used: 0,
            first: Position::FIRST,
            group,
            last: 0,
            groups: vec![group; usize::from(DESCRIPTORS)].into(),
        }
    }

    /// Takes back the frames of groups that the card has reported.
    #[inline]
    fn reclaim(&mut self, burst: &mut TxBurst<'_>) {
        while let Some(group) = self.reported() {
            self.oldest = group.end.next();
            self.used -= group.descriptors;
            burst.complete_oldest(group.frames.into());
        }
    }

    /// The oldest group, if the card has reported it.
    #[inline]
    fn reported(&self) -> Option<Group> {
        if self.oldest == self.published {
            return None;
        }
        let group = *self.groups.get(usize::from(self.oldest.get()))?;
        (self.ring.word(group.end) & bit::DONE != 0).then_some(group)
    }

    /// Descriptors that can be posted, so that one at least stays free.
    #[inline]
    fn room(&self) -> u32 {
        (DESCRIPTORS - 1 - self.used).into()
    }

    /// Posts what is pending.
    #[inline]
    fn submit(&mut self, burst: &mut TxBurst<'_>) {
        while burst.is_pending() {
            let room = self.room().min((REPORT_EVERY - self.group.frames).into()) as u16;
            let mut word = 0;
            let count =
                burst.submit_run(self.ring.from(self.next, room), FRAMES, |descriptor, _, buffer, len| {
                    word = u64::from(len) | bit::END | bit::CHECKSUM;
                    ring::write(descriptor, buffer.phys(), word);
                }) as u16;
            if count > 0 {
                let end = self.next.skip(count - 1);
                self.extend_group((end, word), end.next(), count, count);
            } else if !self.submit_one(burst) {
                break;
            }
        }
    }

    /// Posts a frame that is short, has several fragments, or whose slot is flagged. Returns whether there was one, and room
    /// for it.
    #[cold]
    fn submit_one(&mut self, burst: &mut TxBurst<'_>) -> bool {
        // A short frame has one descriptor more.
        let Some(mut frame) = burst.next_frame(self.room().saturating_sub(1).min(FRAGMENTS_MAX)) else {
            return false;
        };
        let (len, fragments) = (frame.len(), frame.fragments());
        if len > FRAME_MAX.into() {
            frame.refuse();
            return true;
        }
        let padding = u32::from(FRAME_MIN).saturating_sub(len);
        let (mut at, mut end, mut word) = (self.next, self.next, 0);
        for k in 0..fragments {
            let Some((buffer, len)) = frame.fragment(k) else {
                frame.refuse();
                return true;
            };
            let is_last = k + 1 == fragments && padding == 0;
            word = u64::from(len) | bit::CHECKSUM | if is_last { bit::END } else { 0 };
            self.ring.write(at, buffer.phys(), word);
            (end, at) = (at, at.next());
        }
        if padding > 0 {
            word = u64::from(padding) | bit::END | bit::CHECKSUM;
            self.ring.write(at, self.ring.zeros(), word);
            (end, at) = (at, at.next());
        }
        frame.commit();
        self.extend_group((end, word), at, fragments as u16 + u16::from(padding > 0), 1);
        true
    }

    /// Descriptors up to `end` were written, with this second word in the last of them.
    #[inline]
    fn extend_group(&mut self, (end, word): (Position, u64), next: Position, descriptors: u16, frames: u16) {
        (self.next, self.last, self.group.end) = (next, word, end);
        self.used += descriptors;
        self.group.descriptors += descriptors;
        self.group.frames += frames;
        if self.group.frames >= REPORT_EVERY {
            self.close_group();
        }
    }

    /// Asks for a report of the last descriptor of the group, which the card does not know of yet.
    #[inline]
    fn close_group(&mut self) {
        self.ring.write_word(self.group.end, self.last | bit::REPORT);
        if let Some(entry) = self.groups.get_mut(usize::from(self.first.get())) {
            *entry = self.group;
        }
        self.first = self.next;
        self.group = Group { end: self.next, descriptors: 0, frames: 0 };
    }

    /// Tells the card of what was posted. Returns whether there was something.
    #[inline]
    fn kick(&mut self) -> bool {
        if self.next == self.published {
            return false;
        }
        if self.group.frames > 0 {
            self.close_group();
        }
        // Descriptors and frames before the tail. The processor keeps the order of its stores, also of those to memory
        // and those to registers, so this costs no instruction; without it the compiler could move a store behind the
        // doorbell, and the card would send what was in a descriptor before.
        fence(Ordering::Release);
        self.registers.write(Offset::Tdt, self.next.get().into());
        self.published = self.next;
        true
    }
}

impl TxQueue for Transmit {
    /// There is room for as many frames if none is shorter than 60 bytes; each that is takes the place of two.
    fn capacity(&self) -> u16 {
        SLOTS
    }

    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        // Short frames have two descriptors: the queue can be full while less than half of the ring is outstanding.
        if burst.has_reclaim() || self.used >= DESCRIPTORS / 2 {
            self.reclaim(burst);
        }
        self.submit(burst);
        QueueStatus { has_kicked: self.kick(), ..QueueStatus::default() }
    }

    /// The card reports the last frame of a batch; it cannot count others.
    fn arm(&mut self, _frames: u16) -> Armed {
        if !self.interrupt.arm() {
            return Armed::Never;
        }
        if self.reported().is_some() { Armed::Pending } else { Armed::Yes }
    }

    fn disarm(&mut self) {
        self.interrupt.disarm();
    }
}
