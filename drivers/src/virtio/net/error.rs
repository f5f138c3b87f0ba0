//! Why a card cannot be used.

use core::fmt;

use nm_core::platform::OutOfDmaMemory;

use super::{RECEIVE, TRANSMIT};
use crate::virtio::transport::TransportError;

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueRole {
    /// Packets from the device.
    Receive,
    /// Packets to the device.
    Transmit,
}

impl QueueRole {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Receive => RECEIVE,
            Self::Transmit => TRANSMIT,
        }
    }
}

/// Why a card cannot be used or does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetError {
    /// The device does not confirm a reset.
    NoReset,
    /// The device does not follow version 1 of the specification.
    NotVersion1,
    /// The device takes back its consent to the features that it offered.
    FeaturesRefused,
    /// The device reports an error while it is being set up.
    DeviceFailed,
    /// The device has no such queue, or one without entries.
    NoQueue {
        /// The queue.
        role: QueueRole,
    },
    /// The queue has a number of entries that this driver does not work with, and no other.
    FixedSize {
        /// The queue.
        role: QueueRole,
        /// Its entries.
        entries: u16,
    },
    /// The queue does not hold a single packet: it has one entry, and a packet takes two.
    NoRoom {
        /// The queue.
        role: QueueRole,
    },
    /// The device offers a smaller queue than when it was looked at first.
    QueueShrank {
        /// The queue.
        role: QueueRole,
        /// Entries then, as far as they are used.
        before: u16,
        /// Entries now.
        now: u16,
    },
    /// Registers cannot be used as they should be.
    Transport(TransportError),
    /// There is no memory left for the queues.
    Memory(OutOfDmaMemory),
}

impl From<TransportError> for NetError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<OutOfDmaMemory> for NetError {
    fn from(error: OutOfDmaMemory) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for QueueRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Transmit => "transmit",
        })
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReset => f.write_str("the device does not confirm a reset"),
            Self::NotVersion1 => f.write_str("the device does not offer VIRTIO_F_VERSION_1"),
            Self::FeaturesRefused => f.write_str("the device refuses features that it offered"),
            Self::DeviceFailed => f.write_str("the device reports an error while it is being set up"),
            Self::NoQueue { role } => write!(f, "the device's {role} queue has no entries"),
            Self::FixedSize { role, entries } => {
                write!(
                    f,
                    "the device's {role} queue has {entries} entries, which is no power of two up to 4096"
                )
            }
            Self::NoRoom { role } => write!(f, "the device's {role} queue is too short for a packet"),
            Self::QueueShrank { role, before, now } => {
                write!(f, "the device's {role} queue had {before} entries and has {now} now")
            }
            Self::Transport(error) => write!(f, "{error}"),
            Self::Memory(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for NetError {}
