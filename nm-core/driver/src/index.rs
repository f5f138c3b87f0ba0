//! Positions in a circular ring.
//!
//! An [`Index`] is not a number: it has no order and no `+`, because both mean nothing once a ring has wrapped.
//! [`RingSize`] knows the modulus and answers the questions that do mean something: the next and previous position,
//! how far one is ahead of another, and whether a position lies in a window. All arithmetic on ring positions in
//! this crate is here.

/// A slot's position in a ring of some [`RingSize`]; always below the number of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index(u32);

impl Index {
    /// The position as the number that the ring's memory holds.
    #[inline]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The number of slots of a ring: 2 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize(u32);

impl RingSize {
    /// A ring of `slots` slots, or `None` outside 2..=65535.
    pub const fn new(slots: u32) -> Option<Self> {
        if slots >= 2 && slots <= u16::MAX as u32 { Some(Self(slots)) } else { None }
    }

    /// How many slots there are.
    #[inline]
    pub fn slots(self) -> u32 {
        self.0
    }

    /// The position `raw`, if this ring has it.
    #[inline]
    pub fn index(self, raw: u32) -> Option<Index> {
        (raw < self.0).then_some(Index(raw))
    }

    /// Slot 0.
    #[inline]
    pub fn first(self) -> Index {
        Index(0)
    }

    /// The slot with the highest number.
    #[inline]
    pub fn last(self) -> Index {
        Index(self.0 - 1)
    }

    /// The position after `at`.
    #[inline]
    #[doc(alias("nm_next", "nm_ring_next"))]
    pub fn next(self, at: Index) -> Index {
        let next = at.0 + 1;
        Index(if next == self.0 { 0 } else { next })
    }

    /// The position before `at`.
    #[inline]
    #[doc(alias = "nm_prev")]
    pub fn prev(self, at: Index) -> Index {
        Index(if at.0 == 0 { self.0 - 1 } else { at.0 - 1 })
    }

    /// The position `steps` after `at`. More than the number of slots counts as that, so that the result is always a position.
    #[inline]
    pub fn advance(self, at: Index, steps: u32) -> Index {
        let sum = at.0 + steps.min(self.0);
        Index(if sum >= self.0 { sum - self.0 } else { sum })
    }

    /// How many steps lead from `from` to `to`: 0 to slots - 1.
    #[inline]
    pub fn distance(self, from: Index, to: Index) -> u32 {
        if to.0 >= from.0 { to.0 - from.0 } else { to.0 + self.0 - from.0 }
    }

    /// Whether `at` lies in the window `[from, to)`.
    #[inline]
    pub fn contains(self, from: Index, to: Index, at: Index) -> bool {
        self.distance(from, at) < self.distance(from, to)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Walks one step at a time: what every function above must agree with.
    fn walk(size: RingSize, from: Index, steps: u32) -> Index {
        (0..steps).fold(from, |at, _| if at.0 + 1 == size.0 { Index(0) } else { Index(at.0 + 1) })
    }

    #[test]
    fn agrees_with_walking_for_all_small_rings() {
        for slots in 2..=9 {
            let size = RingSize::new(slots).unwrap();
            for from in (0..slots).map(Index) {
                assert_eq!(size.prev(size.next(from)), from);
                assert_eq!(size.next(size.prev(from)), from);
                for steps in 0..=slots {
                    let to = walk(size, from, steps);
                    assert_eq!(size.advance(from, steps), to);
                    assert_eq!(size.distance(from, to), steps % slots);
                    let inside: Vec<_> = (0..steps % slots).map(|s| walk(size, from, s)).collect();
                    for at in (0..slots).map(Index) {
                        assert_eq!(
                            size.contains(from, to, at),
                            inside.contains(&at),
                            "{slots} {from:?} {to:?} {at:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn accepts_only_positions_that_exist() {
        assert_eq!(RingSize::new(1), None);
        assert_eq!(RingSize::new(65536), None);
        let size = RingSize::new(4).unwrap();
        assert_eq!(size.index(3), Some(size.last()));
        assert_eq!(size.index(4), None);
        assert_eq!(size.index(u32::MAX), None);
    }
}
