//! The marks by which loaders know the image: a note in its program headers, and a header near its start.
//!
//! - **PVH**: an ELF note of Xen's with the 32-bit entry, for virtual machine monitors that boot an ELF directly.
//! - **Multiboot2**: a header in the first 32 KiB of the file, at a multiple of 8 bytes (`link.ld` puts it first).
//!   It asks for the tags that [`multiboot2`](crate::multiboot2) reads, those of ACPI where there are any, and
//!   names an entry of its own. It asks for nothing else: no address tag, since the program headers say where the
//!   image lies; no framebuffer; not to be moved; not to be left with UEFI's boot services running.
//!
//! There is no Multiboot1 header: QEMU would take it for direct boot, and refuse a 64-bit ELF with it.
#![expect(unsafe_code, reason = "assembly outside of functions")]

use core::arch::global_asm;

use crate::multiboot2::{TAG_ACPI_NEW, TAG_ACPI_OLD, TAG_COMMAND_LINE, TAG_MEMORY_MAP};

/// What a Multiboot2 header begins with.
const HEADER_MAGIC: u32 = 0xe852_50d6;
/// Entry in 32-bit protected mode of an x86.
const ARCHITECTURE: u32 = 0;

/// XEN_ELFNOTE_PHYS32_ENTRY.
const NOTE_ENTRY: u32 = 18;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, {NOTE_ENTRY}
    .asciz "Xen"
    .quad pvh_entry
    "#,
    NOTE_ENTRY = const NOTE_ENTRY,
);

// Each tag: type, flags (1: a loader that does not know it may go on), length, content, at multiples of 8 bytes.
global_asm!(
    r#"
    .section .multiboot2, "a"
    .balign 8
multiboot2_header:
    .long {MAGIC}, {ARCHITECTURE}, multiboot2_end - multiboot2_header
    .long 0x100000000 - ({MAGIC} + {ARCHITECTURE} + (multiboot2_end - multiboot2_header))

    .short 1, 0
    .long 16, {COMMAND_LINE}, {MEMORY_MAP}

    .short 1, 1
    .long 16, {ACPI_OLD}, {ACPI_NEW}

    .short 3, 0
    .long 12, multiboot2_entry
    .balign 8

    .short 0, 0
    .long 8
multiboot2_end:
    .text
    "#,
    MAGIC = const HEADER_MAGIC,
    ARCHITECTURE = const ARCHITECTURE,
    COMMAND_LINE = const TAG_COMMAND_LINE,
    MEMORY_MAP = const TAG_MEMORY_MAP,
    ACPI_OLD = const TAG_ACPI_OLD,
    ACPI_NEW = const TAG_ACPI_NEW,
);
