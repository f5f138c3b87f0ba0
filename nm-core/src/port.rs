//! Ports: an interface bound by name, with its rings.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::adapter::Bound;
use crate::errno;
use crate::mem::MemoryError;
use crate::name::NameError;
use crate::ring::{RxRing, TxRing};

/// A bound interface. Dropping the port, or the last of its rings after [`split`](Port::split), closes it: the card
/// is stopped and the buffers go back to the pool.
#[derive(Debug)]
pub struct Port {
    name: String,
    tx: Vec<TxRing>,
    rx: Vec<RxRing>,
}

impl Port {
    pub(crate) fn new(bound: Bound) -> Self {
        let Bound { name, tx, rx, .. } = bound;
        let (tx, rx) = (tx.into_iter().map(TxRing::new).collect(), rx.into_iter().map(RxRing::new).collect());
        Self { name, tx, rx }
    }
}

/// One thread, all rings.
impl Port {
    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The transmit rings.
    pub fn tx_rings(&mut self) -> &mut [TxRing] {
        &mut self.tx
    }

    /// The receive rings.
    pub fn rx_rings(&mut self) -> &mut [RxRing] {
        &mut self.rx
    }

    /// Transmit and receive rings, to be used together.
    pub fn rings(&mut self) -> (&mut [TxRing], &mut [RxRing]) {
        (&mut self.tx, &mut self.rx)
    }
}

/// One ring per thread.
impl Port {
    /// Takes the port apart into rings that can go to different threads.
    pub fn split(self) -> (Vec<TxRing>, Vec<RxRing>) {
        (self.tx, self.rx)
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
        /// Those that there are.
        known: Vec<String>,
    },
    /// Another port has one of the rings.
    Busy {
        /// The interface.
        name: String,
        /// Number of the ring.
        ring: u16,
    },
    /// The interface has no ring of this number.
    NoRing {
        /// The interface.
        name: String,
        /// The number that was asked for.
        ring: u16,
        /// Transmit and receive rings that there are.
        rings: (u16, u16),
    },
    /// A raw port is or was open on the interface since it was last closed altogether, so the buffers in its slots are
    /// not known to be anybody's. A safe port opens when the interface has been closed.
    Distrusted(String),
    /// The interface is disappearing, or did not come back from a reset; ports are still open on what is left of it.
    Gone(String),
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
            Self::Name(_) | Self::NoRing { .. } => errno::EINVAL,
            Self::Unknown { .. } | Self::Gone(_) => errno::ENXIO,
            Self::Busy { .. } | Self::Distrusted(_) => errno::EBUSY,
            Self::Memory(_) => errno::ENOMEM,
            Self::Device { .. } => errno::EIO,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "no interface \"{name}\": there is none at all")
            }
            Self::Unknown { name, known } => {
                write!(f, "no interface \"{name}\"; there are {}", known.join(" "))
            }
            Self::Busy { name, ring } => write!(f, "ring {ring} of {name} is in use by another port"),
            Self::NoRing { name, ring, rings: (tx, rx) } => {
                write!(f, "{name} has no ring {ring}; it has {tx} transmit and {rx} receive rings, from 0")
            }
            Self::Distrusted(name) => {
                write!(
                    f,
                    "{name} has been in the hands of a raw port; close all its ports before opening a safe one"
                )
            }
            Self::Gone(name) => write!(f, "{name} has disappeared"),
            Self::Memory(error) => error.fmt(f),
            Self::Device { name, cause } => write!(f, "{name} did not start: {cause}"),
        }
    }
}

impl core::error::Error for OpenError {}
