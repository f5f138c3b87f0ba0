//! Why the kernel cannot use the memory that there is.

use core::fmt;

use millrace_boot::Full;

use super::paging::PagingError;

/// Why the kernel cannot use the memory that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryError {
    /// RAM lies in more separate stretches than the frame allocator can keep apart.
    TooScattered,
    /// There is no run of pages for the heap.
    NoHeap {
        /// How much was asked for, in bytes.
        bytes: u64,
    },
    /// The page tables could not be built.
    Paging(PagingError),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::TooScattered => f.write_str("RAM consists of too many separate ranges"),
            MemoryError::NoHeap { bytes } => write!(f, "no {bytes} bytes of contiguous RAM for the heap"),
            MemoryError::Paging(error) => write!(f, "page tables: {error}"),
        }
    }
}

impl core::error::Error for MemoryError {}

impl From<Full> for MemoryError {
    fn from(Full: Full) -> Self {
        MemoryError::TooScattered
    }
}
