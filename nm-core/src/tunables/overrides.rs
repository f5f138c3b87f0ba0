//! The sizes of the shared region, from the tunables that are set and the memory that there is.
//!
//! Sizes of objects that are not set have fixed defaults. Pools whose number of objects is not set share half of the
//! memory that the other pools leave:
//!
//! | pool | number of objects | at least | at most |
//! |---|---|---|---|
//! | `if` | what a 64th of that memory holds | 2: two ports | 32 |
//! | `ring` | what a 16th of it holds | 8: a ring each way, of the NIC and of the host, for two ports | 200 |
//! | `buf` | what the rest of half of it holds | 66: two reserved, and 16 for each NIC ring of two ports | 32768 |
//!
//! The smallest numbers may take more than half, as long as all pools fit. Rings get fewer slots when there are few
//! buffers.

use core::fmt;

use super::settings::{self, ENTRIES};
use super::{TunableError, Tunables};
use crate::mem::{PAGE, PoolKind};

/// The tunables that the administrator has set. All others have their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// In the order of the table of tunables.
    values: [Option<u32>; ENTRIES.len()],
}

impl Overrides {
    /// Sets the tunable `name` (without the `netmap.` in front) to `value`.
    ///
    /// # Errors
    /// The tunable does not exist, or the value is out of its range. Nothing is set then.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), TunableError> {
        settings::find(name)?.check(value)?;
        let slot = ENTRIES.iter().zip(&mut self.values).find(|(entry, _)| entry.name == name);
        if let Some((_, slot)) = slot {
            *slot = Some(value);
        }
        Ok(())
    }

    /// The value that the tunable `name` was set to.
    pub fn get(&self, name: &str) -> Option<u32> {
        ENTRIES.iter().zip(self.values).find_map(|(entry, value)| value.filter(|_| entry.name == name))
    }

    /// The tunables for `available` bytes of contiguous memory.
    fn for_memory(&self, available: u64) -> Result<Tunables, DoesNotFit> {
        let mut tunables = Tunables::default();
        for (entry, value) in ENTRIES.iter().zip(self.values) {
            if let Some(value) = value {
                (entry.set)(&mut tunables, value);
            }
        }
        let pools = self.pools(&tunables);
        check(&pools, available)?;
        let left = available - total(pools.iter().filter(|pool| pool.num.is_some()));
        let mut spare = (left / 2).saturating_sub(total(pools.iter().filter(|pool| pool.num.is_none())));
        let [if_num, ring_num, buf_num] = pools.map(|pool| pool.take(left, &mut spare));
        Ok(Tunables { if_num, ring_num, buf_num, ..tunables })
    }

    fn pools(&self, sizes: &Tunables) -> [Pool; 3] {
        let pool = |kind, size, num, range, part| Pool { kind, size, num: self.get(num), range, part };
        [
            pool(PoolKind::Interface, sizes.if_size, "if_num", (2, 32), 64),
            pool(PoolKind::Ring, sizes.ring_size, "ring_num", (8, 200), 16),
            pool(PoolKind::Buffer, sizes.buf_size, "buf_num", (66, 32768), 2),
        ]
    }
}

impl Tunables {
    /// The tunables that are set in `overrides`, and for the others their defaults. The numbers of objects follow the
    /// sizes of the objects and `available`, the contiguous memory in bytes: the region takes at most half of it unless
    /// the overrides ask for more.
    ///
    /// # Errors
    /// A pool does not fit `available` bytes, even though the pools that are not set are made as small as two ports allow.
    pub fn for_memory(available: u64, overrides: &Overrides) -> Result<Self, DoesNotFit> {
        overrides.for_memory(available)
    }
}

/// One pool before its number of objects is known.
struct Pool {
    kind: PoolKind,
    /// Bytes of one object.
    size: u32,
    /// How many objects, if that is set.
    num: Option<u32>,
    /// The smallest and the largest number of objects otherwise.
    range: (u32, u32),
    /// If the number is not set, the pool takes at most `1 / part` of the memory that is left.
    part: u64,
}

impl Pool {
    /// The smallest number of objects.
    fn num_min(&self) -> u32 {
        self.num.unwrap_or(self.range.0)
    }

    /// Bytes of the smallest number of objects, in whole pages: each pool begins on a page.
    fn bytes_min(&self) -> u64 {
        (u64::from(self.num_min()) * u64::from(self.size)).next_multiple_of(PAGE as u64)
    }

    /// The number of objects. `left` is the memory that the pools with a set number leave, `spare` what the other pools can
    /// still take beyond their smallest numbers; both are in bytes.
    fn take(&self, left: u64, spare: &mut u64) -> u32 {
        let (least, most) = self.range;
        if let Some(num) = self.num {
            return num;
        }
        let size = u64::from(self.size);
        let room = (left / self.part).saturating_sub(u64::from(least) * size).min(*spare);
        let more = (room / size).min(u64::from(most - least));
        *spare -= more * size;
        least + more as u32
    }
}

/// Bytes that these pools take at least.
fn total<'a>(pools: impl Iterator<Item = &'a Pool>) -> u64 {
    pools.map(Pool::bytes_min).sum()
}

/// Whether the pools fit with the smallest numbers of objects.
fn check(pools: &[Pool], available: u64) -> Result<(), DoesNotFit> {
    let mut left = available;
    for pool in pools {
        let (num, size) = (pool.num_min(), pool.size);
        let rest = left.checked_sub(pool.bytes_min());
        left = rest.ok_or(DoesNotFit { pool: pool.kind, num, size, left, available })?;
    }
    Ok(())
}

/// A pool of the shared region does not fit the memory that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoesNotFit {
    /// The pool.
    pub pool: PoolKind,
    /// How many objects it has at least.
    pub num: u32,
    /// Bytes of one object.
    pub size: u32,
    /// Bytes that the pools before it leave.
    pub left: u64,
    /// Bytes of contiguous memory in all.
    pub available: u64,
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, num, size, left, available } = self;
        let bytes = u64::from(*num) * u64::from(*size);
        write!(f, "the {pool} pool does not fit: {num} objects of {size} bytes need {bytes} bytes, ")?;
        write!(f, "{left} of {available} are left (lower netmap.{pool}_num or netmap.{pool}_size, ")?;
        f.write_str("or add memory)")
    }
}

impl core::error::Error for DoesNotFit {}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Bytes of the region: the pools, each from a page on.
    fn bytes(t: &Tunables) -> u64 {
        [(t.if_num, t.if_size), (t.ring_num, t.ring_size), (t.buf_num, t.buf_size)]
            .map(|(num, size)| (u64::from(num) * u64::from(size)).next_multiple_of(4096))
            .iter()
            .sum()
    }

    fn given(words: &[(&str, u32)]) -> Overrides {
        let mut overrides = Overrides::default();
        words.iter().for_each(|(name, value)| overrides.set(name, *value).unwrap());
        overrides
    }

    /// `if_num/ring_num/buf_num`, or the pool that does not fit.
    fn numbers(available: u64, words: &[(&str, u32)]) -> String {
        match given(words).for_memory(available) {
            Ok(t) => std::format!("{}/{}/{}", t.if_num, t.ring_num, t.buf_num),
            Err(error) => error.pool.to_string(),
        }
    }

    #[test]
    fn numbers_follow_the_memory_and_what_is_set() {
        type Words = &'static [(&'static str, u32)];
        let cases: [(u64, Words, &str); 22] = [
            // Nothing is set: machines of 4 MiB to 8 GiB.
            (2 * MIB, &[], "32/8/351"),
            (12 * MIB, &[], "32/21/2677"),
            (24 * MIB, &[], "32/42/5371"),
            (56 * MIB, &[], "32/99/12537"),
            (250 * MIB, &[], "32/200/32768"),
            (8000 * MIB, &[], "32/200/32768"),
            // Sizes are set.
            (12 * MIB, &[("buf_size", 10240)], "32/21/535"),
            (24 * MIB, &[("buf_size", 10240)], "32/42/1074"),
            (56 * MIB, &[("buf_size", 10240)], "32/99/2507"),
            (250 * MIB, &[("buf_size", 10240)], "32/200/12076"),
            (56 * MIB, &[("buf_size", 32768)], "32/99/783"),
            (56 * MIB, &[("buf_size", 256)], "32/99/32768"),
            (56 * MIB, &[("ring_size", 1 << 20)], "32/8/10223"),
            (56 * MIB, &[("if_size", 65536)], "14/99/12106"),
            // Numbers are set.
            (56 * MIB, &[("buf_num", 20)], "32/99/20"),
            (56 * MIB, &[("buf_num", 20000)], "32/30/20000"),
            (56 * MIB, &[("ring_num", 1000)], "32/1000/5319"),
            (56 * MIB, &[("if_num", 4096)], "4096/92/11656"),
            (56 * MIB, &[("buf_num", 30000)], "buf"),
            (56 * MIB, &[("ring_num", 8192)], "ring"),
            // All three are set.
            (56 * MIB, &[("if_num", 3), ("ring_num", 5), ("buf_num", 28000)], "3/5/28000"),
            (56 * MIB, &[("if_num", 4096), ("if_size", 65536), ("ring_num", 2), ("buf_num", 18)], "if"),
        ];
        for (available, words, expected) in cases {
            assert_eq!(numbers(available, words), expected, "{available} bytes with {words:?}");
        }
    }

    #[test]
    fn a_pool_that_does_not_fit_is_named_with_what_it_needs_and_what_there_is() {
        let error = given(&[("buf_num", 100_000)]).for_memory(56 * MIB).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the buf pool does not fit: 100000 objects of 2048 bytes need 204800000 bytes, 58421248 of 58720256 \
             are left (lower netmap.buf_num or netmap.buf_size, or add memory)"
        );
        let error = given(&[("buf_size", 32768)]).for_memory(2 * MIB).unwrap_err();
        assert_eq!((error.pool, error.num), (PoolKind::Buffer, 66));
    }

    #[test]
    fn what_is_set_is_kept_apart_from_defaults() {
        let mut overrides = Overrides::default();
        assert_eq!(overrides.set("admode", 3), Err(TunableError::Range { min: 0, max: 2, step: 1 }));
        assert_eq!(overrides.set("colour", 1), Err(TunableError::Unknown));
        assert_eq!(overrides, Overrides::default());
        overrides.set("priv_buf_num", 100).unwrap();
        assert_eq!((overrides.get("priv_buf_num"), overrides.get("buf_num")), (Some(100), None));
        assert_eq!(overrides.for_memory(56 * MIB).unwrap().private.buf_num, 100);
    }

    proptest! {
        /// Whatever is set: it stays, the rest is in range, and all of it fits.
        #[test]
        fn derived_sizes_fit_the_memory(
            available in prop_oneof![0..4 * MIB, 0..64 * MIB, 0..1u64 << 36],
            wishes in prop::collection::vec((0..6usize, any::<prop::sample::Index>(), 1..64u32), 0..5),
        ) {
            let mut overrides = Overrides::default();
            for (entry, value, shrink) in wishes {
                let entry = &ENTRIES[entry];
                let settings = entry.setting(&Tunables::default());
                let span = (settings.max - settings.min) / settings.step / shrink;
                let value = settings.min.next_multiple_of(settings.step) + value.index(span as usize + 1) as u32 * settings.step;
                overrides.set(entry.name, value.min(settings.max)).unwrap();
            }
            match overrides.for_memory(available) {
                Ok(t) => {
                    prop_assert_eq!(t.invalid(), None);
                    prop_assert!(bytes(&t) <= available, "{:?} takes {}", t, bytes(&t));
                    for (entry, value) in ENTRIES.iter().zip(overrides.values) {
                        prop_assert!(value.is_none_or(|value| (entry.get)(&t) == value), "{}", entry.name);
                    }
                    let set = |name| overrides.get(name).is_some();
                    let part = |name, num: u32, size: u32, is_set| {
                        if set(name) == is_set { u64::from(num) * u64::from(size) } else { 0 }
                    };
                    let sum = |is_set| {
                        part("if_num", t.if_num, t.if_size, is_set)
                            + part("ring_num", t.ring_num, t.ring_size, is_set)
                            + part("buf_num", t.buf_num, t.buf_size, is_set)
                    };
                    let is_least = |name, num, least| set(name) || num == least;
                    let all_least = is_least("if_num", t.if_num, 2)
                        && is_least("ring_num", t.ring_num, 8)
                        && is_least("buf_num", t.buf_num, 66);
                    prop_assert!(all_least || sum(false) <= (available - sum(true)) / 2, "{:?}", t);
                }
                Err(error) => {
                    prop_assert!(u64::from(error.num) * u64::from(error.size) + 4095 > error.left);
                    prop_assert!(error.left <= error.available && error.available == available);
                }
            }
        }
    }
}
