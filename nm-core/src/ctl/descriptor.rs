//! The descriptor: bound to one port, or to none yet.

use alloc::string::ToString;
use core::fmt;

use super::{PortError, PortInfo, RegisterError};
use crate::kring::SyncError;
use crate::mem::{MapError, Mapping, MemId};
use crate::netmap::Netmap;
use crate::open_error::OpenError;
use crate::poll::{Interest, PollError, Ready, Timeout};
use crate::raw::{RawOptions, RawPort};

/// An open `/dev/netmap`. Dropping it closes its port and lets go of its memory.
#[doc(alias("netmap_priv_d", "/dev/netmap"))]
pub struct Descriptor {
    pub(super) netmap: Netmap,
    port: Option<RawPort>,
    /// What was mapped before a port was bound.
    #[doc(alias = "np_mref")]
    mapped: Option<Mapping>,
}

/// What binding has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "nmreq_register")]
pub struct Registration {
    /// The port.
    pub info: PortInfo,
    /// Where its interface object is, in bytes from the beginning of the memory.
    #[doc(alias = "nr_offset")]
    pub offset: usize,
    /// How many extra buffers were granted.
    #[doc(alias("nr_arg3", "nr_extra_bufs"))]
    pub extra_buffers: u32,
}

impl Netmap {
    /// Opens a descriptor, which is bound to nothing yet (see [`ctl`](crate::ctl)).
    #[doc(alias("netmap_open", "netmap_priv_new"))]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor { netmap: self.clone(), port: None, mapped: None }
    }
}

/// Bound or not.
impl Descriptor {
    /// What the port `name` is: what binding it would give, or has given if it is open. Which of the rings the name selects
    /// makes no difference. An empty name asks for the shared memory alone.
    #[doc(alias("NIOCGINFO", "NETMAP_REQ_PORT_INFO_GET"))]
    pub fn info(&self, name: &str) -> Result<PortInfo, OpenError> {
        PortInfo::look_up(&self.netmap, name)
    }

    /// The port that the descriptor is bound to.
    #[doc(alias("np_na", "np_nifp"))]
    pub fn port(&self) -> Option<&RawPort> {
        self.port.as_ref()
    }

    /// Where the memory is: that of the port, or before one is bound the shared region, if the tunable `mmap_unreg`
    /// allows it.
    #[doc(alias("netmap_mmap", "netmap_get_memory"))]
    pub fn mmap(&mut self) -> Result<&Mapping, MapError> {
        if let Some(port) = &self.port {
            return Ok(port.mapping());
        }
        let mapping = self.netmap.map(MemId::SHARED)?;
        Ok(self.mapped.insert(mapping))
    }
}

/// To be bound, once.
impl Descriptor {
    /// Binds the port `name` (see [`name`](crate::name)), as [`Netmap::open_raw`] does.
    #[doc(alias("NIOCREGIF", "netmap_do_regif", "NETMAP_REQ_REGISTER"))]
    pub fn register(&mut self, name: &str, options: RawOptions) -> Result<Registration, RegisterError> {
        if let Some(port) = &self.port {
            return Err(RegisterError::Bound(port.name().to_string()));
        }
        let port = self.netmap.open_raw(name, options).map_err(RegisterError::Open)?;
        let used = port.mapping();
        // By identity: a region of another netmap may have the same number.
        if let Some(mapped) = self.mapped.as_ref().filter(|mapped| !mapped.is_of(used.region())) {
            let (used, mapped) = (used.region_id(), mapped.region_id());
            return Err(RegisterError::OtherRegion { name: port.name().to_string(), used, mapped });
        }
        let info = PortInfo::of(&port);
        let registration = Registration { info, offset: port.offset(), extra_buffers: port.extra_buffers() };
        self.port = Some(port);
        Ok(registration)
    }
}

/// Bound.
impl Descriptor {
    /// Syncs the bound transmit rings, as [`RawPort::txsync`] does.
    #[doc(alias = "NIOCTXSYNC")]
    pub fn txsync(&self) -> Result<(), PortError<SyncError>> {
        self.bound()?.txsync().map_err(PortError::Port)
    }

    /// Syncs the bound receive rings, as [`RawPort::rxsync`] does.
    #[doc(alias = "NIOCRXSYNC")]
    pub fn rxsync(&self) -> Result<(), PortError<SyncError>> {
        self.bound()?.rxsync().map_err(PortError::Port)
    }

    /// Waits for the bound rings, as [`RawPort::poll`] does. Every error is netmap's `POLLERR`.
    #[doc(alias("netmap_poll", "POLLERR"))]
    pub fn poll(&self, interest: Interest, timeout: Timeout) -> Result<Ready, PortError<PollError>> {
        self.bound()?.poll(interest, timeout).map_err(PortError::Port)
    }

    fn bound<E>(&self) -> Result<&RawPort, PortError<E>> {
        self.port.as_ref().ok_or(PortError::Unbound)
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor")
            .field("port", &self.port)
            .field("mapped", &self.mapped)
            .finish_non_exhaustive()
    }
}
