//! Where the interrupts of a card go.
//!
//! An interrupt handler has an [`Events`]. It sets pending bits, and nothing else: it takes no lock and calls no waker. What
//! turns the bits into wake-ups is on the core's side of [`InterruptSink`].

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::task::Waker;

use crate::Direction;

/// The core's end: the pending bits of one interface.
pub trait InterruptSink: Send + Sync {
    /// A queue has interrupted. Called by handlers: no lock, no waker, a bounded number of steps.
    fn interrupt(&self, direction: Direction, queue: u16) -> Irq;

    /// Turns pending bits into wake-ups. Not for handlers.
    fn run_pending(&self);

    /// While set, interrupts are the driver's own.
    fn set_skipped(&self, is_skipped: bool);
}

/// The interrupts of an interface, for its handler. Valid for as long as a copy is kept; once the interface has disappeared,
/// interrupts are not netmap's.
#[derive(Clone)]
pub struct Events(Arc<dyn InterruptSink>);

/// What became of an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an interrupt that is not netmap's belongs to another driver"]
pub enum Irq {
    /// It is not netmap's: the interface is not in netmap mode, or has no such queue.
    #[doc(alias = "NM_IRQ_PASS")]
    Pass,
    /// It is netmap's, and handled.
    #[doc(alias = "NM_IRQ_COMPLETED")]
    Completed,
    /// It is netmap's, and the one before has not been served: the queue can stay quiet until then.
    #[doc(alias = "NM_IRQ_RESCHED")]
    Resched,
}

impl Events {
    /// Interrupts that go to `sink`.
    pub fn new(sink: Arc<dyn InterruptSink>) -> Self {
        Self(sink)
    }

    /// Receive queue `queue` has interrupted. For handlers: no lock, no waker, a bounded number of steps.
    #[doc(alias("netmap_rx_irq", "netmap_common_irq", "NKR_PENDINTR"))]
    pub fn rx_interrupt(&self, queue: u16) -> Irq {
        self.0.interrupt(Direction::Rx, queue)
    }

    /// Transmit queue `queue` has interrupted, as for [`rx_interrupt`](Self::rx_interrupt).
    #[doc(alias("netmap_tx_irq", "netmap_common_irq"))]
    pub fn tx_interrupt(&self, queue: u16) -> Irq {
        self.0.interrupt(Direction::Tx, queue)
    }

    /// A waker that stands for an interrupt of receive queue `queue`: for a device that is software and reports arrivals
    /// on a thread. It turns the interrupt into wake-ups itself, so it is not for handlers.
    pub fn rx_waker(&self, queue: u16) -> Waker {
        Line::waker(self, Direction::Rx, queue)
    }

    /// The same for transmit queue `queue`.
    pub fn tx_waker(&self, queue: u16) -> Waker {
        Line::waker(self, Direction::Tx, queue)
    }

    /// While set, interrupts are the driver's own, as without netmap ([`Irq::Pass`]): for the time of an initialisation.
    #[doc(alias = "NAF_SKIP_INTR")]
    pub fn skip(&self, is_skipped: bool) {
        self.0.set_skipped(is_skipped);
    }
}

/// The interrupt of one queue, as a waker.
struct Line {
    sink: Arc<dyn InterruptSink>,
    direction: Direction,
    queue: u16,
}

impl Line {
    fn waker(events: &Events, direction: Direction, queue: u16) -> Waker {
        Arc::new(Self { sink: events.0.clone(), direction, queue }).into()
    }
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // An interface that is not in netmap mode has no waiters.
        let _ = self.sink.interrupt(self.direction, self.queue);
        self.sink.run_pending();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
