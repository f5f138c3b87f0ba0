//! The Millrace unikernel: the machine, made ready for an application that shares its address space.
//!
//! The trampoline (`millrace-boot`) calls [`start`], which sets the parts up and calls the binary's `main(Machine)`. The parts
//! in the order of their dependencies: each uses only those above it, and a test keeps it so (`tests/tests/modules.rs`).
//!
//! ```text
//! ports, registers    I/O ports; registers that the firmware's tables describe
//! cpu                 CPUID, GDT, TSS, stacks with guard pages
//! memory              frames, heap, page tables with permissions, mappings of device registers
//! clock, time_limit   TSC, calibrated; time since the image was entered; limits that hold without a clock
//! apic                local APIC: enabling it, and messages between processors
//! processors          state, job and sleep of each processor; halting the others at the end
//! acpi, pci           what the firmware says about the machine; configuration space, root buses
//! interrupts          I/O APIC, a line for each queue of a NIC or for NICs to share, a timer; sleeping until an interrupt
//! hardware            the machine as drivers and core see it: `Hal`, `Platform`
//! console, logger     COM1: log lines out, as far as it accepts them, and keys in
//! exit                the last line, and how the virtual machine learns of the end
//! traps, panic        entry of exceptions and interrupts, one dump for every exception; Rust panics
//! smp                 starting the other processors; what they run
//! faults              faults on purpose, in test images
//! start               from the trampoline to the application
//! ```
//!
//! The processor that boots runs an application's first worker from boot to exit, on the boot stack; each further worker has
//! a processor of its own. Interrupts are taken only if the application waits for them; a handler only sets a pending word.
//! An exception is always a fault of the kernel, and ends the machine with a dump. What happens for each packet is in
//! `nm-core` and the drivers; nothing here runs per packet.
//!
//! What has an algorithm is not in this crate but in one that is tested on the host (`millrace-boot` for the memory map, frames,
//! command line and the console's queue, `millrace-acpi`, `millrace-drivers`, `nm-core`). What is left touches the machine.
//! `unsafe` is confined to the files that open with the reason for it.
#![no_std]

extern crate alloc;

pub mod acpi;
mod apic;
pub mod clock;
pub mod console;
pub mod cpu;
pub mod exit;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod hardware;
pub mod interrupts;
pub mod logger;
pub mod memory;
mod panic;
pub mod pci;
mod ports;
pub mod processors;
mod registers;
pub mod smp;
pub mod start;
mod time_limit;
mod traps;

pub use exit::{ExitCode, exit};
pub use start::Machine;
