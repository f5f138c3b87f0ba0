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
//!    └─ frames         which pages of RAM are free
//! tsc                  the frequency of the time stamp counter
//! ```
//!
//! [`line_queue`] is the console's: text that waits for the serial port.
//!
//! Everything below the trampoline is plain computation: no hardware, no heap, no `unsafe`. The readers access the loader's
//! data through [`PhysicalMemory`], so that host tests can run them on made-up and malformed input. The loader's data is not
//! trusted to be well formed: each reader returns a value or an error that says what is wrong, and never panics or loops
//! without end.
//!
//! The RSDP leads to the tables of ACPI; the crate `millrace-acpi` reads them.
//!
//! There are two hand-overs: direct boot (the PVH ABI of Xen: `docs/misc/pvh`,
//! `public/arch-x86/hvm/start_info.h`) and Multiboot2 (its specification, version 2.0). One image has the marks
//! of both, and none of Multiboot1, which QEMU would prefer. Each has an entry of its own in the trampoline and
//! a reader of its own, and both readers fill in the same [`BootInfo`].
#![no_std]

#[cfg(any(test, feature = "testing"))]
extern crate std;

mod addr_range;
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
pub mod start_info;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(target_os = "none")]
pub mod trampoline;
pub mod tsc;

pub use addr_range::{AddrRange, Full, PAGE_BYTES, RangeSet};
pub use boot_info::{BootInfo, Loader};
pub use memory_map::{MAX_REGIONS, MapError, MemoryKind, MemoryMap};
pub use physical::PhysicalMemory;
