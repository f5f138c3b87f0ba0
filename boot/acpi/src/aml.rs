//! AML: the names and the little programs that ACPI's definition blocks are made of (ACPI 6.5, chapter 20).
//!
//! ```text
//! limits, error, host                          what an interpreter may use, why it stops, what it can reach
//! code        blocks of bytes, and a cursor that does not leave the stretch that it was given
//! name        paths in the tree of names
//! object      values, and what a name stands for
//! namespace   the tree
//! frame       what code runs in: scope and variables
//! interpreter ─┬─ declare      names, devices, methods, regions, fields
//!              ├─ control      if, while, return; calling a method
//!              ├─ evaluate     everything that has a value
//!              ├─ store        where a value goes
//!              └─ field        bits of a region or of a buffer
//! host_bridge host bridges to PCI, and their root buses
//! resource    the lists of memory, ports and interrupts that devices say they have
//! routing     which input of an interrupt controller a pin of a PCI slot leads to
//! ```
//!
//! The machine is asked only for what cannot be known otherwise: [`Interpreter::new`] reads the blocks, and a method runs
//! when somebody [evaluates](Interpreter::evaluate) it. `_INI` and `_REG` are not run.
//!
//! A block is not trusted. An interpreter has a limit of steps ([`MAX_STEPS`]), of nesting ([`MAX_DEPTH`]), of paths
//! ([`MAX_PATH_PARTS`]) and of memory ([`MAX_BYTES`]) for its whole life, all access is checked, and whatever does not fit
//! ends in an [`AmlError`]. Hardware is reached through [`Host`], which says no where it likes. Not here: `Load`, `Match`,
//! `Mid`, strings made of numbers, values of different kinds put together, bank fields, and waiting (locks are free, since
//! nobody else runs; time does not pass). A block that needs these gives an error in that place and no other.
//!
//! Integers have 64 bits always. Those of a block whose DSDT has revision 1 should have 32 (5.2.11.1): what such a block
//! complements, shifts out or lets overflow has bits here that it does not expect.
//!
//! The crate `acpi` has an interpreter, too; the crate docs say why it is not used.

mod code;
mod control;
mod declare;
mod error;
mod evaluate;
mod field;
mod frame;
mod host;
mod host_bridge;
mod interpreter;
mod limits;
mod name;
mod namespace;
mod object;
mod resource;
mod routing;
mod store;
#[cfg(test)]
mod tests;

pub use error::AmlError;
pub use host::{Host, Space};
pub use host_bridge::{HostBridge, host_bridges, may_have_other_root_buses};
pub use interpreter::Interpreter;
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_PATH_PARTS, MAX_STEPS};
pub use name::Path;
pub use object::Value;
pub use resource::{Resource, ResourceKind, resources};
pub use routing::{PciRoutes, Pin};
