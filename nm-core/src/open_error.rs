//! Why a port was not opened.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::errno;
use crate::generic::NoAdapter;
use crate::mem::MemoryError;
use crate::mtu_error::MtuError;
use crate::name::NameError;
use crate::nic::{Mac, NicInfo, Shape};
use crate::offsets::OffsetsError;
use crate::stats::RingKind;

/// The two ways to name an interface. `Display` shows both: `vtnet0 (52:54:00:00:00:01)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownInterface {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: [u8; 6],
}

impl fmt::Display for KnownInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, Mac(self.mac))
    }
}

/// Why a port was not opened.
#[derive(Debug, Clone)]
pub enum OpenError {
    /// The name is no port name.
    Name(NameError),
    /// There is no such interface.
    Unknown {
        /// The interface that was asked for.
        name: String,
        /// The interfaces that exist.
        known: Vec<KnownInterface>,
    },
    /// Another port has one of the rings.
    Busy {
        /// The interface.
        name: String,
        /// What is at the other end of the ring.
        kind: RingKind,
        /// Number of the ring among those.
        ring: u16,
    },
    /// The interface has no ring of this number.
    NoRing {
        /// The interface.
        name: String,
        /// What was to be at its other end.
        kind: RingKind,
        /// The number that was asked for.
        ring: u16,
        /// Transmit and receive rings that there are.
        rings: (u16, u16),
    },
    /// The interface was attached without a stack, so it has no host rings.
    NoHostRings(String),
    /// The interface belongs to an owner, such as a switch (see [`Claim`](crate::Claim)).
    Owned {
        /// The interface.
        name: String,
        /// Its owner.
        owner: String,
    },
    /// The interface cannot be claimed: a port is open on it.
    InUse(String),
    /// The interface has no adapter of the kind that `admode` asks for.
    NoAdapter(String, NoAdapter),
    /// A raw port is or was open on the interface since it was last closed altogether, so it is not known
    /// which port the buffers in its slots belong to. A safe port opens when the interface has been closed.
    Distrusted(String),
    /// The interface is disappearing, or did not come back from a reset; ports are still open on what is left of it.
    Gone(String),
    /// The card says that it has no transmit or no receive queue of two slots, or more queues than it can ever have.
    Configuration {
        /// The interface.
        name: String,
        /// What the card says.
        found: NicInfo,
        /// The most transmit and receive queues that it can have.
        most: (u16, u16),
    },
    /// Ports cannot have the MTU of the interface, with the card and the buffers that it has.
    #[doc(alias = "netmap_buf_size_validate")]
    Mtu {
        /// The interface.
        name: String,
        /// Why.
        cause: MtuError,
    },
    /// The port cannot have the offsets that it asks for, or has to have those of the ports that are open.
    #[doc(alias = "NETMAP_REQ_OPT_OFFSETS")]
    Offsets {
        /// The interface.
        name: String,
        /// Why.
        cause: OffsetsError,
    },
    /// A pool of the memory region has too few objects.
    Memory(MemoryError),
    /// The card did not start.
    Device {
        /// The interface.
        name: String,
        /// What its driver says.
        cause: Arc<dyn core::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Name(_)
            | Self::NoRing { .. }
            | Self::NoHostRings(_)
            | Self::Configuration { .. }
            | Self::Mtu { .. } => errno::EINVAL,
            Self::NoAdapter(_, none) => none.errno(),
            Self::Offsets { cause, .. } => cause.errno(),
            Self::Unknown { .. } | Self::Gone(_) => errno::ENXIO,
            Self::Busy { .. } | Self::Distrusted(_) | Self::Owned { .. } | Self::InUse(_) => errno::EBUSY,
            Self::Memory(_) => errno::ENOMEM,
            Self::Device { .. } => errno::EIO,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Unknown { name, known } => match known.split_first() {
                None => write!(f, "no interface \"{name}\": none is attached"),
                Some((first, others)) => {
                    write!(f, "no interface \"{name}\"; there are {first}")?;
                    others.iter().try_for_each(|interface| write!(f, ", {interface}"))
                }
            },
            Self::Busy { name, kind, ring } => {
                write!(f, "{}ring {ring} of {name} is in use by another port", prefix(*kind))
            }
            Self::NoRing { name, kind, ring, rings: (tx, rx) } => {
                let kind = prefix(*kind);
                write!(
                    f,
                    "{name} has no {kind}ring {ring}; it has {tx} {kind}transmit and {rx} {kind}receive rings, from 0"
                )
            }
            Self::NoHostRings(name) => write!(f, "{name} has no host rings: it was attached without a stack"),
            Self::Owned { name, owner } => write!(f, "{name} is owned by {owner}"),
            Self::InUse(name) => write!(f, "{name} cannot be claimed while a port is open on it"),
            Self::NoAdapter(name, none) => write!(f, "{name}: {none}"),
            Self::Distrusted(name) => {
                write!(f, "{name} was opened by a raw port; close all its ports before opening a safe one")
            }
            Self::Gone(name) => write!(f, "{name} has disappeared"),
            Self::Configuration { name, found, most: (tx, rx) } => {
                write!(
                    f,
                    "{name} reports {}; at least one queue of two slots is needed each way, and at most {tx} transmit and {rx} receive queues are supported",
                    Shape(found)
                )
            }
            Self::Mtu { name, cause } => write!(f, "{name}: {cause}"),
            Self::Offsets { name, cause } => write!(f, "{name}: {cause}"),
            Self::Memory(error) => error.fmt(f),
            Self::Device { name, cause } => write!(f, "{name} did not start: {cause}"),
        }
    }
}

/// What the rings of a kind are called.
fn prefix(kind: RingKind) -> &'static str {
    match kind {
        RingKind::Hardware => "",
        RingKind::Host => "host ",
    }
}

impl core::error::Error for OpenError {}
