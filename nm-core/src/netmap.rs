//! The registry: one value that owns interfaces, memory and tunables.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use spin::Mutex;

use crate::adapter::hardware::{HardwareAdapter, queues_max};
use crate::adapter::{Adapter, Bound, Common, InterfaceInfo, Request, Sharing, has_rings};
use crate::errno;
use crate::events::Events;
use crate::events::hub::Hub;
use crate::generic::{Choice, NoAdapter, Present, Settings};
use crate::host::{HostInterface, HostRings, HostSide, HostStack};
use crate::mem::{MapError, Mapping, MemId, MemoryReport, Region, RegionError, Regions};
use crate::name::{InterfaceName, PortName, is_interface_name};
use crate::nic::Nic;
use crate::platform::Platform;
use crate::port::{OpenError, Port};
use crate::stats::RingReport;
use crate::tunables::{Knobs, Tunables};

/// A netmap. Nothing is global: a test can have ten. Clones are handles to the same one.
///
/// The lock around the list of interfaces is taken before the lock of an interface, and never by a sync.
#[derive(Clone)]
pub struct Netmap {
    regions: Arc<Regions>,
    /// What the netmap was built from.
    start: Tunables,
    knobs: Arc<Knobs>,
    hub: Arc<Hub>,
    interfaces: Arc<Mutex<Vec<Interface>>>,
}

/// An interface, and the memory that its ports use.
#[derive(Clone)]
struct Interface {
    common: Arc<Common>,
    adapter: Arc<dyn Adapter>,
    region: Arc<Region>,
}

impl Netmap {
    /// Takes the shared memory region from `platform`, sized by `tunables`.
    pub fn new(platform: &Arc<dyn Platform>, tunables: Tunables) -> Result<Self, RegionError> {
        let knobs = Arc::new(Knobs::new(tunables.behaviour));
        let regions = Arc::new(Regions::new(platform, &tunables)?);
        let hub = Hub::new(platform.clone(), knobs.clone());
        Ok(Self { regions, start: tunables, knobs, hub, interfaces: Arc::default() })
    }

    /// Makes the card `nic` known as `name`. Its ports use the shared memory region.
    #[doc(alias = "netmap_attach")]
    pub fn attach<N: Nic>(&self, name: &str, nic: N) -> Result<(), AttachError> {
        self.attach_in(name, nic, self.regions.shared())
    }

    /// Makes the card `nic` known as `name`, with a memory region for its ports, such as a private one of
    /// [`regions`](Self::regions). Between ports of different regions frames are copied.
    #[doc(alias = "NAF_MEM_OWNER")]
    pub fn attach_in<N: Nic>(&self, name: &str, nic: N, region: &Arc<Region>) -> Result<(), AttachError> {
        self.attach_adapter(name, nic, None, region)
    }

    /// Makes the card `nic` known as `name`, with host rings that lead to `stack` (see [`host`](crate::host)). What the
    /// stack sends goes into the value returned.
    pub fn attach_with_stack<N: Nic>(
        &self,
        name: &str,
        nic: N,
        stack: Arc<dyn HostStack>,
        rings: HostRings,
    ) -> Result<HostInterface, AttachError> {
        if !rings.is_valid() {
            return Err(AttachError::HostRings(name.to_string()));
        }
        let ((tx_queues, _), frame_max) = (queues_max(&nic), self.region().frame_max());
        let host = HostSide::new(name, stack, rings, tx_queues, frame_max, self.knobs.clone());
        let interface = HostInterface::new(&host);
        self.attach_adapter(name, nic, Some(host), self.regions.shared())?;
        Ok(interface)
    }

    fn attach_adapter<N: Nic>(
        &self,
        name: &str,
        nic: N,
        host: Option<Arc<HostSide>>,
        region: &Arc<Region>,
    ) -> Result<(), AttachError> {
        if !is_interface_name(name) {
            return Err(AttachError::Name(name.to_string()));
        }
        if !has_rings(&nic.info()) {
            return Err(AttachError::NoRings(name.to_string()));
        }
        let mut interfaces = self.interfaces.lock();
        if interfaces.iter().any(|interface| interface.common.name == name) {
            return Err(AttachError::Exists(name.to_string()));
        }
        let common = Common::new(name, host, queues_max(&nic));
        let adapter = HardwareAdapter::new(&common, nic, &self.hub);
        interfaces.push(Interface { common, adapter, region: region.clone() });
        Ok(())
    }

    /// Makes an interface known that has rings of its own, or passes frames one by one, or can do both; the tunable
    /// `admode` chooses (see [`AdapterMode::choose`](crate::tunables::AdapterMode::choose)). The generic adapter is made by
    /// `generic` from what `generic_ringsize` and `generic_mit` say now.
    #[doc(alias = "netmap_get_hw_na")]
    pub fn attach_either<N: Nic, G: Nic>(
        &self,
        name: &str,
        native: Option<N>,
        generic: Option<impl FnOnce(Settings) -> G>,
    ) -> Result<(), AttachError> {
        let present =
            Present { has_native: native.is_some(), is_native_open: false, has_frames: generic.is_some() };
        let none = |none| AttachError::NoAdapter(name.to_string(), none);
        match (self.knobs.admode().choose(present).map_err(none)?, native, generic) {
            (Choice::Native, Some(native), _) => self.attach(name, native),
            (_, _, Some(generic)) => self.attach(name, generic(Settings::new(&self.tunables()))),
            (_, _, None) => Err(AttachError::NoRings(name.to_string())),
        }
    }

    /// How the core behaves, to be looked at and changed while it runs.
    pub fn knobs(&self) -> &Knobs {
        &self.knobs
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
        let (Interface { adapter, region, .. }, share) = self.find(name, port.interface)?;
        adapter.bind(&Request { region: &region, rings: port.rings, sharing, share })
    }

    /// An interface, and its fair share of the free buffers of its region.
    fn find(&self, name: &str, wanted: InterfaceName<'_>) -> Result<(Interface, u32), OpenError> {
        let all: Vec<_> = self.interfaces.lock().iter().map(|i| (i.adapter.info(), i.clone())).collect();
        let is_wanted = |info: &InterfaceInfo| match wanted {
            InterfaceName::Name(name) => info.name == name,
            InterfaceName::Mac(mac) => info.nic.mac == mac,
        };
        let found = all.iter().find(|(info, _)| is_wanted(info));
        let (_, found) = found.ok_or_else(|| unknown(name, all.iter().map(|(_, other)| other)))?;
        let is_rival = |(info, other): &&(InterfaceInfo, Interface)| {
            !info.is_open && Arc::ptr_eq(&other.region, &found.region)
        };
        let rivals = all.iter().filter(is_rival).count().max(1);
        Ok((found.clone(), found.region.report().free / rivals as u32))
    }

    /// Takes the interface `name` away. Ports that are open on it stay valid memory, and each of their syncs says
    /// [`Gone`](crate::SyncError::Gone); the card touches nothing any more when this returns.
    #[doc(alias = "netmap_detach")]
    pub fn detach(&self, name: &str) -> Result<(), OpenError> {
        let mut interfaces = self.interfaces.lock();
        let at = interfaces.iter().position(|i| i.common.name == name);
        let at = at.ok_or_else(|| unknown(name, interfaces.iter()))?;
        let Interface { adapter, .. } = interfaces.remove(at);
        drop(interfaces);
        adapter.disappear();
        Ok(())
    }

    /// Resets the card of interface `name`. Ports stay open: slots that were the application's stay as they are, frames
    /// that the card held count as sent or are lost, and receive slots are given to it anew. If the card does not
    /// start again, its ports find it [`Gone`](crate::SyncError::Gone).
    #[doc(alias("netmap_disable_all_rings", "netmap_enable_all_rings"))]
    pub fn reset(&self, name: &str) -> Result<(), OpenError> {
        let (interface, _) = self.find(name, InterfaceName::Name(name))?;
        interface.adapter.reset()
    }

    /// The stack's end of interface `name`, if it is attached with a stack.
    pub fn host(&self, name: &str) -> Option<HostInterface> {
        let interfaces = self.interfaces.lock();
        let host =
            interfaces.iter().filter_map(|i| i.common.host.as_ref()).find(|host| host.name() == name)?;
        Some(HostInterface::new(host))
    }

    /// What the interrupt handler of interface `name` is given.
    pub fn events(&self, name: &str) -> Result<Events, OpenError> {
        let (interface, _) = self.find(name, InterfaceName::Name(name))?;
        Ok(Events::new(interface.adapter.signals().clone()))
    }

    /// Wakes those who wait for rings that have interrupted (see [`events`](crate::events)). Not for handlers: wakers
    /// run here. Whoever sleeps until an interrupt calls it afterwards, and not more often than
    /// [`mitigation`](Self::mitigation) says. Returns how many rings had interrupted.
    #[doc(alias = "netmap_notify")]
    pub fn run_pending(&self) -> usize {
        self.hub.run_pending()
    }

    /// Shortest time between two calls of [`run_pending`](Self::run_pending) that its callers keep; 0 at the start.
    #[doc(alias("mitigate", "generic_mit"))]
    pub fn mitigation(&self) -> Duration {
        self.hub.mitigation()
    }

    /// Changes [`mitigation`](Self::mitigation), in steps of a microsecond.
    pub fn set_mitigation(&self, interval: Duration) {
        self.hub.set_mitigation(interval);
    }

    /// The interfaces, in the order in which they were attached.
    pub fn interfaces(&self) -> Vec<InterfaceInfo> {
        self.interfaces.lock().iter().map(|i| i.adapter.info()).collect()
    }

    /// The counters of all rings, interface by interface.
    pub fn counters(&self) -> Vec<RingReport> {
        self.interfaces.lock().iter().flat_map(|i| i.common.reports(i.adapter.rings())).collect()
    }

    /// Where the buffers are.
    pub fn memory(&self) -> MemoryReport {
        self.regions.shared().report()
    }

    /// The shared memory region.
    pub fn region(&self) -> &Region {
        self.regions.shared()
    }

    /// All memory regions: the shared one, and private ones that can be made here.
    pub fn regions(&self) -> &Regions {
        &self.regions
    }

    /// The memory of a region, without a port: only when the tunable `mmap_unreg` says so.
    #[doc(alias("mmap_unreg", "netmap_get_memory"))]
    pub fn map(&self, region: MemId) -> Result<Mapping, MapError> {
        self.regions.map_unbound(region, self.knobs.mmap_unreg())
    }

    /// What the netmap was built from, and how it behaves now.
    pub fn tunables(&self) -> Tunables {
        Tunables { behaviour: self.knobs.behaviour(), ..self.start }
    }
}

impl fmt::Debug for Netmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netmap").field("regions", &self.regions).finish_non_exhaustive()
    }
}

/// There is no interface `name` among these.
fn unknown<'a>(name: &str, interfaces: impl Iterator<Item = &'a Interface>) -> OpenError {
    let known = interfaces.map(|interface| interface.common.name.clone()).collect();
    OpenError::Unknown { name: name.to_string(), known }
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
    /// The interface has no adapter of the kind that `admode` asks for.
    NoAdapter(String, NoAdapter),
    /// The number of host rings or of their slots is out of range.
    HostRings(String),
}

impl AttachError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Name(_) | Self::NoRings(_) | Self::HostRings(_) | Self::NoAdapter(..) => errno::EINVAL,
            Self::Exists(_) => errno::EEXIST,
        }
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\" cannot be the name of an interface"),
            Self::Exists(name) => write!(f, "there is an interface {name} already"),
            Self::NoAdapter(name, none) => write!(f, "{name}: {none}"),
            Self::NoRings(name) => write!(f, "{name} has no transmit or no receive ring of two slots"),
            Self::HostRings(name) => {
                let (rings, slots) = (HostRings::RINGS_MAX, HostRings::SLOTS_MAX);
                write!(f, "{name} needs 1 to {rings} host rings each way, of 2 to {slots} slots")
            }
        }
    }
}

impl core::error::Error for AttachError {}
