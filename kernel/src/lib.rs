//! The Millrace unikernel: the machine, made ready for an application that shares its address space.
//!
//! ```text
//! trampoline (millrace-boot) ──► start ──► the binary's main(Machine)
//!                                  │
//!   console, logger   COM1: log lines out, as far as it accepts them, and keys in
//!   clock             TSC, calibrated; time since the image was entered
//!   processors        the further ones: started, given jobs, woken, halted
//!   cpu               GDT, TSS, stacks with guard pages, one dump for every exception
//!   memory            frames, heap, page tables with permissions, device registers, `Hal`
//!   acpi              what the firmware says about the machine
//!   pci               configuration space by ports or by memory, and the root buses
//!   interrupts        local and I/O APIC, a line for each queue of a card or for cards to share, a timer; sleeping
//!                     until one of them
//!   exit              the last line, and how the virtual machine learns of the end
//! ```
//!
//! The processor that boots runs an application's first worker from boot to exit, on the boot stack; each further worker has
//! a processor of its own. Interrupts are taken only if the application waits for them; a handler sets a word and is done. An exception is always a fault of the
//! kernel, and ends the machine with a dump. What happens for each packet is in `nm-core` and the drivers;
//! nothing here runs per packet.
//!
//! What has an algorithm is not in this crate but in one that is tested on the host (`millrace-boot` for the
//! memory map, frames, command line and the console's queue, `millrace-drivers`, `nm-core`). What is left touches the machine.
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
