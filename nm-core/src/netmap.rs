//! The registry: one value that owns interfaces, memory and tunables.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use crate::adapter::hardware::HardwareAdapter;
use crate::adapter::{Adapter, Bound, InterfaceInfo, RingSet, Sharing};
use crate::errno;
use crate::mem::{MemoryReport, Region, RegionError};
use crate::name::{InterfaceName, PortName, RingSelection, is_interface_name};
use crate::nic::Nic;
use crate::platform::Platform;
use crate::port::{OpenError, Port};
use crate::stats::RingReport;
use crate::tunables::Tunables;

/// A netmap. Nothing is global: a test can have ten. Clones are handles to the same one.
///
/// The lock around the list of interfaces is taken before the lock of an interface, and never by a sync.
#[derive(Clone)]
pub struct Netmap {
    region: Arc<Region>,
    adapters: Arc<Mutex<Vec<Arc<dyn Adapter>>>>,
}

impl Netmap {
    /// Takes the shared memory region from `platform`, sized by `tunables`.
    pub fn new(platform: &Arc<dyn Platform>, tunables: Tunables) -> Result<Self, RegionError> {
        Ok(Self { region: Region::new(platform, tunables)?, adapters: Arc::default() })
    }

    /// Makes the card `nic` known as `name`.
    #[doc(alias = "netmap_attach")]
    pub fn attach<N: Nic>(&self, name: &str, nic: N) -> Result<(), AttachError> {
        if !is_interface_name(name) {
            return Err(AttachError::Name(name.to_string()));
        }
        let info = nic.info();
        if info.tx_queues == 0 || info.rx_queues == 0 || info.tx_slots < 2 || info.rx_slots < 2 {
            return Err(AttachError::NoRings(name.to_string()));
        }
        let mut adapters = self.adapters.lock();
        if adapters.iter().any(|a| a.info().name == name) {
            return Err(AttachError::Exists(name.to_string()));
        }
        adapters.push(HardwareAdapter::new(name, nic));
        Ok(())
    }

    /// Opens the port of this name (see [`name`](crate::name)). It has its rings for itself.
    #[doc(alias = "NIOCREGIF")]
    pub fn open(&self, name: &str) -> Result<Port, OpenError> {
        let bound = self.bind(name, Sharing::Exclusive)?;
        if bound.lease.is_distrusted() {
            return Err(OpenError::Distrusted(bound.name));
        }
        Ok(Port::new(bound))
    }

    pub(crate) fn bind(&self, name: &str, sharing: Sharing) -> Result<Bound, OpenError> {
        let port = PortName::parse(name).map_err(OpenError::Name)?;
        let (adapter, share) = self.find(name, port.interface)?;
        let InterfaceInfo { name, nic, .. } = adapter.info();
        let RingSelection::One(ring) = port.rings else {
            let all = RingSet::all(&nic);
            return adapter.bind(&self.region, all, sharing, share);
        };
        let rings = (nic.tx_queues, nic.rx_queues);
        let set = RingSet::one(ring, &nic).ok_or(OpenError::NoRing { name, ring, rings })?;
        adapter.bind(&self.region, set, sharing, share)
    }

    /// The adapter of an interface, and its fair share of the free buffers.
    fn find(&self, name: &str, interface: InterfaceName<'_>) -> Result<(Arc<dyn Adapter>, u32), OpenError> {
        let infos: Vec<_> = self.adapters.lock().iter().map(|a| (a.info(), a.clone())).collect();
        let is_wanted = |info: &InterfaceInfo| match interface {
            InterfaceName::Name(name) => info.name == name,
            InterfaceName::Mac(mac) => info.nic.mac == mac,
        };
        let Some((_, adapter)) = infos.iter().find(|(info, _)| is_wanted(info)) else {
            let known = infos.into_iter().map(|(info, _)| info.name).collect();
            return Err(OpenError::Unknown { name: name.to_string(), known });
        };
        let closed = infos.iter().filter(|(info, _)| !info.is_open).count().max(1);
        Ok((adapter.clone(), self.region.report().free / closed as u32))
    }

    /// Takes the interface `name` away. Ports that are open on it stay valid memory, and each of their syncs says
    /// [`Gone`](crate::SyncError::Gone); the card touches nothing any more when this returns.
    #[doc(alias = "netmap_detach")]
    pub fn detach(&self, name: &str) -> Result<(), OpenError> {
        let mut adapters = self.adapters.lock();
        let Some(at) = adapters.iter().position(|a| a.info().name == name) else {
            let known = adapters.iter().map(|a| a.info().name).collect();
            return Err(OpenError::Unknown { name: name.to_string(), known });
        };
        let adapter = adapters.remove(at);
        drop(adapters);
        adapter.disappear();
        Ok(())
    }

    /// Resets the card of interface `name`. Ports stay open: slots that were the application's stay as they are, frames
    /// that the card held count as sent or are lost, and receive slots are given to it anew. If the card does not
    /// start again, its ports find it [`Gone`](crate::SyncError::Gone).
    #[doc(alias("netmap_disable_all_rings", "netmap_enable_all_rings"))]
    pub fn reset(&self, name: &str) -> Result<(), OpenError> {
        let (adapter, _) = self.find(name, InterfaceName::Name(name))?;
        adapter.reset()
    }

    /// The interfaces, in the order in which they were attached.
    pub fn interfaces(&self) -> Vec<InterfaceInfo> {
        self.adapters.lock().iter().map(|a| a.info()).collect()
    }

    /// The counters of all rings, interface by interface.
    pub fn counters(&self) -> Vec<RingReport> {
        self.adapters.lock().iter().flat_map(|a| a.counters()).collect()
    }

    /// Where the buffers are.
    pub fn memory(&self) -> MemoryReport {
        self.region.report()
    }

    /// The shared memory region.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl fmt::Debug for Netmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netmap").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Why a card was not attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachError {
    /// No interface can have this name.
    Name(String),
    /// There is an interface of this name already.
    Exists(String),
    /// The card offers no transmit or no receive ring of at least two slots.
    #[doc(alias = "netmap_attach_common")]
    NoRings(String),
}

impl AttachError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Name(_) | Self::NoRings(_) => errno::EINVAL,
            Self::Exists(_) => errno::EEXIST,
        }
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\" cannot be the name of an interface"),
            Self::Exists(name) => write!(f, "there is an interface {name} already"),
            Self::NoRings(name) => write!(f, "{name} has no transmit or no receive ring of two slots"),
        }
    }
}

impl core::error::Error for AttachError {}
