//! The registry: one value that owns interfaces, memory and tunables.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::adapter::{Bound, InterfaceInfo, Interfaces, Opener, Sharing, Wanted};
use crate::events::Events;
use crate::events::hub::Hub;
use crate::generic::GenericCounters;
use crate::host::HostInterface;
use crate::mem::{MapError, Mapping, MemId, MemoryReport, Region, RegionError, Regions, Trust};
use crate::name::PortName;
use crate::offsets::Offsets;
use crate::open_error::OpenError;
use crate::platform::Platform;
use crate::port::Port;
use crate::stats::RingReport;
use crate::tunables::{Knobs, Tunables};

/// A netmap. Nothing is global: a test can have ten. Clones are handles to the same one.
#[derive(Clone)]
pub struct Netmap {
    regions: Arc<Regions>,
    /// What the netmap was built from.
    start: Tunables,
    knobs: Arc<Knobs>,
    hub: Arc<Hub>,
    interfaces: Arc<Interfaces>,
}

impl Netmap {
    /// Takes the shared memory region from `platform`, sized by `tunables`.
    pub fn new(platform: &Arc<dyn Platform>, tunables: Tunables) -> Result<Self, RegionError> {
        let knobs = Arc::new(Knobs::new(tunables.behaviour));
        let regions = Arc::new(Regions::new(platform, &tunables)?);
        let hub = Hub::new(platform.clone(), knobs.clone());
        Ok(Self { regions, start: tunables, knobs, hub, interfaces: Arc::default() })
    }

    /// How the core behaves, to be looked at and changed while it runs.
    pub fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    pub(crate) fn shared_knobs(&self) -> &Arc<Knobs> {
        &self.knobs
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn list(&self) -> &Arc<Interfaces> {
        &self.interfaces
    }

    /// Opens the port of this name (see [`name`](crate::name)). It has its rings for itself.
    #[doc(alias = "NIOCREGIF")]
    pub fn open(&self, name: &str) -> Result<Port, OpenError> {
        Port::new(self.bind(name, Sharing::Exclusive, Trust::Safe, None)?)
    }

    pub(crate) fn bind(
        &self,
        name: &str,
        sharing: Sharing,
        trust: Trust,
        offsets: Option<Offsets>,
    ) -> Result<Bound, OpenError> {
        let port = PortName::parse(name).map_err(OpenError::Name)?;
        let interface = self.interfaces.find(name, port.interface)?;
        let wanted = Wanted { rings: port.rings, sharing, trust, offsets };
        interface.bind(Opener::ByName, wanted, self.interfaces.share(&interface, trust))
    }

    /// Takes the interface `name` away. Ports that are open on it stay valid memory, and each of their syncs says
    /// [`Gone`](crate::SyncError::Gone); the card touches nothing any more when this returns.
    #[doc(alias = "netmap_detach")]
    pub fn detach(&self, name: &str) -> Result<(), OpenError> {
        self.interfaces.remove(name)?.disappear();
        Ok(())
    }

    /// Resets the card of interface `name`. Ports stay open: slots that were the application's stay as they are, frames
    /// that the card held count as sent or are lost, and receive slots are given to it anew. If the card does not
    /// start again, its ports find it [`Gone`](crate::SyncError::Gone).
    #[doc(alias("netmap_disable_all_rings", "netmap_enable_all_rings"))]
    pub fn reset(&self, name: &str) -> Result<(), OpenError> {
        self.interfaces.named(name)?.reset()
    }

    /// The stack's end of interface `name`, if it is attached with a stack.
    pub fn host(&self, name: &str) -> Option<HostInterface> {
        self.interfaces.named(name).ok()?.common().host.as_ref().map(HostInterface::new)
    }

    /// What the interrupt handler of interface `name` is given: the interrupts of its card, whatever adapter ports have.
    pub fn events(&self, name: &str) -> Result<Events, OpenError> {
        Ok(Events::new(self.interfaces.named(name)?.signals().clone()))
    }

    /// Wakes those who wait for rings that have interrupted (see [`events`](crate::events)). Not for handlers: wakers
    /// run here. A machine that sleeps until an interrupt calls it afterwards, and again at
    /// [`next_due_ns`](Self::next_due_ns). Returns how many rings were served.
    #[doc(alias = "netmap_notify")]
    pub fn run_pending(&self) -> usize {
        self.hub.run_pending()
    }

    /// When [`run_pending`](Self::run_pending) is to be called even if nothing interrupts, in the time of
    /// [`Platform::now_ns`]: a ring has interrupted again within its interval (see [`events`](crate::events#mitigation)).
    #[doc(alias = "generic_mit")]
    pub fn next_due_ns(&self) -> Option<u64> {
        self.hub.next_due_ns()
    }

    /// The time in nanoseconds of the platform's clock, which starts at some point before this netmap and never goes back
    /// ([`Platform::now_ns`]). For rates, timeouts and time stamps of applications.
    pub fn now_ns(&self) -> u64 {
        self.hub.now_ns()
    }

    /// The interfaces, in the order in which they were attached.
    pub fn interfaces(&self) -> Vec<InterfaceInfo> {
        self.interfaces.all().iter().map(|interface| interface.info()).collect()
    }

    /// The counters of all rings, interface by interface.
    pub fn counters(&self) -> Vec<RingReport> {
        self.interfaces.all().iter().flat_map(|interface| interface.counters()).collect()
    }

    /// What the generic adapter of interface `name` counts besides its rings, if the interface can have one.
    pub fn generic_counters(&self, name: &str) -> Option<Arc<GenericCounters>> {
        self.interfaces.named(name).ok()?.frames().cloned()
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
