//! The virtio network card (section 5.1).
//!
//! Its queues come in pairs, numbered 2N to receive and 2N + 1 to transmit. One pair is there always; of further ones as many
//! are used as [`Options`] allow and the device grants. The device decides which pair a frame that it receives goes to.
//!
//! A packet is one descriptor: the device's header lies in the headroom right in front of the payload. So a queue of N holds
//! N packets. (Some legacy devices want two, and the header of all of them is shorter: see `packet.rs`.) No offload
//! is accepted: frames go through as they are. Queues are packed where the device offers that and
//! [`Options`] allow it, else split. A device that offers to use buffers in order may report them in batches.
//!
//! The set-up is the same code however the registers are reached. What passes packets has a type for each format, and rings its
//! doorbell through a trait object: once a batch.
//!
//! ```text
//!            ┌── headroom ──┬────────── payload ──────────┐
//!            │   … │ header │ frame                       │
//!            └─────┴────────┴─────────────────────────────┘
//!                  └─ one descriptor: 12 bytes and the frame
//! ```
#![expect(unsafe_code, reason = "`Nic` carries a contract about what the device touches after `stop`")]

mod config;
mod control;
mod error;
mod handshake;
mod negotiated;
mod packet;
mod queues;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use log::warn;
use nm_driver::events;
use nm_driver::nic::{Link, Nic, NicInfo, Queues, RxQueue, StartParams, StartResult, Stopped, TxQueue};
use nm_driver::platform::{DmaMemory, Platform};

use self::handshake::{begin, finish, give_up, negotiate, reset};
use self::negotiated::{NegotiatedConfig, SCATTER_MIN, offered_size};
use self::packet::{Format, PacketLayout};
use self::queues::PacketQueue;
use super::features::Features;
use super::queue::{
    CommandQueue, Direction, Events, FromDevice, PackedMemory, PackedQueue, QueueSize, RingMemory,
    SplitQueue, ToDevice, Virtqueue,
};
use super::transport::{Notifier, QueuePlace, Transport, activate_queue};
use crate::dma_guard::DmaGuard;
use crate::handlers;
use crate::options::Options;

pub use self::error::{NetError, QueueRole};

/// A virtio network card, however its registers are reached.
pub struct VirtioNet {
    transport: Box<dyn Transport>,
    platform: Arc<dyn Platform>,
    negotiated: NegotiatedConfig,
    run: DmaGuard,
}

/// Setting up.
impl VirtioNet {
    /// Looks at the card, sees whether it agrees on features, and leaves it reset. `fallback_mac` is its address if the device
    /// has none of its own.
    ///
    /// A card with several queue pairs is started once without buffers: only then does it say whether it takes them. One
    /// that does not is used with one pair.
    pub fn new(
        mut transport: Box<dyn Transport>,
        platform: Arc<dyn Platform>,
        fallback_mac: [u8; 6],
        options: Options,
    ) -> Result<Self, NetError> {
        begin(transport.as_mut())?;
        let negotiated =
            NegotiatedConfig::read(transport.as_ref(), fallback_mac, options).and_then(|negotiated| {
                // A card that would refuse them later is no use, and is better not named.
                negotiate(transport.as_mut(), negotiated.features).map(|()| negotiated)
            });
        let negotiated = negotiated.inspect_err(|_| give_up(transport.as_mut()))?;
        reset(transport.as_mut())?;
        let mut card = Self { transport, platform, negotiated, run: DmaGuard::default() };
        if negotiated.pairs > 1 {
            card.try_pairs()?;
        }
        Ok(card)
    }

    /// Finds out whether the device takes the queue pairs that it offers, and uses one if it does not.
    fn try_pairs(&mut self) -> Result<(), NetError> {
        let (NicInfo { tx_slots, rx_slots, .. }, mtu) =
            (self.info(), self.negotiated.mtu.unwrap_or_default());
        let started = self.start(&StartParams { buffer_len: u16::MAX, tx_slots, rx_slots, mtu }).map(drop);
        if self.stop() == Stopped::No || self.run.is_lost() {
            return Err(NetError::NoReset);
        }
        if let Err(error) = started {
            warn!("{}: {error}; using one queue pair", self.info());
            self.negotiated = self.negotiated.with_one_pair();
        }
        Ok(())
    }

    /// Sets up the device from reset to running.
    fn bring_up(&mut self, params: &StartParams) -> StartResult<Self> {
        let features = self.negotiated.features_for(params)?;
        let layout = PacketLayout::of(self.negotiated.format, features);
        begin(self.transport.as_mut())?;
        negotiate(self.transport.as_mut(), features)?;
        let (mut tx, mut rx) = (Vec::new(), Vec::new());
        for pair in 0..self.negotiated.pairs {
            rx.push(self.receive_queue(pair, params.rx_slots, layout)?);
            tx.push(self.transmit_queue(pair, params.tx_slots, layout)?);
        }
        let control = self.set_up_control()?;
        finish(self.transport.as_mut())?;
        if let Some(mut control) = control {
            control::instruct(&mut control, &self.negotiated, &self.info(), self.platform.as_ref())?;
        }
        Ok(Queues { tx, rx, receive_len: params.buffer_len })
    }

    fn receive_queue(
        &mut self,
        pair: u16,
        slots: u16,
        layout: PacketLayout,
    ) -> Result<Box<dyn RxQueue>, NetError> {
        let role = QueueRole::Receive;
        Ok(if self.negotiated.format == Format::Packed {
            let queue = self.packed::<FromDevice>(role, pair, slots)?;
            Box::new(self.with_packets(queue, layout, self.has_interrupt(role, pair)))
        } else {
            let queue = self.split::<FromDevice>(role, pair, slots)?;
            Box::new(self.with_packets(queue, layout, self.has_interrupt(role, pair)))
        })
    }

    fn transmit_queue(
        &mut self,
        pair: u16,
        slots: u16,
        layout: PacketLayout,
    ) -> Result<Box<dyn TxQueue>, NetError> {
        let role = QueueRole::Transmit;
        Ok(if self.negotiated.format == Format::Packed {
            let queue = self.packed::<ToDevice>(role, pair, slots)?;
            Box::new(self.with_packets(queue, layout, self.has_interrupt(role, pair)))
        } else {
            let queue = self.split::<ToDevice>(role, pair, slots)?;
            Box::new(self.with_packets(queue, layout, self.has_interrupt(role, pair)))
        })
    }

    /// A queue, which has an interrupt or not, as the core uses it.
    fn with_packets<Q: Virtqueue>(
        &self,
        queue: Q,
        layout: PacketLayout,
        has_interrupt: bool,
    ) -> PacketQueue<Q> {
        PacketQueue::new(queue, layout, self.negotiated.is_in_order(), has_interrupt)
    }

    /// A packed queue of a pair, which the device knows of.
    fn packed<D: Direction>(
        &mut self,
        role: QueueRole,
        pair: u16,
        slots: u16,
    ) -> Result<PackedQueue<D>, NetError> {
        let size = self.agreed_size(role, pair, slots)?;
        let (ring, bell) = self.packed_ring(role.number(pair), size)?;
        Ok(PackedQueue::new(ring, self.events(), bell))
    }

    /// A split queue of a pair, which the device knows of.
    fn split<D: Direction>(
        &mut self,
        role: QueueRole,
        pair: u16,
        slots: u16,
    ) -> Result<SplitQueue<D>, NetError> {
        let size = self.agreed_size(role, pair, slots)?;
        let (ring, bell) = self.split_ring(role.number(pair), size)?;
        Ok(SplitQueue::new(ring, self.events(), bell))
    }

    /// Entries of a queue of a pair: as many as its ring has slots, if the device lets the driver choose, else those that were
    /// told, if the device still has them.
    fn agreed_size(&self, role: QueueRole, pair: u16, slots: u16) -> Result<QueueSize, NetError> {
        let size = self.negotiated.size(role);
        let offered = offered_size(self.transport.as_ref(), role, pair)?;
        if offered.get() < size.get() {
            return Err(NetError::QueueShrank { role, before: size.get(), now: offered.get() });
        }
        if self.transport.has_fixed_sizes() {
            return Ok(size);
        }
        Ok(size.at_least(self.negotiated.format.descriptors(slots)))
    }

    /// Whether a queue of a pair, which is enabled, has an interrupt.
    fn has_interrupt(&self, role: QueueRole, pair: u16) -> bool {
        self.transport.has_interrupt(role.number(pair))
    }

    fn events(&self) -> Events {
        Events::from(self.negotiated.features)
    }

    /// The control queue, if there is something to control. One that cannot be used is done without, unless several queue
    /// pairs depend on it.
    fn set_up_control(&mut self) -> Result<Option<CommandQueue>, NetError> {
        if !self.negotiated.features.contains(Features::NET_CTRL_VQ) {
            return Ok(None);
        }
        match self.control_queue() {
            Err(error) if self.negotiated.pairs == 1 => {
                control::go_on_after(&error, &self.info());
                Ok(None)
            }
            control => control.map(Some),
        }
    }

    fn control_queue(&mut self) -> Result<CommandQueue, NetError> {
        let number = control::queue_number(self.negotiated.granted_pairs());
        let (entries, has_fixed_sizes) =
            (self.transport.queue_size(number), self.transport.has_fixed_sizes());
        let size = QueueSize::within(entries).filter(|size| !has_fixed_sizes || size.get() == entries);
        let is_long_enough = |size: &QueueSize| CommandQueue::is_long_enough(size.get());
        let size = size.filter(is_long_enough).ok_or(NetError::NoControlQueue)?;
        let command = CommandQueue::memory(&self.platform)?;
        self.run.keep(command.memory());
        let queue = if self.negotiated.format == Format::Packed {
            let (ring, bell) = self.packed_ring(number, size)?;
            CommandQueue::packed(ring, command, bell)
        } else {
            let (ring, bell) = self.split_ring(number, size)?;
            CommandQueue::split(ring, command, self.events(), bell)
        };
        queue.ok_or(NetError::NoControlQueue)
    }

    /// The memory of a packed queue, which the device knows of, and its doorbell.
    fn packed_ring(
        &mut self,
        number: u16,
        size: QueueSize,
    ) -> Result<(PackedMemory, Box<dyn Notifier>), NetError> {
        let ring = PackedMemory::allocate(&self.platform, size)?;
        let bell = self.activate(number, ring.place(), ring.memory())?;
        Ok((ring, bell))
    }

    /// The memory of a split queue, which the device knows of, and its doorbell.
    fn split_ring(
        &mut self,
        number: u16,
        size: QueueSize,
    ) -> Result<(RingMemory, Box<dyn Notifier>), NetError> {
        let ring = RingMemory::allocate(&self.platform, size, self.negotiated.format.placement())?;
        let bell = self.activate(number, ring.place(), ring.memory())?;
        Ok((ring, bell))
    }

    /// Tells the device of a queue, and keeps its memory until the device has stopped.
    fn activate(
        &mut self,
        number: u16,
        place: QueuePlace,
        memory: &Arc<DmaMemory>,
    ) -> Result<Box<dyn Notifier>, NetError> {
        self.run.keep(memory);
        Ok(activate_queue(self.transport.as_mut(), number, place)?)
    }
}

// SAFETY: the device reaches buffers only through its queues. It learns of a descriptor when the queue is kicked, after its buffer
// was committed, and is done with a buffer when it names the id in the used ring (or that of a later one, if it uses buffers in
// order), which is when the queue reports the buffer back. The flags and the length of a descriptor say what it may write.
// `stop`, also on drop, waits until the device confirms its reset, after which it uses no queue (section 2.4.2), or takes its
// access to memory away. `run` holds the memory of the queues until then.
unsafe impl Nic for VirtioNet {
    type Error = NetError;

    fn info(&self) -> NicInfo {
        let format = self.negotiated.format;
        NicInfo {
            mac: self.negotiated.mac,
            tx_queues: self.negotiated.pairs,
            rx_queues: self.negotiated.pairs,
            tx_slots: format.capacity(self.negotiated.transmit_size),
            rx_slots: format.capacity(self.negotiated.receive_size),
            mtu: self.negotiated.mtu,
            scatter_min: self.negotiated.can_merge.then_some(SCATTER_MIN),
        }
    }

    fn connect(&mut self, events: events::Events) {
        self.transport.connect(handlers::for_pairs(&events, self.negotiated.pairs));
    }

    fn link(&self) -> Link {
        config::link(self.transport.as_ref(), self.negotiated.features)
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        // If it cannot be stopped, `begin` refuses.
        let _ = self.stop();
        if !self.run.begin() {
            return Err(NetError::NoReset);
        }
        let started = self.bring_up(params);
        if started.is_err() {
            // It has no buffers yet, and `run` keeps its queues.
            let _ = self.stop();
        }
        started
    }

    fn stop(&mut self) -> Stopped {
        self.run.end(
            &mut self.transport,
            |transport| reset(transport.as_mut()),
            |transport| transport.quiesce(),
        )
    }
}

/// Its kind of queues, and the features that it was granted.
impl fmt::Display for VirtioNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NegotiatedConfig { format, offers_packed, features, .. } = self.negotiated;
        write!(f, "virtio, {format} queues")?;
        if format == Format::Split && offers_packed {
            f.write_str(" (packed ones are offered)")?;
        }
        if self.negotiated.is_in_order() {
            f.write_str(", in order")?;
        }
        write!(f, ", features {:#x}", features.bits())
    }
}

impl fmt::Debug for VirtioNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioNet")
            .field("negotiated", &self.negotiated)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Drop for VirtioNet {
    fn drop(&mut self) {
        // The core has stopped it before it gave any buffer back; `run` keeps its queues.
        let _ = self.stop();
    }
}
