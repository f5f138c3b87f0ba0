//! Signatures of the tables (5.2.6, tables 5.5 and 5.6).

/// Root system description pointer (5.2.5.3); it has no table header.
pub(super) const RSDP: [u8; 8] = *b"RSD PTR ";
/// Root system description table, with 32-bit addresses (5.2.7).
pub(super) const RSDT: [u8; 4] = *b"RSDT";
/// Extended system description table, with 64-bit addresses (5.2.8).
pub(super) const XSDT: [u8; 4] = *b"XSDT";
/// Fixed ACPI description table (5.2.9).
pub(super) const FADT: [u8; 4] = *b"FACP";
/// Differentiated system description table: the first definition block (5.2.11.1).
pub(super) const DSDT: [u8; 4] = *b"DSDT";
/// Secondary system description table: a further definition block (5.2.11.2).
pub(super) const SSDT: [u8; 4] = *b"SSDT";
/// Multiple APIC description table (5.2.12).
pub(super) const MADT: [u8; 4] = *b"APIC";
/// PCI Express memory mapped configuration space (PCI Firmware Specification 3.3, 4.1.2).
pub(super) const MCFG: [u8; 4] = *b"MCFG";
/// High precision event timer (IA-PC HPET Specification 1.0a, 3.2.4).
pub(super) const HPET: [u8; 4] = *b"HPET";
/// DMA remapping: Intel's IOMMUs (Intel Virtualization Technology for Directed I/O 4.1, 8.1).
pub(super) const DMAR: [u8; 4] = *b"DMAR";
/// I/O virtualization reporting: AMD's IOMMUs (AMD I/O Virtualization Technology 3.08, 5.2.1).
pub(super) const IVRS: [u8; 4] = *b"IVRS";
