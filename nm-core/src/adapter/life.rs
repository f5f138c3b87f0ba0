//! The adapter, and its life cycle.
//!
//! | state | a port binds rings | a port releases a ring | reset | the interface disappears |
//! |---|---|---|---|---|
//! | closed | the back end starts → open | | | → gone |
//! | open | joins | with the last, the back end stops → closed | the back end stops and starts → open; if it does not start → failed | the back end stops → gone |
//! | failed | refused: [`Gone`](OpenError::Gone) | with the last → closed | refused: [`Gone`](OpenError::Gone) | → gone |
//! | gone | refused: [`Gone`](OpenError::Gone) | with the last, its memory goes | with ports: refused | |
//!
//! Rings that are failed or gone refuse every sync; their memory stays until the last of them is released. What a back end that
//! does not stop may still access is never given to anything else.
//!
//! Two locks. `operations` is held while a port binds rings, and while the back end is reset or taken away, also while these
//! wait for syncs to end. `state` is held for a look or a step, never while a sync is waited for: a stack or a device may ask
//! for interfaces and counters from inside a sync, and the last ring may be released at any time. `operations` is taken before
//! `state`. After it has waited, an operation looks at the state again: meanwhile the last ring may have been released.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem::ManuallyDrop;

use spin::{Mutex, MutexGuard};

use super::common::Common;
use super::config::Configuration;
use super::info::AdapterInfo;
use super::request::Request;
use super::session::{Parts, Session};
use super::slots::Slots;
use super::users::{RingSet, Rings, Users};
use super::{layout, mtu};
use crate::backend::{Backend, Cause, End, Start};
use crate::events::Events;
use crate::events::hub::Hub;
use crate::events::signals::Signals;
use crate::mem::{PortMemory, Region};
use crate::nic::{NicInfo, Stopped};
use crate::open_error::OpenError;
use crate::ring_lock::Stop;
use crate::stats::Direction;

/// What ports are opened on: rings with a back end behind them.
#[doc(alias = "netmap_adapter")]
pub(crate) struct Adapter {
    common: Arc<Common>,
    signals: Arc<Signals>,
    operations: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    backend: Box<dyn Backend>,
    configuration: Configuration,
    life: Life,
}

/// Where an adapter stands (see the table of the [module](self)).
enum Life {
    Closed,
    Open(Open),
    Failed(Open),
    Gone(Option<Open>),
}

/// The rings that ports have.
struct Open {
    session: Arc<Session>,
    users: Users,
}

impl Life {
    fn open(&self) -> Option<&Open> {
        match self {
            Self::Open(open) | Self::Failed(open) | Self::Gone(Some(open)) => Some(open),
            Self::Closed | Self::Gone(None) => None,
        }
    }

    fn open_mut(&mut self) -> Option<&mut Open> {
        match self {
            Self::Open(open) | Self::Failed(open) | Self::Gone(Some(open)) => Some(open),
            Self::Closed | Self::Gone(None) => None,
        }
    }

    /// Takes the life, and leaves what it becomes without rings.
    fn take(&mut self) -> Self {
        let left = if matches!(self, Self::Gone(_)) { Self::Gone(None) } else { Self::Closed };
        core::mem::replace(self, left)
    }
}

/// Rings that a port has been given, and that are reset before it gets them. Nothing else happens to the adapter meanwhile.
pub(super) struct Acquired<'a> {
    pub(super) session: Arc<Session>,
    set: RingSet,
    /// The users before; `None` for rings that are new.
    before: Option<Users>,
    /// Behind the session: if the device panics meanwhile, what may be the last reference to it goes first.
    _operation: MutexGuard<'a, ()>,
}

impl Acquired<'_> {
    /// The numbers of the rings one way.
    pub(super) fn rings(&self, direction: Direction) -> impl Iterator<Item = u16> {
        self.set.iter(direction)
    }

    /// Whether the ring has had users, and had none now.
    pub(super) fn is_reused(&self, direction: Direction, ring: u16) -> bool {
        self.before.as_ref().is_some_and(|users| users.is_free(direction, ring))
    }
}

impl Adapter {
    /// The adapter over `backend`.
    #[doc(alias = "netmap_attach_common")]
    pub(crate) fn new(common: &Arc<Common>, mut backend: Box<dyn Backend>, hub: &Arc<Hub>) -> Arc<Self> {
        let (info, most) = (backend.info(), backend.queues_max());
        let (tx_queues, rx_queues) = most;
        let largest = NicInfo { tx_queues, rx_queues, ..info.clone() };
        let signals = Signals::new(hub, &largest, common.host_signals(), backend.mitigation());
        backend.connect(Events::new(signals.clone()));
        let configuration = Configuration::new(info, most);
        let state = Mutex::new(State { backend, configuration, life: Life::Closed });
        Arc::new(Self { common: common.clone(), signals, operations: Mutex::new(()), state })
    }

    pub(super) fn name(&self) -> &str {
        &self.common.name
    }

    /// Its pending words and waiters.
    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// What is behind the rings did something that they cannot go on from.
    fn failed(&self, cause: Cause) -> OpenError {
        OpenError::Device { name: self.name().into(), cause }
    }

    fn gone(&self) -> OpenError {
        OpenError::Gone(self.name().into())
    }
}

/// What it is.
impl Adapter {
    /// Asks the back end for its link, and if no port is open for the rest too.
    pub(super) fn info(&self) -> AdapterInfo {
        let mut state = self.state.lock();
        self.look_again(&mut state);
        let (nic, link) = (state.configuration.adopted().clone(), state.backend.link());
        AdapterInfo { nic, link, is_open: state.life.open().is_some() }
    }

    /// Whether ports are open on it, or on what is left of it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.state.lock().life.open().is_some()
    }

    /// The rings that it has, without a question to the back end.
    pub(super) fn rings(&self) -> Rings {
        self.common.rings(self.state.lock().configuration.adopted())
    }

    /// How many rings it has and how large they are, or would be with about `share` buffers of `region` at most if it
    /// entered netmap mode now.
    #[doc(alias = "netmap_update_config")]
    pub(super) fn shape(&self, region: &Region, share: u32) -> (Rings, Slots) {
        let mut state = self.state.lock();
        if let Some(Open { session, .. }) = state.life.open() {
            return session.shape();
        }
        self.look_again(&mut state);
        let info = state.configuration.adopted();
        let rings = self.common.rings(info);
        (rings, layout::slots(&self.common, info, region).shrink(rings, share))
    }

    /// Adopts what the back end is now, if no port is open.
    fn look_again(&self, state: &mut State) {
        if state.life.open().is_none() {
            let found = state.backend.info();
            // What cannot be adopted is refused when a port is opened.
            let _ = state.configuration.adopt(self.name(), found);
        }
    }
}

/// Ports come and go.
impl Adapter {
    /// Gives a port its rings. The first port starts the back end.
    pub(super) fn acquire(&self, request: &Request<'_>) -> Result<Acquired<'_>, OpenError> {
        let operation = self.operations.lock();
        let mut state = self.state.lock();
        let (set, is_new) = match &state.life {
            Life::Closed => (self.begin(&mut state, request)?, true),
            Life::Open(Open { session, .. }) => {
                layout::check_same(self.name(), session.offsets(), request.wanted.offsets)?;
                let set = session.rings().select(self.name(), request.wanted.rings);
                let found = state.backend.info();
                state.configuration.keep(self.name(), found);
                (set?, false)
            }
            Life::Failed(_) | Life::Gone(_) => return Err(self.gone()),
        };
        let Some(Open { session, users }) = state.life.open_mut() else { return Err(self.gone()) };
        let before = (!is_new).then(|| users.clone());
        let rings = session.rings();
        users.bind(set, request.wanted.sharing).map_err(|(direction, ring)| {
            let (kind, ring) = rings.place(direction, ring);
            OpenError::Busy { name: self.name().into(), kind, ring }
        })?;
        self.note_bound(rings, users);
        Ok(Acquired { session: session.clone(), set, before, _operation: operation })
    }

    /// Opens the adapter, with the back end as it is now. Returns the rings that the port asks for.
    fn begin(&self, state: &mut State, request: &Request<'_>) -> Result<RingSet, OpenError> {
        let found = state.backend.info();
        state.configuration.adopt(self.name(), found)?;
        let info = state.configuration.adopted();
        let mtu = self.common.mtu(info);
        let offsets = layout::offsets(self.name(), state.backend.has_offsets(), request)?;
        mtu::check(self.name(), mtu, info, (request.region, offsets.max()))?;
        let rings = self.common.rings(info);
        let set = rings.select(self.name(), request.wanted.rings)?;
        let wanted = layout::slots(&self.common, info, request.region);
        let shapes = layout::shapes(self.name(), (rings, wanted), (offsets, request));
        let memory = PortMemory::new(request.region, self.name(), &shapes, request.wanted.trust);
        let params = layout::start_params(&shapes, (request.region, offsets), mtu);
        let wanted = request.wanted.offsets;
        let parts = Parts { common: &self.common, rings, params, offsets: wanted, shapes: &shapes };
        let session = Session::new(&parts, memory.map_err(OpenError::Memory)?);
        let start = Start { params, offsets, signals: &self.signals, host: self.common.host.as_ref() };
        let backends = state.backend.start(&start).map_err(|cause| self.failed(cause))?;
        let mut opening = Opening { backend: &mut *state.backend, session: Some(session) };
        let filled = opening.session.as_mut().map_or(Ok(()), |session| session.fill(&parts, backends));
        filled.map_err(|cause| self.failed(cause))?;
        let session = opening.session.take();
        drop(opening);
        if let Some(session) = session {
            state.life = Life::Open(Open { session: Arc::new(session), users: Users::new(rings) });
            self.signals.set_on(true);
        }
        Ok(set)
    }

    /// One user less of this ring of `session`. With the last user of all rings, the back end stops and the adapter is closed.
    pub(super) fn release(&self, session: Arc<Session>, direction: Direction, ring: u16) {
        let mut state = self.state.lock();
        let open = state.life.open_mut().filter(|open| Arc::ptr_eq(&open.session, &session));
        if let Some(Open { users, .. }) = open {
            users.release(direction, ring);
            self.note_bound(session.rings(), users);
            if !users.is_any() {
                self.close(&mut state);
            }
        }
        // The memory of rings that are closed goes back to its pools before the next port looks there.
        drop(session);
    }

    /// Stops the back end of an adapter whose rings have no user any more.
    fn close(&self, state: &mut State) {
        let life = state.life.take();
        let Some(Open { session, .. }) = life.open() else { return };
        if let Some(host) = &self.common.host {
            host.end();
        }
        self.signals.set_on(false);
        // Until the card has stopped, the memory is kept, also if the driver panics meanwhile.
        let memory = ManuallyDrop::new(session.memory().clone());
        // A card that failed or is gone was stopped, or its memory was given up.
        if matches!(life, Life::Open(_)) {
            halt(&mut *state.backend, session);
        } else {
            session.end(End::Close);
        }
        drop(ManuallyDrop::into_inner(memory));
    }

    /// Tells the host side, if there is one, which rings have users.
    fn note_bound(&self, rings: Rings, users: &Users) {
        let Some(host) = &self.common.host else { return };
        host.note_bound(
            |ring| ring < rings.tx && !users.is_free(Direction::Tx, ring),
            |ring| !users.is_free(Direction::Rx, rings.rx + ring),
        );
    }
}

/// A session whose back end runs, and that is not complete yet. Dropping it stops the back end.
struct Opening<'a> {
    backend: &'a mut dyn Backend,
    session: Option<Session>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // If the driver panics meanwhile, the memory is kept.
        let session = ManuallyDrop::new(session);
        halt(self.backend, &session);
        drop(ManuallyDrop::into_inner(session));
    }
}

/// What happens to all of its rings.
impl Adapter {
    /// Resets what is behind the rings; they go on afterwards, with the application's slots as they were.
    pub(super) fn reset(&self) -> Result<(), OpenError> {
        let operation = self.operations.lock();
        let session = match &self.state.lock().life {
            Life::Closed | Life::Gone(None) => return Ok(()),
            Life::Open(open) => open.session.clone(),
            // The rings stay gone, so the card must not run for them.
            Life::Failed(_) | Life::Gone(Some(_)) => return Err(self.gone()),
        };
        session.stop(Stop::Pause);
        let outcome = self.restart(&session);
        drop(session);
        // A waker may open and reset interfaces.
        drop(operation);
        self.signals.wake_all();
        outcome
    }

    /// Stops and starts what is behind the stopped rings of `session`.
    fn restart(&self, session: &Session) -> Result<(), OpenError> {
        let mut state = self.state.lock();
        if !matches!(state.life, Life::Open(_)) {
            return Ok(());
        }
        let stopped = state.backend.stop();
        session.end(End::Reset);
        let start = Start {
            params: session.params(),
            offsets: session.slot_offsets(),
            signals: &self.signals,
            host: self.common.host.as_ref(),
        };
        let started = state.backend.start(&start);
        let outcome =
            started.and_then(|backends| session.restart(backends)).map_err(|cause| self.failed(cause));
        if outcome.is_err() || stopped == Stopped::No {
            if let Some(host) = &self.common.host {
                host.disappear();
            }
            session.stop(Stop::Gone);
            halt(&mut *state.backend, session);
            if let Life::Open(open) = state.life.take() {
                state.life = Life::Failed(open);
            }
        }
        outcome
    }

    /// The interface disappears: its rings do nothing any more, and nothing touches their memory.
    pub(super) fn disappear(&self) {
        let operation = self.operations.lock();
        if let Some(host) = &self.common.host {
            host.disappear();
        }
        let session = self.state.lock().life.open().map(|open| open.session.clone());
        if let Some(session) = &session {
            session.stop(Stop::Gone);
        }
        let mut state = self.state.lock();
        state.life = match state.life.take() {
            Life::Open(open) => {
                halt(&mut *state.backend, &open.session);
                Life::Gone(Some(open))
            }
            Life::Failed(open) => Life::Gone(Some(open)),
            Life::Closed => Life::Gone(None),
            gone @ Life::Gone(_) => gone,
        };
        self.signals.set_on(false);
        drop(state);
        drop(session);
        // A waker may open and reset interfaces.
        drop(operation);
        self.signals.wake_all();
    }
}

/// Stops a back end under rings that no sync enters any more. What it may still use is kept from others.
fn halt(backend: &mut dyn Backend, session: &Session) {
    match backend.stop() {
        Stopped::Yes => session.end(End::Close),
        Stopped::No => session.give_up_memory(),
    }
}
