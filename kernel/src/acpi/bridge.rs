//! The PCI host bridges that the definition blocks describe: their root buses, the interrupt routing of the slots behind them,
//! and, on a machine whose tables do not describe PCI, the address of configuration space.
//!
//! The interpreter is created on the first query and kept for the others.

use alloc::vec::Vec;

use millrace_acpi::aml::{PciRoutes, RangeKind, Resource, may_have_other_root_buses, resources};
use millrace_acpi::tables::ConfigWindow;
use millrace_drivers::pci::Window;
use spin::{Mutex, MutexGuard, Once};

use super::hardware::PciConfigHandler;

/// `None` inside when there are no definition blocks.
static ROUTES: Once<Option<Mutex<PciRoutes<PciConfigHandler>>>> = Once::new();

/// The host bridges and the interrupt routing of the definition blocks.
pub(super) fn pci_routes() -> Option<MutexGuard<'static, PciRoutes<PciConfigHandler>>> {
    let find = || super::interpreter().map(|aml| Mutex::new(PciRoutes::new(aml)));
    ROUTES.call_once(find).as_ref().map(Mutex::lock)
}

/// The root buses that the firmware lists: the first bus of each window to configuration space (PCI Firmware Specification
/// 3.3, 4.1.2), and the bus of each host bridge in the definition blocks. `None` without definition blocks. The interpreter runs
/// only if a block may have a host bridge to a bus other than 0.
pub(crate) fn root_buses() -> Option<Vec<u8>> {
    let acpi = super::ACPI.get().filter(|acpi| !acpi.blocks.is_empty())?;
    let mut buses: Vec<u8> = acpi.description.config_windows.iter().map(|window| window.first_bus).collect();
    if acpi.blocks.iter().any(|block| may_have_other_root_buses(block)) {
        buses.extend(pci_routes()?.bridges().iter().map(|bridge| bridge.bus));
    }
    Some(buses)
}

/// The configuration space behind a host bridge, and the memory that it forwards to the bus.
pub(crate) struct HostBridge {
    pub(crate) config: ConfigWindow,
    pub(crate) memory: Vec<Window>,
}

impl HostBridge {
    /// The memory that configuration space occupies: 1 MiB for each bus.
    pub(crate) fn config_memory(&self) -> Option<Window> {
        let ConfigWindow { base, first_bus, last_bus } = self.config;
        let first = base.checked_add(u64::from(first_bus) << 20)?;
        let buses = u64::from(last_bus.checked_sub(first_bus)?) + 1;
        Some(Window { first, bytes: buses << 20 })
    }
}

/// The host bridge to bus 0, if it has the address of its configuration space (`_CBA`; PCI Firmware Specification 3.3, 4.1.3).
pub(crate) fn host_bridge() -> Option<HostBridge> {
    let mut routes = pci_routes()?;
    let bridge = routes.bridge_to(0)?.path.clone();
    let aml = routes.interpreter();
    let base = aml.integer(&bridge.join(*b"_CBA")).ok().filter(|base| *base != 0)?;
    let listed = resources(&aml.bytes(&bridge.join(*b"_CRS")).ok()?);
    let ranges = |wanted| {
        listed.iter().filter_map(move |resource| match *resource {
            Resource::Range { kind, first, count } if kind == wanted => Some((first, count)),
            _ => None,
        })
    };
    let (first, count) = ranges(RangeKind::BusNumber).next().unwrap_or((0, 256));
    let first_bus = u8::try_from(first).ok()?;
    let last_bus = u8::try_from(first.saturating_add(count - 1)).unwrap_or(u8::MAX);
    let memory = ranges(RangeKind::Memory).map(|(first, bytes)| Window { first, bytes }).collect();
    Some(HostBridge { config: ConfigWindow { base, first_bus, last_bus }, memory })
}
