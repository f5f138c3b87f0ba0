//! Stretches of addresses, and sets of them without a heap.
//!
//! [`RangeSet`] is the arithmetic under both the memory map and the frame allocator: a set of addresses, kept
//! as sorted ranges that neither overlap nor touch.

use core::fmt;

/// Bytes in a page frame.
pub const PAGE_BYTES: u64 = 4096;

/// The addresses from `start` up to, not including, `end`. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddrRange {
    start: u64,
    end: u64,
}

impl AddrRange {
    /// The span between two addresses; `None` when it would be empty.
    pub const fn between(start: u64, end: u64) -> Option<Self> {
        if start < end { Some(Self { start, end }) } else { None }
    }

    /// The `len` bytes from `start` on; `None` when there are none or they pass the end of the address space.
    pub const fn sized(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(end) => Self::between(start, end),
            None => None,
        }
    }

    /// First address.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// First address behind the span.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Length in bytes, at least 1.
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether all of `other` lies in this span.
    pub const fn contains(&self, other: AddrRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two have an address in common.
    pub const fn overlaps(&self, other: AddrRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The whole pages inside the span, if there are any.
    pub const fn pages_inside(&self) -> Option<AddrRange> {
        match self.start.checked_next_multiple_of(PAGE_BYTES) {
            Some(start) => Self::between(start, self.end - self.end % PAGE_BYTES),
            None => None,
        }
    }

    /// The pages that the span touches. The last page of the address space is left out: nothing lies there.
    pub const fn pages_touched(&self) -> Option<AddrRange> {
        let end = match self.end.checked_next_multiple_of(PAGE_BYTES) {
            Some(end) => end,
            None => self.end - self.end % PAGE_BYTES,
        };
        Self::between(self.start - self.start % PAGE_BYTES, end)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// The set has no room for another span; it is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A set of addresses as at most `N` sorted ranges that neither overlap nor touch.
#[derive(Debug, Clone)]
pub struct RangeSet<const N: usize> {
    ranges: [AddrRange; N],
    len: usize,
}

impl<const N: usize> Default for RangeSet<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> RangeSet<N> {
    /// Fills the places that are not in use. All zero, so that an empty set takes no room in an image.
    const UNUSED: AddrRange = AddrRange { start: 0, end: 0 };

    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: [Self::UNUSED; N], len: 0 }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[AddrRange] {
        self.ranges.get(..self.len).unwrap_or(&[])
    }

    /// Addresses in the set.
    pub fn bytes(&self) -> u64 {
        self.ranges().iter().map(AddrRange::bytes).sum()
    }

    /// Whether all of `span` is in the set.
    pub fn contains(&self, span: AddrRange) -> bool {
        let at = self.first_behind(span.start);
        self.ranges().get(at).is_some_and(|found| found.contains(span))
    }

    /// Whether any address of `span` is in the set.
    pub fn overlaps(&self, span: AddrRange) -> bool {
        let at = self.first_behind(span.start);
        self.ranges().get(at).is_some_and(|found| found.overlaps(span))
    }

    /// Adds the addresses of `span`.
    pub fn insert(&mut self, span: AddrRange) -> Result<(), Full> {
        let from = self.ranges().partition_point(|s| s.end < span.start);
        let to = self.ranges().partition_point(|s| s.start <= span.end);
        let merged = self
            .ranges()
            .get(from..to)
            .unwrap_or(&[])
            .iter()
            .fold(span, |all, s| AddrRange { start: all.start.min(s.start), end: all.end.max(s.end) });
        self.replace(from, to, [Some(merged), None])
    }

    /// Takes the addresses of `span` out.
    pub fn remove(&mut self, span: AddrRange) -> Result<(), Full> {
        let from = self.first_behind(span.start);
        let to = self.ranges().partition_point(|s| s.start < span.end);
        let cut = self.ranges().get(from..to).unwrap_or(&[]);
        let (Some(first), Some(last)) = (cut.first(), cut.last()) else { return Ok(()) };
        let left = AddrRange::between(first.start, span.start);
        let right = AddrRange::between(span.end, last.end);
        self.replace(from, to, [left, right])
    }

    /// The number of the first span that ends behind `address`.
    fn first_behind(&self, address: u64) -> usize {
        self.ranges().partition_point(|s| s.end <= address)
    }

    /// Puts `pieces` in the place of the ranges `from..to`.
    fn replace(&mut self, from: usize, to: usize, pieces: [Option<AddrRange>; 2]) -> Result<(), Full> {
        let count = pieces.iter().flatten().count();
        let len = self.len + count - (to - from);
        if len > N {
            return Err(Full);
        }
        self.ranges.copy_within(to..self.len, from + count);
        let places = self.ranges.iter_mut().skip(from);
        places.zip(pieces.into_iter().flatten()).for_each(|(place, piece)| *place = piece);
        self.len = len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span(start: u64, end: u64) -> AddrRange {
        AddrRange::between(start, end).unwrap()
    }

    #[test]
    fn a_span_is_never_empty_and_never_wraps() {
        assert_eq!(AddrRange::between(5, 5), None);
        assert_eq!(AddrRange::sized(u64::MAX, 2), None);
        assert_eq!(AddrRange::sized(7, 0), None);
        assert_eq!(AddrRange::sized(u64::MAX - 1, 1), Some(span(u64::MAX - 1, u64::MAX)));
    }

    #[test]
    fn pages_are_rounded_inwards_and_outwards() {
        assert_eq!(span(1, 4096).pages_inside(), None);
        assert_eq!(span(1, 8192).pages_inside(), Some(span(4096, 8192)));
        assert_eq!(span(4095, 4097).pages_touched(), Some(span(0, 8192)));
        assert_eq!(span(u64::MAX - 1, u64::MAX).pages_inside(), None);
        assert_eq!(span(u64::MAX - 1, u64::MAX).pages_touched(), None);
    }

    #[test]
    fn a_full_set_stays_as_it_is() {
        let mut set = RangeSet::<1>::new();
        set.insert(span(10, 20)).unwrap();
        assert_eq!(set.remove(span(12, 13)), Err(Full));
        assert_eq!(set.insert(span(30, 40)), Err(Full));
        assert_eq!(set.ranges(), [span(10, 20)]);
    }

    #[derive(Debug, Clone)]
    enum Operation {
        Insert(AddrRange),
        Remove(AddrRange),
    }

    fn any_span() -> impl Strategy<Value = AddrRange> {
        (0u64..60, 1u64..12).prop_map(|(start, len)| span(start, start + len))
    }

    fn any_operation() -> impl Strategy<Value = Operation> {
        prop_oneof![any_span().prop_map(Operation::Insert), any_span().prop_map(Operation::Remove)]
    }

    proptest! {
        /// Agrees with a set of single addresses, and keeps its ranges sorted and apart.
        #[test]
        fn behaves_as_a_set_of_addresses(operations in prop::collection::vec(any_operation(), 0..60), probe in any_span()) {
            let mut set = RangeSet::<64>::new();
            let mut naive = BTreeSet::new();
            for operation in operations {
                match operation {
                    Operation::Insert(s) => {
                        set.insert(s).unwrap();
                        naive.extend(s.start..s.end);
                    }
                    Operation::Remove(s) => {
                        set.remove(s).unwrap();
                        naive.retain(|a| !(s.start..s.end).contains(a));
                    }
                }
                let listed: BTreeSet<u64> = set.ranges().iter().flat_map(|s| s.start..s.end).collect();
                prop_assert_eq!(&listed, &naive);
                prop_assert!(set.ranges().windows(2).all(|w| w[0].end < w[1].start));
                prop_assert_eq!(set.bytes(), naive.len() as u64);
            }
            prop_assert_eq!(set.contains(probe), (probe.start..probe.end).all(|a| naive.contains(&a)));
            prop_assert_eq!(set.overlaps(probe), (probe.start..probe.end).any(|a| naive.contains(&a)));
        }

        /// However small the set, an operation that does not fit changes nothing.
        #[test]
        fn refuses_cleanly_when_full(operations in prop::collection::vec(any_operation(), 0..60)) {
            let mut set = RangeSet::<3>::new();
            for operation in operations {
                let before = set.ranges().to_vec();
                let outcome = match operation {
                    Operation::Insert(s) => set.insert(s),
                    Operation::Remove(s) => set.remove(s),
                };
                if outcome == Err(Full) {
                    prop_assert_eq!(set.ranges(), &before[..]);
                }
            }
        }
    }
}
