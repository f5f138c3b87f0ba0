//! Interfaces are made known: with rings of their own, with frames one by one, with both.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use crate::adapter::{Adapter, AdapterSlot, Common, Interface, has_rings};
use crate::backend::Backend;
use crate::backend::card::Card;
use crate::backend::generic::Generic;
use crate::errno;
use crate::events::hub::Hub;
use crate::generic::{Choice, FrameDevice, GenericCounters};
use crate::host::{HostRings, HostSide, HostStack};
use crate::mem::Region;
use crate::name::is_interface_name;
use crate::netmap::Netmap;
use crate::nic::{Mtu, Nic};

pub use crate::backend::null::NullRings;

/// An interface to be made known by [`Netmap::attach_as`]: what passes its frames, who sends and receives besides ports,
/// and where the buffers of its ports are.
///
/// ```
/// # use nm_core::{Attachment, Netmap, host::HostRings, tunables::Tunables};
/// # use nm_core::testing::{card, frame_device, CardSpec, FakeStack, HeapPlatform, Order};
/// # use std::sync::Arc;
/// # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
/// # let netmap = Netmap::new(&platform, Tunables::default())?;
/// # let ((nic, _wire), (device, _line)) = (card(CardSpec::new(1, 256, Order::Posted)), frame_device(1));
/// # let stack = FakeStack::new();
/// let attachment = Attachment::both(nic, device).with_stack(stack, HostRings::default());
/// netmap.attach_as("em0", attachment)?;
/// netmap.knobs().set("admode", 2)?;
/// let port = netmap.open("em0*")?;
/// assert!(netmap.interfaces()[0].to_string().ends_with("rx=1x1024 adapter=generic"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Attachment {
    first: AdapterSpec,
    second: Option<AdapterSpec>,
    stack: Option<(Arc<dyn HostStack>, HostRings)>,
    region: Option<Arc<Region>>,
    mtu: Option<Mtu>,
}

/// Makes a back end for an interface of the netmap with this hub.
type MakeBackend = Box<dyn FnOnce(&Arc<Hub>) -> Box<dyn Backend> + Send>;

/// What an adapter is made of.
struct AdapterSpec {
    choice: Choice,
    has_rings: bool,
    /// The most queues that there will be, each way.
    most: (u16, u16),
    make: MakeBackend,
    /// What a generic adapter counts besides its rings.
    frames: Option<Arc<GenericCounters>>,
}

impl AdapterSpec {
    fn new(backend: impl Backend + 'static) -> Self {
        let (has_rings, most) = (has_rings(&backend.info()), backend.queues_max());
        let make = Box::new(move |_: &Arc<Hub>| Box::new(backend) as Box<dyn Backend>);
        Self { choice: Choice::Native, has_rings, most, make, frames: None }
    }

    #[doc(alias = "generic_netmap_attach")]
    fn generic<D: FrameDevice>(device: D) -> Self {
        let counters = Arc::<GenericCounters>::default();
        let frames = Some(counters.clone());
        let make =
            Box::new(move |hub: &Arc<Hub>| Box::new(Generic::new(device, counters, hub)) as Box<dyn Backend>);
        Self { choice: Choice::Generic, has_rings: true, most: (1, 1), make, frames }
    }

    /// The adapter.
    fn adapter(self, common: &Arc<Common>, hub: &Arc<Hub>) -> AdapterSlot {
        let adapter = Adapter::new(common, (self.make)(hub), hub);
        AdapterSlot::new(self.choice, adapter, self.frames)
    }
}

impl Attachment {
    /// A card with rings.
    pub fn rings<N: Nic>(nic: N) -> Self {
        Self::of(Card::new(nic))
    }

    /// A device that passes frames one by one, through the [generic adapter](crate::generic).
    pub fn frames<D: FrameDevice>(device: D) -> Self {
        Self { first: AdapterSpec::generic(device), second: None, stack: None, region: None, mtu: None }
    }

    /// Rings with nothing behind them, which move no frame: memory for a program that exchanges buffers itself.
    #[doc(alias("NR_REG_NULL", "netmap_get_null_na"))]
    pub fn null(rings: NullRings) -> Self {
        Self::of(rings)
    }

    /// Rings with this back end.
    pub(crate) fn of(backend: impl Backend + 'static) -> Self {
        Self { first: AdapterSpec::new(backend), second: None, stack: None, region: None, mtu: None }
    }

    /// A card with rings that can also pass frames one by one, as `device`. Which of them ports get, the tunable `admode`
    /// says whenever one is opened on a closed interface (see
    /// [`AdapterMode::choose`](crate::tunables::AdapterMode::choose)).
    pub fn both<N: Nic, D: FrameDevice>(nic: N, device: D) -> Self {
        Self { second: Some(AdapterSpec::generic(device)), ..Self::rings(nic) }
    }

    /// With host rings that lead to `stack` (see [`host`](crate::host)). What the stack sends goes into
    /// [`Netmap::host`].
    #[must_use]
    pub fn with_stack(self, stack: Arc<dyn HostStack>, rings: HostRings) -> Self {
        Self { stack: Some((stack, rings)), ..self }
    }

    /// With a memory region for its ports other than the shared one, such as a private one of
    /// [`Netmap::regions`]. Between ports of different regions frames are copied.
    #[doc(alias = "NAF_MEM_OWNER")]
    #[must_use]
    pub fn in_region(self, region: &Arc<Region>) -> Self {
        Self { region: Some(region.clone()), ..self }
    }

    /// With this MTU, instead of the one that the card reports, or [`Mtu::ETHERNET`] if it reports none. Frames of more than
    /// [`Mtu::frame_max`] bytes are dropped and counted, both ways. No port opens with an MTU that is larger than the card's, or
    /// that the card cannot receive into buffers of the interface's region ([`OpenError::Mtu`](crate::OpenError::Mtu)).
    #[must_use]
    pub fn with_mtu(self, mtu: Mtu) -> Self {
        Self { mtu: Some(mtu), ..self }
    }

    fn specs(&self) -> impl Iterator<Item = &AdapterSpec> {
        core::iter::once(&self.first).chain(&self.second)
    }

    /// Whether 16 bits number the rings of the card and of the host one way, as the interface's header has it.
    fn are_numbered(&self) -> bool {
        let (host_tx, host_rx) = self.stack.as_ref().map_or((0, 0), |(_, rings)| (rings.tx, rings.rx));
        self.specs().all(|AdapterSpec { most: (tx, rx), .. }| {
            tx.checked_add(host_tx).is_some() && rx.checked_add(host_rx).is_some()
        })
    }

    /// Why no interface can be called `name` and be this.
    fn check(&self, name: &str) -> Result<(), AttachError> {
        let has_valid_stack = self.stack.as_ref().is_none_or(|(_, rings)| rings.is_valid());
        match () {
            () if !is_interface_name(name) => Err(AttachError::Name(name.to_string())),
            () if !has_valid_stack => Err(AttachError::HostRings(name.to_string())),
            () if !self.specs().all(|spec| spec.has_rings) => Err(AttachError::NoRings(name.to_string())),
            () if !self.are_numbered() => Err(AttachError::TooManyRings(name.to_string())),
            () => Ok(()),
        }
    }
}

/// Interfaces come.
impl Netmap {
    /// Makes the card `nic` known as `name`. Its ports use the shared memory region.
    #[doc(alias = "netmap_attach")]
    pub fn attach<N: Nic>(&self, name: &str, nic: N) -> Result<(), AttachError> {
        self.attach_as(name, Attachment::rings(nic))
    }

    /// Makes `device`, which passes frames one by one, known as `name`. Its ports use the shared memory region.
    pub fn attach_frames<D: FrameDevice>(&self, name: &str, device: D) -> Result<(), AttachError> {
        self.attach_as(name, Attachment::frames(device))
    }

    /// Makes an interface known as `name`.
    pub fn attach_as(&self, name: &str, attachment: Attachment) -> Result<(), AttachError> {
        attachment.check(name)?;
        // Before the device is told where its events go.
        if self.list().has(name) {
            return Err(AttachError::Exists(name.to_string()));
        }
        let interface = self.make(name, attachment);
        self.list().add(interface).map_err(|_| AttachError::Exists(name.to_string()))
    }

    fn make(&self, name: &str, attachment: Attachment) -> Interface {
        let most = attachment.specs().fold((0, 0), |(tx, rx), AdapterSpec { most, .. }| {
            let (more_tx, more_rx) = *most;
            (more_tx.max(tx), more_rx.max(rx))
        });
        let Attachment { first, second, stack, region, mtu } = attachment;
        let region = region.unwrap_or_else(|| self.regions().shared().clone());
        let (frame_max, knobs) = (region.frame_max(), self.shared_knobs());
        let host =
            stack.map(|(stack, rings)| HostSide::new(name, stack, rings, most.0, frame_max, self.hub()));
        let common = Common::new(name, host, mtu, most);
        let first = first.adapter(&common, self.hub());
        let second = second.map(|second| second.adapter(&common, self.hub()));
        Interface::new(common.clone(), region, knobs.clone(), first, second)
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").finish_non_exhaustive()
    }
}

/// Why an interface was not attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachError {
    /// No interface can have this name.
    Name(String),
    /// There is an interface of this name already.
    Exists(String),
    /// The card offers no transmit or no receive ring of at least two slots.
    #[doc(alias = "netmap_attach_common")]
    NoRings(String),
    /// The number of host rings or of their slots is out of range.
    HostRings(String),
    /// The card and the host have more than 65535 rings together, one way.
    TooManyRings(String),
}

impl AttachError {
    /// The number that netmap gives for it.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Name(_) | Self::NoRings(_) | Self::HostRings(_) | Self::TooManyRings(_) => errno::EINVAL,
            Self::Exists(_) => errno::EEXIST,
        }
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\" cannot be the name of an interface"),
            Self::Exists(name) => write!(f, "an interface {name} exists already"),
            Self::NoRings(name) => write!(f, "{name} has no transmit or no receive ring of two slots"),
            Self::TooManyRings(name) => {
                write!(f, "{name} has more than {} rings of the card and the host one way", u16::MAX)
            }
            Self::HostRings(name) => {
                let (rings, slots) = (HostRings::RINGS_MAX, HostRings::SLOTS_MAX);
                write!(f, "{name} needs 1 to {rings} host rings each way, of 2 to {slots} slots")
            }
        }
    }
}

impl core::error::Error for AttachError {}
