//! The high precision event timer (IA-PC HPET Specification 1.0a, 2.3).

use alloc::sync::Arc;

use millrace_acpi::tables::Description;
use millrace_boot::tsc::Timer;
use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;

use super::measured::hertz_by;

/// Bytes of its registers.
const BYTES: usize = 1024;
/// Upper half of the capabilities: length of a tick in femtoseconds.
const PERIOD: usize = 0x004;
/// The longest tick that the specification allows, in femtoseconds.
const MAX_PERIOD_FS: u32 = 100_000_000;
/// Configuration, and in it: the counter counts.
const CONFIGURATION: usize = 0x010;
const ENABLE: u32 = 1;
/// Lower half of the counter. The upper half is not needed: at 100 MHz the lower half wraps after 42 s.
const COUNTER: usize = 0x0f0;

struct Hpet {
    period: u32,
    registers: Arc<dyn IoRegion>,
    /// The configuration as it was found.
    found: u32,
}

/// The frequency of the TSC.
pub(super) fn hertz(acpi: &Description, hal: &dyn Hal) -> Option<u64> {
    hertz_by(Hpet::find(acpi.hpet?, hal)?)
}

impl Hpet {
    fn find(address: u64, hal: &dyn Hal) -> Option<Self> {
        let registers = hal.map_mmio(address, BYTES)?;
        let (period, found) = (registers.read32(PERIOD), registers.read32(CONFIGURATION));
        (1..=MAX_PERIOD_FS).contains(&period).then_some(Self { period, registers, found })
    }
}

impl Timer for Hpet {
    fn period_fs(&self) -> u64 {
        self.period.into()
    }

    fn mask(&self) -> u64 {
        u32::MAX.into()
    }

    fn start(&mut self) {
        self.registers.write32(CONFIGURATION, self.found | ENABLE);
    }

    fn count(&mut self) -> Option<u64> {
        Some(self.registers.read32(COUNTER).into())
    }
}

/// Leaves it as it was found: a counter that runs costs a hypervisor.
impl Drop for Hpet {
    fn drop(&mut self) {
        self.registers.write32(CONFIGURATION, self.found);
    }
}
