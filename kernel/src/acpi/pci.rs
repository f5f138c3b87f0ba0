//! PCI configuration space and root buses for the definition blocks and for interrupt routing. The kernel's `pci` finds them,
//! with the help of ACPI, and sets them here.

use alloc::sync::Arc;
use alloc::vec::Vec;

use millrace_drivers::pci::{ConfigSpace, IntxPin, RootBuses};
use spin::Once;

static CONFIG_SPACE: Once<Arc<dyn ConfigSpace>> = Once::new();
static ROOT_BUSES: Once<RootBuses> = Once::new();

/// Lets definition blocks access this configuration space.
pub(crate) fn set_config_space(config: Arc<dyn ConfigSpace>) {
    CONFIG_SPACE.call_once(|| config);
}

/// Lets routes of interrupt pins end at these root buses.
pub(crate) fn set_root_buses(roots: RootBuses) {
    ROOT_BUSES.call_once(|| roots);
}

/// The configuration space, once it is known.
pub(super) fn config_space() -> Option<&'static dyn ConfigSpace> {
    CONFIG_SPACE.get().map(AsRef::as_ref)
}

/// The pins that an interrupt passes on its way to a root bus ([`IntxPin::way_to_root`]).
pub(super) fn way_to_root(pin: IntxPin) -> Option<Vec<IntxPin>> {
    pin.way_to_root(config_space()?, ROOT_BUSES.get()?)
}
