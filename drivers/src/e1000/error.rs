//! Why a card cannot be used.

use core::fmt;

use nm_driver::buffers::HEADROOM;
use nm_driver::platform::OutOfDmaMemory;

use super::Model;
use super::rx::SMALLEST;
use crate::pci::BarError;
use crate::registers::RegisterError;

/// Why the registers of a card cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapError {
    /// They lie in a BAR that cannot be used.
    Bar(BarError),
    /// The BAR is too short for them.
    TooShort {
        /// Its length in bytes.
        bytes: u64,
    },
    /// They cannot be mapped.
    Register(RegisterError),
}

/// Why a card cannot be used or does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// It does not confirm a reset.
    NoReset(Model),
    /// It goes on using memory after it was told to stop.
    NotQuiet(Model),
    /// There is no memory left for the queues.
    Memory(OutOfDmaMemory),
    /// Buffers with room for so many bytes are smaller than the smallest that the card can be told of.
    BufferTooSmall(u16),
}

impl From<RegisterError> for MapError {
    fn from(error: RegisterError) -> Self {
        Self::Register(error)
    }
}

impl From<OutOfDmaMemory> for StartError {
    fn from(error: OutOfDmaMemory) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar(error) => write!(f, "the registers lie in BAR 0: {error}"),
            Self::TooShort { bytes } => {
                write!(f, "BAR 0 is only {bytes} bytes long, too short for the registers")
            }
            Self::Register(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for MapError {}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReset(model) => write!(f, "the {model} does not confirm a reset"),
            Self::NotQuiet(model) => write!(f, "the {model} goes on using memory after it was told to stop"),
            Self::Memory(error) => write!(f, "{error}"),
            Self::BufferTooSmall(bytes) => {
                let least = usize::from(SMALLEST) + HEADROOM;
                write!(
                    f,
                    "buffers with room for {bytes} bytes are too small for the card; netmap.buf_size must be at least {least}"
                )
            }
        }
    }
}

impl core::error::Error for StartError {}
