//! The receive queue.
//!
//! ```text
//!      given, the card does not         the card's; filled
//!              know of it               from the oldest on
//! next ◄────────────────────── published ◄────────────── oldest
//!       give moves it        kick moves it     take moves it
//! ```
//!
//! The card has to be told how much it may write into a buffer, and only the first buffer says how much that is. So
//! reception begins with the first kick, and that is the one time that the card's receive control is written.
#![expect(unsafe_code, reason = "the queue traits carry a contract about buffers")]

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{Ordering, fence};

use log::error;
use nm_core::nic::{Armed, Content, DmaBuffer, HEADROOM, QueueFull, QueueHealth, Received, RxQueue};

use super::registers::rctl;
use super::ring::{DESCRIPTORS, Position, RingMemory, SLOTS};
use super::tx::FRAME_MAX;
use super::{Offset, Registers, StartError, Writer};

/// Fields in the second word of a descriptor (section 3.2.3): the length at 0, the status at 32, errors at 40.
mod bit {
    /// The card is done with the buffer.
    pub const DONE: u64 = 1 << 32;
    /// The frame ends in it.
    pub const END: u64 = 1 << 33;
    /// The frame is not what was sent: its checksum, its symbols, its sequence, its extension, or its data are in error.
    /// (The errors at 45 and 46 are those of checksums inside of the frame, which are not the bridge's business.)
    pub const DAMAGED: u64 = (1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7) << 40;
}

/// How much the card writes into a buffer at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    bytes: u16,
    /// Bits of the receive control that keep the card to it.
    control: u32,
}

/// Bytes of the longest frame that a card takes that was not told to take longer ones: with one tag and its checksum
/// (section 13.7.15).
const STANDARD: u16 = 1522;

/// The limits that there are, from the largest. Sizes are powers of two, but a buffer of the usual 2048 bytes has 1984 behind
/// its headroom. There the card is told 2048 and to drop frames of more than 1522 bytes, so that it never writes more.
const LIMITS: [Limit; 7] = [
    Limit { bytes: 8192, control: rctl::LARGE | rctl::LONG_FRAMES | 2 << rctl::SIZE_SHIFT },
    Limit { bytes: 4096, control: rctl::LARGE | rctl::LONG_FRAMES | 3 << rctl::SIZE_SHIFT },
    Limit { bytes: 2048, control: rctl::LONG_FRAMES },
    Limit { bytes: STANDARD, control: 0 },
    Limit { bytes: 1024, control: 1 << rctl::SIZE_SHIFT },
    Limit { bytes: 512, control: 2 << rctl::SIZE_SHIFT },
    Limit { bytes: 256, control: 3 << rctl::SIZE_SHIFT },
];
/// The smallest of them.
const SMALLEST: u16 = 256;

impl Limit {
    /// The largest that buffers of `capacity` bytes allow.
    fn within(capacity: u16) -> Option<Self> {
        LIMITS.into_iter().find(|limit| limit.bytes <= capacity && capacity <= FRAME_MAX)
    }
}

/// A receive queue.
#[derive(Debug)]
pub struct Receive<W> {
    ring: RingMemory,
    tail: W,
    control: W,
    allow: W,
    forbid: W,
    /// What this queue interrupts for; 0 when it does not interrupt.
    causes: u32,
    is_armed: bool,
    next: Position,
    published: Position,
    oldest: Position,
    /// Descriptors from `oldest` to `next`.
    used: u16,
    /// Known from the first buffer on.
    limit: Option<Limit>,
    is_on: bool,
    /// The buffer taken last did not end a frame.
    is_inside: bool,
    refused: u64,
    /// For each descriptor the id of its buffer.
    ids: Box<[u16]>,
}

impl<W: Writer> Receive<W> {
    /// The queue over fresh memory that the card knows of.
    pub(super) fn new<R: Registers<Writer = W>>(ring: RingMemory, registers: &R) -> Result<Self, StartError> {
        Ok(Self {
            ring,
            tail: registers.writer(Offset::Rdt)?,
            control: registers.writer(Offset::Rctl)?,
            allow: registers.writer(Offset::Ims)?,
            forbid: registers.writer(Offset::Imc)?,
            causes: registers.interrupts().causes().0,
            is_armed: false,
            next: Position::FIRST,
            published: Position::FIRST,
            oldest: Position::FIRST,
            used: 0,
            limit: None,
            is_on: false,
            is_inside: false,
            refused: 0,
            ids: vec![0; usize::from(DESCRIPTORS)].into(),
        })
    }

    /// Settles how much the card may write into a buffer, by the first one.
    #[cold]
    fn settle(&mut self, capacity: u16) -> Result<Limit, QueueFull> {
        self.limit = Limit::within(capacity);
        self.limit.ok_or_else(|| {
            let (least, most) = (usize::from(SMALLEST) + HEADROOM, usize::from(FRAME_MAX) + HEADROOM);
            error!("this NIC cannot use buffers with room for {capacity} bytes; netmap.buf_size must be {least} to {most}");
            QueueFull
        })
    }

    /// Switches reception on.
    #[cold]
    fn switch_on(&mut self) {
        let size = self.limit.map_or(0, |limit| limit.control);
        let any = rctl::ANY_UNICAST | rctl::ANY_MULTICAST | rctl::BROADCAST;
        self.control.write(rctl::ENABLE | any | rctl::STRIP_CRC | size);
        self.is_on = true;
    }

    /// The second word of the oldest descriptor, if the card is done with it.
    #[inline]
    fn done(&self) -> Option<u64> {
        if self.oldest == self.published {
            return None;
        }
        Some(self.ring.read_word(self.oldest)).filter(|word| word & bit::DONE != 0)
    }

    /// What the card says that it put into a buffer: a whole frame, no longer than it may be.
    #[inline]
    fn content(&mut self, word: u64) -> Content {
        let len = word as u16;
        let is_whole = word & (bit::END | bit::DAMAGED) == bit::END && !self.is_inside;
        if is_whole && len != 0 && self.limit.is_some_and(|limit| len <= limit.bytes) {
            return Content::Frame(len);
        }
        self.damaged(word, len)
    }

    #[cold]
    fn damaged(&mut self, word: u64, len: u16) -> Content {
        self.is_inside = word & bit::END == 0;
        self.refused += u64::from(len == 0 || self.limit.is_none_or(|limit| len > limit.bytes));
        Content::Damaged
    }
}

// SAFETY: `take` passes each descriptor once, in order, after the card has reported it done; `content` checks the length
// against a limit that no buffer given is shorter than.
unsafe impl<W: Writer> RxQueue for Receive<W> {
    fn capacity(&self) -> u16 {
        SLOTS
    }

    /// All buffers are to be as large as the first, or larger. One that the card cannot be kept from writing behind is
    /// refused, and the console says what sizes there are.
    #[inline]
    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull> {
        let limit = match self.limit {
            Some(limit) => limit,
            None => self.settle(buffer.capacity())?,
        };
        if self.used + 1 >= DESCRIPTORS || buffer.capacity() < limit.bytes {
            return Err(QueueFull);
        }
        self.ring.write(self.next, buffer.phys(), 0);
        if let Some(entry) = self.ids.get_mut(usize::from(self.next.get())) {
            *entry = id;
        }
        self.next = self.next.next();
        self.used += 1;
        Ok(())
    }

    fn kick(&mut self) -> bool {
        if self.next == self.published {
            return false;
        }
        if !self.is_on {
            self.switch_on();
        }
        // Descriptors before the tail, as in the transmit queue.
        fence(Ordering::Release);
        self.tail.write(self.next.get().into());
        self.published = self.next;
        true
    }

    #[inline]
    fn take(&mut self) -> Option<Received> {
        let word = self.done()?;
        let id = *self.ids.get(usize::from(self.oldest.get()))?;
        self.oldest = self.oldest.next();
        self.used -= 1;
        Some(Received { id, content: self.content(word) })
    }

    fn health(&self) -> QueueHealth {
        QueueHealth { refused: self.refused, is_broken: false }
    }

    fn arm(&mut self) -> Armed {
        if self.causes == 0 {
            return Armed::Never;
        }
        self.allow.write(self.causes);
        self.is_armed = true;
        // The mask before the look, as in the transmit queue.
        fence(Ordering::SeqCst);
        if self.done().is_some() { Armed::Late } else { Armed::Yes }
    }

    fn disarm(&mut self) {
        if core::mem::take(&mut self.is_armed) {
            self.forbid.write(self.causes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_never_may_write_more_than_a_buffer_holds() {
        let bytes = |capacity| Limit::within(capacity).map(|limit| limit.bytes);
        for (capacity, expected) in [
            (192, None),
            (255, None),
            (256, Some(256)),
            (1023, Some(512)),
            (1521, Some(1024)),
            (1522, Some(1522)),
            (1984, Some(1522)),
            (2047, Some(1522)),
            (2048, Some(2048)),
            (4032, Some(2048)),
            (4096, Some(4096)),
            (8192, Some(8192)),
            (FRAME_MAX, Some(8192)),
            (FRAME_MAX + 1, None),
        ] {
            assert_eq!(bytes(capacity), expected, "{capacity}");
        }
        // Only where the card itself drops what is longer may its size of a buffer be more than the limit.
        for limit in LIMITS {
            let size = |base: u32| base >> (limit.control >> rctl::SIZE_SHIFT & 3);
            let is_large = limit.control & rctl::LARGE != 0;
            let told = if is_large { size(32768) } else { size(2048) };
            let drops = limit.control & rctl::LONG_FRAMES == 0;
            assert!(told == limit.bytes.into() || (drops && limit.bytes == STANDARD), "{limit:?}");
        }
    }
}
