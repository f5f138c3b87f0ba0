//! The adapter of a network card.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::error::Error;
use core::hint::spin_loop;

use spin::{Mutex, MutexGuard};

use super::config::Configuration;
use super::session::Session;
use super::slots::Slots;
use super::users::{RingSet, Rings};
use super::{Adapter, AdapterInfo, Bound, Common, Lease, Request, Wanted};
use crate::events::Events;
use crate::events::hub::Hub;
use crate::events::mitigation::Mitigation;
use crate::events::signals::Signals;
use crate::gate::Stop;
use crate::index::RingSize;
use crate::mem::{PortMemory, Region};
use crate::nic::{AnyNic, Nic, NicInfo, StartParams, Stopped};
use crate::port::OpenError;
use crate::ring::memory::RingShape;
use crate::stats::{Direction, RingKind};

/// A card, and its session while a port is open on it.
///
/// `operations` is held while a port is opened and while the card is reset or taken away, also while these wait for syncs to
/// end. `state` is held for a look or a step, never while a sync is waited for: a stack or a device may ask for interfaces and
/// counters from inside a sync. `operations` is taken before `state`, and `state` before the users of a session.
pub(crate) struct HardwareAdapter {
    common: Arc<Common>,
    operations: Mutex<()>,
    state: Mutex<State>,
    signals: Arc<Signals>,
}

struct State {
    nic: AnyNic,
    configuration: Configuration,
    session: Weak<Session>,
    /// From the beginning of a session until it has left, which comes after its last reference has gone.
    has_session: bool,
    /// From the start of the card to its stop: when the session leaves, or before when the card has failed.
    is_running: bool,
}

impl State {
    /// Stops the card if it runs.
    fn halt(&mut self) -> Stopped {
        if core::mem::replace(&mut self.is_running, false) { self.nic.stop() } else { Stopped::Yes }
    }

    /// Stops the card for good under a session that goes on without it. What it may still use is kept from others.
    fn halt_under(&mut self, session: Option<&Session>) {
        if self.halt() == Stopped::No
            && let Some(session) = session
        {
            session.give_up_memory();
        }
    }
}

/// The locked state of an adapter that is in netmap mode. The state is unlocked before the session is let go of: dropping
/// what may be the last reference to it takes the lock.
struct Entered<'a> {
    session: Arc<Session>,
    state: MutexGuard<'a, State>,
    /// The rings that were asked for.
    set: RingSet,
    /// Whether the session began just now.
    is_new: bool,
}

impl HardwareAdapter {
    /// The adapter of a card that tells no more than `most` queues.
    pub(crate) fn new(
        common: &Arc<Common>,
        mut nic: AnyNic,
        hub: &Arc<Hub>,
        mitigation: Mitigation,
    ) -> Arc<Self> {
        let (info, most) = (nic.info(), queues_max(nic.as_ref()));
        let (tx_queues, rx_queues) = most;
        let largest = NicInfo { tx_queues, rx_queues, ..info.clone() };
        let signals = Signals::new(hub, &largest, common.host_signals(), mitigation);
        nic.connect(Events::new(signals.clone()));
        let configuration = Configuration::new(info, most);
        let session = Weak::new();
        let state = Mutex::new(State { nic, configuration, session, has_session: false, is_running: false });
        Arc::new(Self { common: common.clone(), operations: Mutex::new(()), state, signals })
    }

    pub(super) fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// The card did something that its driver or a back end cannot go on from.
    pub(super) fn failed(&self, cause: Arc<dyn Error + Send + Sync>) -> OpenError {
        OpenError::Device { name: self.common.name.clone(), cause }
    }

    /// The last reference to the session has gone: the card stops.
    pub(super) fn leave(&self) -> Stopped {
        let mut state = self.state.lock();
        self.signals.set_on(false);
        state.has_session = false;
        state.halt()
    }

    /// The adapter's state and its session, which is started if there is none.
    fn enter(self: &Arc<Self>, request: &Request<'_>) -> Result<Entered<'_>, OpenError> {
        let (session, state) = self.settled();
        match session {
            Some(session) => self.join(session, state, request),
            None => self.begin(state, request),
        }
    }

    /// Enters a session that there is.
    fn join<'a>(
        &self,
        session: Arc<Session>,
        mut state: MutexGuard<'a, State>,
        request: &Request<'_>,
    ) -> Result<Entered<'a>, OpenError> {
        let name = &self.common.name;
        let set = if state.is_running {
            let found = state.nic.info();
            state.configuration.keep(name, found);
            session.rings().select(name, request.wanted.rings)
        } else {
            Err(OpenError::Gone(name.clone()))
        };
        match set {
            Ok(set) => Ok(Entered { state, session, set, is_new: false }),
            Err(error) => {
                // Dropping what may be the last reference to the session stops the card, and takes the lock for it.
                drop(state);
                Err(error)
            }
        }
    }

    /// Begins a session, with the card as it is now.
    fn begin<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        request: &Request<'_>,
    ) -> Result<Entered<'a>, OpenError> {
        let name = &self.common.name;
        let found = state.nic.info();
        state.configuration.adopt(name, found)?;
        let info = state.configuration.adopted();
        let rings = self.common.rings(info);
        let set = rings.select(name, request.wanted.rings)?;
        let shapes = self.shapes(info, rings, request);
        let memory = PortMemory::new(request.region, name, &shapes, request.wanted.hands)
            .map_err(OpenError::Memory)?;
        let params = start_params(&shapes, request.region);
        let queues = state.nic.start(&params).map_err(|cause| self.failed(cause))?;
        (state.has_session, state.is_running) = (true, true);
        // A session that cannot begin stops the card, and takes the lock for it.
        drop(state);
        let session = Session::new(self.clone(), rings, queues, (memory, params))?;
        let mut state = self.state.lock();
        state.session = Arc::downgrade(&session);
        Ok(Entered { state, session, set, is_new: true })
    }

    /// Adopts what the card is now, if nobody has it open.
    fn look_again(&self, state: &mut State) {
        if !state.has_session {
            let found = state.nic.info();
            // What cannot be adopted is refused when somebody opens it.
            let _ = state.configuration.adopt(&self.common.name, found);
        }
    }

    /// The session that has ports, and the state, at a time when none is on its way in or out: one that is holds no lock
    /// that we need, and gets ours. One without ports ends when the last who has looked at it lets go. The state is to be
    /// let go of first: dropping what may be the last reference takes the lock.
    fn settled(&self) -> (Option<Arc<Session>>, MutexGuard<'_, State>) {
        loop {
            let state = self.state.lock();
            let session = state.session.upgrade();
            if !state.has_session || session.as_ref().is_some_and(|session| session.is_used()) {
                return (session, state);
            }
            drop(state);
            drop(session);
            spin_loop();
        }
    }

    /// As many slots as the queues hold, and as the host rings are to have, fewer where ring objects are small.
    fn wanted(&self, info: &NicInfo, region: &Region) -> Slots {
        let slots_max = region.sizes().slots_max();
        let host_slots = self.common.host.as_ref().map_or(0, |host| host.rings().slots);
        Slots {
            tx: u32::from(info.tx_slots).min(slots_max),
            rx: u32::from(info.rx_slots).min(slots_max),
            host: u32::from(host_slots).min(slots_max),
        }
    }

    /// All rings in the order of netmap's table, with fewer slots than wanted where buffers are short.
    fn shapes(&self, info: &NicInfo, rings: Rings, request: &Request<'_>) -> Vec<RingShape> {
        let (wanted, share) = (self.wanted(info, request.region), request.share);
        let slots = wanted.shrink(rings, share);
        if wanted != slots {
            let name = &self.common.name;
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

/// Longest payload of a frame behind its Ethernet header.
const MTU: u16 = 1500;

/// What a card is started with for these rings, with buffers of `region`.
fn start_params(shapes: &[RingShape], region: &Region) -> StartParams {
    let slots = |direction| {
        let of_card = shapes.iter().find(|s| (s.kind, s.direction) == (RingKind::Hardware, direction));
        // No cut: a ring of a card has no more slots than 16 bits count.
        of_card.map_or(0, |shape| shape.size.slots() as u16)
    };
    StartParams {
        buffer_len: region.frame_max(),
        tx_slots: slots(Direction::Tx),
        rx_slots: slots(Direction::Rx),
        mtu: MTU,
    }
}

/// The most queues of a card, and not fewer than it has.
pub(crate) fn queues_max(nic: &(impl Nic + ?Sized)) -> (u16, u16) {
    let (info, (tx, rx)) = (nic.info(), nic.queues_max());
    (tx.max(info.tx_queues), rx.max(info.rx_queues))
}

impl Adapter for HardwareAdapter {
    fn info(&self) -> AdapterInfo {
        let mut state = self.state.lock();
        let session = state.session.upgrade();
        self.look_again(&mut state);
        let (nic, link) = (state.configuration.adopted().clone(), state.nic.link());
        let is_open = session.as_ref().is_some_and(|session| session.is_used());
        // Dropping what may be the last reference takes the lock.
        drop(state);
        drop(session);
        AdapterInfo { nic, link, is_open }
    }

    fn is_in_use(&self) -> bool {
        let (session, state) = self.settled();
        drop(state);
        session.is_some()
    }

    fn rings(&self) -> Rings {
        self.common.rings(self.state.lock().configuration.adopted())
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    fn shape(&self, region: &Region, share: u32) -> (Rings, Slots) {
        let mut state = self.state.lock();
        if let Some(session) = state.session.upgrade() {
            // Dropping what may be the last reference takes the lock.
            drop(state);
            return session.shape();
        }
        self.look_again(&mut state);
        let info = state.configuration.adopted();
        let rings = self.common.rings(info);
        (rings, self.wanted(info, region).shrink(rings, share))
    }

    fn bind(self: Arc<Self>, request: &Request<'_>) -> Result<Bound, OpenError> {
        let _operation = self.operations.lock();
        // In this order: should the device panic, the state is unlocked before the session is let go of.
        let Entered { session, state, set, is_new } = self.enter(request)?;
        let Wanted { sharing, .. } = request.wanted;
        drop(state);
        // Waits for syncs of rings that it makes new. A session that has no user then ends here, and takes the lock for it.
        session.bind(set, sharing, is_new)
    }

    fn reset(&self) -> Result<(), OpenError> {
        let operation = self.operations.lock();
        let (session, state) = self.settled();
        let Some(session) = session else { return Ok(()) };
        let is_running = state.is_running;
        drop(state);
        if !is_running {
            // A reset has failed before. The session's rings stay gone, so the card must not run for them.
            return Err(OpenError::Gone(self.common.name.clone()));
        }
        session.stop(Stop::Pause);
        let mut state = self.state.lock();
        let stopped = state.nic.stop();
        let started = state.nic.start(session.params()).map_err(|cause| self.failed(cause));
        let outcome = started.and_then(|queues| session.restart(queues));
        if outcome.is_err() || stopped == Stopped::No {
            session.stop(Stop::Gone);
            state.halt_under(Some(&session));
        }
        drop(state);
        drop(session);
        // A waker may open and reset interfaces.
        drop(operation);
        self.signals.wake_all();
        outcome
    }

    fn disappear(&self) {
        let operation = self.operations.lock();
        let (session, state) = self.settled();
        drop(state);
        if let Some(host) = &self.common.host {
            host.disappear();
        }
        if let Some(session) = &session {
            session.stop(Stop::Gone);
        }
        let mut state = self.state.lock();
        state.halt_under(session.as_deref());
        self.signals.set_on(false);
        drop(state);
        drop(session);
        // A waker may open and reset interfaces.
        drop(operation);
        self.signals.wake_all();
    }
}
