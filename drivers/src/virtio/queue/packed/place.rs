//! Places in a packed ring, and the ring wrap counter that goes with them (section 2.8.1).
//!
//! The counter is kept as the bits of a descriptor's last word that it is compared with, so that going on by one place is an
//! addition, and at the end of the ring both start over, the counter turned.
//!
//! ```text
//! last word     63    …    55          48 47       32 31      0      a descriptor is
//!              ┌────┬───┬───────┬────────┬───────────┬────────┐      available  when AVAILABLE is the counter and USED is not
//!              │USED│ … │ AVAIL.│ …      │ id        │ length │      used       when both are the counter
//!              └────┴───┴───────┴────────┴───────────┴────────┘
//! ```

use super::super::QueueSize;

/// Where the id and the flags of a descriptor begin in its last word.
const ID_SHIFT: u32 = 32;
const FLAGS_SHIFT: u32 = 48;
/// Flags of a descriptor (section 2.8.1), as they lie in its last word.
const AVAILABLE: u64 = 1 << (FLAGS_SHIFT + 7);
const USED: u64 = 1 << (FLAGS_SHIFT + 15);
/// Bit of the wrap counter in what names a place for events (section 2.8.14).
const EVENT_WRAP: u16 = 1 << 15;

/// A place in the ring, in one of two turns: those in which the ring wrap counter is 1, and those in which it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingPosition {
    /// The position in the ring.
    position: u32,
    counter: WrapCounter,
}

/// The ring wrap counter: [`AVAILABLE`] and [`USED`], both as the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapCounter(u64);

impl RingPosition {
    /// Where both sides start.
    pub(super) const START: Self = Self { position: 0, counter: WrapCounter(AVAILABLE | USED) };

    /// The position in the ring.
    #[inline]
    pub(super) fn position(self) -> usize {
        self.position as usize
    }

    #[inline]
    pub(super) fn counter(self) -> WrapCounter {
        self.counter
    }
}

impl WrapCounter {
    fn turned(self) -> Self {
        Self(self.0 ^ (AVAILABLE | USED))
    }

    /// The last words of descriptors that are available in this turn with these flags, from this id on.
    #[inline]
    pub(super) fn available(self, first: u16, flags: u16) -> AvailableWord {
        AvailableWord(self.0 ^ (u64::from(flags) << FLAGS_SHIFT | USED) | u64::from(first) << ID_SHIFT)
    }

    /// Whether a descriptor is used in this turn that has this last `word`.
    #[inline]
    pub(super) fn is_used(self, word: u64) -> bool {
        (word ^ self.0) & (AVAILABLE | USED) == 0
    }

    /// The last word of the descriptor that is used in this turn for the buffer with this id, without its length.
    #[inline]
    pub(super) fn used(self, id: u16) -> UsedWord {
        UsedWord(self.0 | u64::from(id) << ID_SHIFT)
    }
}

/// One more in the id of a last word. Ids have fewer bits than their field, so that the sum stays in it.
const NEXT_ID: u64 = 1 << ID_SHIFT;

/// The expected last words of used descriptors, for consecutive ids of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedWord(u64);

impl UsedWord {
    /// Whether `word` is the expected one, whatever its length; the next id is expected then.
    #[inline]
    pub(super) fn is_next(&mut self, word: u64) -> bool {
        let id_bits = u64::from(u16::MAX) << ID_SHIFT;
        let differs = (word ^ self.0) & (AVAILABLE | USED | id_bits) != 0;
        self.0 = self.0.wrapping_add(NEXT_ID);
        !differs
    }

    /// The turn.
    #[inline]
    pub(super) fn counter(self) -> WrapCounter {
        WrapCounter(self.0 & (AVAILABLE | USED))
    }
}

/// The last words of available descriptors, for consecutive ids of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailableWord(u64);

impl AvailableWord {
    /// The same with this length.
    #[inline]
    pub(super) fn with_bytes(self, bytes: u32) -> Self {
        Self(self.0 + u64::from(bytes))
    }

    /// The next one, with a length in addition to the one that the word has: their sum fits 32 bits.
    #[inline]
    pub(super) fn take(&mut self, bytes: u32) -> u64 {
        let word = self.0.wrapping_add(bytes.into());
        self.0 = self.0.wrapping_add(NEXT_ID);
        word
    }
}

/// The id in the last word of a used descriptor.
#[inline]
pub(super) fn id_of(word: u64) -> u16 {
    (word >> ID_SHIFT) as u16
}

/// The way around a ring of one size, which is a power of two.
#[derive(Debug, Clone, Copy)]
pub(super) struct RingLayout {
    size: u32,
}

impl RingLayout {
    pub(super) fn of(size: QueueSize) -> Self {
        Self { size: size.get().into() }
    }

    /// The place `count` places behind that, at most a whole turn.
    #[inline]
    pub(super) fn skip(self, RingPosition { position, counter }: RingPosition, count: u32) -> RingPosition {
        let position = position + count;
        if position >= self.size {
            return RingPosition { position: position - self.size, counter: counter.turned() };
        }
        RingPosition { position, counter }
    }

    /// How a place is named for events: the position, and the wrap counter above it.
    pub(super) fn event(self, RingPosition { position, counter }: RingPosition) -> u16 {
        // No cut: 4096 positions at most.
        position as u16 | if counter.0 == 0 { 0 } else { EVENT_WRAP }
    }

    /// How many places there are from one to another that is at most the whole ring further.
    #[inline]
    pub(super) fn count(self, from: RingPosition, to: RingPosition) -> u32 {
        let turn = if from.counter == to.counter { 0 } else { self.size };
        to.position.wrapping_add(turn).wrapping_sub(from.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A position and a wrap counter, kept as section 2.8.1 has them.
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Counter {
        position: u16,
        is_wrap_set: bool,
    }

    impl Counter {
        const START: Self = Self { position: 0, is_wrap_set: true };

        fn next(self, size: u16) -> Self {
            if self.position + 1 == size {
                return Self { position: 0, is_wrap_set: !self.is_wrap_set };
            }
            Self { position: self.position + 1, ..self }
        }

        fn event(self) -> u16 {
            self.position + if self.is_wrap_set { 0x8000 } else { 0 }
        }
    }

    fn all_sizes() -> impl Iterator<Item = (u16, RingLayout)> {
        (0..=12).map(|power| (1 << power, RingLayout::of(QueueSize::within(1 << power).unwrap())))
    }

    #[test]
    fn a_place_is_a_position_and_a_wrap_counter() {
        for (size, layout) in all_sizes() {
            let (mut counter, mut place) = (Counter::START, RingPosition::START);
            for count in 0..20_000 {
                assert_eq!(place.position(), usize::from(counter.position), "{count} of {size}");
                assert_eq!(layout.event(place), counter.event(), "{count} of {size}");
                // Bit 7 is as the counter, bit 15 is not.
                let available: u64 = if counter.is_wrap_set { 0x0080 } else { 0x8000 };
                let word = (available | 2) << 48 | 0xa5a5 << 32 | 0x1234_5678;
                assert_eq!(place.counter().available(0xa5a5, 2).take(0x1234_5678), word, "{count} of {size}");
                counter = counter.next(size);
                place = layout.skip(place, 1);
            }
        }
    }

    #[test]
    fn used_is_what_has_both_flags_as_the_wrap_counter() {
        for (size, layout) in all_sizes() {
            for count in [0, size - 1, size] {
                let place = layout.skip(RingPosition::START, count.into());
                let is_wrap_set = count < size;
                for flags in 0..4u64 {
                    let [is_available, is_used] = [flags & 1 != 0, flags & 2 != 0];
                    let bits = (flags & 1) << 7 | (flags >> 1) << 15;
                    // Other flags and the id do not matter.
                    for others in [0, 0x7f7f_ffff_ffff_ffff] {
                        let found = place.counter().is_used(bits << 48 | others);
                        assert_eq!(found, is_available == is_wrap_set && is_used == is_wrap_set);
                    }
                }
            }
        }
    }

    #[test]
    fn places_are_counted_also_across_the_wrap() {
        for (size, layout) in all_sizes().take(6) {
            let mut place = RingPosition::START;
            for _ in 0..4 * size {
                for moved in 0..=u32::from(size) {
                    assert_eq!(layout.count(place, layout.skip(place, moved)), moved);
                }
                place = layout.skip(place, 1);
            }
        }
    }
}
