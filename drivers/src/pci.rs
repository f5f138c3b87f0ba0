//! PCI as far as a driver needs it: finding functions, their BARs and capabilities, and the command register.
//!
//! ```text
//! ConfigSpace ──► functions() ──► Function ──┬─ bars()          where the registers are, and how long
//!  (kernel:        ascending       facts     ├─ capabilities()  what else the function describes about itself
//!   ports, ECAM)   addresses,                └─ change_command() decoding, bus mastering, interrupts
//! RootBuses ─────► from each
//!  (firmware, or   root bus
//!   scan())
//!                                          Claim: the function in a driver's hands, until it is cut off
//!                                          line_source(): its interrupt pin
//!                                          IntxPin: the way of its interrupt through bridges to a root bus
//!                                          Msix: its interrupts, each a message to a line of the machine
//! ```
//!
//! Where the firmware has configured nothing, [`assign_memory`] comes first: it gives BARs their addresses. The kernel calls it
//! on a machine whose PCI only the definition blocks describe (microvm); on all others a BAR without an address has none.
//!
//! What a function says in its configuration space is not trusted: a walk is bounded, a decode that makes no sense
//! is an error, and nothing here panics or loops whatever the registers hold.
//!
//! References are to the PCI Local Bus Specification 3.0 and the PCI-to-PCI Bridge Architecture Specification 1.2.

mod address;
mod assign;
mod bar;
mod capability;
mod claim;
mod config;
mod device;
mod enumerate;
mod function;
mod line_source;
mod msix;
mod pin;
mod roots;
mod scan;

pub use address::Address;
pub use assign::{Assigned, Window, assign_memory};
pub use bar::{Bar, BarError, Bars, MemoryRange, PortRange};
pub(crate) use capability::MSI_X_ENABLE;
pub use capability::{Capabilities, Capability, CapabilityId};
pub use claim::Claim;
pub use config::Command;
pub(crate) use device::PciDevice;
pub use enumerate::{Functions, functions};
pub use function::{Function, Header, SubsystemId};
pub use msix::Msix;
pub use pin::IntxPin;
pub use roots::RootBuses;

pub use crate::registers::ConfigSpace;
