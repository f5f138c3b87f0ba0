//! The processor: segments, exceptions, interrupts, stacks.
//!
//! ```text
//! exception ─► IDT gate ─► stub (vector number) ─► all registers saved ─► dump ─► exit 0x12
//!                 └─ page fault, double fault, NMI, machine check: on a stack of their own (TSS)
//! interrupt ─► IDT gate ─► stub (vector number) ─► what a call may change saved ─► interrupts::handle ─► back
//! ```

mod dump;
mod features;
mod idt;
mod interrupt;
mod meaning;
mod stacks;
mod stubs;
mod tables;
mod vector;

pub use features::{apic_id, has_gib_pages, physical_bits};
pub use stacks::guard_pages;

/// Takes over from the trampoline's minimal tables: from here on an exception is reported.
pub(crate) fn init() {
    tables::load();
    idt::load();
}
