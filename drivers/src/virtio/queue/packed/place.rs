//! Places in a packed ring, and the ring wrap counter that goes with them (section 2.8.1).
//!
//! The two are kept as they are used with each descriptor: the place as an offset in bytes, the counter as the bits of a
//! descriptor's last word that it is compared with. So going on by one place is an addition, and at the end of the ring both
//! start over, the counter turned.
//!
//! ```text
//! last word     31    …    23          16 15        0      a descriptor is
//!              ┌────┬───┬───────┬────────┬───────────┐      available  when AVAILABLE is the counter and USED is not
//!              │USED│ … │ AVAIL.│ …      │ id        │      used       when both are the counter
//!              └────┴───┴───────┴────────┴───────────┘
//! ```

use super::super::QueueSize;

/// A descriptor (section 2.8.13): address, length, id and flags.
pub(super) const DESCRIPTOR_BYTES: u32 = 16;

/// Flags of a descriptor (section 2.8.1), as they lie in its last word: above the id, 16 bits up.
const AVAILABLE: u32 = 1 << (16 + 7);
const USED: u32 = 1 << (16 + 15);
/// Bit of the wrap counter in what names a place for events (section 2.8.14).
const EVENT_WRAP: u16 = 1 << 15;

/// A place in the ring, in one of two turns: those in which the ring wrap counter is 1, and those in which it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// In bytes from the start of the ring.
    offset: u32,
    /// [`AVAILABLE`] and [`USED`], both as the counter.
    counter: u32,
}

impl Place {
    /// Where both sides start.
    pub(super) const START: Self = Self { offset: 0, counter: AVAILABLE | USED };

    /// In bytes from the start of the ring, a multiple of [`DESCRIPTOR_BYTES`].
    #[inline]
    pub(super) fn offset(self) -> usize {
        self.offset as usize
    }

    /// Behind the last place comes the first. Seldom: it is no part of what each packet does.
    #[cold]
    #[inline(never)]
    fn turn(&mut self) {
        *self = Self { offset: 0, counter: self.counter ^ (AVAILABLE | USED) };
    }

    /// The last word of a descriptor that is available here.
    #[inline]
    pub(super) fn available(self, id: u16, flags: u16) -> u32 {
        self.counter ^ (USED | u32::from(flags) << 16) | u32::from(id)
    }

    /// Whether a descriptor here is used that has this last `word`.
    #[inline]
    pub(super) fn is_used(self, word: u32) -> bool {
        (word ^ self.counter) & (AVAILABLE | USED) == 0
    }
}

/// The way around a ring of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circle {
    bytes: u32,
}

impl Circle {
    pub(super) fn of(size: QueueSize) -> Self {
        Self { bytes: u32::from(size.get()) * DESCRIPTOR_BYTES }
    }

    /// Goes on to the next place.
    #[inline]
    pub(super) fn advance(self, place: &mut Place) {
        place.offset += DESCRIPTOR_BYTES;
        if place.offset == self.bytes {
            place.turn();
        }
    }

    /// The place `count` places behind that.
    pub(super) fn skip(self, Place { offset, counter }: Place, count: u16) -> Place {
        // The size is a power of two: what is above it counts turns.
        let offset = offset + u32::from(count) * DESCRIPTOR_BYTES;
        let turned = if offset & self.bytes == 0 { 0 } else { AVAILABLE | USED };
        Place { offset: offset & (self.bytes - 1), counter: counter ^ turned }
    }

    /// How a place is named for events: the position, and the wrap counter above it.
    pub(super) fn event(self, Place { offset, counter }: Place) -> u16 {
        // No cut: 4096 positions at most.
        let position = (offset / DESCRIPTOR_BYTES) as u16;
        if counter == 0 { position } else { position | EVENT_WRAP }
    }

    /// How many places there are from one to another that is at most the whole ring further.
    pub(super) fn count(self, from: Place, to: Place) -> u16 {
        let turn = if from.counter == to.counter { 0 } else { self.bytes };
        let bytes = to.offset.wrapping_add(turn).wrapping_sub(from.offset);
        // No cut: 4096 places at most.
        (bytes / DESCRIPTOR_BYTES) as u16
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

    fn all_sizes() -> impl Iterator<Item = (u16, Circle)> {
        (0..=12).map(|power| (1 << power, Circle::of(QueueSize::within(1 << power).unwrap())))
    }

    #[test]
    fn a_place_is_a_position_and_a_wrap_counter() {
        for (size, circle) in all_sizes() {
            let (mut counter, mut place) = (Counter::START, Place::START);
            for count in 0..20_000 {
                assert_eq!(place.offset(), 16 * usize::from(counter.position), "{count} of {size}");
                assert_eq!(circle.event(place), counter.event(), "{count} of {size}");
                // Bit 7 is as the counter, bit 15 is not.
                let available = if counter.is_wrap_set { 0x0080 } else { 0x8000 };
                assert_eq!(place.available(0xa5a5, 2), (available | 2) << 16 | 0xa5a5, "{count} of {size}");
                assert_eq!(circle.skip(Place::START, count), place, "{count} of {size}");
                counter = counter.next(size);
                circle.advance(&mut place);
            }
        }
    }

    #[test]
    fn used_is_what_has_both_flags_as_the_wrap_counter() {
        for (size, circle) in all_sizes() {
            for count in [0, size - 1, size] {
                let place = circle.skip(Place::START, count);
                let is_wrap_set = count < size;
                for flags in 0..4u32 {
                    let [is_available, is_used] = [flags & 1 != 0, flags & 2 != 0];
                    let bits = (flags & 1) << 7 | (flags >> 1) << 15;
                    // Other flags and the id do not matter.
                    for others in [0, 0x7f7f_ffff] {
                        let found = place.is_used(bits << 16 | others);
                        assert_eq!(found, is_available == is_wrap_set && is_used == is_wrap_set);
                    }
                }
            }
        }
    }

    #[test]
    fn places_are_counted_also_across_the_wrap() {
        for (size, circle) in all_sizes().take(6) {
            let mut place = Place::START;
            for _ in 0..4 * size {
                for moved in 0..=size {
                    assert_eq!(circle.count(place, circle.skip(place, moved)), moved);
                }
                circle.advance(&mut place);
            }
        }
    }
}
