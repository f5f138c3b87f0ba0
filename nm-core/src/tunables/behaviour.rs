//! How the core behaves: plain values to start from, and the same as atomics while it runs.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::Verbose;

/// A value that is set by number.
pub(super) trait Value: Copy {
    fn from_number(number: u32) -> Self;
    fn number(self) -> u32;
}

impl Value for u32 {
    fn from_number(number: u32) -> Self {
        number
    }
    fn number(self) -> u32 {
        self
    }
}

impl Value for bool {
    fn from_number(number: u32) -> Self {
        number != 0
    }
    fn number(self) -> u32 {
        u32::from(self)
    }
}

/// Which adapter an interface gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum AdapterMode {
    /// The driver's own rings where it has them, else the generic adapter.
    #[default]
    #[doc(alias = "NETMAP_ADMODE_BEST")]
    Best = 0,
    /// The driver's own rings, or none.
    #[doc(alias = "NETMAP_ADMODE_NATIVE")]
    Native = 1,
    /// The generic adapter, even where the driver has rings.
    #[doc(alias = "NETMAP_ADMODE_GENERIC")]
    Generic = 2,
}

impl Value for AdapterMode {
    /// A number that is no mode means [`AdapterMode::Best`].
    fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Native,
            2 => Self::Generic,
            _ => Self::Best,
        }
    }
    fn number(self) -> u32 {
        self as u32
    }
}

impl Value for Verbose {
    fn from_number(number: u32) -> Self {
        Self::from_bits_retain(number)
    }
    fn number(self) -> u32 {
        self.bits()
    }
}

impl fmt::Display for AdapterMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Best => "best",
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// Defines the values once, as a struct of them and as a struct of atomics.
macro_rules! behaviour {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)+) => {
        /// How the core behaves, by netmap's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Behaviour {
            $($(#[$doc])* pub $name: $type,)+
        }

        impl Default for Behaviour {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// The [`Behaviour`] of a netmap that runs. A value may be changed at any time; each is read on its own and
        /// nothing else is ordered by it, so the accesses are relaxed.
        #[derive(Debug)]
        pub struct Knobs {
            /// Whether a sync has to look at the values: 0 when none of them asks it for something.
            has_wishes: AtomicU32,
            $($name: AtomicU32,)+
        }

        impl Knobs {
            /// Starts from these values.
            pub fn new(start: Behaviour) -> Self {
                let has_wishes = AtomicU32::new(start.has_wishes().into());
                Self { has_wishes, $($name: AtomicU32::new(start.$name.number()),)+ }
            }

            /// Whether a sync has to look at the values: it is to log, to forward, or to wait for interrupts.
            #[inline]
            pub(crate) fn has_wishes(&self) -> bool {
                self.has_wishes.load(Relaxed) != 0
            }

            $(
                $(#[$doc])*
                #[inline]
                pub fn $name(&self) -> $type {
                    Value::from_number(self.$name.load(Relaxed))
                }
            )+

            /// All values now.
            pub fn behaviour(&self) -> Behaviour {
                Behaviour { $($name: self.$name(),)+ }
            }

            /// Stores the values in which `to` differs from `from`.
            pub(super) fn change(&self, from: Behaviour, to: Behaviour) {
                $(if from.$name != to.$name {
                    self.$name.store(to.$name.number(), Relaxed);
                })+
                self.has_wishes.store(self.behaviour().has_wishes().into(), Relaxed);
            }
        }
    };
}

behaviour! {
    /// What is logged in detail.
    verbose: Verbose = Verbose::empty();
    /// Whether poll leaves the time stamp of receive rings alone (unless a ring asks for it).
    no_timestamp: bool = false;
    /// Whether interrupts are mitigated.
    mitigate: bool = true;
    /// Whether rxsync looks at the card even if no interrupt has announced a frame.
    no_pendintr: bool = true;
    /// How often a switch tries again to send what a full ring did not take.
    txsync_retry: u32 = 2;
    /// Bit mask for debugging.
    flags: u32 = 0;
    /// Whether every ring is in transparent mode, as if it had asked for it.
    fwd: bool = false;
    /// Whether memory can be mapped before a port is bound.
    mmap_unreg: bool = false;
    /// Which adapter an interface gets.
    admode: AdapterMode = AdapterMode::Best;
    /// Shortest time between two interrupts of a generic adapter, in nanoseconds; 0 for no limit.
    generic_mit: u32 = 100_000;
    /// Slots of a generic adapter's rings.
    generic_ringsize: u32 = 1024;
}

impl Behaviour {
    /// Whether a sync is to do anything but move frames.
    fn has_wishes(&self) -> bool {
        !self.verbose.is_empty() || self.fwd || !self.no_pendintr
    }
}

impl Default for Knobs {
    fn default() -> Self {
        Self::new(Behaviour::default())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_number_that_is_no_mode_is_best() {
        for (number, mode) in [(0, "best"), (1, "native"), (2, "generic"), (3, "best"), (u32::MAX, "best")] {
            assert_eq!(AdapterMode::from_number(number).to_string(), mode);
        }
    }
}
