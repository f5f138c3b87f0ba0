//! The table of all tunables, by netmap's names.

use core::fmt;

use super::behaviour::Value;
use super::{AdapterMode, Knobs, Tunables};

/// When a tunable can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before the memory it describes is taken.
    Start,
    /// At any time.
    Running,
}

/// One tunable: its name, its range, and where it is kept.
pub(super) struct Entry {
    pub(super) name: &'static str,
    meaning: &'static str,
    min: u32,
    max: u32,
    /// Values are multiples of it.
    step: u32,
    pub(super) when: When,
    pub(super) get: fn(&Tunables) -> u32,
    pub(super) set: fn(&mut Tunables, u32),
}

/// A row of the table: the place of the value in [`Tunables`], then its range.
macro_rules! entry {
    ($name:literal, $($field:ident).+, $min:literal..=$max:expr, $step:literal, $when:ident, $meaning:literal) => {
        Entry {
            name: $name,
            meaning: $meaning,
            min: $min,
            max: $max,
            step: $step,
            when: When::$when,
            get: |tunables| Value::number(tunables.$($field).+),
            set: |tunables, number| tunables.$($field).+ = Value::from_number(number),
        }
    };
}

pub(super) const ENTRIES: [Entry; 23] = [
    entry!("if_size", if_size, 128..=65536, 64, Start, "bytes of an interface object"),
    entry!("if_num", if_num, 1..=4096, 1, Start, "interface objects"),
    entry!("ring_size", ring_size, 512..=1 << 20, 64, Start, "bytes of a ring object"),
    entry!("ring_num", ring_num, 2..=8192, 1, Start, "ring objects"),
    entry!("buf_size", buf_size, 256..=32768, 64, Start, "bytes from one buffer to the next"),
    entry!("buf_num", buf_num, 18..=4 << 20, 1, Start, "buffers, two reserved ones included"),
    entry!("priv_if_size", private.if_size, 128..=65536, 64, Start, "if_size of private regions"),
    entry!("priv_if_num", private.if_num, 1..=4096, 1, Start, "if_num of private regions"),
    entry!("priv_ring_size", private.ring_size, 512..=1 << 20, 64, Start, "ring_size of private regions"),
    entry!("priv_ring_num", private.ring_num, 2..=8192, 1, Start, "ring_num of private regions"),
    entry!("priv_buf_size", private.buf_size, 256..=32768, 64, Start, "buf_size of private regions"),
    entry!("priv_buf_num", private.buf_num, 18..=4 << 20, 1, Start, "buf_num of private regions"),
    entry!("verbose", behaviour.verbose, 0..=u32::MAX, 1, Running, "bit mask of verbose log messages"),
    entry!("no_timestamp", behaviour.no_timestamp, 0..=1, 1, Running, "poll does not write ring time stamps"),
    entry!("mitigate", behaviour.mitigate, 0..=1, 1, Running, "interrupts are mitigated"),
    entry!(
        "no_pendintr",
        behaviour.no_pendintr,
        0..=1,
        1,
        Running,
        "rxsync checks the NIC without an interrupt"
    ),
    entry!("txsync_retry", behaviour.txsync_retry, 0..=100, 1, Running, "retries of a switch to send"),
    entry!("flags", behaviour.flags, 0..=u32::MAX, 1, Running, "bit mask for debugging"),
    entry!("fwd", behaviour.fwd, 0..=1, 1, Running, "transparent mode on every ring"),
    entry!(
        "mmap_unreg",
        behaviour.mmap_unreg,
        0..=1,
        1,
        Running,
        "memory can be mapped before a port is bound"
    ),
    entry!("admode", behaviour.admode, 0..=2, 1, Running, "adapter: 0 best, 1 native only, 2 generic only"),
    entry!(
        "generic_mit",
        behaviour.generic_mit,
        0..=1_000_000_000,
        1,
        Running,
        "generic adapter: ns between interrupts"
    ),
    entry!(
        "generic_ringsize",
        behaviour.generic_ringsize,
        2..=32768,
        1,
        Running,
        "generic adapter: slots of a ring"
    ),
];

/// The row of this name.
pub(super) fn find(name: &str) -> Result<&'static Entry, TunableError> {
    const { assert!(AdapterMode::Generic as u32 == 2, "the range of admode is that of its type") };
    ENTRIES.iter().find(|entry| entry.name == name).ok_or(TunableError::Unknown)
}

impl Entry {
    /// Whether the tunable can have this value.
    pub(super) fn check(&self, value: u32) -> Result<(), TunableError> {
        let &Self { min, max, step, .. } = self;
        let fits = (min..=max).contains(&value) && value.is_multiple_of(step);
        if fits { Ok(()) } else { Err(TunableError::Range { min, max, step }) }
    }

    pub(super) fn setting(&self, values: &Tunables) -> Setting {
        let &Self { name, meaning, min, max, step, .. } = self;
        let default = (!is_derived(name)).then(|| (self.get)(&Tunables::default()));
        Setting { name, meaning, min, max, step, value: (self.get)(values), default }
    }
}

/// Whether the default of this tunable follows the memory.
fn is_derived(name: &str) -> bool {
    matches!(name, "if_num" | "ring_num" | "buf_num")
}

/// By name.
impl Tunables {
    /// Sets the tunable `name` (without the `netmap.` in front) to `value`.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), TunableError> {
        let entry = find(name)?;
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

    /// The first value that is outside its range, by name.
    pub(crate) fn invalid(&self) -> Option<(&'static str, TunableError)> {
        let refused = |entry: &Entry| entry.check((entry.get)(self)).err();
        ENTRIES.iter().find_map(|entry| refused(entry).map(|error| (entry.name, error)))
    }
}

impl Knobs {
    /// Sets the tunable `name` (without the `netmap.` in front) to `value`.
    pub fn set(&self, name: &str, value: u32) -> Result<(), TunableError> {
        if find(name)?.when == When::Start {
            return Err(TunableError::Fixed);
        }
        let mut tunables = Tunables { behaviour: self.behaviour(), ..Tunables::default() };
        let before = tunables.behaviour;
        tunables.set(name, value)?;
        self.change(before, tunables.behaviour);
        Ok(())
    }
}

/// A tunable and what it is set to. `Display` is the line that the console prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Name, without the `netmap.` in front.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// The value.
    pub value: u32,
    /// The value when none is set; `None` if that follows the size of memory ([`Tunables::for_memory`]).
    pub default: Option<u32>,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Values are multiples of it.
    pub step: u32,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, meaning, value, default, min, max, step } = self;
        write!(f, "netmap.{name}={value}")?;
        match default {
            Some(default) => write!(f, " default={default}")?,
            None => f.write_str(" default=by_memory")?,
        }
        write!(f, " range={min}..{max}")?;
        if *step > 1 {
            write!(f, " step={step}")?;
        }
        write!(f, " ({meaning})")
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
    /// It is a size of memory that has been taken already.
    Fixed,
}

impl fmt::Display for TunableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("no such tunable; there are")?;
                Tunables::names().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Range { min: 0, max: 1, .. } => f.write_str("must be 0 or 1"),
            Self::Range { min, max, step: 1 } => write!(f, "must be between {min} and {max}"),
            Self::Range { min, max, step } => {
                write!(f, "must be between {min} and {max}, a multiple of {step}")
            }
            Self::Fixed => f.write_str("the size of a memory region cannot change while it is in use"),
        }
    }
}

impl core::error::Error for TunableError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::tunables::Behaviour;

    #[test]
    fn a_running_value_changes_alone() {
        let knobs = Knobs::default();
        assert_eq!(knobs.behaviour(), Behaviour::default());
        knobs.set("admode", 2).unwrap();
        knobs.set("mmap_unreg", 1).unwrap();
        let expected = Behaviour { admode: AdapterMode::Generic, mmap_unreg: true, ..Behaviour::default() };
        assert_eq!(knobs.behaviour(), expected);
        assert_eq!(knobs.admode().to_string(), "generic");
        knobs.set("mmap_unreg", 0).unwrap();
        assert!(!knobs.mmap_unreg());
    }

    #[test]
    fn what_cannot_change_now_is_refused() {
        let knobs = Knobs::default();
        let refused = |name, value| knobs.set(name, value).unwrap_err().to_string();
        assert_eq!(refused("buf_num", 4096), "the size of a memory region cannot change while it is in use");
        assert_eq!(refused("admode", 3), "must be between 0 and 2");
        assert_eq!(refused("generic_mit", 1_000_000_001), "must be between 0 and 1000000000");
        assert!(refused("colour", 1).starts_with("no such tunable; there are if_size"));
        assert_eq!(knobs.behaviour(), Behaviour::default());
    }

    #[test]
    fn a_setting_reads_as_one_line() {
        let mut t = Tunables::default();
        t.set("buf_size", 4096).unwrap();
        let line = |name| t.settings().find(|s| s.name == name).unwrap().to_string();
        assert_eq!(
            line("buf_size"),
            "netmap.buf_size=4096 default=2048 range=256..32768 step=64 (bytes from one buffer to the next)"
        );
        assert_eq!(
            line("buf_num"),
            "netmap.buf_num=8192 default=by_memory range=18..4194304 (buffers, two reserved ones included)"
        );
        assert_eq!(
            line("admode"),
            "netmap.admode=0 default=0 range=0..2 (adapter: 0 best, 1 native only, 2 generic only)"
        );
    }

    #[test]
    fn every_default_is_within_its_range_and_every_name_is_there_once() {
        for entry in &ENTRIES {
            assert_eq!(entry.check((entry.get)(&Tunables::default())), Ok(()), "{}", entry.name);
            assert_eq!(Tunables::names().filter(|name| *name == entry.name).count(), 1);
        }
    }
}
