//! What an interface knows of its stack, and what its host rings share.
//!
//! The stack's output comes here without a lock of adapters or rings, from wherever the stack runs, a delivery of this
//! interface included. So what it has to know (which rings are bound, whether the interface is there) is told to this
//! value when it changes. The words are relaxed atomics; they are read under the lock of a queue, and the code that empties
//! a queue because of such a change takes that lock after the change: what is queued later has seen it.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};

use nm_driver::burst::FRAME_MIN;

use super::queue::{Frames, HostQueue};
use super::{HostRings, HostStack, Offload, Outgoing, StackRefused, TransmitError};
use crate::abi::{RingFlags, SlotFlags};
use crate::errno::Errno;
use crate::events::hub::Hub;
use crate::events::signals::{Signal, SignalList};
use crate::ring::memory::RingMemory;
use crate::stats::{Direction, RingCounters};
use crate::tunables::Verbose;

/// Which released slots go to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// None.
    Off,
    /// Those that the application has marked.
    Marked,
    /// All.
    All,
}

impl Forwarding {
    /// Whether a slot with these flags goes.
    pub(crate) fn takes(self, flags: u16) -> bool {
        match self {
            Self::Off => false,
            Self::Marked => is_marked(flags),
            Self::All => true,
        }
    }
}

/// Whether a slot with these flags is marked to be forwarded.
pub(crate) fn is_marked(flags: u16) -> bool {
    flags & SlotFlags::FORWARD.bits() != 0
}

/// The host side of one interface.
pub(crate) struct HostSide {
    name: String,
    stack: Arc<dyn HostStack>,
    rings: HostRings,
    frame_max: u16,
    hub: Arc<Hub>,
    tx_counters: Vec<Arc<RingCounters>>,
    tx_signals: Box<[Arc<Signal>]>,
    /// One for each host receive ring.
    queues: Vec<HostQueue>,
    /// By transmit ring of the card, as many as it can ever have: whether a port has it.
    is_bound: Box<[AtomicBool]>,
    /// How many transmit rings the card has, 0 while it is not in netmap mode.
    card_rings: AtomicU16,
    is_gone: AtomicBool,
    /// Whether it was reported that a frame wanted an offload.
    is_reported: AtomicBool,
}

impl HostSide {
    /// The host side of interface `name`, whose card has at most `tx_queues` transmit queues and whose buffers hold
    /// `frame_max` bytes.
    pub(crate) fn new(
        name: &str,
        stack: Arc<dyn HostStack>,
        rings: HostRings,
        tx_queues: u16,
        frame_max: u16,
        hub: &Arc<Hub>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_string(),
            stack,
            rings,
            frame_max,
            hub: hub.clone(),
            tx_counters: (0..rings.tx).map(|_| Arc::default()).collect(),
            tx_signals: (0..rings.tx).map(|_| Signal::new(hub)).collect(),
            queues: (0..rings.rx).map(|_| HostQueue::new(hub)).collect(),
            is_bound: (0..tx_queues).map(|_| AtomicBool::new(false)).collect(),
            card_rings: AtomicU16::new(0),
            is_gone: AtomicBool::new(false),
            is_reported: AtomicBool::new(false),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rings(&self) -> HostRings {
        self.rings
    }

    /// The counters of host transmit ring `ring`.
    pub(crate) fn tx_counters(&self) -> impl Iterator<Item = &Arc<RingCounters>> {
        self.tx_counters.iter()
    }

    pub(crate) fn rx_counters(&self) -> impl Iterator<Item = &Arc<RingCounters>> {
        self.queues.iter().map(|queue| &queue.counters)
    }

    /// The signals of the host rings one way.
    pub(crate) fn signals(&self, direction: Direction) -> SignalList {
        match direction {
            Direction::Tx => self.tx_signals.clone(),
            Direction::Rx => self.queues.iter().map(|queue| queue.signal.clone()).collect(),
        }
    }

    /// Trust a frame to the stack.
    pub(crate) fn deliver(&self, frame: &[u8]) -> Result<(), StackRefused> {
        let outcome = self.stack.deliver(&self.name, frame);
        if self.is_shown() {
            let (name, bytes) = (&self.name, frame.len());
            let what = if outcome.is_ok() { "taken" } else { "refused" };
            log::info!(target: "netmap", "{name}: {bytes} bytes for the stack, {what}");
        }
        outcome
    }

    #[doc(alias = "NM_VERB_HOST")]
    fn is_shown(&self) -> bool {
        self.hub.knobs().verbose().contains(Verbose::HOST)
    }

    /// Asks the stack for what is not netmap's.
    pub(crate) fn ioctl(&self, code: u32, argument: &mut [u8]) -> Result<(), Errno> {
        self.stack.ioctl(&self.name, code, argument)
    }

    /// What becomes of the released slots of `ring`.
    #[inline]
    #[doc(alias("nm_may_forward_up", "nm_may_forward_down"))]
    pub(crate) fn forwarding(&self, ring: &RingMemory) -> Forwarding {
        if self.hub.knobs().fwd() {
            Forwarding::All
        } else if ring.flags().contains(RingFlags::FORWARD) {
            Forwarding::Marked
        } else {
            Forwarding::Off
        }
    }
}

/// Told by the session.
impl HostSide {
    /// Netmap mode begins, with `card_rings` transmit rings of the card and host receive rings of `slots` slots.
    pub(crate) fn begin(&self, card_rings: u16, slots: u32) {
        self.card_rings.store(card_rings, Relaxed);
        self.is_gone.store(false, Relaxed);
        self.queues.iter().for_each(|queue| queue.begin(slots));
    }

    /// Netmap mode ends; what is queued is dropped.
    pub(crate) fn end(&self) {
        self.card_rings.store(0, Relaxed);
        self.is_bound.iter().for_each(|bound| bound.store(false, Relaxed));
        self.queues.iter().for_each(HostQueue::end);
    }

    /// The interface has disappeared.
    pub(crate) fn disappear(&self) {
        self.is_gone.store(true, Relaxed);
    }

    /// Which transmit rings of the card and which host receive rings ports have.
    pub(crate) fn note_bound(&self, is_card_tx: impl Fn(u16) -> bool, is_host_rx: impl Fn(u16) -> bool) {
        (0..).zip(&self.is_bound).for_each(|(ring, bound)| bound.store(is_card_tx(ring), Relaxed));
        (0..).zip(&self.queues).for_each(|(ring, queue)| queue.lock().has_reader = is_host_rx(ring));
    }
}

/// Called by the sync of host receive ring `ring`.
impl HostSide {
    /// Whether frames wait for the ring.
    pub(crate) fn has_waiting(&self, ring: usize) -> bool {
        self.queues.get(ring).is_some_and(|queue| !queue.lock().is_empty())
    }

    /// The oldest frame that waits; `used` is the memory of the one before.
    pub(crate) fn pop(&self, ring: usize, used: Option<Vec<u8>>) -> Option<Vec<u8>> {
        self.queues.get(ring)?.lock().pop(used)
    }

    /// The ring holds this many frames.
    pub(crate) fn settle(&self, ring: usize, in_ring: u32) {
        if let Some(queue) = self.queues.get(ring) {
            queue.lock().settle(in_ring);
        }
    }
}

/// Called by the stack.
impl HostSide {
    pub(super) fn transmit(&self, outgoing: Outgoing<'_>) -> Result<(), TransmitError> {
        let ring_of = |rings: usize| usize::from(outgoing.queue).checked_rem(rings).unwrap_or(0);
        let card_rings = self.card_rings.load(Relaxed);
        let (card_ring, host_ring) = (ring_of(card_rings.into()), ring_of(self.queues.len()));
        let Some((bound, queue)) = self.is_bound.get(card_ring).zip(self.queues.get(host_ring)) else {
            return Err(TransmitError::NotOurs);
        };
        let mut frames = queue.lock();
        if self.is_gone.load(Relaxed) {
            return Err(TransmitError::Gone);
        }
        if !bound.load(Relaxed) {
            return Err(TransmitError::NotOurs);
        }
        let outcome = self.admit(&mut frames, outgoing);
        if let Err(cause) = outcome {
            count(&queue.counters, cause);
        }
        drop(frames);
        if self.is_shown() {
            let (name, bytes) = (&self.name, outgoing.frame.len());
            match outcome {
                Ok(()) => log::info!(target: "netmap", "{name}: {bytes} bytes from the stack, queued"),
                Err(cause) => log::info!(target: "netmap", "{name}: {bytes} bytes from the stack: {cause}"),
            }
        }
        match outcome {
            // The frame is in the queue before its reader is woken; the lock orders the two.
            Ok(()) => queue.signal.notify(),
            Err(TransmitError::Offload(offload)) => self.report(offload),
            Err(_) => {}
        }
        outcome
    }

    fn admit(&self, frames: &mut Frames, outgoing: Outgoing<'_>) -> Result<(), TransmitError> {
        if outgoing.offload != Offload::None {
            return Err(TransmitError::Offload(outgoing.offload));
        }
        match outgoing.frame.len() {
            len if len < usize::from(FRAME_MIN) => Err(TransmitError::TooShort),
            len if len > usize::from(self.frame_max) => Err(TransmitError::TooLong),
            _ if !frames.has_reader => Err(TransmitError::Unread),
            _ => frames.push(outgoing.frame),
        }
    }

    /// Says once that the stack leaves to the card what no host ring does.
    #[cold]
    fn report(&self, offload: Offload) {
        if self.is_reported.swap(true, Relaxed) {
            return;
        }
        let (name, cause) = (&self.name, TransmitError::Offload(offload));
        log::warn!(target: "netmap", "{name}: {cause}; it was dropped. Further ones are only counted (drop_offload); disable offloads in the stack");
    }
}

#[cold]
fn count(counters: &RingCounters, cause: TransmitError) {
    let counter = match cause {
        TransmitError::NotOurs | TransmitError::Gone => return,
        TransmitError::Unread => &counters.drop_unread,
        TransmitError::Full => &counters.drop_full,
        TransmitError::TooShort => &counters.drop_short,
        TransmitError::TooLong => &counters.drop_long,
        TransmitError::Offload(_) => &counters.drop_offload,
    };
    counter.add(1);
}

impl fmt::Debug for HostSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSide")
            .field("name", &self.name)
            .field("rings", &self.rings)
            .finish_non_exhaustive()
    }
}
