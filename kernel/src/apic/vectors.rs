//! The interrupt vectors that have a fixed purpose. Those of devices are below them.

/// Another processor ends a sleep.
pub(crate) const WAKE: u8 = 0xfd;
/// The timer of the local APIC.
pub(crate) const TIMER: u8 = 0xfe;
/// An interrupt that went away while it was being delivered (Intel SDM volume 3, 11.9).
pub(crate) const SPURIOUS: u8 = 0xff;
