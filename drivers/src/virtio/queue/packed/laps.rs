//! Running indices of a packed ring, and the ring wrap counter that goes with them (section 2.8.1).
//!
//! An index counts places since the start, modulo 65536. Sizes are powers of two up to 4096, so with a ring of 2^n entries it
//! is made of:
//!
//! ```text
//!  15        n+1      n      n-1          0
//! ┌─────────────┬───────────┬──────────────┐
//! │ does not    │ turn: odd │ position in  │      wrap counter = 1 in even turns, the first of them; 0 in odd ones
//! │ matter      │ or even   │ the ring     │
//! └─────────────┴───────────┴──────────────┘
//! ```
//!
//! It counts on past the end of the ring and past 65535 alike, and nothing has to be turned over by hand.

use super::super::QueueSize;

/// Flags of a descriptor (section 2.8.1), as they lie in its last word: above the id, 16 bits up.
const AVAILABLE: u32 = 1 << (16 + 7);
const USED: u32 = 1 << (16 + 15);
/// Bit of the wrap counter in what names a place for events (section 2.8.14).
const EVENT_WRAP: u16 = 1 << 15;

/// Reads running indices for a ring of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Laps {
    /// Number of entries, and the bit of an index that says odd or even.
    size: u16,
    /// One less: the bits of an index that are the position.
    mask: u16,
}

impl Laps {
    pub(super) fn of(size: QueueSize) -> Self {
        Self { size: size.get(), mask: size.get() - 1 }
    }

    /// Where in the ring, below its size.
    #[inline]
    pub(super) fn position(self, index: u16) -> u16 {
        index & self.mask
    }

    /// Whether the ring wrap counter is 1 there.
    #[inline]
    fn is_wrap_set(self, index: u16) -> bool {
        index & self.size == 0
    }

    /// The flags by which a descriptor at `index` is available, in its last word.
    #[inline]
    pub(super) fn available(self, index: u16) -> u32 {
        if self.is_wrap_set(index) { AVAILABLE } else { USED }
    }

    /// Whether a descriptor at `index` is used that has this last `word`.
    #[inline]
    pub(super) fn is_used(self, index: u16, word: u32) -> bool {
        let used = if self.is_wrap_set(index) { AVAILABLE | USED } else { 0 };
        word & (AVAILABLE | USED) == used
    }

    /// How the place at `index` is named for events: the position, and the wrap counter above it.
    pub(super) fn event(self, index: u16) -> u16 {
        self.position(index) | if self.is_wrap_set(index) { EVENT_WRAP } else { 0 }
    }

    /// Whether an index that went from `old` to `new` has gone past the place that is named `event`. A position beyond the
    /// ring is taken modulo its size: a doorbell too many does no harm.
    #[inline]
    pub(super) fn has_passed(self, event: u16, old: u16, new: u16) -> bool {
        let turn = if event & EVENT_WRAP == 0 { self.size } else { 0 };
        let ahead = (event & self.mask | turn).wrapping_sub(old) & (self.size | self.mask);
        ahead < new.wrapping_sub(old)
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

    fn all_sizes() -> impl Iterator<Item = (u16, Laps)> {
        (0..=12).map(|power| (1 << power, Laps::of(QueueSize::within(1 << power).unwrap())))
    }

    #[test]
    fn an_index_is_a_position_and_a_wrap_counter_also_past_65535() {
        for (size, laps) in all_sizes() {
            let mut counter = Counter::START;
            for count in 0..150_000u32 {
                let index = count as u16;
                assert_eq!(laps.position(index), counter.position, "{count} of {size}");
                assert_eq!(laps.event(index), counter.event(), "{count} of {size}");
                // Bit 7 is as the counter, bit 15 is not.
                let available = if counter.is_wrap_set { 0x0080 } else { 0x8000 };
                assert_eq!(laps.available(index) >> 16, available, "{count} of {size}");
                counter = counter.next(size);
            }
        }
    }

    #[test]
    fn used_is_what_has_both_flags_as_the_wrap_counter() {
        for (size, laps) in all_sizes() {
            for index in [0, size - 1, size, size + 1, size * 2, u16::MAX] {
                let is_wrap_set = (index / size).is_multiple_of(2);
                for flags in 0..4u32 {
                    let [is_available, is_used] = [flags & 1 != 0, flags & 2 != 0];
                    let bits = (flags & 1) << 7 | (flags >> 1) << 15;
                    // Other flags and the id do not matter.
                    for others in [0, 0x7f7f_ffff] {
                        let found = laps.is_used(index, bits << 16 | others);
                        assert_eq!(found, is_available == is_wrap_set && is_used == is_wrap_set);
                    }
                }
            }
        }
    }

    /// Counts from `old`, which is at `counter`, for `moved` places, and looks whether `event` is among them.
    fn has_passed_by_counting(event: u16, counter: Counter, moved: u16, size: u16) -> bool {
        let places = core::iter::successors(Some(counter), |counter| Some(counter.next(size)));
        places.take(moved.into()).any(|place| place.event() == event)
    }

    #[test]
    fn agrees_with_counting_also_across_the_wrap() {
        for (size, laps) in all_sizes().take(5) {
            let mut counter = Counter::START;
            for count in 0..70_000u32 {
                let is_near_a_wrap = count < 100 || (65_450..65_650).contains(&count);
                for moved in (0..=size).filter(|_| is_near_a_wrap) {
                    let old = count as u16;
                    for event in (0..size).flat_map(|position| [position, position | 0x8000]) {
                        let expected = has_passed_by_counting(event, counter, moved, size);
                        let found = laps.has_passed(event, old, old.wrapping_add(moved));
                        assert_eq!(found, expected, "{event:#x} in {moved} from {old}, {size}");
                    }
                }
                counter = counter.next(size);
            }
        }
    }

    #[test]
    fn a_position_beyond_the_ring_is_one_in_it() {
        let laps = Laps::of(QueueSize::within(8).unwrap());
        assert!(laps.has_passed(0x8000 | 0x7ff8, 0, 1) && !laps.has_passed(0x7ff8, 0, 1));
    }
}
