//! AML: the names and the little programs that ACPI's definition blocks are made of (ACPI 6.5, chapter 20).
//!
//! ```text
//! code        blocks of bytes, and a cursor that does not leave the stretch that it was given
//! name        paths in the tree of names
//! object      values, and what a name stands for
//! namespace   the tree
//! Interpreter ─┬─ declare      names, devices, methods, regions, fields
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
//! The crate `acpi` has an interpreter, too; [`acpi`](crate::acpi) says why it is not used.

mod code;
mod control;
mod declare;
mod evaluate;
mod field;
mod host_bridge;
mod name;
mod namespace;
mod object;
mod resource;
mod routing;
mod store;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use code::{Code, Cursor};
use control::Frame;
use namespace::Namespace;
use object::Arena;

pub use host_bridge::{HostBridge, host_bridges, may_have_other_root_buses};
pub use name::Path;
pub use object::Value;
pub use resource::{Resource, ResourceKind, resources};
pub use routing::{PciRoutes, Pin};

/// Terms that an interpreter follows in its life. Loading one of QEMU's blocks takes some 1500, its longest method
/// 9500.
pub const MAX_STEPS: u32 = 2_000_000;
/// How deep terms may be nested, over all methods that call each other.
pub const MAX_DEPTH: u32 = 48;
/// Parts of a path of names, at most. Firmware has some ten. What looking a name up takes grows with them.
pub const MAX_PATH_PARTS: usize = 32;
/// Bytes of values and names that an interpreter keeps at most, besides its blocks. What growing lists hold in reserve does
/// not count.
pub const MAX_BYTES: usize = 4 << 20;

/// What a region is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Physical memory.
    Memory,
    /// Io ports.
    Ports,
    /// The configuration space of a function on a root bus of segment group 0.
    PciConfig {
        /// Number of the root bus.
        bus: u8,
        /// Device number.
        device: u8,
        /// Function number.
        function: u8,
    },
}

/// The hardware that a definition block wants to reach.
pub trait Host {
    /// Reads 1, 2, 4 or 8 bytes at `address`; `None` where that is not allowed, or nothing is there.
    fn read(&self, space: Space, address: u64, bytes: u8) -> Option<u64>;

    /// Writes them.
    fn write(&self, space: Space, address: u64, bytes: u8, value: u64) -> Option<()>;
}

/// Why code cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmlError {
    /// It ends within a term, or says that a part is longer than the whole.
    Truncated,
    /// An operation that this interpreter does not know; behind 0x5b it has two bytes.
    UnknownOperation(u16),
    /// A name that nothing has, by its last part.
    NoSuchName([u8; 4]),
    /// A value of another kind was needed.
    WrongKind,
    /// There is no such element, byte or bit.
    OutOfRange,
    /// It takes too many steps: [`MAX_STEPS`].
    TooLong,
    /// It is nested too deeply ([`MAX_DEPTH`]), or a name is ([`MAX_PATH_PARTS`]).
    TooDeep,
    /// It needs too much memory: [`MAX_BYTES`].
    TooLarge,
    /// The hardware is not to be reached.
    Refused,
}

impl fmt::Display for AmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the code is truncated"),
            Self::UnknownOperation(number) => write!(f, "unknown opcode {number:#x}"),
            Self::NoSuchName(name) => write!(f, "there is no object {}", name.escape_ascii()),
            Self::WrongKind => f.write_str("a value has the wrong type"),
            Self::OutOfRange => f.write_str("an index is out of range"),
            Self::TooLong => write!(f, "it needs more than {MAX_STEPS} steps"),
            Self::TooDeep => {
                write!(f, "it is nested more than {MAX_DEPTH} deep, or a name more than {MAX_PATH_PARTS}")
            }
            Self::TooLarge => write!(f, "it needs more than {MAX_BYTES} bytes"),
            Self::Refused => f.write_str("it accesses hardware that is off limits for it"),
        }
    }
}

impl core::error::Error for AmlError {}

/// The tree of names of some definition blocks, and what runs their methods.
pub struct Interpreter<H> {
    host: H,
    code: Code,
    arena: Arena,
    names: Namespace,
    /// What the methods that run have declared, innermost last.
    declared: Vec<Path>,
    steps: u32,
}

impl<H: Host> Interpreter<H> {
    /// Loads `blocks`, in this order. Where one cannot be followed, the rest of the innermost scope or device is left out.
    pub fn new(host: H, blocks: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let code = Code::new(blocks.into_iter().collect());
        let mut loaded = Self {
            host,
            code,
            arena: Arena::default(),
            names: Namespace::new(),
            declared: Vec::new(),
            steps: MAX_STEPS,
        };
        for block in loaded.code.whole() {
            loaded.load(block);
        }
        loaded
    }

    fn load(&mut self, block: Cursor) {
        let frame = Frame::outside(Path::root());
        // What was declared until then stays.
        let _ = self.run(&frame, block);
    }

    /// The value of the object at `path`; if it is a method, what it returns when it is called with `arguments`.
    pub fn evaluate(&mut self, path: &Path, arguments: &[u64]) -> Result<Value, AmlError> {
        let node = self.names.get(path).ok_or(AmlError::NoSuchName(path.last()))?;
        let arguments = arguments.iter().map(|number| Value::Integer(*number)).collect();
        self.result_of(node, arguments, 0)
    }

    /// The integer at `path`.
    pub fn integer(&mut self, path: &Path) -> Result<u64, AmlError> {
        let value = self.evaluate(path, &[])?;
        self.to_integer(value)
    }

    /// The bytes at `path`: a buffer's, or a string's.
    pub fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.bytes(value)?.to_vec())
    }

    /// The elements of the package at `path`.
    pub fn elements(&mut self, path: &Path) -> Result<Vec<Value>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.elements(value)?.to_vec())
    }

    /// Whether `device` says by `_HID` or `_CID` that it is one of `ids`.
    pub fn is_one_of(&mut self, device: &Path, ids: &[&str]) -> bool {
        [*b"_HID", *b"_CID"].into_iter().any(|name| {
            let Ok(value) = self.evaluate(&device.join(name), &[]) else { return false };
            let values = self.arena.elements(value).map_or_else(|_| vec![value], <[Value]>::to_vec);
            values.into_iter().any(|value| self.is_id(value, ids))
        })
    }

    /// Whether `value` is one of `ids`: as text, or the letters and digits packed into a number (19.3.4, EISAID).
    fn is_id(&self, value: Value, ids: &[&str]) -> bool {
        let text = self.arena.bytes(value).ok();
        ids.iter().any(|id| match value {
            Value::Integer(number) => Some(number) == eisa_id(id.as_bytes()),
            _ => text == Some(id.as_bytes()),
        })
    }

    /// All devices, by their paths.
    pub fn devices(&self) -> Vec<Path> {
        self.names.devices()
    }

    /// Whether `device` is there, as `_STA` says (6.3.7): without it, it is.
    pub fn is_present(&mut self, device: &Path) -> bool {
        self.has_status(device, 1)
    }

    /// Whether `device` is switched on and has its resources, as `_STA` says (6.3.7): without it, it is.
    pub fn is_enabled(&mut self, device: &Path) -> bool {
        self.has_status(device, 1 << 1)
    }

    fn has_status(&mut self, device: &Path, bit: u64) -> bool {
        let status = device.join(*b"_STA");
        self.names.get(&status).is_none() || self.integer(&status).is_ok_and(|status| status & bit != 0)
    }

    /// The elements of a package that another value holds.
    pub fn elements_of(&self, value: Value) -> Result<&[Value], AmlError> {
        self.arena.elements(value)
    }
}

/// The number that stands for an id of three letters and four digits, such as `PNP0A03`.
fn eisa_id(text: &[u8]) -> Option<u64> {
    let (letters, digits) = text.split_at_checked(3).filter(|(_, digits)| digits.len() == 4)?;
    let letter = |packed: u32, letter: &u8| packed << 5 | u32::from(letter.wrapping_sub(0x40) & 0x1f);
    let packed = letters.iter().fold(0, letter);
    let digits = u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((packed << 16 | digits).swap_bytes().into())
}
