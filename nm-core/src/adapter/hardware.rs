//! The adapter of a network card.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::{Adapter, Binding, InterfaceInfo};
use crate::engine::{Engine, RxEngine, TxEngine};
use crate::index::RingSize;
use crate::kring::Kring;
use crate::mem::{PortMemory, Region, RingShape};
use crate::nic::{Nic, NicInfo, Queues};
use crate::port::{OpenError, Port};
use crate::ring::{Ring, RxRing, TxRing};
use crate::stats::{Direction, RingCounters, RingReport};

/// Rings are not made smaller than this for want of buffers.
const SLOTS_MIN: u32 = 16;

/// A card, and whether a port is open on it.
pub(crate) struct HardwareAdapter<N> {
    name: String,
    nic_info: NicInfo,
    state: Mutex<State<N>>,
    tx_counters: Vec<Arc<RingCounters>>,
    rx_counters: Vec<Arc<RingCounters>>,
}

struct State<N> {
    nic: N,
    is_open: bool,
}

impl<N: Nic> HardwareAdapter<N> {
    pub(crate) fn new(name: &str, nic: N) -> Arc<Self> {
        let nic_info = nic.info();
        let counters = |count| (0..count).map(|_| Arc::default()).collect();
        Arc::new(Self {
            name: name.to_string(),
            tx_counters: counters(nic_info.tx_queues),
            rx_counters: counters(nic_info.rx_queues),
            nic_info,
            state: Mutex::new(State { nic, is_open: false }),
        })
    }

    /// The rings of a port: as many slots as the queues hold, fewer where ring objects or buffers are short.
    fn shapes(&self, region: &Region, share: u32) -> Vec<RingShape> {
        let nic = &self.nic_info;
        let slots_max = region.tunables().slots_max();
        let (mut tx, mut rx) =
            (u32::from(nic.tx_slots).min(slots_max), u32::from(nic.rx_slots).min(slots_max));
        let total = |tx, rx| u32::from(nic.tx_queues) * tx + u32::from(nic.rx_queues) * rx;
        let wanted = (tx, rx);
        while total(tx, rx) > share && (tx > SLOTS_MIN || rx > SLOTS_MIN) {
            tx = (tx / 2).max(tx.min(SLOTS_MIN));
            rx = (rx / 2).max(rx.min(SLOTS_MIN));
        }
        if wanted != (tx, rx) {
            let (name, (wtx, wrx)) = (&self.name, wanted);
            log::warn!(target: "netmap", "{name}: rings of {tx}/{rx} slots instead of {wtx}/{wrx}, for its share of {share} buffers");
        }
        let rings = |direction, count, slots| {
            let size = RingSize::new(slots);
            (0..count).filter_map(move |number| Some(RingShape { direction, number, size: size? }))
        };
        rings(Direction::Tx, nic.tx_queues, tx).chain(rings(Direction::Rx, nic.rx_queues, rx)).collect()
    }

    fn start(&self) -> Result<Queues<N::Tx, N::Rx>, OpenError> {
        let mut state = self.state.lock();
        if state.is_open {
            return Err(OpenError::Busy(self.name.clone()));
        }
        let queues = state
            .nic
            .start()
            .map_err(|cause| OpenError::Device { name: self.name.clone(), cause: Arc::new(cause) })?;
        state.is_open = true;
        Ok(queues)
    }
}

/// Pairs each queue of one direction with its ring and its counters, and makes a [`Ring`] of the three.
fn rings<D, Q, E: Engine + 'static>(
    binding: &Arc<Binding>,
    direction: Direction,
    first: usize,
    queues: Vec<Q>,
    counters: &[Arc<RingCounters>],
    engine: impl Fn(Q, &mut Kring) -> Result<E, OpenError>,
) -> Result<Vec<Ring<D>>, OpenError> {
    let memory = binding.memory().rings().iter().skip(first);
    let parts = queues.into_iter().zip(memory).zip(counters);
    parts
        .map(|((queue, memory), counters)| {
            let mut kring = Kring::new(memory.clone(), direction, counters.clone());
            let engine = engine(queue, &mut kring)?;
            Ok(Ring::new(kring, Box::new(engine), binding.clone()))
        })
        .collect()
}

impl<N: Nic> Adapter for HardwareAdapter<N> {
    fn info(&self) -> InterfaceInfo {
        let state = self.state.lock();
        let (name, nic) = (self.name.clone(), self.nic_info.clone());
        InterfaceInfo { name, nic, link: state.nic.link(), is_open: state.is_open }
    }

    fn counters(&self) -> Vec<RingReport> {
        let report = |direction, counters: &[Arc<RingCounters>]| {
            let reports = counters.iter().zip(0..).map(|(counters, ring)| RingReport {
                interface: self.name.clone(),
                direction,
                ring,
                counters: counters.clone(),
            });
            reports.collect::<Vec<_>>()
        };
        [report(Direction::Tx, &self.tx_counters), report(Direction::Rx, &self.rx_counters)].concat()
    }

    fn open(self: Arc<Self>, region: &Arc<Region>, share: u32) -> Result<Port, OpenError> {
        if self.state.lock().is_open {
            return Err(OpenError::Busy(self.name.clone()));
        }
        let memory =
            PortMemory::new(region, &self.name, &self.shapes(region, share)).map_err(OpenError::Memory)?;
        let queues = self.start()?;
        // From here on the binding closes the adapter, whichever way this function is left.
        let binding = Binding::new(self.clone(), memory);
        let refused = |error| OpenError::Device { name: self.name.clone(), cause: Arc::new(error) };
        let tx_count = self.tx_counters.len();
        let tx: Vec<TxRing> =
            rings(&binding, Direction::Tx, 0, queues.tx, &self.tx_counters, |queue, kring| {
                Ok(TxEngine::new(queue, kring.size()))
            })?;
        let rx: Vec<RxRing> =
            rings(&binding, Direction::Rx, tx_count, queues.rx, &self.rx_counters, |queue, kring| {
                RxEngine::new(queue, kring).map_err(refused)
            })?;
        Ok(Port::new(self.name.clone(), tx, rx))
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.nic.stop();
        state.is_open = false;
    }
}
