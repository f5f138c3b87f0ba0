//! Interrupts, and how they reach those who wait.
//!
//! A card's interrupt handler has an [`Events`]. It sets a pending word, and nothing else: it takes no lock and calls
//! no waker. Somebody outside of handlers calls [`Netmap::run_pending`](crate::Netmap::run_pending), which turns the
//! words into wake-ups. A blocking [`poll`](crate::poll) does so itself, before and after it sleeps.
//!
//! Two bits of a ring's word, the flag of the whole netmap, and a wait, step by step:
//!
//! | step | `WAKE` | `LOOK` | flag | waiter |
//! |---|---|---|---|---|
//! | 1. who waits registers, then arms the card and looks at the ring once more | | | | registered |
//! | 2. the device publishes, the handler runs: [`Events::rx_interrupt`] | set | set | then set | |
//! | 3. [`run_pending`](crate::Netmap::run_pending) takes the flag, then the words | taken | | taken before | |
//! | 4. it wakes the ring's waiters, then those of all rings of the interface | | | | taken out, counted, called |
//! | 5. rxsync looks at the card (only when `no_pendintr` is off does it ask the bit) | | taken | | |
//!
//! No wake-up is lost, whatever the order:
//! - *published before the look of step 1*: the look finds it, or arming says that there is something already;
//! - *published after it*: an armed card interrupts. The word is set before the flag, and the flag is taken before the
//!   words, so either this run finds the word or the flag is still set for the next;
//! - *step 4 before step 1*: the list's lock orders them, and the word's Release and Acquire order the publication
//!   before step 4, so the look of step 1 finds it;
//! - *step 4 after step 1*: the waiter is in the list. One that has not gone to sleep yet sees that the count of wake-ups
//!   has changed since before it registered.
//!
//! The same is run under loom in every order, at the end of `poll`.
//!
//! # Mitigation
//!
//! Two tunables keep wake-ups rare, each where netmap has it:
//! - `mitigate`: who waits for room on a card is woken when half of what is on its way has left, not for each frame. The
//!   core asks the card for that very interrupt ([`TxQueue::arm`](crate::nic::TxQueue::arm));
//! - `generic_mit`: interrupts of a generic adapter wake at most once in that time. What comes within it waits for its
//!   end, which is [`Netmap::next_due_ns`](crate::Netmap::next_due_ns); a blocking poll keeps to it by itself.
//!
//! # The stack
//!
//! Frames of the host stack are no interrupts. Whoever calls
//! [`HostInterface::transmit`](crate::host::HostInterface::transmit) wakes the waiters of the host ring itself.

pub(crate) mod hub;
pub(crate) mod mitigation;
pub(crate) mod signals;
pub(crate) mod waiters;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::task::Waker;

use crate::stats::Direction;
use signals::Signals;

/// The interrupts of an interface, for its handler. Valid as long as anybody keeps it; once the interface has
/// disappeared, interrupts are not netmap's.
#[derive(Clone)]
pub struct Events(Arc<Signals>);

/// What became of an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an interrupt that is not netmap's is somebody else's"]
pub enum Irq {
    /// It is not netmap's: the interface is not in netmap mode, or has no such queue.
    #[doc(alias = "NM_IRQ_PASS")]
    Pass,
    /// It is netmap's, and done with.
    #[doc(alias = "NM_IRQ_COMPLETED")]
    Completed,
    /// It is netmap's, and the one before has not been served: the queue can stay quiet until then.
    #[doc(alias = "NM_IRQ_RESCHED")]
    Resched,
}

impl Events {
    pub(crate) fn new(signals: Arc<Signals>) -> Self {
        Self(signals)
    }

    /// Receive queue `queue` has interrupted. For handlers: no lock, no waker, a bounded number of steps.
    #[doc(alias("netmap_rx_irq", "netmap_common_irq", "NKR_PENDINTR"))]
    pub fn rx_interrupt(&self, queue: u16) -> Irq {
        self.0.interrupt(Direction::Rx, queue)
    }

    /// A waker that stands for an interrupt of receive queue `queue`: for a device that is software and tells of arrivals
    /// on a thread. It turns the interrupt into wake-ups itself, so it is not for handlers.
    pub fn rx_waker(&self, queue: u16) -> Waker {
        Line::waker(self, Direction::Rx, queue)
    }

    /// The same for transmit queue `queue`.
    pub fn tx_waker(&self, queue: u16) -> Waker {
        Line::waker(self, Direction::Tx, queue)
    }

    /// From now on interrupts are the driver's own, as without netmap ([`Irq::Pass`]), until they are given back: for the
    /// time of an initialisation.
    #[doc(alias = "NAF_SKIP_INTR")]
    pub fn skip(&self, is_skipped: bool) {
        self.0.set_skipped(is_skipped);
    }

    /// Transmit queue `queue` has interrupted, as for [`rx_interrupt`](Self::rx_interrupt).
    #[doc(alias("netmap_tx_irq", "netmap_common_irq"))]
    pub fn tx_interrupt(&self, queue: u16) -> Irq {
        self.0.interrupt(Direction::Tx, queue)
    }
}

/// The interrupt of one queue, as a waker.
struct Line {
    signals: Arc<Signals>,
    direction: Direction,
    queue: u16,
}

impl Line {
    fn waker(events: &Events, direction: Direction, queue: u16) -> Waker {
        Arc::new(Self { signals: events.0.clone(), direction, queue }).into()
    }
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // An interface that is not in netmap mode has nobody to wake.
        let _ = self.signals.interrupt(self.direction, self.queue);
        self.signals.hub().run_pending();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
