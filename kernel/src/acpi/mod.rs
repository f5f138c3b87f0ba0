//! What the firmware says about the machine: read once at boot, and kept.
//!
//! ```text
//! boot::acpi   tables, where the firmware left them ──► Description   processors, interrupt controllers, …
//! ```

use millrace_boot::acpi::{Description, Tables};
use spin::Once;

use crate::cpu;

static DESCRIPTION: Once<Description> = Once::new();

/// Keeps what the tables say. Needs the heap; the tables themselves are not read later.
pub(crate) fn init(tables: &Tables<'_>) -> &'static Description {
    DESCRIPTION.call_once(|| Description::read(tables, cpu::apic_id()))
}
