//! A processor: segments, exceptions, interrupts, stacks.
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
pub(crate) use stacks::{EXCEPTION_STACK_BYTES, EXCEPTION_STACKS, names as exception_stack_names};
pub(crate) use tables::Segments;

/// Takes over from the trampoline's minimal tables: from here on an exception of the first processor is reported.
pub(crate) fn init() {
    tables::load_first();
    idt::load();
}

/// The same for another processor, which runs this.
pub(crate) fn init_further(segments: &'static Segments) {
    segments.load();
    idt::load();
}
