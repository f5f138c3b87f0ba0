//! The receive queue.
//!
//! ```text
//!      posted, the card does not        the card's; filled
//!              know of it               from the oldest on
//! next ◄────────────────────── published ◄────────────── oldest
//!      post moves it        kick moves it    import moves it
//! ```

use core::sync::atomic::{Ordering, fence};

use nm_driver::burst::RxBurst;
use nm_driver::nic::{Armed, Mtu, QueueStatus, RxQueue, StartParams};

use super::registers::{InterruptMask, Registers, rctl};
use super::ring::{self, Position, RingMemory, SLOTS};
use super::{Interrupts, Offset};

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
pub(super) struct Limit {
    pub(super) bytes: u16,
    /// Bits of the receive control that keep the card to it.
    pub(super) control: u32,
}

/// Bytes of the longest frame that a card takes that was not told to take longer ones: with one tag and its checksum
/// (section 13.7.15).
const STANDARD: u16 = 1522;
/// The smallest buffer that a card can be told of.
pub(super) const SMALLEST: u16 = 256;

/// The sizes of a buffer that there are, from the largest. They are powers of two.
const SIZES: [Limit; 6] = [
    Limit { bytes: 8192, control: rctl::LARGE | 2 << rctl::SIZE_SHIFT },
    Limit { bytes: 4096, control: rctl::LARGE | 3 << rctl::SIZE_SHIFT },
    Limit { bytes: 2048, control: 0 },
    Limit { bytes: 1024, control: 1 << rctl::SIZE_SHIFT },
    Limit { bytes: 512, control: 2 << rctl::SIZE_SHIFT },
    Limit { bytes: SMALLEST, control: 3 << rctl::SIZE_SHIFT },
];

impl Limit {
    /// The largest that the buffers allow; `None` when they are too small. A frame that is longer than a buffer goes on in the
    /// next.
    ///
    /// A buffer of the usual 2048 bytes has 1984 behind its headroom. If frames of the standard length are all that is wanted,
    /// the card is told 2048 and to drop frames of more than 1522 bytes, so that it never writes more.
    pub(super) fn of(params: &StartParams) -> Option<Self> {
        let &StartParams { buffer_len, mtu, .. } = params;
        if mtu <= Mtu::ETHERNET && (STANDARD..2048).contains(&buffer_len) {
            return Some(Self { bytes: STANDARD, control: 0 });
        }
        let limit = SIZES.into_iter().find(|limit| limit.bytes <= buffer_len)?;
        let has_long = mtu > Mtu::ETHERNET || limit.bytes >= 2048;
        let long = if has_long { rctl::LONG_FRAMES } else { 0 };
        Some(Self { control: limit.control | long, ..limit })
    }
}

/// A receive queue.
#[derive(Debug)]
pub(super) struct Receive {
    ring: RingMemory,
    registers: Registers,
    interrupt: InterruptMask,
    next: Position,
    published: Position,
    oldest: Position,
    refused: u32,
}

impl Receive {
    /// The queue over fresh memory that the card knows of.
    pub(super) fn new(ring: RingMemory, registers: &Registers, interrupts: Interrupts) -> Self {
        Self {
            ring,
            registers: registers.clone(),
            interrupt: InterruptMask::new(registers.clone(), interrupts.causes().0),
            next: Position::FIRST,
            published: Position::FIRST,
            oldest: Position::FIRST,
            refused: 0,
        }
    }

    /// The second word of the oldest descriptor, if the card is done with it.
    #[inline]
    fn done(&self) -> Option<u64> {
        if self.oldest == self.published {
            return None;
        }
        Some(self.ring.word(self.oldest)).filter(|word| word & bit::DONE != 0)
    }

    /// Imports what the card has received.
    #[inline]
    fn import(&mut self, burst: &mut RxBurst<'_>) {
        while self.done().is_some() {
            let descriptors = self.ring.from(self.oldest, self.oldest.distance(self.published));
            let count = burst.receive_run(descriptors, 0, |descriptor, _| {
                let word = ring::read_word(descriptor);
                let is_whole = word & (bit::DONE | bit::END | bit::DAMAGED) == bit::DONE | bit::END;
                is_whole.then_some(u32::from(word as u16))
            });
            self.oldest = self.oldest.skip(count as u16);
            if count == 0 && !self.import_one(burst) {
                break;
            }
        }
    }

    /// Imports a buffer that is damaged, or that a frame does not end in. Returns whether there was a buffer.
    #[cold]
    fn import_one(&mut self, burst: &mut RxBurst<'_>) -> bool {
        let Some(word) = self.done() else { return false };
        self.oldest = self.oldest.next();
        let (len, more, id) = (word as u16, word & bit::END == 0, burst.expected().into());
        let is_possible = len != 0 && len <= burst.receive_len();
        self.refused = self.refused.saturating_add(u32::from(!is_possible));
        // Errors are reported where the frame ends (section 3.2.3).
        if is_possible && (more || word & bit::DAMAGED == 0) {
            burst.fragment(id, 0, len.into(), more)
        } else {
            burst.damaged(id, more)
        }
    }

    /// Posts what is free, and tells the card of it. Returns whether there was something.
    #[inline]
    fn post(&mut self, burst: &mut RxBurst<'_>) -> bool {
        while burst.has_free() {
            let count = burst.post_run(self.ring.from(self.next, SLOTS), |descriptor, _, buffer| {
                ring::write(descriptor, buffer.phys(), 0);
            });
            if count == 0 {
                break;
            }
            self.next = self.next.skip(count as u16);
        }
        if self.next == self.published {
            return false;
        }
        // Descriptors before the tail, as in the transmit queue.
        fence(Ordering::Release);
        self.registers.write(Offset::Rdt, self.next.get().into());
        self.published = self.next;
        true
    }
}

impl RxQueue for Receive {
    fn capacity(&self) -> u16 {
        SLOTS
    }

    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        if burst.has_import() {
            self.import(burst);
        }
        QueueStatus { has_kicked: self.post(burst), refused: self.refused, is_broken: false }
    }

    fn is_idle(&self) -> bool {
        self.done().is_none()
    }

    fn arm(&mut self) -> Armed {
        if !self.interrupt.arm() {
            return Armed::Never;
        }
        if self.done().is_some() { Armed::Pending } else { Armed::Yes }
    }

    fn disarm(&mut self) {
        self.interrupt.disarm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(buffer_len: u16, mtu: Mtu) -> Option<Limit> {
        Limit::of(&StartParams { buffer_len, tx_slots: 8, rx_slots: 8, mtu })
    }

    #[test]
    fn the_card_never_may_write_more_than_a_buffer_holds() {
        let bytes = |buffer_len, mtu| limit(buffer_len, mtu).map(|limit| limit.bytes);
        for (buffer_len, standard, jumbo) in [
            (192, None, None),
            (255, None, None),
            (256, Some(256), Some(256)),
            (1023, Some(512), Some(512)),
            (1521, Some(1024), Some(1024)),
            (1522, Some(1522), Some(1024)),
            (1984, Some(1522), Some(1024)),
            (2047, Some(1522), Some(1024)),
            (2048, Some(2048), Some(2048)),
            (4032, Some(2048), Some(2048)),
            (4096, Some(4096), Some(4096)),
            (8192, Some(8192), Some(8192)),
            (u16::MAX, Some(8192), Some(8192)),
        ] {
            assert_eq!(
                (bytes(buffer_len, Mtu::ETHERNET), bytes(buffer_len, Mtu::MAX)),
                (standard, jumbo),
                "{buffer_len}"
            );
        }
        // Only where the card itself drops what is longer may its size of a buffer be more than the limit.
        for limit in (256..9000).flat_map(|len| [limit(len, Mtu::ETHERNET), limit(len, Mtu::MAX)]).flatten() {
            let size = |base: u32| base >> (limit.control >> rctl::SIZE_SHIFT & 3);
            let is_large = limit.control & rctl::LARGE != 0;
            let told = if is_large { size(32768) } else { size(2048) };
            let drops = limit.control & rctl::LONG_FRAMES == 0;
            assert!(told == limit.bytes.into() || (drops && limit.bytes == STANDARD), "{limit:?}");
        }
    }
}
