//! The pending words and the waiters of one interface.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};

use nm_driver::events::{InterruptSink, Irq};

use super::hub::{Hub, PendingSource};
use super::mitigation::{Due, Interval, Mitigation};
use super::waiters::Waiters;
use crate::nic::NicInfo;
use crate::stats::{Counter, Direction, RingKind};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::tunables::{Knobs, Verbose};

/// The ring's waiters are to be woken.
const WAKE: u32 = 1;
/// The ring's next receive sync looks at the card.
const LOOK: u32 = 2;

/// One ring's pending word and waiters. Aligned so that the words of two cores share no cache line.
#[repr(align(128))]
pub(crate) struct Signal {
    word: AtomicU32,
    /// How often a handler has set the word.
    interrupts: Counter,
    interval: Interval,
    waiters: Waiters,
    hub: Arc<Hub>,
    /// The hub's, at hand for every sync.
    knobs: Arc<Knobs>,
}

/// Signals of rings, by number.
pub(crate) type SignalList = Box<[Arc<Signal>]>;

/// The rings of one direction.
struct Side {
    hardware: SignalList,
    host: SignalList,
    /// Who waits for any of the hardware's.
    all: Waiters,
}

/// The signals of an interface. They exist as long as the interface or a port or a handler that knows it.
pub(crate) struct Signals {
    hub: Arc<Hub>,
    /// Whether the interface is in netmap mode.
    is_on: AtomicBool,
    /// Whether the driver handles its interrupts as without netmap.
    is_skipped: AtomicBool,
    mitigation: Mitigation,
    tx: Side,
    rx: Side,
}

impl Signal {
    pub(crate) fn new(hub: &Arc<Hub>) -> Arc<Self> {
        let (word, interrupts, interval) = (AtomicU32::new(LOOK), Counter::default(), Interval::default());
        let (waiters, hub, knobs) = (Waiters::new(), hub.clone(), hub.knobs().clone());
        Arc::new(Self { word, interrupts, interval, waiters, hub, knobs })
    }

    pub(crate) fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    /// Whether a sync has to look at the tunables.
    #[inline]
    pub(crate) fn has_wishes(&self) -> bool {
        self.knobs.has_wishes()
    }

    /// Whether this is to be logged in detail.
    #[inline]
    pub(crate) fn shows(&self, what: Verbose) -> bool {
        self.knobs.verbose().intersects(what)
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

    /// How many interrupts there have been.
    pub(crate) fn interrupts(&self) -> u64 {
        self.interrupts.get()
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// For an interrupt handler: sets the word, and says whether it was set before.
    pub(super) fn raise(&self) -> bool {
        // Release: who takes the word sees what the device or the handler did before.
        let before = self.word.fetch_or(WAKE | LOOK, Ordering::Release);
        self.interrupts.count();
        self.hub.note_pending();
        before & WAKE != 0
    }

    /// Wakes those who wait for the ring, on the thread that calls: for what happened outside of handlers and rings.
    pub(crate) fn notify(&self) {
        self.waiters.wake(self.hub.wakes());
    }

    /// Takes the word, and says whether it was set. One that is set is left alone while its interval lasts, and `due` is
    /// told when that ends.
    fn take(&self, due: &mut Due) -> bool {
        // A word that is set behind the relaxed look raises the hub's flag after it, and is found in the next run.
        // Acquire: as in `raise`.
        self.word.load(Ordering::Relaxed) & WAKE != 0
            && self.interval.is_over(due)
            && self.word.fetch_and(!WAKE, Ordering::Acquire) & WAKE != 0
    }
}

impl Side {
    fn new(hub: &Arc<Hub>, hardware: u16, host: SignalList) -> Self {
        let hardware = (0..hardware).map(|_| Signal::new(hub)).collect();
        Self { hardware, host, all: Waiters::new() }
    }

    /// Wakes the waiters of rings whose word is set and whose interval is over, and those of all rings if there was one.
    fn serve(&self, hub: &Hub, due: &mut Due) -> usize {
        let mut served = 0;
        for signal in self.hardware.iter() {
            if signal.take(due) {
                signal.waiters.wake(hub.wakes());
                served += 1;
            }
        }
        if served > 0 {
            self.all.wake(hub.wakes());
        }
        served
    }

    fn wake_all(&self, hub: &Hub) {
        self.hardware.iter().chain(&self.host).for_each(|signal| signal.waiters.wake(hub.wakes()));
        self.all.wake(hub.wakes());
    }
}

impl Signals {
    /// The signals of an interface with this card, and with these of its host rings.
    pub(crate) fn new(
        hub: &Arc<Hub>,
        nic: &NicInfo,
        (host_tx, host_rx): (SignalList, SignalList),
        mitigation: Mitigation,
    ) -> Arc<Self> {
        let signals = Arc::new(Self {
            hub: hub.clone(),
            is_on: AtomicBool::new(false),
            is_skipped: AtomicBool::new(false),
            mitigation,
            tx: Side::new(hub, nic.tx_queues, host_tx),
            rx: Side::new(hub, nic.rx_queues, host_rx),
        });
        let source: Weak<Self> = Arc::downgrade(&signals);
        hub.add(source);
        signals
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The signal of a ring, by its number among those of its kind.
    pub(crate) fn ring(&self, kind: RingKind, direction: Direction, number: u16) -> Option<&Arc<Signal>> {
        let side = self.side(direction);
        let rings = match kind {
            RingKind::Hardware => &side.hardware,
            RingKind::Host => &side.host,
        };
        rings.get(usize::from(number))
    }

    /// Those who wait for any of the hardware's rings one way.
    pub(crate) fn all(&self, direction: Direction) -> &Waiters {
        &self.side(direction).all
    }

    /// Whether this ring has no waiter.
    pub(crate) fn is_idle(&self, kind: RingKind, direction: Direction, number: u16) -> bool {
        let of_ring = self.ring(kind, direction, number).is_none_or(|signal| signal.waiters.is_empty());
        of_ring && (kind == RingKind::Host || self.all(direction).is_empty())
    }

    /// The interface enters or leaves netmap mode.
    pub(crate) fn set_on(&self, is_on: bool) {
        // Relaxed: an interrupt that comes at this moment may be taken either way.
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Wakes those who wait for this ring of the hardware, on the thread that calls: for a back end that is software. Not for
    /// handlers.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn notify(&self, direction: Direction, number: u16) {
        if let Some(signal) = self.ring(RingKind::Hardware, direction, number) {
            signal.notify();
            self.all(direction).wake(self.hub.wakes());
        }
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

impl PendingSource for Signals {
    fn serve(&self) -> (usize, Option<u64>) {
        let (mut at_once, mut due) =
            (Due::new(&self.hub, Mitigation::Off), Due::new(&self.hub, self.mitigation));
        let served = self.tx.serve(&self.hub, &mut at_once) + self.rx.serve(&self.hub, &mut due);
        (served, due.earliest())
    }
}

impl InterruptSink for Signals {
    fn interrupt(&self, direction: Direction, queue: u16) -> Irq {
        let is_ours = self.is_on.load(Ordering::Relaxed) && !self.is_skipped.load(Ordering::Relaxed);
        match self.ring(RingKind::Hardware, direction, queue) {
            Some(signal) if is_ours => {
                if signal.raise() {
                    Irq::Resched
                } else {
                    Irq::Completed
                }
            }
            _ => Irq::Pass,
        }
    }

    fn run_pending(&self) {
        self.hub.run_pending();
    }

    fn set_skipped(&self, is_skipped: bool) {
        // Relaxed: as in `set_on`.
        self.is_skipped.store(is_skipped, Ordering::Relaxed);
    }
}
