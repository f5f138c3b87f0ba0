//! Why the evaluation of a term fails.

use core::fmt;

use super::limits::{MAX_BYTES, MAX_DEPTH, MAX_PATH_SEGMENTS, MAX_STEPS};

/// Why the evaluation of a term fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmlError {
    /// The code ends within a term, or a package is longer than the package around it.
    Truncated,
    /// An unknown or unsupported opcode. Extended opcodes have ExtOpPrefix (0x5b) in the upper byte.
    UnknownOpcode(u16),
    /// No object has this name, given by its last segment.
    NotFound([u8; 4]),
    /// An object or a value has a type that the operator does not accept.
    WrongType,
    /// An index or a divisor is out of range, or a number is too large.
    OutOfRange,
    /// The interpreter has executed [`MAX_STEPS`] terms.
    StepLimit,
    /// Terms are nested deeper than [`MAX_DEPTH`], or a path is longer than [`MAX_PATH_SEGMENTS`].
    DepthLimit,
    /// Values and names need more than [`MAX_BYTES`].
    MemoryLimit,
    /// An operation region is in an unsupported address space, or its handler refuses the access.
    AccessRefused,
}

impl fmt::Display for AmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the AML code is truncated"),
            Self::UnknownOpcode(opcode) => write!(f, "unknown AML opcode {opcode:#x}"),
            Self::NotFound(name) => write!(f, "there is no object {}", name.escape_ascii()),
            Self::WrongType => f.write_str("a value has the wrong type"),
            Self::OutOfRange => f.write_str("an index or number is out of range"),
            Self::StepLimit => write!(f, "more than {MAX_STEPS} terms executed"),
            Self::DepthLimit => {
                write!(
                    f,
                    "terms nested deeper than {MAX_DEPTH}, or a path of more than {MAX_PATH_SEGMENTS} names"
                )
            }
            Self::MemoryLimit => write!(f, "more than {MAX_BYTES} bytes of values and names"),
            Self::AccessRefused => f.write_str("access to an operation region is refused"),
        }
    }
}

impl core::error::Error for AmlError {}
