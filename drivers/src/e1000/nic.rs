//! The card as a whole.
#![expect(unsafe_code, reason = "`Nic` carries a contract about what the device touches after `stop`")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::fmt;

use nm_driver::events::Events;
use nm_driver::nic::{Link, Nic, NicInfo, Queues, StartParams, StartResult, Stopped};
use nm_driver::platform::Platform;

use super::registers::{Registers, TXDCTL_82574, cause, ctrl, ivar, rctl, status, tctl};
use super::reset::reset;
use super::ring::{RING_BYTES, RingMemory};
use super::rx::{Limit, Receive, SMALLEST};
use super::tx::{Transmit, ZEROS};
use super::{Attachment, Interrupts, Model, Offset, StartError, address};
use crate::dma_guard::DmaGuard;
use crate::handlers;

pub use super::ring::SLOTS;

/// A card, in the hands of its driver.
pub struct E1000 {
    card: Attachment,
    platform: Arc<dyn Platform>,
    model: Model,
    mac: [u8; 6],
    run: DmaGuard,
}

impl E1000 {
    /// Looks at the card and leaves it reset. `fallback_mac` is its address if it has none of its own.
    pub fn new(
        card: Attachment,
        model: Model,
        platform: Arc<dyn Platform>,
        fallback_mac: [u8; 6],
    ) -> Result<Self, StartError> {
        reset(&card.registers, model, platform.as_ref())?;
        let mac = address::read(&card.registers, model, platform.as_ref()).unwrap_or(fallback_mac);
        Ok(Self { card, platform, model, mac, run: DmaGuard::default() })
    }

    /// Which card it is.
    pub fn model(&self) -> Model {
        self.model
    }

    /// Sets the card up from reset to running (sections 14.3 to 14.5). The size of its buffers is settled before reception is
    /// on.
    fn bring_up(&mut self, params: &StartParams) -> StartResult<Self> {
        let limit = Limit::of(params).ok_or(StartError::BufferTooSmall(params.buffer_len))?;
        let receive = RingMemory::allocate(&self.platform, 0)?;
        let transmit = RingMemory::allocate(&self.platform, ZEROS)?;
        for ring in [&receive, &transmit] {
            self.run.keep(ring.memory());
        }
        self.set_up_link();
        let registers = &self.card.registers;
        registers.write(Offset::Rxcsum, 0);
        if self.model.is_express() {
            registers.write(Offset::Rfctl, 0);
            registers.write(Offset::Txdctl, TXDCTL_82574);
        }
        if let Some(gaps) = self.model.frame_gaps() {
            registers.write(Offset::Tipg, gaps);
        }
        let receive_ring = [Offset::Rdbal, Offset::Rdbah, Offset::Rdlen, Offset::Rdh, Offset::Rdt];
        let transmit_ring = [Offset::Tdbal, Offset::Tdbah, Offset::Tdlen, Offset::Tdh, Offset::Tdt];
        describe(registers, receive_ring, &receive);
        describe(registers, transmit_ring, &transmit);
        let control = tctl::ENABLE | tctl::PAD | tctl::COLLISIONS | tctl::DISTANCE;
        registers.write(Offset::Tctl, control);
        self.set_up_interrupts();
        let interrupts = self.card.interrupts();
        let tx = Transmit::new(transmit, registers, interrupts);
        let rx = Receive::new(receive, registers, interrupts);
        let any = rctl::ANY_UNICAST | rctl::ANY_MULTICAST | rctl::BROADCAST;
        registers.write(Offset::Rctl, rctl::ENABLE | any | rctl::STRIP_CRC | limit.control);
        Ok(Queues { tx: vec![Box::new(tx)], rx: vec![Box::new(rx)], receive_len: limit.bytes })
    }

    /// Gives each queue its message, if the card has messages (82574L datasheet, MSI-X mode). They stay masked until a queue
    /// is armed.
    fn set_up_interrupts(&self) {
        let Interrupts::Messages { receive, transmit } = self.card.interrupts() else { return };
        let field = |message: u16| ivar::VALID | u32::from(message) & (ivar::VALID - 1);
        self.card.registers.write(Offset::Ivar, field(receive) | field(transmit) << ivar::TRANSMIT_SHIFT);
        self.card.registers.write(Offset::Eiac, cause::RECEIVE_QUEUE | cause::TRANSMIT_QUEUE);
    }

    /// Lets the PHY decide about the link, leaves tags alone, and tells the card its address.
    fn set_up_link(&self) {
        let forced = ctrl::FORCE_SPEED | ctrl::FORCE_DUPLEX | ctrl::INVERT_LOSS;
        let stopped = ctrl::RESET | ctrl::PHY_RESET | ctrl::MASTER_DISABLE;
        let before = self.card.registers.read(Offset::Ctrl);
        let control = before & !(forced | stopped | ctrl::VLAN) | ctrl::LINK_UP;
        self.card.registers.write(Offset::Ctrl, control);
        address::write(&self.card.registers, self.mac);
    }
}

/// Tells the card where a ring is: `[address, its upper half, length, head, tail]`.
fn describe(registers: &Registers, offsets: [Offset; 5], ring: &RingMemory) {
    let [low, high, length, head, tail] = offsets;
    let [a, b, c, d, e, f, g, h] = ring.phys().to_le_bytes();
    registers.write(low, u32::from_le_bytes([a, b, c, d]));
    registers.write(high, u32::from_le_bytes([e, f, g, h]));
    registers.write(length, RING_BYTES);
    // QEMU's cards keep them through a reset.
    registers.write(head, 0);
    registers.write(tail, 0);
}

// SAFETY: the card reaches buffers only through its rings. It learns of a descriptor with the tail, which a queue writes after
// its buffers were committed, and is done with the buffers of a descriptor (transmit: of a group) when it has reported that, which
// is when the queue reports them back. It only reads what a transmit descriptor names. `bring_up` keeps it to `receive_len`.
// `stop`, also on drop, switches both rings off and waits until the card confirms its reset, after which it uses no ring, or
// takes its access to memory away. `run` holds the memory of the rings until then.
unsafe impl Nic for E1000 {
    type Error = StartError;

    fn info(&self) -> NicInfo {
        NicInfo {
            mac: self.mac,
            tx_queues: 1,
            rx_queues: 1,
            tx_slots: SLOTS,
            rx_slots: SLOTS,
            mtu: None,
            scatter_min: Some(SMALLEST),
        }
    }

    fn connect(&mut self, events: Events) {
        self.card.connect(handlers::for_pairs(&events, 1));
    }

    /// A card that does not answer has no link.
    fn link(&self) -> Link {
        let status = self.card.registers.read(Offset::Status);
        if status & status::LINK_UP != 0 && status != !0 { Link::Up } else { Link::Down }
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        // If it cannot be stopped, `begin` refuses.
        let _ = self.stop();
        if !self.run.begin() {
            return Err(StartError::NoReset(self.model));
        }
        let started = self.bring_up(params);
        if started.is_err() {
            // It has no buffers yet, and `run` keeps its queues.
            let _ = self.stop();
        }
        started
    }

    fn stop(&mut self) -> Stopped {
        let Self { run, card, model, platform, .. } = self;
        run.end(card, |card| reset(&card.registers, *model, platform.as_ref()), Attachment::cut_off)
    }
}

impl fmt::Debug for E1000 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("E1000")
            .field("model", &self.model)
            .field("mac", &self.mac)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Drop for E1000 {
    fn drop(&mut self) {
        // The core has stopped it before it gave any buffer back; `run` keeps its queues.
        let _ = self.stop();
    }
}
