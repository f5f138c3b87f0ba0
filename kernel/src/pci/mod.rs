//! PCI configuration space, by the two ways that PCs have.
//!
//! Memory is used where ACPI's table describes it (it reaches all 4096 bytes of a function, in one access), the two
//! I/O ports otherwise (every PC with PCI has them). The root buses are those that ACPI lists; without ACPI's definition
//! blocks they are looked for. A machine without either (microvm) may have a host bridge that only
//! the definition blocks describe. Its firmware has configured nothing: the BARs get their addresses here, in the windows
//! of that bridge and beside what is known to be elsewhere. On all other machines the firmware does that, and a BAR that it
//! has left without an address has none. A machine may have no PCI at all; without ACPI, microvm counts as one.

mod ecam;
mod port_config;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use millrace_acpi::tables::ConfigWindow;
use millrace_boot::AddrRange;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{ConfigSpace, RootBuses, Window, assign_memory};

use crate::acpi::{self, HostBridge};
use ecam::Windows;
use port_config::PortConfig;

/// PCI as this machine has it.
#[derive(Clone)]
pub struct Pci {
    /// The way to the configuration registers.
    pub config: Arc<dyn ConfigSpace>,
    /// The buses on which the functions are looked for first.
    pub roots: RootBuses,
}

/// How configuration space is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Through memory, described by ACPI's table.
    Memory(Vec<ConfigWindow>),
    /// The same, described by ACPI's definition blocks.
    Bridge(ConfigWindow),
    /// Through the ports 0xcf8 and 0xcfc.
    Ports,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows = match self {
            Mechanism::Memory(windows) => windows,
            Mechanism::Bridge(window) => core::slice::from_ref(window),
            Mechanism::Ports => return f.write_str("ports 0xcf8 and 0xcfc"),
        };
        for (number, window) in windows.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            let ConfigWindow { base, first_bus, last_bus } = window;
            write!(f, "{separator}memory at {base:#x}, buses {first_bus} to {last_bus}")?;
        }
        Ok(())
    }
}

/// PCI on this machine, which has `ram` and whose table describes these windows to configuration space; and how that is
/// reached. `None` on a machine without PCI.
pub fn find(hal: &dyn Hal, windows: &[ConfigWindow], ram: &[AddrRange]) -> Option<(Pci, Mechanism)> {
    let (config, mechanism) = config_space(hal, windows, ram)?;
    // Definition blocks may need configuration space before they say which root buses there are.
    acpi::set_config_space(config.clone());
    let listed = acpi::root_buses().map(RootBuses::from_iter);
    let roots = listed.unwrap_or_else(|| RootBuses::scan(config.as_ref()));
    acpi::set_root_buses(roots.clone());
    Some((Pci { config, roots }, mechanism))
}

fn config_space(
    hal: &dyn Hal,
    windows: &[ConfigWindow],
    ram: &[AddrRange],
) -> Option<(Arc<dyn ConfigSpace>, Mechanism)> {
    let by_memory = || {
        let windows = Windows::map(hal, windows)?;
        let mechanism = Mechanism::Memory(windows.mapped().collect());
        let space: Arc<dyn ConfigSpace> = Arc::new(windows);
        Some((space, mechanism))
    };
    let by_ports = || {
        let space: Arc<dyn ConfigSpace> = Arc::new(PortConfig::find()?);
        Some((space, Mechanism::Ports))
    };
    let by_bridge = || {
        let bridge = acpi::host_bridge()?;
        let space: Arc<dyn ConfigSpace> = Arc::new(Windows::map(hal, &[bridge.config])?);
        configure(space.as_ref(), &bridge, ram);
        Some((space, Mechanism::Bridge(bridge.config)))
    };
    by_memory().or_else(by_ports).or_else(by_bridge)
}

/// Where the interrupt controllers of a PC are, and where messages of interrupts go: no memory, whatever a bridge says.
const INTERRUPT_CONTROLLERS: Window = Window { first: 0xfec0_0000, bytes: 0x40_0000 };

/// Gives BARs their addresses, on a machine whose firmware has not: not where RAM is, configuration space, a virtio-mmio
/// device or an interrupt controller. Other devices that a window of the bridge may cover are not known here.
fn configure(space: &dyn ConfigSpace, bridge: &HostBridge, ram: &[AddrRange]) {
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
