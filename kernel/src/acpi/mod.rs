//! What the firmware says about the machine: the tables of ACPI, read once at boot, and AML, interpreted on demand.
//!
//! ```text
//! millrace_acpi::tables   the tables in memory ──► Description    processors, interrupt controllers, …
//! millrace_acpi::aml      definition blocks ──► interpreter ──► bridge    root buses, if there may be more than bus 0; PCI
//!                                                                         configuration space, if the tables do not give it
//!                                                           ──► routes    interrupt routing of PCI slots (NICs without MSI-X)
//!                                                           ──► devices   virtio-mmio devices
//!                                                           ──► power     power-off
//! ```

mod bridge;
mod devices;
mod hardware;
mod pci;
mod power;
mod routes;

use alloc::sync::Arc;
use alloc::vec::Vec;

use millrace_acpi::aml::Interpreter;
use millrace_acpi::tables::{Description, Tables};
use millrace_drivers::hal::Hal;
use spin::Once;

use crate::cpu;
use hardware::PciConfigHandler;

pub use devices::{MmioPlace, mmio_devices};

pub(crate) use bridge::{HostBridge, host_bridge, root_buses};
pub(crate) use pci::{set_config_space, set_root_buses};
pub(crate) use power::power_off;
pub(crate) use routes::input;

static ACPI: Once<Acpi> = Once::new();

struct Acpi {
    description: Description,
    /// Access to registers that the tables describe.
    hal: Arc<dyn Hal>,
    /// The code of the definition blocks.
    blocks: Vec<Vec<u8>>,
}

/// Keeps what the tables say. Needs the heap; the tables themselves are not read later. `hal` gives access to the registers
/// that the tables describe, and is used after memory is ready.
pub(crate) fn init(tables: &Tables<'_>, hal: &Arc<dyn Hal>) -> &'static Description {
    let read = || Acpi {
        hal: hal.clone(),
        description: Description::read(tables, cpu::apic_id()),
        blocks: tables.definition_blocks().map(<[u8]>::to_vec).collect(),
    };
    &ACPI.call_once(read).description
}

/// What the tables say.
pub(crate) fn description() -> Option<&'static Description> {
    ACPI.get().map(|acpi| &acpi.description)
}

/// A new interpreter with all definition blocks loaded; `None` when there are none.
fn interpreter() -> Option<Interpreter<PciConfigHandler>> {
    let blocks = &ACPI.get()?.blocks;
    (!blocks.is_empty()).then(|| Interpreter::new(PciConfigHandler, blocks.iter().cloned()))
}
