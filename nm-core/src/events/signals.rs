//! The pending words and the waiters of one interface.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::Irq;
use super::hub::Hub;
use super::waiters::Waiters;
use crate::nic::NicInfo;
use crate::stats::Direction;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The ring's waiters are to be woken.
const WAKE: u32 = 1;
/// The ring's next receive sync looks at the card.
const LOOK: u32 = 2;

/// One ring's pending word and waiters. Aligned so that the words of two cores share no cache line.
#[repr(align(128))]
pub(crate) struct Signal {
    word: AtomicU32,
    waiters: Waiters,
    hub: Arc<Hub>,
}

/// The rings of one direction.
struct Side {
    rings: Box<[Arc<Signal>]>,
    /// Who waits for any of them.
    all: Waiters,
}

/// The signals of an interface. They exist as long as the interface or a port or a handler that knows it.
pub(crate) struct Signals {
    hub: Arc<Hub>,
    /// Whether the interface is in netmap mode.
    is_on: AtomicBool,
    tx: Side,
    rx: Side,
}

impl Signal {
    fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { word: AtomicU32::new(LOOK), waiters: Waiters::new(), hub: hub.clone() })
    }

    /// Whether a receive sync looks at the card without being told to.
    #[inline]
    pub(crate) fn looks_always(&self) -> bool {
        self.hub.looks_always()
    }

    /// Whether a receive sync was told to look at the card. It is told once.
    pub(crate) fn take_look(&self) -> bool {
        // Acquire: what the interrupt announced is seen by who looks.
        self.word.fetch_and(!LOOK, Ordering::Acquire) & LOOK != 0
    }

    /// Has the next receive sync look at the card: there may be something that no interrupt announces.
    pub(crate) fn look_again(&self) {
        self.word.fetch_or(LOOK, Ordering::Release);
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// For an interrupt handler: sets the word, and says whether it was set before.
    pub(super) fn raise(&self) -> bool {
        // Release: who takes the word sees what the device or the handler did before.
        let before = self.word.fetch_or(WAKE | LOOK, Ordering::Release);
        self.hub.note_pending();
        before & WAKE != 0
    }

    /// Takes the word, and says whether it was set.
    fn take(&self) -> bool {
        // A word that is set behind the relaxed look raises the hub's flag after it, and is found in the next run.
        // Acquire: as in `raise`.
        self.word.load(Ordering::Relaxed) & WAKE != 0
            && self.word.fetch_and(!WAKE, Ordering::Acquire) & WAKE != 0
    }
}

impl Side {
    fn new(hub: &Arc<Hub>, rings: u16) -> Self {
        Self { rings: (0..rings).map(|_| Signal::new(hub)).collect(), all: Waiters::new() }
    }

    /// Wakes the waiters of rings whose word is set, and those of all rings if there was one.
    fn serve(&self, hub: &Hub) -> usize {
        let pending = |signal: &&Arc<Signal>| signal.take();
        let served = self.rings.iter().filter(pending).inspect(|signal| signal.waiters.wake(hub)).count();
        if served > 0 {
            self.all.wake(hub);
        }
        served
    }

    fn wake_all(&self, hub: &Hub) {
        self.rings.iter().for_each(|signal| signal.waiters.wake(hub));
        self.all.wake(hub);
    }
}

impl Signals {
    pub(crate) fn new(hub: &Arc<Hub>, nic: &NicInfo) -> Arc<Self> {
        let signals = Arc::new(Self {
            hub: hub.clone(),
            is_on: AtomicBool::new(false),
            tx: Side::new(hub, nic.tx_queues),
            rx: Side::new(hub, nic.rx_queues),
        });
        hub.add(&signals);
        signals
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn ring(&self, direction: Direction, number: u16) -> Option<&Arc<Signal>> {
        self.side(direction).rings.get(usize::from(number))
    }

    /// How many rings there are one way.
    pub(crate) fn rings(&self, direction: Direction) -> usize {
        self.side(direction).rings.len()
    }

    /// Those who wait for any ring one way.
    pub(crate) fn all(&self, direction: Direction) -> &Waiters {
        &self.side(direction).all
    }

    /// Whether nobody waits for this ring.
    pub(crate) fn is_idle(&self, direction: Direction, number: u16) -> bool {
        let of_ring = self.ring(direction, number).is_none_or(|signal| signal.waiters.is_empty());
        of_ring && self.all(direction).is_empty()
    }

    /// The interface enters or leaves netmap mode.
    pub(crate) fn set_on(&self, is_on: bool) {
        // Relaxed: an interrupt that comes at this moment may be taken either way.
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// An interrupt of one queue. Called by handlers: no lock, no waker.
    pub(super) fn interrupt(&self, direction: Direction, queue: u16) -> Irq {
        match self.ring(direction, queue) {
            Some(signal) if self.is_on.load(Ordering::Relaxed) => {
                if signal.raise() {
                    Irq::Resched
                } else {
                    Irq::Completed
                }
            }
            _ => Irq::Pass,
        }
    }

    /// Turns this interface's pending words into wake-ups. Returns how many rings had one.
    pub(super) fn serve(&self) -> usize {
        self.tx.serve(&self.hub) + self.rx.serve(&self.hub)
    }

    /// Wakes everybody: the interface was reset or has disappeared. Not for handlers.
    #[doc(alias("NAF_GLOBAL_NOTIFY", "NAF_DISABLE_NOTIFY"))]
    pub(crate) fn wake_all(&self) {
        self.tx.wake_all(&self.hub);
        self.rx.wake_all(&self.hub);
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        }
    }
}
