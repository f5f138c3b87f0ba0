//! The sizes that netmap lets an administrator choose, as one typed value.
//!
//! A [`Netmap`](crate::Netmap) is built from a [`Tunables`] and never looks elsewhere. The kernel starts from
//! [`Tunables::for_memory`] and lets `netmap.NAME=VALUE` words of the command line override it by [`Tunables::set`].

use core::fmt;

use crate::abi::SLOTS_OFFSET;
use crate::nic::HEADROOM;

/// Sizes and numbers of the objects in the shared memory region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunables {
    /// Bytes of one interface object.
    pub if_size: u32,
    /// Interface objects.
    pub if_num: u32,
    /// Bytes of one ring object: 256 and 16 for each slot.
    pub ring_size: u32,
    /// Ring objects.
    pub ring_num: u32,
    /// Bytes from one buffer to the next; a frame has [`HEADROOM`] less.
    pub buf_size: u32,
    /// Buffers, the two reserved ones included.
    pub buf_num: u32,
}

/// One tunable: its name, its range, and where it is kept.
struct Entry {
    name: &'static str,
    min: u32,
    max: u32,
    /// Values are multiples of it.
    step: u32,
    field: fn(&mut Tunables) -> &mut u32,
}

const ENTRIES: [Entry; 6] = [
    Entry { name: "if_size", min: 128, max: 65536, step: 64, field: |t| &mut t.if_size },
    Entry { name: "if_num", min: 1, max: 4096, step: 1, field: |t| &mut t.if_num },
    Entry { name: "ring_size", min: 512, max: 1 << 20, step: 64, field: |t| &mut t.ring_size },
    Entry { name: "ring_num", min: 2, max: 8192, step: 1, field: |t| &mut t.ring_num },
    Entry { name: "buf_size", min: 256, max: 32768, step: 64, field: |t| &mut t.buf_size },
    Entry { name: "buf_num", min: 18, max: 4 << 20, step: 1, field: |t| &mut t.buf_num },
];

/// Most buffers that [`Tunables::for_memory`] takes by itself, 64 MiB of them: more than 30 rings of 1024 slots use.
const BUF_NUM_DEFAULT_MAX: u64 = 32768;

impl Default for Tunables {
    /// The sizes for a machine of 64 MiB or more.
    fn default() -> Self {
        Self { if_size: 1024, if_num: 32, ring_size: 36864, ring_num: 64, buf_size: 2048, buf_num: 8192 }
    }
}

impl Tunables {
    /// Sizes for a machine with `available` bytes of free memory: at most half of it is taken, a sixteenth for rings.
    pub fn for_memory(available: u64) -> Self {
        let base = Self::default();
        let budget = available / 2;
        let rings = (available / 16 / u64::from(base.ring_size)).clamp(8, 200);
        let rest =
            budget.saturating_sub(rings * u64::from(base.ring_size) + u64::from(base.if_size * base.if_num));
        let bufs = (rest / u64::from(base.buf_size)).clamp(64, BUF_NUM_DEFAULT_MAX);
        Self { ring_num: rings as u32, buf_num: bufs as u32, ..base }
    }

    /// Sets the tunable `name` (without the `netmap.` in front) to `value`.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), TunableError> {
        let entry = ENTRIES.iter().find(|e| e.name == name).ok_or(TunableError::Unknown)?;
        if !(entry.min..=entry.max).contains(&value) || !value.is_multiple_of(entry.step) {
            return Err(TunableError::Range { min: entry.min, max: entry.max, step: entry.step });
        }
        *(entry.field)(self) = value;
        Ok(())
    }

    /// The names that [`set`](Self::set) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ENTRIES.iter().map(|e| e.name)
    }

    /// The first value that is outside its range, by name.
    pub(crate) fn invalid(mut self) -> Option<(&'static str, TunableError)> {
        ENTRIES.iter().find_map(|e| {
            let value = *(e.field)(&mut self);
            self.set(e.name, value).err().map(|error| (e.name, error))
        })
    }

    /// The longest frame that a buffer holds, in bytes.
    pub fn frame_max(&self) -> u16 {
        (self.buf_size as usize).saturating_sub(HEADROOM).min(usize::from(u16::MAX)) as u16
    }

    /// The most slots that a ring object holds.
    pub fn slots_max(&self) -> u32 {
        ((self.ring_size as usize).saturating_sub(SLOTS_OFFSET) / size_of::<crate::abi::Slot>()) as u32
    }
}

/// Why a tunable was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunableError {
    /// There is no tunable of this name; [`Tunables::names`] lists those there are.
    Unknown,
    /// The value is outside `min..=max`, or not a multiple of `step`.
    Range {
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// Values are multiples of it.
        step: u32,
    },
}

impl fmt::Display for TunableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("no such tunable; there are")?;
                Tunables::names().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Range { min, max, step: 1 } => write!(f, "must be between {min} and {max}"),
            Self::Range { min, max, step } => {
                write!(f, "must be between {min} and {max}, a multiple of {step}")
            }
        }
    }
}

impl core::error::Error for TunableError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn sizes_follow_memory_and_stay_within_half_of_it() {
        for available in [12 * MIB, 24 * MIB, 56 * MIB, 500 * MIB, 8000 * MIB] {
            let t = Tunables::for_memory(available);
            let taken = u64::from(t.if_size) * u64::from(t.if_num)
                + u64::from(t.ring_size) * u64::from(t.ring_num)
                + u64::from(t.buf_size) * u64::from(t.buf_num);
            assert!(taken <= available / 2, "{available}: {t:?} takes {taken}");
            assert_eq!(t.invalid(), None);
            assert!(t.ring_num >= 8, "{available}: two cards have eight rings with their host rings");
        }
        assert!(
            Tunables::for_memory(24 * MIB).buf_num >= 4 * 256 + 2,
            "two cards of 256 slots in a 32 MiB guest"
        );
        assert_eq!(Tunables::for_memory(8000 * MIB).buf_num, 32768);
    }

    #[test]
    fn refuses_what_is_out_of_range_and_says_the_range() {
        let mut t = Tunables::default();
        assert_eq!(t.set("buf_num", 4096), Ok(()));
        assert_eq!(t.buf_num, 4096);
        assert_eq!(
            t.set("bufnum", 1).unwrap_err().to_string(),
            "no such tunable; there are if_size if_num ring_size ring_num buf_size buf_num"
        );
        assert_eq!(
            t.set("buf_size", 2000).unwrap_err().to_string(),
            "must be between 256 and 32768, a multiple of 64"
        );
        assert_eq!(t.set("if_num", 0).unwrap_err().to_string(), "must be between 1 and 4096");
        assert_eq!(t, Tunables { buf_num: 4096, ..Tunables::default() });
    }
}
