//! Whether a driver reads the configuration so that it cannot get half of a change (section 2.5.1).

/// Reads of the station address, six fields that make one.
#[derive(Debug, Default)]
pub(super) struct ConfigReads {
    /// The generation was looked at.
    has_looked: bool,
    /// Reads since the last look.
    unchecked: u32,
    /// Reads that no look came before.
    unprepared: u32,
}

impl ConfigReads {
    /// A field is read.
    pub fn note(&mut self, field: usize) {
        if field < 6 {
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
    pub fn end(&mut self) -> bool {
        let Self { unchecked, unprepared, .. } = core::mem::take(self);
        unchecked == 0 && unprepared == 0
    }
}
