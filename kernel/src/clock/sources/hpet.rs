//! The high precision event timer (IA-PC HPET Specification 1.0a, 2.3).

use millrace_boot::acpi::Description;
use millrace_boot::tsc::Timer;
use millrace_drivers::hal::Hal;
use millrace_drivers::mmio::{MmioWindow, ReadOnly, ReadWrite, Register};

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
    configuration: Register<u32, ReadWrite>,
    counter: Register<u32, ReadOnly>,
    /// The configuration as it was found.
    found: u32,
}

/// The frequency of the TSC.
pub(super) fn hertz(acpi: &Description, hal: &dyn Hal) -> Option<u64> {
    hertz_by(Hpet::find(acpi.hpet?, hal)?)
}

impl Hpet {
    fn find(address: u64, hal: &dyn Hal) -> Option<Self> {
        let window = MmioWindow::map(hal, address, BYTES).ok()?;
        let period = window.register::<u32, ReadOnly>(PERIOD).ok()?.read();
        let configuration = window.register::<u32, ReadWrite>(CONFIGURATION).ok()?;
        let counter = window.register(COUNTER).ok()?;
        let found = configuration.read();
        (1..=MAX_PERIOD_FS).contains(&period).then_some(Self { period, configuration, counter, found })
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
        self.configuration.write(self.found | ENABLE);
    }

    fn count(&mut self) -> Option<u64> {
        Some(self.counter.read().into())
    }
}

/// Leaves it as it was found: a counter that runs costs a hypervisor.
impl Drop for Hpet {
    fn drop(&mut self) {
        self.configuration.write(self.found);
    }
}
