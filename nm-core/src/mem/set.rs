//! Sets of objects of a pool, by number: a bitmap.

use alloc::vec::Vec;

use super::RegionError;

/// A subset of the objects `0..total`.
#[derive(Debug)]
pub(super) struct ObjectSet {
    /// A set bit is an object of the set.
    bits: Vec<u64>,
    total: u32,
    count: u32,
    /// No word before this one has an object of the set.
    first: usize,
}

impl ObjectSet {
    /// The empty set.
    pub(super) fn empty(total: u32) -> Result<Self, RegionError> {
        let words = (total as usize).div_ceil(64);
        let mut bits = reserve(words)?;
        bits.resize(words, 0);
        Ok(Self { bits, total, count: 0, first: words })
    }

    /// The set of all objects from number `from` on.
    pub(super) fn from(from: u32, total: u32) -> Result<Self, RegionError> {
        let mut set = Self::empty(total)?;
        set.insert_from(from);
        Ok(set)
    }

    /// Takes the object with the lowest number out.
    pub(super) fn take_first(&mut self) -> Option<u32> {
        let (word, bits) = self.bits.iter_mut().enumerate().skip(self.first).find(|(_, bits)| **bits != 0)?;
        let bit = bits.trailing_zeros();
        *bits &= *bits - 1;
        self.first = word;
        self.count -= 1;
        Some(word as u32 * 64 + bit)
    }

    /// Puts an object in. `false` when there is no such object or it is in already.
    pub(super) fn insert(&mut self, object: u32) -> bool {
        let word = object as usize / 64;
        let Some(bits) = self.bits.get_mut(word).filter(|_| object < self.total) else { return false };
        let mask = 1u64 << (object % 64);
        if *bits & mask != 0 {
            return false;
        }
        *bits |= mask;
        self.count += 1;
        self.first = self.first.min(word);
        true
    }

    /// Takes this object out. `false` when it is not in.
    pub(super) fn remove(&mut self, object: u32) -> bool {
        let mask = 1u64 << (object % 64);
        let word = self.bits.get_mut(object as usize / 64);
        let Some(bits) = word.filter(|bits| **bits & mask != 0) else { return false };
        *bits &= !mask;
        self.count -= 1;
        true
    }

    /// Whether the object is in.
    pub(super) fn contains(&self, object: u32) -> bool {
        self.bits.get(object as usize / 64).is_some_and(|bits| bits & 1 << (object % 64) != 0)
    }

    /// Puts all objects from number `from` on in. Returns how many of them were not.
    pub(super) fn insert_from(&mut self, from: u32) -> u32 {
        if self.count == self.total.saturating_sub(from) {
            return 0;
        }
        (from..self.total).map(|object| u32::from(self.insert(object))).sum()
    }

    /// How many objects are in.
    pub(super) fn len(&self) -> u32 {
        self.count
    }
}

/// An empty list with room for `count` items, or an error instead of the end of the machine.
fn reserve<T>(count: usize) -> Result<Vec<T>, RegionError> {
    let mut list = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    list.try_reserve_exact(count).map_err(|_| RegionError::OutOfHeap { bytes })?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        TakeFirst,
        Insert(u32),
        Remove(u32),
        InsertFrom(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        let object = prop_oneof![20 => 0u32..260, 1 => Just(u32::MAX)];
        prop_oneof![
            8 => Just(Op::TakeFirst),
            16 => object.clone().prop_map(Op::Insert),
            8 => object.prop_map(Op::Remove),
            1 => (0u32..3).prop_map(Op::InsertFrom),
        ]
    }

    proptest! {
        /// Against a set of numbers: the same objects come out, the same requests are refused.
        #[test]
        fn agrees_with_a_set(total in 1u32..200, from in 0u32..3, ops in prop::collection::vec(op(), 0..if cfg!(miri) { 40 } else { 400 })) {
            let mut set = ObjectSet::from(from, total).unwrap();
            let mut model: BTreeSet<u32> = (from.min(total)..total).collect();
            for op in ops {
                match op {
                    Op::TakeFirst => prop_assert_eq!(set.take_first(), model.pop_first()),
                    Op::Insert(object) => prop_assert_eq!(set.insert(object), object < total && model.insert(object)),
                    Op::Remove(object) => prop_assert_eq!(set.remove(object), model.remove(&object)),
                    Op::InsertFrom(from) => {
                        let added = (from..total).filter(|object| model.insert(*object)).count();
                        // A set of the right size that holds a reserved object cannot come about in a pool.
                        if model.iter().all(|object| *object >= from) {
                            prop_assert_eq!(set.insert_from(from) as usize, added);
                        } else {
                            (from..total).for_each(|object| { set.insert(object); });
                        }
                    }
                }
                prop_assert_eq!(set.len() as usize, model.len());
            }
            prop_assert!((0..260).all(|object| set.contains(object) == model.contains(&object)));
        }
    }
}
