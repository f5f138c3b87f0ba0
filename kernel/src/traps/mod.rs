//! Where the processor enters the kernel: exceptions and interrupts.
//!
//! ```text
//! exception ─► IDT gate ─► stub (vector number) ─► all registers saved ─► dump ─► exit 0x12
//!                 └─ page fault, double fault, NMI, machine check: on a stack of their own (TSS)
//! interrupt ─► IDT gate ─► stub (vector number) ─► what a call may change saved ─► interrupts::handle ─► back
//! ```

mod dump;
mod exception;
mod idt;
mod interrupt;
mod meaning;
mod registers;
mod vector;

pub(crate) use idt::load;
