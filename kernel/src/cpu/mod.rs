//! A processor: what it can do, its segments, and the stacks for exceptions.

mod features;
mod stacks;
mod tables;

pub use features::{apic_id, has_gib_pages, physical_bits};
pub use stacks::guard_pages;
pub(crate) use stacks::{
    EXCEPTION_STACK_BYTES, EXCEPTION_STACKS, ExceptionStack, names as exception_stack_names,
};
pub(crate) use tables::{Segments, load_first as load_first_segments};
