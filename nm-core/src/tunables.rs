//! What netmap lets an administrator choose, as typed values.
//!
//! A [`Netmap`](crate::Netmap) is built from a [`Tunables`] and never looks elsewhere. The kernel collects the
//! `netmap.NAME=VALUE` words of the command line in [`Overrides`], and [`Tunables::for_memory`] derives the rest from them
//! and from the memory that there is.
//!
//! | kind | type | when it can change |
//! |---|---|---|
//! | sizes of the shared region | the fields of [`Tunables`], [`Sizes`] | before the region is made |
//! | sizes of private regions | [`Tunables::private`], names `priv_…` | for regions made later |
//! | behaviour | [`Behaviour`], and [`Knobs`] while a netmap runs | at any time |
//!
//! [`Tunables::settings`] lists all of them with range and meaning. A value out of range is refused here. Where netmap
//! corrects a number instead, because a program asked for it and not an administrator, [`bound`] does that.

mod behaviour;
mod bounded;
mod overrides;
mod settings;
mod sizes;
mod verbose;

pub use behaviour::{AdapterMode, Behaviour, Knobs};
pub use bounded::{Bound, bound};
pub use overrides::{DoesNotFit, Overrides};
pub use settings::{Setting, TunableError};
pub use sizes::Sizes;
pub use verbose::Verbose;

use settings::ENTRIES;

/// Sizes and numbers of the objects in the memory regions, and how the core behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunables {
    /// Bytes of one interface object of the shared region.
    pub if_size: u32,
    /// Interface objects of the shared region.
    pub if_num: u32,
    /// Bytes of one ring object of the shared region: 256 and 16 for each slot.
    pub ring_size: u32,
    /// Ring objects of the shared region.
    pub ring_num: u32,
    /// Bytes from one buffer of the shared region to the next; a frame has [`HEADROOM`](crate::nic::HEADROOM) less.
    pub buf_size: u32,
    /// Buffers of the shared region, the two reserved ones included.
    pub buf_num: u32,
    /// Sizes of a private region when its maker does not say otherwise.
    pub private: Sizes,
    /// How the core behaves.
    pub behaviour: Behaviour,
}

impl Default for Tunables {
    /// The sizes for a machine of 64 MiB or more.
    fn default() -> Self {
        Self {
            if_size: 1024,
            if_num: 32,
            ring_size: 36864,
            ring_num: 64,
            buf_size: 2048,
            buf_num: 8192,
            private: Sizes::default(),
            behaviour: Behaviour::default(),
        }
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

    /// Sets the tunable `name` (without the `netmap.` in front) to `value`.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), TunableError> {
        let entry = settings::find(name)?;
        entry.check(value)?;
        (entry.set)(self, value);
        Ok(())
    }

    /// The names that [`set`](Self::set) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ENTRIES.iter().map(|e| e.name)
    }

    /// Every tunable with its value, for the console.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        let values = *self;
        ENTRIES.iter().map(move |entry| entry.setting(&values))
    }

    /// The sizes of the shared region.
    pub fn shared(&self) -> Sizes {
        let Self { if_size, if_num, ring_size, ring_num, buf_size, buf_num, .. } = *self;
        Sizes { if_size, if_num, ring_size, ring_num, buf_size, buf_num }
    }

    /// The first value that is outside its range, by name.
    pub(crate) fn invalid(&self) -> Option<(&'static str, TunableError)> {
        let refused = |entry: &settings::Entry| entry.check((entry.get)(self)).err();
        ENTRIES.iter().find_map(|entry| refused(entry).map(|error| (entry.name, error)))
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn refuses_what_is_out_of_range_and_says_the_range() {
        let mut t = Tunables::default();
        assert_eq!(t.set("buf_num", 4096), Ok(()));
        assert_eq!(t.buf_num, 4096);
        assert_eq!(
            t.set("bufnum", 1).unwrap_err().to_string(),
            "no such tunable; there are if_size if_num ring_size ring_num buf_size buf_num priv_if_size \
             priv_if_num priv_ring_size priv_ring_num priv_buf_size priv_buf_num verbose no_timestamp mitigate \
             no_pendintr txsync_retry flags fwd mmap_unreg admode generic_mit generic_ringsize"
        );
        assert_eq!(
            t.set("buf_size", 2000).unwrap_err().to_string(),
            "must be between 256 and 32768, a multiple of 64"
        );
        assert_eq!(t.set("if_num", 0).unwrap_err().to_string(), "must be between 1 and 4096");
        assert_eq!(t.set("admode", 3).unwrap_err().to_string(), "must be between 0 and 2");
        assert_eq!(t.set("fwd", 2).unwrap_err().to_string(), "must be 0 or 1");
        assert_eq!(t, Tunables { buf_num: 4096, ..Tunables::default() });
    }

    #[test]
    fn each_name_sets_its_own_value_and_nothing_else() {
        for setting in Tunables::default().settings() {
            let mut t = Tunables::default();
            let value = if setting.value == setting.min { setting.max } else { setting.min };
            let value = value - value % setting.step;
            t.set(setting.name, value).unwrap();
            for (before, after) in Tunables::default().settings().zip(t.settings()) {
                let expected = if after.name == setting.name { value } else { before.value };
                assert_eq!(after.value, expected, "{} after {} was set", after.name, setting.name);
                assert!(after.default.is_none_or(|default| default == before.value));
            }
        }
    }

    #[test]
    fn a_value_out_of_range_is_found_wherever_it_is() {
        let odd = Sizes { ring_size: 1000, ..Sizes::default() };
        let t = Tunables { private: odd, ..Tunables::default() };
        let (name, error) = t.invalid().unwrap();
        assert_eq!(
            (name, error.to_string().as_str()),
            ("priv_ring_size", "must be between 512 and 1048576, a multiple of 64")
        );
    }
}
