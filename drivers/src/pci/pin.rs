//! An interrupt pin, and the way of its interrupt to a root bus.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::{Address, ConfigSpace, Function, RootBuses, functions};

/// Pins of a slot: INTA to INTD.
pub(super) const PINS: u8 = 4;

/// An interrupt pin of a function or of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntxPin {
    /// The function.
    pub function: Address,
    /// The pin, 0 (INTA) to 3.
    pub pin: u8,
}

impl IntxPin {
    /// The pins that an interrupt passes: this one, then that of each bridge above it, up to the one on a root bus. At each
    /// bridge the pins are rotated: pin `p` of device `d` is pin `(p + d) % 4` of the bridge (PCI-to-PCI Bridge Architecture
    /// Specification, 9.1). `None` when no bridge leads to the function's bus.
    pub fn way_to_root(self, config: &dyn ConfigSpace, roots: &RootBuses) -> Option<Vec<Self>> {
        let mut way = vec![self];
        let mut at = self;
        // The buses of the bridges have descending numbers, so this ends.
        while !roots.contains(at.function.bus()) {
            let pin = (at.pin + at.function.device()) % PINS;
            at = Self { function: bridge_to(config, roots, at.function.bus())?, pin };
            way.push(at);
        }
        Some(way)
    }
}

/// The bridge whose secondary bus this is; its own bus has a lower number.
fn bridge_to(config: &dyn ConfigSpace, roots: &RootBuses, bus: u8) -> Option<Address> {
    let leads_there = |function: &Function| function.secondary_bus(config) == Some(bus);
    functions(config, roots).find(leads_there).map(|bridge| bridge.address)
}

impl fmt::Display for IntxPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INT{} of {}", char::from(b'A'.saturating_add(self.pin)), self.function)
    }
}
