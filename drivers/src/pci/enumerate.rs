//! Finding the functions: on each root bus, and on every bus behind a bridge.

use super::config::register;
use super::roots::BusSet;
use super::{Address, ConfigSpace, Function, Header, RootBuses};

/// The functions on the root buses and behind PCI-to-PCI bridges, by ascending address, each once.
///
/// A bridge's secondary bus is followed only when its number is above the bridge's own, as a configured hierarchy
/// has it. So the walk only goes upward: it ends after at most 65536 addresses, whatever bridges claim.
pub fn functions<'a>(config: &'a dyn ConfigSpace, roots: &RootBuses) -> Functions<'a> {
    Functions { config, reachable: roots.to_set(), next: Some(0) }
}

/// The iterator that [`functions`] returns.
pub struct Functions<'a> {
    config: &'a dyn ConfigSpace,
    reachable: BusSet,
    /// [`Address::routing_id`] of the next address to look at; `None` after the last.
    next: Option<u16>,
}

impl Iterator for Functions<'_> {
    type Item = Function;

    fn next(&mut self) -> Option<Function> {
        while let Some(id) = self.next {
            let [bus, low] = id.to_be_bytes();
            if !self.reachable.contains(bus) {
                self.next = id.checked_add(1 << 8);
                continue;
            }
            let address = Address::new(bus, low >> 3, low & 7)?;
            let function = Function::read(self.config, address);
            self.next = id.checked_add(self.step_after(address, function.as_ref()));
            if let Some(function) = function {
                if let Some(secondary) = function.secondary_bus(self.config) {
                    self.reachable.insert(secondary);
                }
                return Some(function);
            }
        }
        None
    }
}

impl Functions<'_> {
    /// How far on the next address is: a device without function 0 does not exist, and one that does not say that it
    /// has several functions has only that one (section 3.2.2.3.4).
    fn step_after(&self, address: Address, function: Option<&Function>) -> u16 {
        let is_alone = address.function() == 0 && !function.is_some_and(|f| f.is_multifunction);
        if is_alone { u16::from(Address::FUNCTIONS) } else { 1 }
    }
}

impl Function {
    /// The bus behind a PCI-to-PCI bridge, if it is configured: its number is above that of the bridge's own bus.
    pub fn secondary_bus(&self, config: &dyn ConfigSpace) -> Option<u8> {
        if self.header != Header::Bridge {
            return None;
        }
        let numbers = config.read32(self.address, register::BUS_NUMBERS);
        let [_primary, secondary, _subordinate, _latency] = numbers.to_le_bytes();
        (secondary > self.address.bus()).then_some(secondary)
    }
}

impl core::fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Functions").field("next", &self.next).finish_non_exhaustive()
    }
}
