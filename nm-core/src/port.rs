//! Ports: an interface bound by name, with its rings.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

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
    pub(crate) fn new(name: String, tx: Vec<TxRing>, rx: Vec<RxRing>) -> Self {
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
    /// A port is open on the interface already.
    Busy(String),
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
            Self::Name(_) => errno::EINVAL,
            Self::Unknown { .. } => errno::ENXIO,
            Self::Busy(_) => errno::EBUSY,
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
            Self::Busy(name) => write!(f, "{name} is in use by another port"),
            Self::Memory(error) => error.fmt(f),
            Self::Device { name, cause } => write!(f, "{name} did not start: {cause}"),
        }
    }
}

impl core::error::Error for OpenError {}
