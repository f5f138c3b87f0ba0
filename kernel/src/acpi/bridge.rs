//! The PCI host bridge as the definition blocks have it, for a machine whose tables say nothing of PCI.

use alloc::vec::Vec;

use millrace_boot::acpi::ConfigWindow;
use millrace_boot::aml::{Resource, ResourceKind, resources, root_bridge};
use millrace_drivers::pci::Window;

/// Where configuration space is, and which addresses of memory go through to the bus.
pub(crate) struct HostBridge {
    pub(crate) config: ConfigWindow,
    pub(crate) memory: Vec<Window>,
}

impl HostBridge {
    /// What configuration space occupies: 1 MiB a bus.
    pub(crate) fn config_memory(&self) -> Option<Window> {
        let ConfigWindow { base, first_bus, last_bus } = self.config;
        let first = base.checked_add(u64::from(first_bus) << 20)?;
        let buses = u64::from(last_bus.checked_sub(first_bus)?) + 1;
        Some(Window { first, bytes: buses << 20 })
    }
}

/// The host bridge to bus 0, if it says where its configuration space is (PCI Firmware Specification 3.3, 4.1.3: `_CBA`).
pub(crate) fn host_bridge() -> Option<HostBridge> {
    let mut aml = super::interpreter()?;
    let bridge = root_bridge(&mut aml)?;
    let base = aml.integer(&bridge.join(*b"_CBA")).ok().filter(|base| *base != 0)?;
    let listed = resources(&aml.bytes(&bridge.join(*b"_CRS")).ok()?);
    let ranges = |wanted| {
        listed.iter().filter_map(move |resource| match *resource {
            Resource::Range { kind, first, count } if kind == wanted => Some((first, count)),
            _ => None,
        })
    };
    let (first, count) = ranges(ResourceKind::Buses).next().unwrap_or((0, 256));
    let first_bus = u8::try_from(first).ok()?;
    let last_bus = u8::try_from(first.saturating_add(count - 1)).unwrap_or(u8::MAX);
    let memory = ranges(ResourceKind::Memory).map(|(first, bytes)| Window { first, bytes }).collect();
    Some(HostBridge { config: ConfigWindow { base, first_bus, last_bus }, memory })
}
