//! Whether a driver reads the configuration so that it cannot get half of a change (sections 2.5.1 and 2.5.4).

use super::setup::Interface;

/// Fields of the station address, which make one value.
const FIELDS: u32 = 6;

/// Reads of the station address.
#[derive(Debug, Default)]
pub(super) struct ConfigReads {
    /// The generation was looked at.
    has_looked: bool,
    /// Reads since the last look.
    unchecked: u32,
    /// Reads that no look came before.
    unprepared: u32,
    all: u32,
}

impl ConfigReads {
    /// A field is read.
    pub fn note(&mut self, field: usize) {
        if field < FIELDS as usize {
            self.all += 1;
            self.unchecked += 1;
            self.unprepared += u32::from(!self.has_looked);
        }
    }

    /// The generation is looked at.
    pub fn look(&mut self) {
        self.has_looked = true;
        self.unchecked = 0;
    }

    /// The driver goes on. Returns whether it has made sure of what it read.
    pub fn end(&mut self, interface: Interface) -> bool {
        let Self { unchecked, unprepared, all, .. } = core::mem::take(self);
        match interface {
            Interface::Modern => unchecked == 0 && unprepared == 0,
            Interface::Legacy => all == 0 || all >= 2 * FIELDS,
        }
    }
}
