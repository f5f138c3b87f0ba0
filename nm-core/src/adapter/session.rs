//! One stay in netmap mode: from the first ring that is bound to the last that is released.
//!
//! | what | way |
//! |---|---|
//! | the first port opens | [`HardwareAdapter::enter`] → [`HardwareAdapter::begin`] → [`Session::new`] → [`Session::bind`] |
//! | another port opens | [`HardwareAdapter::enter`] → [`HardwareAdapter::join`] → [`Session::bind`] → [`Users::bind`] → [`freshen`] |
//! | a ring is released | [`Session::release`] → [`Users::release`] → [`Session::note_bound`] |
//! | the last is released | [`Session::drop`] → [`HardwareAdapter::leave`] |
//! | the card is reset | [`Session::stop`] → [`Session::restart`] → [`Session::check`] |
//! | the interface disappears | [`Session::stop`] |

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use spin::Mutex;

use super::config::QueueMismatch;
use super::hardware::HardwareAdapter;
use super::slots::Slots;
use super::users::{RingSet, Rings, Sharing, Users};
use super::{Adapter, Bound, BoundRing, Cell, Lease};
use crate::abi::{RingFlags, SlotFlags};
use crate::backend::{CardQueue, CardRx, CardTx, Forward, HostRx, HostTx, Up};
use crate::gate::Stop;
use crate::host::HostSide;
use crate::kring::Kring;
use crate::mem::{MemoryError, PortHeader, PortMemory, RingCounts};
use crate::nic::{Queues, StartParams, Stopped};
use crate::port::OpenError;
use crate::ring::cell::{Inside, RingCell};
use crate::stats::{Direction, RingKind, RingName};
use crate::tunables::Verbose;

/// All rings of a running card, and their memory.
///
/// Rings that nobody has bound are there too: a ring that is bound or released later disturbs no other, and the card is
/// not reset for it. Dropping the session stops the card first; then the back ends go, then the memory.
pub(super) struct Session {
    adapter: Arc<HardwareAdapter>,
    /// The rings that there are, whatever the card comes to be meanwhile.
    rings: Rings,
    /// What the card was started with.
    params: StartParams,
    tx: Vec<Cell>,
    rx: Vec<Cell>,
    host_tx: Vec<Cell>,
    host_rx: Vec<Cell>,
    users: Mutex<Users>,
    /// Behind the rings, so that it is dropped after them. A clone that is forgotten keeps it for good.
    memory: Arc<PortMemory>,
}

impl Session {
    /// The session of a card that was just started with these queues, for these rings. From here on dropping the session
    /// stops the card.
    pub(super) fn new(
        adapter: Arc<HardwareAdapter>,
        rings: Rings,
        queues: Queues,
        (memory, params): (PortMemory, StartParams),
    ) -> Result<Arc<Self>, OpenError> {
        let (users, memory) = (Mutex::new(Users::new(rings)), Arc::new(memory));
        let (tx, rx, host_tx, host_rx) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut session = Self { adapter, rings, params, tx, rx, host_tx, host_rx, users, memory };
        session.check(&queues)?;
        let adapter = session.adapter.clone();
        let common = adapter.common();
        let frame_max = session.memory.rings().first().map_or(0, |ring| ring.region().frame_max());
        let interface: Arc<str> = common.name.as_str().into();
        let name =
            |kind, direction, number| RingName { interface: interface.clone(), kind, direction, number };
        let receive_len = queues.receive_len;
        let up = || common.host.as_ref().map(|host| Up::new(host.clone(), frame_max));
        let mut rings = session.memory.rings().iter();
        for (((queue, counters), ring), number) in
            queues.tx.into_iter().zip(common.counters.of(Direction::Tx)).zip(&mut rings).zip(0..)
        {
            let kring =
                Kring::new(ring.clone(), name(RingKind::Hardware, Direction::Tx, number), counters.clone());
            let Some(signal) = adapter.signals().ring(RingKind::Hardware, Direction::Tx, number) else {
                break;
            };
            let backend = CardTx::new(queue, signal.clone(), kring.size());
            session.tx.push(RingCell::new(kring, Box::new(backend)));
        }
        let host_tx = common.host.iter().flat_map(|host| host.tx_counters());
        for ((number, counters), ring) in (0..).zip(host_tx).zip(&mut rings) {
            let kring =
                Kring::new(ring.clone(), name(RingKind::Host, Direction::Tx, number), counters.clone());
            session.host_tx.extend(up().map(|up| RingCell::new(kring, Box::new(HostTx::new(up)))));
        }
        for (((queue, counters), ring), number) in
            queues.rx.into_iter().zip(common.counters.of(Direction::Rx)).zip(&mut rings).zip(0..)
        {
            let mut kring =
                Kring::new(ring.clone(), name(RingKind::Hardware, Direction::Rx, number), counters.clone());
            let Some(signal) = adapter.signals().ring(RingKind::Hardware, Direction::Rx, number) else {
                break;
            };
            let mut backend = CardRx::new(queue, receive_len, signal.clone(), up(), &kring);
            let posted = backend.post_all(&mut kring);
            session.rx.push(RingCell::new(kring, Box::new(backend)));
            posted.map_err(|error| adapter.failed(Arc::new(error)))?;
        }
        if let Some(host) = &common.host {
            for ((number, counters), ring) in (0..).zip(host.rx_counters()).zip(&mut rings) {
                let kring =
                    Kring::new(ring.clone(), name(RingKind::Host, Direction::Rx, number), counters.clone());
                session
                    .host_rx
                    .push(RingCell::new(kring, Box::new(HostRx::new(host.clone(), number.into()))));
            }
            let slots = session.host_rx.first().map_or(0, |cell| cell.memory().size().slots());
            host.begin(session.rings.tx, slots);
        }
        adapter.signals().set_on(true);
        Ok(Arc::new(session))
    }

    pub(super) fn rings(&self) -> Rings {
        self.rings
    }

    pub(super) fn params(&self) -> &StartParams {
        &self.params
    }

    /// Whether these queues are those that the rings need. Where there are no rings yet, their memory tells.
    fn check(&self, queues: &Queues) -> Result<(), OpenError> {
        let (number, rings) =
            ((queues.tx.len(), queues.rx.len()), (self.rings.tx.into(), self.rings.rx.into()));
        if number != rings {
            return Err(self.adapter.failed(Arc::new(QueueMismatch::Number { queues: number, rings })));
        }
        let slots = |direction| {
            let first = self.memory.rings().get(self.place(direction, 0));
            first.map_or(0, |ring| ring.size().slots())
        };
        let (tx, rx) = (slots(Direction::Tx), slots(Direction::Rx));
        let sent = queues.tx.iter().map(|queue| (queue.capacity(), tx));
        let mut all = sent.chain(queues.rx.iter().map(|queue| (queue.capacity(), rx)));
        match all.find(|&(capacity, slots)| u32::from(capacity) < slots) {
            Some((capacity, slots)) => {
                Err(self.adapter.failed(Arc::new(QueueMismatch::Capacity { capacity, slots })))
            }
            None => Ok(()),
        }
    }

    /// Binds the rings of `set` for one more port. In a session that is not new, rings that nobody has come without
    /// what happened on them before.
    pub(super) fn bind(
        self: &Arc<Self>,
        set: RingSet,
        sharing: Sharing,
        is_new: bool,
    ) -> Result<Bound, OpenError> {
        let name = self.adapter.common().name.to_string();
        let mut users = self.users.lock();
        let before = users.clone();
        let rings = self.rings;
        users.bind(set, sharing).map_err(|(direction, ring)| {
            let (kind, ring) = rings.place(direction, ring);
            OpenError::Busy { name: name.clone(), kind, ring }
        })?;
        self.note_bound(&users);
        drop(users);
        let bind = |direction| -> Vec<BoundRing> {
            let bind_one = |ring| {
                let (cell, signals) = (self.cell(direction, ring)?, self.adapter.signals().clone());
                Some(BoundRing::new(rings, ring, direction, cell, signals, self.clone()))
            };
            set.iter(direction).filter_map(bind_one).collect()
        };
        let (tx, rx) = (bind(Direction::Tx), bind(Direction::Rx));
        // Calls the device, which may panic: the rings are then released as they are dropped, which takes the users' lock.
        let is_reused = |ring: &&BoundRing| !is_new && before.is_free(ring.direction(), ring.ringid());
        tx.iter().chain(&rx).filter(is_reused).for_each(|ring| freshen(ring.cell()));
        if self.adapter.signals().hub().knobs().verbose().contains(Verbose::BINDING) {
            let numbers = |rings: &[BoundRing]| rings.iter().map(BoundRing::ringid).collect::<Vec<_>>();
            let (tx, rx) = (numbers(&tx), numbers(&rx));
            log::info!(target: "netmap", "{name}: a port binds transmit rings {tx:?} and receive rings {rx:?}, {sharing:?}");
        }
        let hub = self.adapter.signals().hub().clone();
        Ok(Bound { name, hub, tx, rx, lease: self.clone() })
    }

    /// Whether a port is open.
    pub(super) fn is_used(&self) -> bool {
        self.users.lock().is_any()
    }

    /// How large the rings are.
    pub(super) fn slots(&self) -> Slots {
        let slots = |cell: Option<Cell>| cell.map_or(0, |cell| cell.memory().size().slots());
        Slots {
            tx: slots(self.cell(Direction::Tx, 0)),
            rx: slots(self.cell(Direction::Rx, 0)),
            host: slots(self.cell(Direction::Rx, self.rings.rx)),
        }
    }

    /// Goes on with the queues of a card that was reset. All rings are stopped, and go on together; none does if the card came
    /// back as another than the rings were made for.
    pub(super) fn restart(&self, queues: Queues) -> Result<(), OpenError> {
        self.check(&queues)?;
        let receive_len = queues.receive_len;
        let tx = queues.tx.into_iter().map(CardQueue::Tx).zip(&self.tx);
        let rx = queues.rx.into_iter().map(|queue| CardQueue::Rx(queue, receive_len)).zip(&self.rx);
        for (queue, cell) in tx.chain(rx) {
            let restarted = cell.stop_for(|inside| inside.backend.restart(queue, &mut inside.kring));
            restarted.map_err(|error| self.adapter.failed(Arc::new(error)))?;
        }
        self.cells().for_each(|cell| cell.resume());
        Ok(())
    }

    /// Lets no sync in any more, and waits for those that are under way.
    pub(super) fn stop(&self, why: Stop) {
        if let Some(host) = self.host().filter(|_| why == Stop::Gone) {
            host.disappear();
        }
        self.cells().for_each(|cell| cell.stop(why));
        if why == Stop::Gone {
            self.restore_slots();
        }
    }

    /// Makes the slots of all receive rings name all of their buffers. The rings stay stopped.
    fn restore_slots(&self) {
        for cell in &self.rx {
            cell.stop_for(|inside| inside.backend.restore_slots(&inside.kring));
        }
    }

    /// Leaks the buffers of the rings, and the region with them, since the card may still access them. They are never
    /// allocated again or freed.
    #[cold]
    pub(super) fn give_up_memory(&self) {
        core::mem::forget(self.memory.clone());
        let (name, rings) = (&self.adapter.common().name, self.memory.rings().len());
        log::error!(target: "netmap", "{name} did not stop: the buffers of its {rings} rings are lost");
    }

    fn host(&self) -> Option<&Arc<HostSide>> {
        self.adapter.common().host.as_ref()
    }

    /// Tells the host side, if there is one, which rings have users.
    fn note_bound(&self, users: &Users) {
        let Some(host) = self.host() else { return };
        let (card_tx, first_host_rx) = (self.rings.tx, self.rings.rx);
        host.note_bound(
            |ring| ring < card_tx && !users.is_free(Direction::Tx, ring),
            |ring| !users.is_free(Direction::Rx, first_host_rx + ring),
        );
    }

    /// The place of a ring in the session's memory: transmit rings come first.
    fn place(&self, direction: Direction, ring: u16) -> usize {
        let before = match direction {
            Direction::Tx => 0,
            Direction::Rx => self.rings.hardware(Direction::Tx) + self.rings.host(Direction::Tx),
        };
        usize::from(before) + usize::from(ring)
    }

    /// All rings.
    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.tx.iter().chain(&self.host_tx).chain(&self.rx).chain(&self.host_rx)
    }

    fn cell(&self, direction: Direction, ring: u16) -> Option<Cell> {
        let (kind, number) = self.rings.place(direction, ring);
        let number = usize::from(number);
        let cells = match (kind, direction) {
            (RingKind::Hardware, Direction::Tx) => &self.tx,
            (RingKind::Hardware, Direction::Rx) => &self.rx,
            (RingKind::Host, Direction::Tx) => &self.host_tx,
            (RingKind::Host, Direction::Rx) => &self.host_rx,
        };
        cells.get(number).cloned()
    }
}

/// Resets an unbound ring for its next port: drops submitted and received frames, and clears every slot whose buffer the device
/// does not have.
fn freshen(cell: &Cell) {
    cell.pause(|inside| {
        inside.kring.ring.set_flags(RingFlags::empty());
        inside.kring.slot_flags = SlotFlags::empty();
        // An error of a sync is one that the new owner's first sync reports.
        match inside.backend.direction() {
            Direction::Tx => {
                inside.kring.recycle(Direction::Tx);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
                clear(inside);
            }
            Direction::Rx => {
                // Released slots go to the device in the same sync in which it gives others back.
                inside.kring.recycle(Direction::Rx);
                clear(inside);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
                let arrived = inside.kring.size().distance(inside.kring.rhead(), inside.kring.hwtail);
                inside.kring.counters.drop_unbound.add(u64::from(arrived));
                inside.kring.recycle(Direction::Rx);
                clear(inside);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
            }
        }
    });
}

/// Clears the slots that the device does not have, with their buffers.
fn clear(inside: &Inside) {
    if let Some((from, to)) = inside.backend.idle_slots(&inside.kring) {
        inside.kring.ring.clear(from, to);
    }
}

impl Lease for Session {
    fn release(&self, direction: Direction, ring: u16) {
        let mut users = self.users.lock();
        users.release(direction, ring);
        self.note_bound(&users);
    }

    fn distrust(&self, direction: Direction, ring: u16) {
        // What the pools note as exposed are the buffers that slots name.
        if let Some(cell) = self.cell(direction, ring) {
            cell.restore_slots();
        }
        self.memory.distrust(self.place(direction, ring));
    }

    fn header(&self, tx: &[BoundRing], rx: &[BoundRing], extra: u32) -> Result<PortHeader, MemoryError> {
        let counts = RingCounts {
            tx: self.rings.tx.into(),
            rx: self.rings.rx.into(),
            host_tx: self.rings.host_tx.into(),
            host_rx: self.rings.host_rx.into(),
        };
        let place = |direction| move |ring: &BoundRing| self.place(direction, ring.ringid());
        let tx = tx.iter().map(place(Direction::Tx));
        let bound: Vec<_> = tx.chain(rx.iter().map(place(Direction::Rx))).collect();
        self.memory.header(&self.adapter.common().name, counts, |at| bound.contains(&at), extra)
    }

    fn shape(&self) -> (Rings, Slots) {
        (self.rings, self.slots())
    }

    fn is_distrusted(&self) -> bool {
        self.memory.is_distrusted()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(host) = self.host() {
            host.end();
        }
        // Until the card has stopped, the memory is kept, also if the driver panics meanwhile.
        let memory = ManuallyDrop::new(self.memory.clone());
        match self.adapter.leave() {
            Stopped::Yes => {
                self.restore_slots();
                drop(ManuallyDrop::into_inner(memory));
            }
            Stopped::No => self.give_up_memory(),
        }
    }
}
