//! The rings of an open adapter, and their memory.
//!
//! All rings of the interface are there, those that no port has bound too: a ring that is bound or released disturbs no other,
//! and the card is not reset for it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use nm_driver::offsets::SlotOffsets;

use super::common::Common;
use super::slots::Slots;
use super::users::Rings;
use crate::abi::{RingFlags, SlotFlags};
use crate::backend::host::{HostRx, HostTx};
use crate::backend::{Cause, End, Forward, RingBackend, RingBackends};
use crate::kring::Kring;
use crate::mem::{MemoryError, PortHeader, PortMemory, RingCounts};
use crate::nic::StartParams;
use crate::offsets::Offsets;
use crate::ring::cell::{RingCell, RingState};
use crate::ring::memory::RingShape;
use crate::ring_lock::Stop;
use crate::stats::{Direction, RingKind, RingName};

/// A ring as its users share it.
pub(crate) type Cell = Arc<RingCell>;

/// The rings from the first port that opens to the last that closes.
pub(crate) struct Session {
    /// Name of the interface.
    name: Arc<str>,
    /// The rings that there are, whatever the card comes to be meanwhile.
    rings: Rings,
    /// What the back end was started with.
    params: StartParams,
    /// What its first port asked for.
    offsets: Option<Offsets>,
    /// In the order of the session's memory: transmit rings first, the hardware's before the host's.
    cells: Vec<Cell>,
    /// Behind the rings, so that it is dropped after them. A clone that is forgotten keeps it for good.
    memory: Arc<PortMemory>,
}

/// What a session is made of.
pub(super) struct Parts<'a> {
    pub(super) common: &'a Common,
    pub(super) rings: Rings,
    pub(super) params: StartParams,
    pub(super) offsets: Option<Offsets>,
    /// The rings, in the order of the memory.
    pub(super) shapes: &'a [RingShape],
}

impl Session {
    /// A session that has no rings yet.
    pub(super) fn new(parts: &Parts<'_>, memory: PortMemory) -> Self {
        let &Parts { common, rings, params, offsets, shapes } = parts;
        let (cells, memory) = (Vec::with_capacity(shapes.len()), Arc::new(memory));
        Self { name: common.name.as_str().into(), rings, params, offsets, cells, memory }
    }

    /// Makes all rings over these back ends, which run, and begins them.
    pub(super) fn fill(&mut self, parts: &Parts<'_>, backends: RingBackends) -> Result<(), Cause> {
        check(self.rings, &backends)?;
        let (mut tx, mut rx) = (backends.tx.into_iter(), backends.rx.into_iter());
        for (shape, ring) in parts.shapes.iter().zip(self.memory.rings()) {
            let RingShape { direction, number, .. } = *shape;
            let (kind, number) = self.rings.place(direction, number);
            let backend = match (kind, direction) {
                (RingKind::Hardware, Direction::Tx) => tx.next(),
                (RingKind::Hardware, Direction::Rx) => rx.next(),
                (RingKind::Host, _) => host_backend(parts, shape, number),
            };
            let Some(mut backend) = backend else { break };
            let counters = parts.common.counters(kind, direction, number).cloned().unwrap_or_default();
            let name = RingName { interface: self.name.clone(), kind, direction, number };
            let mut kring = Kring::new(ring.clone(), name, counters);
            let begun = backend.begin(&mut kring);
            self.cells.push(RingCell::new(kring, backend));
            begun.map_err(|error| Arc::new(error) as Cause)?;
        }
        if let Some(host) = &parts.common.host {
            host.begin(self.rings.tx, self.slots().host);
        }
        Ok(())
    }

    pub(super) fn rings(&self) -> Rings {
        self.rings
    }

    pub(super) fn params(&self) -> StartParams {
        self.params
    }

    pub(super) fn offsets(&self) -> Option<Offsets> {
        self.offsets
    }

    /// The offsets of the slots of its rings.
    pub(super) fn slot_offsets(&self) -> SlotOffsets {
        self.cells.first().map_or(SlotOffsets::NONE, |cell| cell.memory().view().offsets)
    }

    pub(super) fn memory(&self) -> &Arc<PortMemory> {
        &self.memory
    }

    /// How many rings there are, and how large they are.
    pub(crate) fn shape(&self) -> (Rings, Slots) {
        (self.rings, self.slots())
    }

    fn slots(&self) -> Slots {
        let slots = |cell: Option<&Cell>| cell.map_or(0, |cell| cell.memory().size().slots());
        Slots {
            tx: slots(self.cell(Direction::Tx, 0)),
            rx: slots(self.cell(Direction::Rx, 0)),
            host: slots(self.cell(Direction::Rx, self.rings.rx)),
        }
    }

    pub(super) fn cell(&self, direction: Direction, ring: u16) -> Option<&Cell> {
        self.cells.get(self.place(direction, ring))
    }

    /// The place of a ring among the cells and in the memory.
    fn place(&self, direction: Direction, ring: u16) -> usize {
        let before = match direction {
            Direction::Tx => 0,
            Direction::Rx => self.rings.hardware(Direction::Tx) + self.rings.host(Direction::Tx),
        };
        usize::from(before) + usize::from(ring)
    }

    /// The cells of the hardware's rings one way.
    fn hardware(&self, direction: Direction) -> impl Iterator<Item = &Cell> {
        (0..self.rings.hardware(direction)).filter_map(move |ring| self.cell(direction, ring))
    }
}

/// A back end of the host ring of this shape.
fn host_backend(parts: &Parts<'_>, shape: &RingShape, number: u16) -> Option<Box<dyn RingBackend>> {
    let host = parts.common.host.as_ref()?.clone();
    Some(match shape.direction {
        Direction::Tx => Box::new(HostTx::new(host, shape.size, &parts.params)),
        Direction::Rx => Box::new(HostRx::new(host, number.into())),
    })
}

/// Whether there are as many back ends as rings.
fn check(rings: Rings, backends: &RingBackends) -> Result<(), Cause> {
    let queues = (backends.tx.len(), backends.rx.len());
    let rings = (rings.tx.into(), rings.rx.into());
    if queues == rings { Ok(()) } else { Err(Arc::new(QueuesMismatch { queues, rings })) }
}

/// A card came up with another number of queues than its rings need. Transmit and receive each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QueuesMismatch {
    queues: (usize, usize),
    rings: (usize, usize),
}

impl fmt::Display for QueuesMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queues: (tx, rx), rings: (tx_rings, rx_rings) } = self;
        write!(f, "it has {tx} transmit and {rx} receive queues, and rings for {tx_rings} and {rx_rings}")
    }
}

impl core::error::Error for QueuesMismatch {}

/// Life cycle. Called under the adapter's lock of operations, or when no port has a ring any more.
impl Session {
    /// Lets no sync in any more, and waits for those that are under way.
    pub(super) fn stop(&self, why: Stop) {
        self.cells.iter().for_each(|cell| cell.stop(why));
    }

    /// Ends the back ends of the hardware's rings, or of all rings if these are closed. The rings stay stopped.
    pub(super) fn end(&self, end: End) {
        let end_one = |cell: &Cell| cell.stop_for(|inside| inside.backend.end(&mut inside.kring, end));
        match end {
            End::Reset => {
                self.hardware(Direction::Tx).chain(self.hardware(Direction::Rx)).for_each(end_one);
            }
            End::Close => self.cells.iter().for_each(end_one),
        }
    }

    /// Goes on with the back ends of a card that was reset. All rings are stopped, and go on together; none does if the card came
    /// back as another than the rings were made for.
    pub(super) fn restart(&self, backends: RingBackends) -> Result<(), Cause> {
        check(self.rings, &backends)?;
        let tx = backends.tx.into_iter().zip(self.hardware(Direction::Tx));
        let rx = backends.rx.into_iter().zip(self.hardware(Direction::Rx));
        for (backend, cell) in tx.chain(rx) {
            let begun = cell.stop_for(|inside| {
                inside.backend = backend;
                inside.backend.begin(&mut inside.kring)
            });
            begun.map_err(|error| Arc::new(error) as Cause)?;
        }
        self.cells.iter().for_each(|cell| cell.resume());
        Ok(())
    }

    /// Leaks the buffers of the rings, and the region with them, since the card may still access them. They are never
    /// allocated again or freed.
    #[cold]
    pub(super) fn give_up_memory(&self) {
        core::mem::forget(self.memory.clone());
        let (name, rings) = (&self.name, self.memory.rings().len());
        log::error!(target: "netmap", "{name} did not stop: the buffers of its {rings} rings are lost");
    }
}

/// Raw ports.
impl Session {
    /// From now on the buffer numbers in the slots of this ring are not believed: they are in reach of a raw port.
    pub(super) fn distrust(&self, direction: Direction, ring: u16) {
        // What the pools note as exposed are the buffers that slots name.
        if let Some(cell) = self.cell(direction, ring) {
            cell.restore_slots();
        }
        self.memory.distrust(self.place(direction, ring));
    }

    /// Whether there are such rings in the session.
    pub(crate) fn is_distrusted(&self) -> bool {
        self.memory.is_distrusted()
    }

    /// An interface object for a raw port that has bound these rings, with up to `extra` extra buffers.
    pub(crate) fn header(
        &self,
        rings: impl Iterator<Item = (Direction, u16)>,
        extra: u32,
    ) -> Result<PortHeader, MemoryError> {
        let counts = RingCounts {
            tx: self.rings.tx.into(),
            rx: self.rings.rx.into(),
            host_tx: self.rings.host_tx.into(),
            host_rx: self.rings.host_rx.into(),
        };
        let bound: Vec<_> = rings.map(|(direction, ring)| self.place(direction, ring)).collect();
        self.memory.header(&self.name, counts, |at| bound.contains(&at), extra)
    }
}

/// Resets an unbound ring for its next port: drops submitted and received frames, and clears every slot whose buffer the device
/// does not have.
pub(super) fn reset_ring(cell: &Cell) {
    cell.pause(|inside| {
        inside.kring.ring.set_flags(RingFlags::empty());
        inside.kring.slot_flags = SlotFlags::empty();
        // An error of a sync is one that the new owner's first sync reports.
        match inside.backend.direction() {
            Direction::Tx => {
                inside.kring.reset(Direction::Tx);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
                clear(inside);
            }
            Direction::Rx => {
                // Released slots go to the device in the same sync in which it gives others back.
                inside.kring.reset(Direction::Rx);
                clear(inside);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
                let arrived = inside.kring.size().distance(inside.kring.rhead(), inside.kring.hwtail);
                inside.kring.counters.drop_unbound.add(u64::from(arrived));
                inside.kring.reset(Direction::Rx);
                clear(inside);
                let _ = inside.backend.sync(&mut inside.kring, Forward::Nothing);
            }
        }
    });
}

/// Clears the slots that the device does not have, with their buffers.
fn clear(inside: &RingState) {
    if let Some((from, to)) = inside.backend.idle_slots(&inside.kring) {
        inside.kring.ring.clear(from, to);
    }
}
