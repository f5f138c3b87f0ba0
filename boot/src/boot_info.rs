//! What the kernel learns from its loader, whichever loader it was.

use core::fmt;

use crate::{AddrRange, MemoryMap};

/// Who started the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// A virtual machine monitor by direct boot, with Xen's `hvm_start_info`.
    Pvh,
    /// GRUB, or another that follows the Multiboot2 specification, from a medium.
    Multiboot2,
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loader::Pvh => f.write_str("direct boot (PVH)"),
            Loader::Multiboot2 => f.write_str("Multiboot2"),
        }
    }
}

/// Everything a loader hands over. Text is borrowed from physical memory; the rest is copied out of it.
#[derive(Debug)]
pub struct BootInfo<'m> {
    /// Who started the image.
    pub loader: Loader,
    /// Where there is RAM.
    pub memory: MemoryMap,
    /// The command line as the loader left it, without its end mark; empty when there is none.
    pub command_line: &'m [u8],
    /// Physical address of ACPI's root pointer, when the loader knows it.
    pub rsdp: Option<u64>,
    /// What the loader's data occupies in memory: not to be handed out while any of it is still read.
    pub occupied: [Option<AddrRange>; 3],
}
