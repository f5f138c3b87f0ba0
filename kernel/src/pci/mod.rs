//! PCI configuration space, by the two ways that PCs have.
//!
//! Memory is used where ACPI describes it (it reaches all 4096 bytes of a function, in one access), the two
//! I/O ports otherwise (every PC with PCI has them). A machine may have neither.

mod ecam;
mod port_config;

use alloc::sync::Arc;
use core::fmt;

use millrace_boot::acpi::ConfigWindow;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::ConfigSpace;
use spin::Once;

use ecam::Ecam;
use port_config::PortConfig;

static SPACE: Once<Arc<dyn ConfigSpace>> = Once::new();

/// How configuration space is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Through memory, described by ACPI.
    Memory(ConfigWindow),
    /// Through the ports 0xcf8 and 0xcfc.
    Ports,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mechanism::Memory(window) => {
                write!(f, "memory at {:#x}, buses {} to {}", window.base, window.first_bus, window.last_bus)
            }
            Mechanism::Ports => f.write_str("ports 0xcf8 and 0xcfc"),
        }
    }
}

/// The configuration space of this machine and the way to it; `None` on a machine without PCI.
pub fn config_space(
    hal: &dyn Hal,
    window: Option<ConfigWindow>,
) -> Option<(Arc<dyn ConfigSpace>, Mechanism)> {
    let by_memory = || {
        let window = window?;
        let space: Arc<dyn ConfigSpace> = Arc::new(Ecam::map(hal, window)?);
        Some((space, Mechanism::Memory(window)))
    };
    let by_ports = || {
        let space: Arc<dyn ConfigSpace> = Arc::new(PortConfig::find()?);
        Some((space, Mechanism::Ports))
    };
    by_memory().or_else(by_ports).inspect(|(space, _)| {
        SPACE.call_once(|| space.clone());
    })
}

/// The configuration space of this machine, once it was looked for and if it has any.
pub(crate) fn space() -> Option<&'static dyn ConfigSpace> {
    SPACE.get().map(AsRef::as_ref)
}
