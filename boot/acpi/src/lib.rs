//! What ACPI says about the machine: [`tables`] that the firmware leaves in memory, and [`aml`], the interpreter for the
//! definition blocks among them. Section numbers are of the ACPI Specification 6.5 unless another document is named.
//!
//! ```text
//! tables   RSDP → RSDT or XSDT → MADT, MCFG, HPET, FADT, DMAR, IVRS → Description; DSDT, SSDT → definition blocks
//!    │
//! aml      definition blocks → namespace → control methods, host bridges, interrupt routing, resources
//! ```
//!
//! # Input and trust
//!
//! Everything here is plain computation on bytes: no hardware access, no `unsafe`, and the heap only for results. Tables are
//! read through [`PhysicalMemory`](millrace_boot::PhysicalMemory), which refuses addresses that are not readable memory. AML
//! reaches operation regions through [`aml::RegionHandler`], which the kernel implements and which may refuse any access. So all
//! of it is tested on the host, against the tables of real machines and against damaged ones.
//!
//! The firmware is trusted to be truthful, not to be well formed. What a table says about the machine (the address of an I/O
//! APIC, the number of a root bus) cannot be verified here and is passed on. Malformed input never causes a panic, an endless
//! loop or unbounded memory use:
//!
//! - Every length and count is checked against the bytes that are there. A table with a wrong length or checksum is ignored;
//!   each table that is absent has a documented fallback ([`tables::Description`]).
//! - Lists are read up to a fixed number of entries, tables up to a fixed size.
//! - An [`aml::Interpreter`] has limits for its whole life: terms executed, nesting, path length and bytes
//!   ([`aml::MAX_STEPS`] and the constants beside it). Reaching one is an [`aml::AmlError`].
//!
//! # Why not the crate `acpi`
//!
//! The crate `acpi` (6.1.1) reads tables through raw pointers, with the lengths that the tables give. A MADT entry of length
//! 0 makes it loop forever, a root table shorter than its header makes it read out of bounds, and a physical address that is
//! not mapped cannot be refused. It also needs a nightly compiler, while this crate is tested on stable.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address_space;
pub mod aml;
pub mod tables;
