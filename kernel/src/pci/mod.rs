//! PCI configuration space, by the two ways that PCs have.
//!
//! Memory is used where ACPI's table describes it (it reaches all 4096 bytes of a function, in one access), the two
//! I/O ports otherwise (every PC with PCI has them). A machine without either (microvm) may have a host bridge that only
//! the definition blocks describe. Its firmware has configured nothing: the BARs get their addresses here, in the windows
//! of that bridge and beside what is known to be elsewhere. On all other machines the firmware does that, and a BAR that it
//! has left without an address has none. A machine may have no PCI at all; without ACPI, microvm counts as one.

mod ecam;
mod port_config;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use millrace_boot::Span;
use millrace_boot::acpi::ConfigWindow;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{ConfigSpace, Window, assign_memory};
use spin::Once;

use crate::acpi::{self, HostBridge};
use ecam::Ecam;
use port_config::PortConfig;

static SPACE: Once<Arc<dyn ConfigSpace>> = Once::new();

/// How configuration space is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Through memory, described by ACPI.
    Memory(ConfigWindow),
    /// The same, by its definition blocks.
    Bridge(ConfigWindow),
    /// Through the ports 0xcf8 and 0xcfc.
    Ports,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mechanism::Memory(window) | Mechanism::Bridge(window) => {
                write!(f, "memory at {:#x}, buses {} to {}", window.base, window.first_bus, window.last_bus)
            }
            Mechanism::Ports => f.write_str("ports 0xcf8 and 0xcfc"),
        }
    }
}

/// The configuration space of this machine, in which `ram` is, and the way to it; `None` on a machine without PCI.
pub fn config_space(
    hal: &dyn Hal,
    window: Option<ConfigWindow>,
    ram: &[Span],
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
    let by_bridge = || {
        let bridge = acpi::host_bridge()?;
        let space: Arc<dyn ConfigSpace> = Arc::new(Ecam::map(hal, bridge.config)?);
        configure(space.as_ref(), &bridge, ram);
        Some((space, Mechanism::Bridge(bridge.config)))
    };
    by_memory().or_else(by_ports).or_else(by_bridge).inspect(|(space, _)| {
        SPACE.call_once(|| space.clone());
    })
}

/// Where the interrupt controllers of a PC are, and where messages of interrupts go: no memory, whatever a bridge says.
const INTERRUPT_CONTROLLERS: Window = Window { first: 0xfec0_0000, bytes: 0x40_0000 };

/// Gives BARs their addresses, on a machine whose firmware has not: not where RAM is, configuration space, a virtio-mmio
/// device or an interrupt controller. Other devices that a window of the bridge may cover are not known here.
fn configure(space: &dyn ConfigSpace, bridge: &HostBridge, ram: &[Span]) {
    let taken: Vec<_> = ram
        .iter()
        .map(|span| Window { first: span.start(), bytes: span.bytes() })
        .chain(bridge.config_memory())
        .chain(acpi::mmio_devices().iter().map(|place| Window { first: place.address, bytes: place.bytes }))
        .chain([INTERRUPT_CONTROLLERS])
        .collect();
    let assigned = assign_memory(space, &bridge.memory, &taken);
    log::info!(target: "pci", "{} BARs were assigned an address, {} did not fit", assigned.given, assigned.left);
}

/// The configuration space of this machine, once it was looked for and if it has any.
pub(crate) fn space() -> Option<&'static dyn ConfigSpace> {
    SPACE.get().map(AsRef::as_ref)
}
