//! What happens before the kernel: how a loader enters the image, and what it hands over.
//!
//! ```text
//! loader: QEMU, Firecracker, …           loader: GRUB, from a CD or a disk, under BIOS or UEFI
//!    │  finds the PVH note                  │  finds the Multiboot2 header
//!    │  ebx = start_info                    │  ebx = boot information, eax = magic number
//!    └──────────────────┬───────────────────┘
//!                       ▼                   both: 32-bit, paging off
//! trampoline   page tables, long mode, boot stack      compiled into the image only
//!    │  calls `kernel_entry(address, loader, tsc)`
//!    ▼
//! start_info, multiboot2 ──► BootInfo { memory map, command line, RSDP, loader }
//!    ├─ command_line   words `key=value`
//!    ├─ acpi           processors, interrupt controllers, configuration space, timers, power-off
//!    ├─ aml            what ACPI says in programs: interrupt routes, devices, power-off
//!    └─ frames         who owns which page of RAM
//! tsc                  the frequency of the time stamp counter
//! ```
//!
//! [`line_queue`] is the console's: text that waits for the serial port.
//!
//! Everything below the trampoline is plain computation: no hardware, no `unsafe`, and no heap but where
//! `acpi` says what it has found. What the loader
//! left in memory is read through [`PhysicalMemory`], so that the readers run in host tests on made-up and
//! broken input. A loader's data is not trusted to be well formed: each reader ends in a value or in an error
//! that says what is wrong, never in a panic or an endless loop.
//!
//! There are two hand-overs: direct boot (the PVH ABI of Xen: `docs/misc/pvh`,
//! `public/arch-x86/hvm/start_info.h`) and Multiboot2 (its specification, version 2.0). One image has the marks
//! of both, and none of Multiboot1, which QEMU would prefer. Each has an entry of its own in the trampoline and
//! a reader of its own, and both readers fill in the same [`BootInfo`].
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod acpi;
pub mod aml;
mod boot_info;
pub mod command_line;
pub mod frames;
#[cfg(target_os = "none")]
pub mod image;
pub mod line_queue;
pub mod little_endian;
#[cfg(target_os = "none")]
mod marks;
mod memory_map;
pub mod multiboot2;
mod physical;
#[cfg(target_os = "none")]
pub mod processor_start;
mod span;
pub mod start_info;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(target_os = "none")]
pub mod trampoline;
pub mod tsc;

pub use boot_info::{BootInfo, Loader};
pub use memory_map::{MAX_REGIONS, MapError, MemoryKind, MemoryMap};
pub use physical::PhysicalMemory;
pub use span::{Full, PAGE_BYTES, Span, SpanSet};
