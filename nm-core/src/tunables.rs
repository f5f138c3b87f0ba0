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
mod values;
mod verbose;

pub use behaviour::{AdapterMode, Behaviour, Knobs};
pub use bounded::{Bound, bound};
pub use overrides::{DoesNotFit, Overrides};
pub use settings::{Setting, TunableError};
pub use sizes::Sizes;
pub use values::Tunables;
pub use verbose::Verbose;

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
