//! What a name leads to: one or two adapters, of which one at a time has ports.
//!
//! | | a port is open | it is closed |
//! |---|---|---|
//! | open | the adapter of the open ports | what `admode` chooses now |
//! | everything else | that adapter | the same; where `admode` finds none, the one that there is |
//!
//! The lock of an interface is held while a port is opened, so that two ports never get two adapters, and while it is
//! claimed. It is taken before the lock of an adapter.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::bound::Bound;
use super::common::Common;
use super::info::{AdapterInfo, InterfaceInfo};
use super::life::Adapter;
use super::request::{Request, Wanted};
use super::slots::Slots;
use super::users::Rings;
use crate::events::signals::Signals;
use crate::generic::{Choice, GenericCounters, NoAdapter, Present};
use crate::mem::Region;
use crate::open_error::OpenError;
use crate::stats::{RingKind, RingReport};
use crate::tunables::Knobs;

/// An interface, and the memory that its ports use.
pub(crate) struct Interface {
    common: Arc<Common>,
    region: Arc<Region>,
    knobs: Arc<Knobs>,
    /// The card's own rings, if it has some.
    first: AdapterSlot,
    second: Option<AdapterSlot>,
    control: Mutex<Control>,
}

/// One of an interface's adapters.
pub(crate) struct AdapterSlot {
    choice: Choice,
    adapter: Arc<Adapter>,
    frames: Option<Arc<GenericCounters>>,
}

/// What openers look at first.
#[derive(Default)]
struct Control {
    is_gone: bool,
    owner: Option<String>,
}

/// How an interface is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    /// By its name, which is refused while it has an owner.
    ByName,
    /// By the claim.
    Owner,
}

impl AdapterSlot {
    /// The adapter of this kind; with what a generic one counts besides.
    pub(crate) fn new(choice: Choice, adapter: Arc<Adapter>, frames: Option<Arc<GenericCounters>>) -> Self {
        Self { choice, adapter, frames }
    }
}

impl Interface {
    pub(crate) fn new(
        common: Arc<Common>,
        region: Arc<Region>,
        knobs: Arc<Knobs>,
        first: AdapterSlot,
        second: Option<AdapterSlot>,
    ) -> Self {
        Self { common, region, knobs, first, second, control: Mutex::default() }
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn name(&self) -> &str {
        &self.common.name
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    fn adapters(&self) -> impl Iterator<Item = &AdapterSlot> {
        core::iter::once(&self.first).chain(&self.second)
    }

    /// The adapter that a port gets now.
    #[doc(alias = "netmap_get_hw_na")]
    fn chosen(&self) -> Result<&AdapterSlot, NoAdapter> {
        let has = |choice| self.adapters().any(|slot| slot.choice == choice);
        let in_use = self.adapters().find(|slot| slot.adapter.is_in_use());
        let present = Present {
            has_native: has(Choice::Native),
            has_frames: has(Choice::Generic),
            in_use: in_use.map(|slot| slot.choice),
        };
        let mode = self.knobs.admode();
        let choice = mode.choose(present)?;
        self.adapters().find(|slot| slot.choice == choice).ok_or(NoAdapter(mode))
    }

    /// The adapter that the interface is about.
    fn current(&self) -> &AdapterSlot {
        self.chosen().unwrap_or(&self.first)
    }
}

/// What can be seen of it.
impl Interface {
    pub(crate) fn info(&self) -> InterfaceInfo {
        let owner = self.control.lock().owner.clone();
        let AdapterSlot { choice, adapter, .. } = self.current();
        let AdapterInfo { nic, link, is_open } = adapter.info();
        let (name, mtu) = (self.name().to_string(), self.common.mtu(&nic));
        InterfaceInfo { name, nic, adapter: *choice, link, mtu, is_open, owner }
    }

    /// How many rings it has and how large they are, or would be with about `share` buffers at most.
    pub(crate) fn shape(&self, share: u32) -> (Rings, Slots) {
        self.current().adapter.shape(&self.region, share)
    }

    pub(crate) fn counters(&self) -> Vec<RingReport> {
        let mut reports = self.common.reports(self.current().adapter.rings());
        for report in reports.iter_mut().filter(|report| report.kind == RingKind::Hardware) {
            let signal = self.signals().ring(report.kind, report.direction, report.ring);
            report.interrupts = signal.map_or(0, |signal| signal.interrupts());
        }
        reports
    }

    /// Whether ports are open on it, or what is left of it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.adapters().any(|slot| slot.adapter.is_in_use())
    }

    /// What a generic adapter counts besides its rings.
    pub(crate) fn frames(&self) -> Option<&Arc<GenericCounters>> {
        self.adapters().find_map(|slot| slot.frames.as_ref())
    }

    /// Where its interrupts go. Only a card with rings has some, and its handler is not given another when ports get
    /// another adapter.
    pub(crate) fn signals(&self) -> &Arc<Signals> {
        self.first.adapter.signals()
    }
}

/// What happens to it.
impl Interface {
    /// Binds rings for a port, with about `share` buffers at most.
    pub(crate) fn bind(&self, opener: Opener, wanted: Wanted, share: u32) -> Result<Bound, OpenError> {
        let control = self.control.lock();
        self.check(&control, opener)?;
        let slot = self.chosen().map_err(|none| OpenError::NoAdapter(self.name().into(), none))?;
        Bound::new(&slot.adapter, &Request { wanted, region: &self.region, share })
    }

    /// From now on it belongs to `owner`, until it is [given back](Self::give_back).
    pub(crate) fn claim(&self, owner: &str) -> Result<(), OpenError> {
        let mut control = self.control.lock();
        self.check(&control, Opener::ByName)?;
        if self.is_in_use() {
            return Err(OpenError::InUse(self.name().into()));
        }
        control.owner = Some(owner.into());
        Ok(())
    }

    /// It has no owner any more.
    pub(crate) fn give_back(&self) {
        self.control.lock().owner = None;
    }

    /// Why this opener cannot have it.
    fn check(&self, control: &Control, opener: Opener) -> Result<(), OpenError> {
        let name = self.name().to_string();
        match &control.owner {
            _ if control.is_gone => Err(OpenError::Gone(name)),
            Some(owner) if opener == Opener::ByName => Err(OpenError::Owned { name, owner: owner.clone() }),
            _ => Ok(()),
        }
    }

    pub(crate) fn reset(&self) -> Result<(), OpenError> {
        self.current().adapter.reset()
    }

    /// It disappears: it cannot be opened any more, its rings do nothing, and nothing touches their memory.
    pub(crate) fn disappear(&self) {
        self.control.lock().is_gone = true;
        self.adapters().for_each(|slot| slot.adapter.disappear());
    }
}
