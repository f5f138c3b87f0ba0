//! One stay in netmap mode: from the first ring that is bound to the last that is released.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::hardware::HardwareAdapter;
use super::users::{RingSet, Sharing, Users};
use super::{Bound, BoundRing, Cell, Lease};
use crate::engine::{RxEngine, TxEngine};
use crate::gate::Stop;
use crate::kring::Kring;
use crate::mem::{MemoryError, PortHeader, PortMemory, RingCounts};
use crate::nic::{Nic, Queues};
use crate::port::OpenError;
use crate::ring::cell::RingCell;
use crate::stats::Direction;

/// The krings and engines of all rings of a running card, and their memory.
///
/// Rings that nobody has bound are there too: a ring that is bound or released later disturbs no other, and the card is
/// not reset for it. Dropping the session stops the card first; then the engines go, then the memory.
pub(super) struct Session<N: Nic> {
    adapter: Arc<HardwareAdapter<N>>,
    tx: Vec<Arc<RingCell<TxEngine<N::Tx>>>>,
    rx: Vec<Arc<RingCell<RxEngine<N::Rx>>>>,
    users: Mutex<Users>,
    /// Behind the engines, so that it is dropped after them.
    memory: PortMemory,
}

impl<N: Nic> Session<N> {
    /// The session of a card that was just started with these queues. From here on dropping the session stops the card.
    pub(super) fn new(
        adapter: Arc<HardwareAdapter<N>>,
        queues: Queues<N::Tx, N::Rx>,
        memory: PortMemory,
    ) -> Result<Arc<Self>, OpenError> {
        let users = Mutex::new(Users::new(adapter.nic_info()));
        let mut session = Self { adapter, tx: Vec::new(), rx: Vec::new(), users, memory };
        let adapter = session.adapter.clone();
        let mut rings = session.memory.rings().iter();
        for ((queue, counters), ring) in
            queues.tx.into_iter().zip(adapter.counters_of(Direction::Tx)).zip(&mut rings)
        {
            let kring = Kring::new(ring.clone(), Direction::Tx, counters.clone());
            let engine = TxEngine::new(queue, kring.size());
            session.tx.push(RingCell::new(kring, engine));
        }
        for ((queue, counters), ring) in
            queues.rx.into_iter().zip(adapter.counters_of(Direction::Rx)).zip(&mut rings)
        {
            let mut kring = Kring::new(ring.clone(), Direction::Rx, counters.clone());
            let engine = RxEngine::new(queue, &mut kring).map_err(|error| adapter.failed(error))?;
            session.rx.push(RingCell::new(kring, engine));
        }
        Ok(Arc::new(session))
    }

    /// Binds the rings of `set` for one more port. In a session that is not new, rings that nobody has come without
    /// what happened on them before.
    pub(super) fn bind(
        self: &Arc<Self>,
        set: RingSet,
        sharing: Sharing,
        is_new: bool,
    ) -> Result<Bound, OpenError> {
        let name = self.adapter.name().to_string();
        let mut users = self.users.lock();
        let before = users.clone();
        users.bind(set, sharing).map_err(|ring| OpenError::Busy { name: name.clone(), ring })?;
        let bind = |direction| -> Vec<BoundRing> {
            let bind_one = |ring| {
                let cell = self.cell(direction, ring)?;
                if !is_new && before.is_free(direction, ring) {
                    freshen(&cell);
                }
                Some(BoundRing::new(ring, direction, cell, self.clone()))
            };
            set.iter(direction).filter_map(bind_one).collect()
        };
        let (tx, rx) = (bind(Direction::Tx), bind(Direction::Rx));
        Ok(Bound { name, tx, rx, lease: self.clone() })
    }

    /// Whether a port is open.
    pub(super) fn is_used(&self) -> bool {
        self.users.lock().is_any()
    }

    /// Goes on with the queues of a card that was reset. All rings are stopped; those that succeed go on.
    pub(super) fn restart(&self, queues: Queues<N::Tx, N::Rx>) -> Result<(), OpenError> {
        for (queue, cell) in queues.tx.into_iter().zip(&self.tx) {
            cell.pause(|inside| inside.engine.restart(queue, &mut inside.kring));
        }
        for (queue, cell) in queues.rx.into_iter().zip(&self.rx) {
            let restarted = cell.pause(|inside| inside.engine.restart(queue, &mut inside.kring));
            restarted.map_err(|error| self.adapter.failed(error))?;
        }
        Ok(())
    }

    /// Lets no sync in any more, and waits for those that are under way.
    pub(super) fn stop(&self, why: Stop) {
        self.tx.iter().for_each(|cell| cell.stop(why));
        self.rx.iter().for_each(|cell| cell.stop(why));
    }

    /// The place of a ring in the session's memory: transmit rings come first.
    fn place(&self, direction: Direction, ring: u16) -> usize {
        let before = match direction {
            Direction::Tx => 0,
            Direction::Rx => self.tx.len(),
        };
        before + usize::from(ring)
    }

    fn cell(&self, direction: Direction, ring: u16) -> Option<Cell> {
        match direction {
            Direction::Tx => self.tx.get(usize::from(ring)).map(|cell| cell.clone() as Cell),
            Direction::Rx => self.rx.get(usize::from(ring)).map(|cell| cell.clone() as Cell),
        }
    }
}

/// Makes a ring that nobody has bound one that nobody has used: takes in what arrived, and drops it.
fn freshen(cell: &Cell) {
    cell.pause(|inside| {
        let direction = inside.engine.direction();
        inside.kring.recycle(direction);
        // An error here is one that the new owner's first sync reports.
        let _ = inside.engine.sync(&mut inside.kring);
        if direction == Direction::Rx {
            let arrived = inside.kring.size().distance(inside.kring.rhead(), inside.kring.hwtail);
            inside.kring.counters.drop_unbound.add(u64::from(arrived));
            inside.kring.recycle(direction);
            let _ = inside.engine.sync(&mut inside.kring);
        }
    });
}

impl<N: Nic> Lease for Session<N> {
    fn release(&self, direction: Direction, ring: u16) {
        self.users.lock().release(direction, ring);
    }

    fn distrust(&self, direction: Direction, ring: u16) {
        self.memory.distrust(self.place(direction, ring));
    }

    fn header(&self, tx: &[BoundRing], rx: &[BoundRing], extra: u32) -> Result<PortHeader, MemoryError> {
        let counts =
            RingCounts { tx: self.tx.len() as u32, rx: self.rx.len() as u32, ..RingCounts::default() };
        let place = |direction| move |ring: &BoundRing| self.place(direction, ring.number());
        let tx = tx.iter().map(place(Direction::Tx));
        let bound: Vec<_> = tx.chain(rx.iter().map(place(Direction::Rx))).collect();
        self.memory.header(self.adapter.name(), counts, |at| bound.contains(&at), extra)
    }

    fn is_distrusted(&self) -> bool {
        self.memory.is_distrusted()
    }
}

impl<N: Nic> Drop for Session<N> {
    fn drop(&mut self) {
        self.adapter.leave();
    }
}
