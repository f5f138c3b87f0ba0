//! The virtio network card (section 5.1), one queue pair.
//!
//! A packet is one descriptor: the device's header lies in the headroom right in front of the payload. So a queue of N holds
//! N packets. (Some legacy devices want two, and the header of all of them is shorter: see `packet.rs`.) No offload
//! is accepted: frames go through as they are.
//!
//! ```text
//!            ┌── headroom ──┬────────── payload ──────────┐
//!            │   … │ header │ frame                       │
//!            └─────┴────────┴─────────────────────────────┘
//!                  └─ one descriptor: 12 bytes and the frame
//! ```
#![expect(unsafe_code, reason = "`Nic` carries a contract about what the device touches after `stop`")]

mod config;
mod error;
mod handshake;
mod packet;
mod queues;

use alloc::sync::Arc;
use alloc::vec;
use core::fmt;

use nm_core::events;
use nm_core::nic::{Link, Nic, NicInfo, Queues, StartResult};
use nm_core::platform::Platform;

use self::handshake::{begin, finish, give_up, negotiate, reset, wanted_features};
use self::packet::PacketLayout;
use super::features::Features;
use super::queue::{Direction, Events, QueueSize, RingMemory, SplitQueue};
use super::transport::{Transport, activate_queue};
use crate::handlers;
use crate::run::Run;

pub use self::error::{NetError, QueueRole};
pub use self::queues::{Receive, Transmit};

/// Number of the receive queue of the first pair (section 5.1.2).
const RECEIVE: u16 = 0;
/// Number of the transmit queue of the first pair.
const TRANSMIT: u16 = 1;

/// A virtio network card whose registers are reached through `T`.
pub struct VirtioNet<T: Transport> {
    transport: T,
    platform: Arc<dyn Platform>,
    facts: Facts,
    run: Run,
}

/// What the device said when it was looked at first.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Of the offered features, those that this driver uses.
    features: Features,
    mac: [u8; 6],
    receive_size: QueueSize,
    transmit_size: QueueSize,
}

impl<T: Transport> VirtioNet<T> {
    /// Looks at the card, sees whether it agrees on features, and leaves it reset. `fallback_mac` is its address if the device
    /// has none of its own.
    pub fn new(
        mut transport: T,
        platform: Arc<dyn Platform>,
        fallback_mac: [u8; 6],
    ) -> Result<Self, NetError> {
        begin(&mut transport)?;
        let facts = Facts::read(&transport, fallback_mac).and_then(|facts| {
            // A card that would refuse them later is no use, and is better not named.
            negotiate(&mut transport, facts.features).map(|()| facts)
        });
        let facts = facts.inspect_err(|_| give_up(&mut transport))?;
        reset(&mut transport)?;
        Ok(Self { transport, platform, facts, run: Run::default() })
    }

    /// Sets up the device from reset to running.
    fn bring_up(&mut self) -> StartResult<Self> {
        begin(&mut self.transport)?;
        negotiate(&mut self.transport, self.facts.features)?;
        let receive = self.set_up_queue(QueueRole::Receive, self.facts.receive_size)?;
        let transmit = self.set_up_queue(QueueRole::Transmit, self.facts.transmit_size)?;
        finish(&mut self.transport)?;
        let layout = PacketLayout::with(self.facts.features);
        let has_interrupt = |role: QueueRole| self.transport.has_interrupt(role.number());
        let transmit = Transmit::new(transmit, layout, has_interrupt(QueueRole::Transmit));
        let receive = Receive::new(receive, layout, has_interrupt(QueueRole::Receive));
        Ok(Queues { tx: vec![transmit], rx: vec![receive] })
    }

    /// Allocates a queue and tells the device of it.
    fn set_up_queue<D: Direction>(
        &mut self,
        role: QueueRole,
        size: QueueSize,
    ) -> Result<SplitQueue<D, T::Notifier>, NetError> {
        let offered = offered_size(&self.transport, role)?;
        if offered.get() < size.get() {
            return Err(NetError::QueueShrank { role, before: size.get(), now: offered.get() });
        }
        let ring = RingMemory::allocate(&self.platform, size, PacketLayout::<T>::placement())?;
        self.run.keep(ring.memory());
        let place = ring.place();
        let notifier = activate_queue(&mut self.transport, role.number(), place)?;
        let features = self.facts.features;
        Ok(PacketLayout::<T>::with(features).queue(ring, Events::from(features), notifier))
    }
}

impl Facts {
    fn read<T: Transport>(transport: &T, fallback_mac: [u8; 6]) -> Result<Self, NetError> {
        let features = wanted_features(transport)?;
        let facts = Self {
            features,
            mac: config::station_address(transport, features, fallback_mac)?,
            receive_size: offered_size(transport, QueueRole::Receive)?,
            transmit_size: offered_size(transport, QueueRole::Transmit)?,
        };
        for (role, size) in
            [(QueueRole::Receive, facts.receive_size), (QueueRole::Transmit, facts.transmit_size)]
        {
            if PacketLayout::<T>::with(features).capacity(size) == 0 {
                return Err(NetError::NoRoom { role });
            }
        }
        Ok(facts)
    }
}

// SAFETY: the device reaches buffers only through its queues. `stop`, also on drop, waits until the device confirms its
// reset, after which it uses no queue (section 2.4.2), or takes its access to memory away. `run` holds the memory of the
// queues until then.
unsafe impl<T: Transport> Nic for VirtioNet<T> {
    type Tx = Transmit<T>;
    type Rx = Receive<T>;
    type Error = NetError;

    fn info(&self) -> NicInfo {
        let layout = PacketLayout::<T>::with(self.facts.features);
        NicInfo {
            mac: self.facts.mac,
            tx_queues: 1,
            rx_queues: 1,
            tx_slots: layout.capacity(self.facts.transmit_size),
            rx_slots: layout.capacity(self.facts.receive_size),
        }
    }

    fn connect(&mut self, events: events::Events) {
        self.transport.connect(handlers::for_one_pair(events));
    }

    fn link(&self) -> Link {
        config::link(&self.transport, self.facts.features)
    }

    fn start(&mut self) -> StartResult<Self> {
        self.stop();
        if !self.run.begin() {
            return Err(NetError::NoReset);
        }
        let started = self.bring_up();
        if started.is_err() {
            self.stop();
        }
        started
    }

    fn stop(&mut self) {
        if self.run.is_on() {
            self.run.end(reset(&mut self.transport), || self.transport.quiesce());
        }
    }
}

impl<T: Transport> fmt::Debug for VirtioNet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioNet")
            .field("facts", &self.facts)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Drop for VirtioNet<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The size to use of what the device offers for a queue.
fn offered_size<T: Transport>(transport: &T, role: QueueRole) -> Result<QueueSize, NetError> {
    let entries = transport.queue_size(role.number());
    let size = QueueSize::within(entries).ok_or(NetError::NoQueue { role })?;
    if T::HAS_FIXED_SIZES && size.get() != entries {
        return Err(NetError::FixedSize { role, entries });
    }
    Ok(size)
}
