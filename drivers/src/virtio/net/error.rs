//! Why a card cannot be used.

use core::fmt;

use nm_driver::nic::Mtu;
use nm_driver::platform::OutOfDmaMemory;

use crate::iommu::ActiveIommu;
use crate::virtio::features::Features;
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
    /// Number of the queue of a pair, counted from 0 (section 5.1.2). Pairs beyond all that a device can have are one.
    pub(super) fn number(self, pair: u16) -> u16 {
        let receive = pair.saturating_mul(2) & !1;
        match self {
            Self::Receive => receive,
            Self::Transmit => receive | 1,
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
    /// The device does not agree to what was accepted of the features that it offers: it insists on one of those that were not.
    FeaturesRefused {
        /// What it offers and was not accepted.
        not_accepted: Features,
    },
    /// The device no longer offers features that it offered when it was looked at first.
    FeaturesWithdrawn {
        /// Which.
        missing: Features,
    },
    /// The device accesses memory through an IOMMU that does not let it.
    BehindIommu(ActiveIommu),
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
    /// The device reports a smaller MTU than it is to be started with.
    MtuTooLarge {
        /// That of the start.
        mtu: Mtu,
        /// The device's.
        most: Mtu,
    },
    /// A receive buffer does not hold a frame, and the device does not spread frames over buffers of this length.
    BufferTooSmall {
        /// Bytes in a buffer.
        buffer_len: u16,
        /// Bytes that are needed.
        needed: u16,
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
    /// The device has no control queue that holds a command, and several queue pairs, which cannot be had without.
    NoControlQueue,
    /// The device does not answer a command, or not as it should.
    NoAnswer,
    /// The device refuses to take frames for other stations.
    PromiscuousRefused,
    /// The device refuses to use so many queue pairs.
    PairsRefused {
        /// How many.
        pairs: u16,
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
            Self::FeaturesRefused { not_accepted } if not_accepted.is_empty() => {
                f.write_str("the device does not agree though all features that it offers were accepted")
            }
            Self::FeaturesRefused { not_accepted } => {
                write!(
                    f,
                    "the device insists on a feature that this driver lacks; not accepted: {not_accepted}"
                )
            }
            Self::FeaturesWithdrawn { missing } => {
                write!(f, "the device no longer offers features that it offered before: {missing}")
            }
            Self::BehindIommu(iommu) => write!(f, "{iommu}, or start the card with iommu_platform=off"),
            Self::DeviceFailed => f.write_str("the device reports an error while it is being set up"),
            Self::NoQueue { role } => write!(f, "the device's {role} queue has no entries"),
            Self::FixedSize { role, entries } => {
                write!(
                    f,
                    "the device's {role} queue has {entries} entries, which is no power of two up to 4096"
                )
            }
            Self::NoRoom { role } => write!(f, "the device's {role} queue is too short for a packet"),
            Self::MtuTooLarge { mtu, most } => {
                write!(f, "an MTU of {mtu} is above that of the device, {most}")
            }
            Self::BufferTooSmall { buffer_len, needed } => {
                write!(f, "buffers with room for {buffer_len} bytes are too small; {needed} are needed")
            }
            Self::QueueShrank { role, before, now } => {
                write!(f, "the device's {role} queue had {before} entries and has {now} now")
            }
            Self::NoControlQueue => f.write_str("the device's control queue is missing or too short"),
            Self::NoAnswer => f.write_str("the device does not answer a command"),
            Self::PromiscuousRefused => f.write_str("the device refuses promiscuous mode"),
            Self::PairsRefused { pairs } => write!(f, "the device refuses to use {pairs} queue pairs"),
            Self::Transport(error) => write!(f, "{error}"),
            Self::Memory(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for NetError {}
