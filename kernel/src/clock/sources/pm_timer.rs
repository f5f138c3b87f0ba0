//! The ACPI PM timer.

use alloc::sync::Arc;

use millrace_acpi::tables::Description;
use millrace_boot::tsc::Timer;
use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;

use super::measured::hertz_by;
use crate::registers;

/// Length of a tick in femtoseconds, at 3.579545 MHz (ACPI 6.5, 4.8.3.3).
const PERIOD_FS: u64 = 1_000_000_000_000_000 / 3_579_545;

struct PmTimer {
    register: Arc<dyn IoRegion>,
    mask: u32,
}

/// The frequency of the TSC.
pub(super) fn hertz(acpi: &Description, hal: &dyn Hal) -> Option<u64> {
    let timer = acpi.pm_timer?;
    hertz_by(PmTimer { register: registers::open(hal, timer.register, 4)?, mask: timer.mask })
}

impl Timer for PmTimer {
    fn period_fs(&self) -> u64 {
        PERIOD_FS
    }

    fn mask(&self) -> u64 {
        self.mask.into()
    }

    fn count(&mut self) -> Option<u64> {
        Some(u64::from(self.register.read32(0) & self.mask))
    }
}
