//! The system description tables of ACPI, as far as the kernel uses them.
//!
//! ```text
//! RSDP ─► RSDT or XSDT ─┬─► MADT ─► processors, I/O APICs, interrupt source overrides          (madt)
//!                       ├─► MCFG ─► PCI configuration space in memory                          (mcfg)
//!                       ├─► HPET ─► registers of the high precision event timer                (hpet)
//!                       ├─► DMAR, IVRS ─► registers of IOMMUs                                  (iommu)
//!                       ├─► FADT ─► registers for power-off, PM timer                          (fadt)
//!                       │    └────► DSDT ─┐
//!                       └─► SSDT ─────────┴─► definition blocks for the interpreter            (crate::aml)
//! ```
//!
//! [`Tables::find`] follows the root system description pointer (RSDP, 5.2.5) to the root table (5.2.7, 5.2.8) and borrows the
//! tables that are used. [`Description::read`] decodes them. Modules in reading order: `signature`, `table`, `register`,
//! `interrupt`, the modules of single tables as above, `find`, `description`.

mod description;
mod fadt;
mod find;
mod hpet;
mod interrupt;
mod iommu;
mod madt;
mod mcfg;
mod register;
mod signature;
mod table;
#[cfg(test)]
mod tests;

pub use description::Description;
pub use fadt::{AcpiEnable, FixedHardware, PmTimer};
pub use find::Tables;
pub use interrupt::{InterruptInput, Polarity, SourceOverride, Trigger};
pub use iommu::{Iommu, IommuVendor};
pub use madt::IoApic;
pub use mcfg::ConfigWindow;
pub use register::RegisterAddress;
