//! Numbers that are corrected instead of refused.

use core::ops::RangeInclusive;

/// A number brought into its range, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It was in range.
    Kept(u32),
    /// It was too small, so the default took its place.
    Bumped(u32),
    /// It was too large, so the largest allowed took its place.
    Clamped(u32),
}

/// Brings `value` into `range`: what is below becomes `default` (itself brought into the range), what is above becomes
/// the end of the range. So 0, as programs write it for "you choose", means the default.
///
/// ```
/// use nm_core::tunables::{Bound, bound};
/// assert_eq!(bound(0, 1024, 2..=4096), Bound::Bumped(1024));
/// assert_eq!(bound(9999, 1024, 2..=4096), Bound::Clamped(4096));
/// assert_eq!(bound(512, 1024, 2..=4096).logged("tx_slots"), 512);
/// ```
#[doc(alias = "nm_bound_var")]
pub fn bound(value: u32, default: u32, range: RangeInclusive<u32>) -> Bound {
    let (&low, &high) = (range.start(), range.end());
    if value < low {
        Bound::Bumped(default.max(low).min(high))
    } else if value > high {
        Bound::Clamped(high)
    } else {
        Bound::Kept(value)
    }
}

impl Bound {
    /// The number to use.
    pub fn value(self) -> u32 {
        match self {
            Self::Kept(value) | Self::Bumped(value) | Self::Clamped(value) => value,
        }
    }

    /// The number to use, after a log line for `name` if it is another than was asked for.
    pub fn logged(self, name: &str) -> u32 {
        match self {
            Self::Kept(_) => {}
            Self::Bumped(value) => log::info!(target: "netmap", "{name} is too small: bumped to {value}"),
            Self::Clamped(value) => log::info!(target: "netmap", "{name} is too large: clamped to {value}"),
        }
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_is_brought_into_the_range_too() {
        assert_eq!(bound(0, 1, 2..=9), Bound::Bumped(2));
        assert_eq!(bound(0, 99, 2..=9), Bound::Bumped(9));
        assert_eq!(bound(2, 5, 2..=9), Bound::Kept(2));
        assert_eq!(bound(9, 5, 2..=9), Bound::Kept(9));
        assert_eq!(bound(10, 5, 2..=9), Bound::Clamped(9));
    }

    proptest! {
        #[test]
        fn the_result_is_in_range_and_what_was_in_range_stays(value in any::<u32>(), default in any::<u32>(), a in any::<u32>(), b in any::<u32>()) {
            let range = a.min(b)..=a.max(b);
            let result = bound(value, default, range.clone());
            prop_assert!(range.contains(&result.value()));
            prop_assert_eq!(result == Bound::Kept(value), range.contains(&value));
            prop_assert_eq!(result.logged("test"), result.value());
        }
    }
}
