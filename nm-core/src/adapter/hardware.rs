//! The adapter of a network card.

use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::hint::spin_loop;

use spin::{Mutex, MutexGuard};

use super::session::Session;
use super::slots::Slots;
use super::users::{RingSet, Rings, Sharing};
use super::{Adapter, Bound, InterfaceInfo};
use crate::events::hub::Hub;
use crate::events::signals::Signals;
use crate::gate::Stop;
use crate::host::HostSide;
use crate::index::RingSize;
use crate::mem::{PortMemory, Region, RingShape};
use crate::nic::{Nic, NicInfo};
use crate::port::OpenError;
use crate::stats::{Direction, RingCounters, RingKind, RingReport};

/// A card, and its session while a port is open on it.
///
/// The adapter's lock is taken before that of a session's users, and never by a sync.
pub(crate) struct HardwareAdapter<N: Nic> {
    name: String,
    nic_info: NicInfo,
    state: Mutex<State<N>>,
    signals: Arc<Signals>,
    tx_counters: Vec<Arc<RingCounters>>,
    rx_counters: Vec<Arc<RingCounters>>,
    host: Option<Arc<HostSide>>,
}

struct State<N: Nic> {
    nic: N,
    session: Weak<Session<N>>,
    /// From the start of the card to its stop, which comes after the session's last reference has gone.
    is_running: bool,
    is_gone: bool,
}

/// The locked state of an adapter that is in netmap mode.
struct Entered<'a, N: Nic> {
    state: MutexGuard<'a, State<N>>,
    session: Arc<Session<N>>,
    /// Whether the session began just now.
    is_new: bool,
}

impl<N: Nic> HardwareAdapter<N> {
    pub(crate) fn new(name: &str, nic: N, host: Option<Arc<HostSide>>, hub: &Arc<Hub>) -> Arc<Self> {
        let nic_info = nic.info();
        let counters = |count| (0..count).map(|_| Arc::default()).collect();
        Arc::new(Self {
            name: name.to_string(),
            tx_counters: counters(nic_info.tx_queues),
            rx_counters: counters(nic_info.rx_queues),
            signals: Signals::new(hub, &nic_info),
            nic_info,
            host,
            state: Mutex::new(State { nic, session: Weak::new(), is_running: false, is_gone: false }),
        })
    }

    pub(super) fn counters_of(&self, direction: Direction) -> &[Arc<RingCounters>] {
        match direction {
            Direction::Tx => &self.tx_counters,
            Direction::Rx => &self.rx_counters,
        }
    }

    /// The card did something that its driver or an engine cannot go on from.
    pub(super) fn failed<E>(&self, cause: E) -> OpenError
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        OpenError::Device { name: self.name.clone(), cause: Arc::new(cause) }
    }

    /// The last reference to the session has gone: the card stops.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        self.signals.set_on(false);
        if state.is_running {
            state.nic.stop();
            state.is_running = false;
        }
    }

    /// The adapter's state and its session, which is started if there is none.
    fn enter(self: &Arc<Self>, region: &Arc<Region>, share: u32) -> Result<Entered<'_, N>, OpenError> {
        let mut state = self.settled();
        let session = state.session.upgrade();
        if state.is_gone || (session.is_some() && !state.is_running) {
            drop(state);
            return Err(OpenError::Gone(self.name.clone()));
        }
        if let Some(session) = session {
            return Ok(Entered { state, session, is_new: false });
        }
        let shapes = self.shapes(region, share);
        let memory = PortMemory::new(region, &self.name, &shapes).map_err(OpenError::Memory)?;
        let queues = state.nic.start().map_err(|cause| self.failed(cause))?;
        state.is_running = true;
        // A session that is dropped stops the card, and takes the lock for it.
        drop(state);
        let session = Session::new(self.clone(), queues, memory)?;
        let mut state = self.state.lock();
        state.session = Arc::downgrade(&session);
        Ok(Entered { state, session, is_new: true })
    }

    /// The state when no session is on its way out. One that is holds no lock that we need, and gets ours.
    fn settled(&self) -> MutexGuard<'_, State<N>> {
        loop {
            let state = self.state.lock();
            if !state.is_running || state.session.strong_count() > 0 {
                return state;
            }
            drop(state);
            spin_loop();
        }
    }

    /// All rings in the order of netmap's table: as many slots as the queues hold, and as the host rings are to have,
    /// fewer where ring objects or buffers are short.
    fn shapes(&self, region: &Region, share: u32) -> Vec<RingShape> {
        let nic = &self.nic_info;
        let slots_max = region.sizes().slots_max();
        let host_slots = self.host.as_ref().map_or(0, |host| host.rings().slots);
        let wanted = Slots {
            tx: u32::from(nic.tx_slots).min(slots_max),
            rx: u32::from(nic.rx_slots).min(slots_max),
            host: u32::from(host_slots).min(slots_max),
        };
        let rings = self.rings();
        let slots = wanted.shrink(rings, share);
        if wanted != slots {
            let name = &self.name;
            log::warn!(target: "netmap", "{name}: rings of {slots} slots instead of {wanted}, for its share of {share} buffers");
        }
        let shapes = |direction, hardware| {
            let hardware_end = rings.hardware(direction);
            (0..hardware_end + rings.host(direction)).filter_map(move |number| {
                let (kind, _) = rings.place(direction, number);
                let size = RingSize::new(if kind == RingKind::Host { slots.host } else { hardware })?;
                Some(RingShape { kind, direction, number, size })
            })
        };
        shapes(Direction::Tx, slots.tx).chain(shapes(Direction::Rx, slots.rx)).collect()
    }
}

impl<N: Nic> HardwareAdapter<N> {
    fn reports<'a>(
        &self,
        kind: RingKind,
        direction: Direction,
        counters: impl Iterator<Item = &'a Arc<RingCounters>>,
    ) -> Vec<RingReport> {
        let report = |(ring, counters): (u16, &Arc<RingCounters>)| {
            let (interface, counters) = (self.name.clone(), counters.clone());
            RingReport { interface, kind, direction, ring, counters }
        };
        (0..).zip(counters).map(report).collect()
    }
}

impl<N: Nic> Adapter for HardwareAdapter<N> {
    fn name(&self) -> &str {
        &self.name
    }

    fn info(&self) -> InterfaceInfo {
        let state = self.state.lock();
        let (name, nic, link) = (self.name.clone(), self.nic_info.clone(), state.nic.link());
        let session = state.session.upgrade();
        let is_open = session.as_ref().is_some_and(|session| session.is_used());
        // Dropping what may be the last reference takes the lock.
        drop(state);
        drop(session);
        InterfaceInfo { name, nic, link, is_open }
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    fn counters(&self) -> Vec<RingReport> {
        let mut reports = self.reports(RingKind::Hardware, Direction::Tx, self.tx_counters.iter());
        reports.extend(self.reports(RingKind::Hardware, Direction::Rx, self.rx_counters.iter()));
        if let Some(host) = &self.host {
            reports.extend(self.reports(RingKind::Host, Direction::Tx, host.tx_counters()));
            reports.extend(self.reports(RingKind::Host, Direction::Rx, host.rx_counters()));
        }
        reports
    }

    fn rings(&self) -> Rings {
        let host = self.host.as_ref().map(|host| host.rings());
        let (host_tx, host_rx) = host.map_or((0, 0), |host| (host.tx, host.rx));
        Rings { tx: self.nic_info.tx_queues, rx: self.nic_info.rx_queues, host_tx, host_rx }
    }

    fn host(&self) -> Option<&Arc<HostSide>> {
        self.host.as_ref()
    }

    fn bind(
        self: Arc<Self>,
        region: &Arc<Region>,
        set: RingSet,
        sharing: Sharing,
        share: u32,
    ) -> Result<Bound, OpenError> {
        let Entered { state, session, is_new } = self.enter(region, share)?;
        let bound = session.bind(set, sharing, is_new);
        // A session that nobody has bound ends here, and takes the lock for it.
        drop(state);
        bound
    }

    fn reset(&self) -> Result<(), OpenError> {
        let mut state = self.settled();
        let Some(session) = state.session.upgrade() else { return Ok(()) };
        if !state.is_running {
            // A reset has failed before. The session's rings stay gone, so the card must not run for them.
            drop(state);
            return Err(OpenError::Gone(self.name.clone()));
        }
        session.stop(Stop::Pause);
        state.nic.stop();
        let started = state.nic.start().map_err(|cause| self.failed(cause));
        let outcome = started.and_then(|queues| session.restart(queues));
        if outcome.is_err() {
            session.stop(Stop::Gone);
            state.nic.stop();
            state.is_running = false;
        }
        drop(state);
        drop(session);
        self.signals.wake_all();
        outcome
    }

    fn disappear(&self) {
        let mut state = self.settled();
        state.is_gone = true;
        if let Some(host) = &self.host {
            host.disappear();
        }
        let session = state.session.upgrade();
        if let Some(session) = &session {
            session.stop(Stop::Gone);
        }
        if state.is_running {
            state.nic.stop();
            state.is_running = false;
        }
        self.signals.set_on(false);
        drop(state);
        drop(session);
        self.signals.wake_all();
    }
}
