//! Why code is not run any further.

use core::fmt;

use super::limits::{MAX_BYTES, MAX_DEPTH, MAX_PATH_PARTS, MAX_STEPS};

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
