//! The root buses: those that a host bridge leads to. All others are behind PCI-to-PCI bridges.

use core::fmt;

/// The root buses of segment 0. Bus 0 is always one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootBuses(BusSet);

impl RootBuses {
    /// Whether this is the number of a root bus.
    pub fn contains(&self, bus: u8) -> bool {
        self.0.contains(bus)
    }

    /// Their numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|bus| self.contains(*bus))
    }

    /// Adds the root bus with this number.
    pub(super) fn insert(&mut self, bus: u8) {
        self.0.insert(bus);
    }

    /// The same buses as a set that more are added to.
    pub(super) fn to_set(&self) -> BusSet {
        self.0.clone()
    }
}

impl Default for RootBuses {
    /// Bus 0 alone.
    fn default() -> Self {
        core::iter::empty().collect()
    }
}

impl FromIterator<u8> for RootBuses {
    fn from_iter<T: IntoIterator<Item = u8>>(buses: T) -> Self {
        let mut set = BusSet::default();
        set.insert(0);
        buses.into_iter().for_each(|bus| set.insert(bus));
        Self(set)
    }
}

impl fmt::Display for RootBuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0")?;
        self.iter().skip(1).try_for_each(|bus| write!(f, ", {bus}"))
    }
}

/// A set of bus numbers, one bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BusSet([u128; 2]);

impl BusSet {
    pub(super) fn insert(&mut self, bus: u8) {
        if let Some(word) = self.0.get_mut(usize::from(bus >> 7)) {
            *word |= 1 << (bus & 127);
        }
    }

    pub(super) fn contains(&self, bus: u8) -> bool {
        self.0.get(usize::from(bus >> 7)).is_some_and(|word| word >> (bus & 127) & 1 == 1)
    }
}
