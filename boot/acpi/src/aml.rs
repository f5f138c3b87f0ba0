//! AML: the bytecode of definition blocks, with the namespace that it declares (ACPI 6.5, chapter 20).
//!
//! Modules in reading order; each depends on earlier ones only, besides the methods of [`Interpreter`]:
//!
//! ```text
//! limits, error    what an interpreter may use; why it stops
//! opcode           opcodes, prefixes and other bytes of the encoding, by name
//! region_handler   access to operation regions, which the kernel implements
//! code             definition blocks as bytes; a cursor that stays within its part of a block
//! name             NameString and namespace path
//! value            data objects, and the locations where they are stored
//! object           the other objects of the namespace: devices, methods, fields, …
//! arena            storage of strings, buffers, packages and variables
//! namespace        the objects by path
//! context          scope, variables and nesting depth of running code
//! interpreter ─┬─ control        term lists; If, While, Return; control method invocation
//!              ├─ named_object   Name, Scope, Device, Method, … (20.2.5.1, 20.2.5.2)
//!              ├─ region         OperationRegion, and which PCI function it belongs to
//!              ├─ field_list     Field, IndexField, CreateField, …
//!              ├─ expression     terms that have a value (20.2.5.4): dispatch, method calls, data objects
//!              ├─ arithmetic     integer and logical operators
//!              ├─ conversion     implicit and explicit conversion, Concatenate
//!              ├─ reference      Index, SizeOf, ObjectType, CondRefOf, DerefOf
//!              ├─ synchronize    Acquire, Wait, Sleep, …
//!              ├─ store          locations: reading and storing
//!              └─ field_access   reading and storing field units
//! resource         resource descriptors: memory, I/O ports, bus numbers, interrupts
//! host_bridge      PCI host bridges, and their root buses
//! routing          PCI interrupt routing
//! ```
//!
//! [`Interpreter::new`] loads the definition blocks, which declares their objects. A control method runs only when
//! [`Interpreter::evaluate`] is called for it; `_INI` and `_REG` are not run.
//!
//! # Limits
//!
//! A definition block is not trusted to be well formed. An interpreter has limits for its whole life: on terms executed
//! ([`MAX_STEPS`]), nesting ([`MAX_DEPTH`]), path length ([`MAX_PATH_SEGMENTS`]) and memory ([`MAX_BYTES`]). Malformed code and
//! code that reaches a limit end in an [`AmlError`]. Operation regions are accessed through [`RegionHandler`], which may refuse.
//!
//! # What is not supported
//!
//! `Load`, `Match`, `Mid`, `ConcatenateResTemplate`, conversion to strings, `Concatenate` of different types, and bank fields.
//! Code that needs them ends in an error where it does. `Notify` has no effect. Synchronization never blocks: there is no other
//! thread, so every mutex is free and every event is signaled; `Sleep` and `Stall` return at once.
//!
//! Integers always have 64 bits. In a block whose DSDT has revision 1 they should have 32 (5.2.11.1), so complements, shifts and
//! overflows of such a block have higher bits set than it expects.

mod arena;
mod arithmetic;
mod code;
mod context;
mod control;
mod conversion;
mod error;
mod expression;
mod field_access;
mod field_list;
mod host_bridge;
mod interpreter;
mod limits;
mod name;
mod named_object;
mod namespace;
mod object;
mod opcode;
mod reference;
mod region;
mod region_handler;
mod resource;
mod routing;
mod store;
mod synchronize;
#[cfg(test)]
mod tests;
mod value;

pub use error::AmlError;
pub use host_bridge::{PciHostBridge, host_bridges, may_have_other_root_buses};
pub use interpreter::Interpreter;
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_PATH_SEGMENTS, MAX_STEPS};
pub use name::{NameSeg, NamespacePath};
pub use region_handler::{RegionHandler, RegionSpace};
pub use resource::{RangeKind, Resource, resources};
pub use routing::{InterruptPin, PciRoutes};
pub use value::{DataHandle, Location, ObjectId, Value, Variable};
