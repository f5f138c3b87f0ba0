//! A pool of equal objects, known by number: a bitmap of those that are free.

use alloc::vec::Vec;

use super::RegionError;

/// Objects `0..total`, each free or taken.
#[derive(Debug)]
pub(super) struct Pool {
    /// A set bit is a free object.
    free: Vec<u64>,
    total: u32,
    available: u32,
    /// No word before this one has a free object.
    first: usize,
}

impl Pool {
    /// A pool whose objects below `reserved` are never handed out.
    pub(super) fn new(total: u32, reserved: u32) -> Result<Self, RegionError> {
        let words = (total as usize).div_ceil(64);
        let mut free = super::reserve(words)?;
        free.resize(words, 0);
        let mut pool = Self { free, total, available: 0, first: 0 };
        for object in reserved..total {
            pool.put_back(object);
        }
        Ok(pool)
    }

    /// Takes the free object with the lowest number.
    pub(super) fn take(&mut self) -> Option<u32> {
        let (word, bits) = self.free.iter_mut().enumerate().skip(self.first).find(|(_, bits)| **bits != 0)?;
        let bit = bits.trailing_zeros();
        *bits &= *bits - 1;
        self.first = word;
        self.available -= 1;
        Some(word as u32 * 64 + bit)
    }

    /// Puts a taken object back. `false` when there is no such object or it is free already.
    pub(super) fn put_back(&mut self, object: u32) -> bool {
        let word = object as usize / 64;
        let Some(bits) = self.free.get_mut(word).filter(|_| object < self.total) else { return false };
        let mask = 1u64 << (object % 64);
        if *bits & mask != 0 {
            return false;
        }
        *bits |= mask;
        self.available += 1;
        self.first = self.first.min(word);
        true
    }

    /// Makes every object but the first `reserved` free, whoever had it. Returns how many were taken.
    pub(super) fn reclaim(&mut self, reserved: u32) -> u32 {
        let before = self.available;
        (reserved..self.total).for_each(|object| {
            self.put_back(object);
        });
        self.available - before
    }

    /// How many objects are free.
    pub(super) fn available(&self) -> u32 {
        self.available
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a set of numbers: the same object comes out, the same returns are refused.
        #[test]
        fn agrees_with_a_set(total in 1u32..200, reserved in 0u32..3, ops in prop::collection::vec(0u32..260, 0..600)) {
            let mut pool = Pool::new(total, reserved).unwrap();
            let mut free: BTreeSet<u32> = (reserved.min(total)..total).collect();
            let mut taken = BTreeSet::new();
            for op in ops {
                if op == 259 {
                    prop_assert_eq!(pool.reclaim(reserved) as usize, taken.len());
                    free.append(&mut taken);
                } else if op >= 210 {
                    let object = pool.take();
                    prop_assert_eq!(object, free.pop_first());
                    taken.extend(object);
                } else {
                    // A reserved object is never taken, so it must not be put back by anyone; the core never does.
                    if op < reserved { continue; }
                    prop_assert_eq!(pool.put_back(op), taken.remove(&op));
                    if op < total { free.insert(op); }
                }
                prop_assert_eq!(pool.available() as usize, free.len());
            }
        }
    }
}
