//! A network card with queues.

pub(crate) mod rx;
mod status;
pub(crate) mod tx;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use nm_driver::events::Events;
use nm_driver::index::RingSize;
use nm_driver::nic::{Link, Nic, NicInfo, Queues, Stopped};

use super::host::HostTxPath;
use super::{Backend, Cause, RingBackend, RingBackends, Start};
use crate::stats::{Direction, RingKind};

use rx::CardRx;
use tx::CardTx;

/// The back end of a card.
pub(crate) struct Card<N>(N);

impl<N: Nic> Card<N> {
    pub(crate) fn new(nic: N) -> Self {
        Self(nic)
    }
}

impl<N: Nic> Backend for Card<N> {
    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn queues_max(&self) -> (u16, u16) {
        let (info, (tx, rx)) = (self.0.info(), self.0.queues_max());
        (tx.max(info.tx_queues), rx.max(info.rx_queues))
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    fn connect(&mut self, events: Events) {
        self.0.connect(events);
    }

    fn start(&mut self, start: &Start<'_>) -> Result<RingBackends, Cause> {
        let queues = self.0.start(&start.params).map_err(|cause| Arc::new(cause) as Cause)?;
        ring_backends(queues, start)
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}

/// The back ends of rings over these queues, which are large enough for their rings.
fn ring_backends(queues: Queues, start: &Start<'_>) -> Result<RingBackends, Cause> {
    let Queues { tx, rx, receive_len } = queues;
    let (tx_slots, rx_slots) = (start.params.tx_slots, start.params.rx_slots);
    let (frame_max, offsets) = (start.params.mtu.frame_max(), start.offsets);
    let signal = |direction, number| start.signals.ring(RingKind::Hardware, direction, number).cloned();
    let up = || start.host.map(|host| HostTxPath::new(host.clone(), &start.params));
    let tx = (0..).zip(tx).map(|(number, queue)| -> Result<Box<dyn RingBackend>, QueueMismatch> {
        let size = ring_size(queue.capacity(), tx_slots)?;
        let signal = signal(Direction::Tx, number).ok_or(QueueMismatch::TooMany)?;
        Ok(Box::new(CardTx::new(queue, frame_max, signal, size)))
    });
    let rx = (0..).zip(rx).map(|(number, queue)| -> Result<Box<dyn RingBackend>, QueueMismatch> {
        let size = ring_size(queue.capacity(), rx_slots)?;
        let signal = signal(Direction::Rx, number).ok_or(QueueMismatch::TooMany)?;
        Ok(Box::new(CardRx::new(queue, (receive_len, frame_max, offsets), signal, up(), size)))
    });
    let mismatch = |mismatch| Arc::new(mismatch) as Cause;
    Ok(RingBackends {
        tx: tx.collect::<Result<_, _>>().map_err(mismatch)?,
        rx: rx.collect::<Result<_, _>>().map_err(mismatch)?,
    })
}

/// The size of a ring of `slots` slots, if a queue of this capacity has room for them.
fn ring_size(capacity: u16, slots: u16) -> Result<RingSize, QueueMismatch> {
    let mismatch = QueueMismatch::Capacity { capacity, slots };
    RingSize::new(slots.into()).filter(|_| capacity >= slots).ok_or(mismatch)
}

/// A card came up with other queues than its rings need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueMismatch {
    /// A queue holds fewer buffers than its ring has slots.
    Capacity { capacity: u16, slots: u16 },
    /// There are more queues than the card can ever have.
    TooMany,
}

impl fmt::Display for QueueMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { capacity, slots } => {
                write!(f, "a queue has room for {capacity} buffers, and its ring {slots} slots")
            }
            Self::TooMany => f.write_str("it has more queues than it said it can have"),
        }
    }
}

impl core::error::Error for QueueMismatch {}
