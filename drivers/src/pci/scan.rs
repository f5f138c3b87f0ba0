//! Finding the root buses among all others.

use super::roots::BusSet;
use super::{ConfigSpace, Function, RootBuses, functions};

impl RootBuses {
    /// Finds the root buses of a machine whose firmware does not list them.
    ///
    /// With fewer than two host bridges (class 06, subclass 00) among the functions of bus 0 and those behind its bridges, bus 0 is the
    /// only one. Else each bus is searched, for at most 65536 functions: one that has functions and that no bridge leads to is
    /// a root bus.
    pub fn scan(config: &dyn ConfigSpace) -> Self {
        let bus_0 = Self::default();
        let is_host_bridge = |function: &Function| (function.class, function.subclass) == (6, 0);
        if functions(config, &bus_0).filter(is_host_bridge).nth(1).is_none() {
            return bus_0;
        }
        let mut roots = bus_0;
        let mut behind_bridges = BusSet::default();
        // A bridge's bus has a lower number than the bus behind it, so the bridge is found first.
        for function in functions(config, &(0..=u8::MAX).collect()) {
            if !behind_bridges.contains(function.address.bus()) {
                roots.insert(function.address.bus());
            }
            if let Some(secondary) = function.secondary_bus(config) {
                behind_bridges.insert(secondary);
            }
        }
        roots
    }
}
