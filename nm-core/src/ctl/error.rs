//! Why a descriptor did not do what was asked.

use alloc::string::String;
use core::fmt;

use super::Request;
use crate::errno::{self, Errno};
use crate::kring::SyncError;
use crate::mem::MemId;
use crate::open_error::OpenError;
use crate::poll::PollError;

/// Why a descriptor was not bound. It is as it was before.
#[derive(Debug, Clone)]
pub enum RegisterError {
    /// It is bound already, to this interface.
    Bound(String),
    /// It has mapped another region than the port's.
    OtherRegion {
        /// The interface.
        name: String,
        /// The region of its ports.
        used: MemId,
        /// The region that is mapped.
        mapped: MemId,
    },
    /// The port did not open.
    Open(OpenError),
}

impl RegisterError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Bound(_) => errno::EBUSY,
            Self::OtherRegion { .. } => errno::ENODEV,
            Self::Open(error) => error.errno(),
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(name) => write!(f, "the descriptor is bound to {name}; open another one"),
            Self::OtherRegion { name, used, mapped } => {
                write!(f, "{name} uses memory region {used} and the descriptor has mapped region {mapped}")?;
                f.write_str("; open another one, and map after binding")
            }
            Self::Open(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RegisterError {}

/// Why a descriptor did not do what its port does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortError<E> {
    /// It is bound to no port.
    Unbound,
    /// What the port says.
    Port(E),
}

impl PortError<SyncError> {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Unbound => errno::ENXIO,
            Self::Port(error) => error.errno(),
        }
    }
}

impl PortError<PollError> {
    /// The number that netmap gives for a sync that fails so. A poll's own answer is `POLLERR`.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Unbound => errno::ENXIO,
            Self::Port(error) => error.errno(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for PortError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound => f.write_str("the descriptor is not bound to a port; register one first"),
            Self::Port(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for PortError<E> {}

/// Why a request by number failed.
#[derive(Debug, Clone)]
pub enum RequestError {
    /// The sync did.
    Sync(PortError<SyncError>),
    /// `NIOCUNREGIF` is no request any more.
    Withdrawn,
    /// The request carries a structure, and has a method instead.
    Structure(Request),
    /// There is no interface of this name.
    Interface(OpenError),
    /// The interface has no stack that could answer.
    NoStack {
        /// The interface.
        interface: String,
        /// The request.
        code: u32,
    },
    /// What the interface's stack answers.
    Stack {
        /// The interface.
        interface: String,
        /// The request.
        code: u32,
        /// The number.
        errno: Errno,
    },
}

impl RequestError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Sync(error) => error.errno(),
            Self::Withdrawn | Self::Structure(_) => errno::EINVAL,
            Self::Interface(error) => error.errno(),
            Self::NoStack { .. } => errno::EOPNOTSUPP,
            Self::Stack { errno, .. } => errno.0,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync(error) => error.fmt(f),
            Self::Withdrawn => f.write_str("NIOCUNREGIF is withdrawn; close the descriptor instead"),
            Self::Structure(request) => {
                let instead = match request {
                    Request::Info => "Descriptor::info",
                    Request::Register => "Descriptor::register",
                    _ => "Descriptor::info or Descriptor::register",
                };
                write!(f, "{request} comes with a structure, which is not taken by number; call {instead}")
            }
            Self::Interface(error) => error.fmt(f),
            Self::NoStack { interface, code } => {
                let request = Request::Other(*code);
                write!(f, "{request} is for the stack of {interface}, which was attached without one")
            }
            Self::Stack { interface, code, errno: Errno(errno::EOPNOTSUPP) } => {
                write!(f, "the stack of {interface} does not know {}", Request::Other(*code))
            }
            Self::Stack { interface, code, errno } => {
                write!(f, "the stack of {interface} answers {} with {errno}", Request::Other(*code))
            }
        }
    }
}

impl core::error::Error for RequestError {}
