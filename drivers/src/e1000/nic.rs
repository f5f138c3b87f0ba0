//! The card as a whole.
#![expect(unsafe_code, reason = "`Nic` carries a contract about what the device touches after `stop`")]

use alloc::sync::Arc;
use alloc::vec;
use core::fmt;

use nm_core::events::Events;
use nm_core::nic::{Link, Nic, NicInfo, Queues, StartResult, Stopped};
use nm_core::platform::Platform;

use super::registers::{TXDCTL_82574, cause, ctrl, ivar, status, tctl};
use super::reset::reset;
use super::ring::{RING_BYTES, RingMemory};
use super::rx::Receive;
use super::tx::{Transmit, ZEROS};
use super::{Interrupts, Model, Offset, Registers, StartError, address};
use crate::handlers;
use crate::run::Run;

pub use super::ring::SLOTS;

/// A card whose registers are reached through `R`.
pub struct E1000<R: Registers> {
    registers: R,
    platform: Arc<dyn Platform>,
    model: Model,
    mac: [u8; 6],
    run: Run,
}

impl<R: Registers> E1000<R> {
    /// Looks at the card and leaves it reset. `fallback_mac` is its address if it has none of its own.
    pub fn new(
        registers: R,
        model: Model,
        platform: Arc<dyn Platform>,
        fallback_mac: [u8; 6],
    ) -> Result<Self, StartError> {
        reset(&registers, model, platform.as_ref())?;
        let mac = address::read(&registers, model, platform.as_ref()).unwrap_or(fallback_mac);
        Ok(Self { registers, platform, model, mac, run: Run::default() })
    }

    /// Which card it is.
    pub fn model(&self) -> Model {
        self.model
    }

    /// Sets the card up from reset to running (sections 14.3 to 14.5). Reception begins with the first buffers.
    fn bring_up(&mut self) -> StartResult<Self> {
        let receive = RingMemory::allocate(&self.platform, 0)?;
        let transmit = RingMemory::allocate(&self.platform, ZEROS)?;
        for ring in [&receive, &transmit] {
            self.run.keep(ring.memory());
        }
        self.set_up_link();
        let registers = &self.registers;
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
        let (tx, rx) = (Transmit::new(transmit, registers)?, Receive::new(receive, registers)?);
        Ok(Queues { tx: vec![tx.into()], rx: vec![rx.into()] })
    }

    /// Gives each queue its message, if the card has messages (82574L datasheet, MSI-X mode). They stay masked until a queue
    /// is armed.
    fn set_up_interrupts(&self) {
        let Interrupts::Messages { receive, transmit } = self.registers.interrupts() else { return };
        let field = |message: u16| ivar::VALID | u32::from(message) & (ivar::VALID - 1);
        self.registers.write(Offset::Ivar, field(receive) | field(transmit) << ivar::TRANSMIT_SHIFT);
        self.registers.write(Offset::Eiac, cause::RECEIVE_QUEUE | cause::TRANSMIT_QUEUE);
    }

    /// Lets the PHY decide about the link, leaves tags alone, and tells the card its address.
    fn set_up_link(&self) {
        let forced = ctrl::FORCE_SPEED | ctrl::FORCE_DUPLEX | ctrl::INVERT_LOSS;
        let stopped = ctrl::RESET | ctrl::PHY_RESET | ctrl::MASTER_DISABLE;
        let before = self.registers.read(Offset::Ctrl);
        let control = before & !(forced | stopped | ctrl::VLAN) | ctrl::LINK_UP;
        self.registers.write(Offset::Ctrl, control);
        address::write(&self.registers, self.mac);
    }
}

/// Tells the card where a ring is: `[address, its upper half, length, head, tail]`.
fn describe<R: Registers>(registers: &R, offsets: [Offset; 5], ring: &RingMemory) {
    let [low, high, length, head, tail] = offsets;
    let [a, b, c, d, e, f, g, h] = ring.phys().to_le_bytes();
    registers.write(low, u32::from_le_bytes([a, b, c, d]));
    registers.write(high, u32::from_le_bytes([e, f, g, h]));
    registers.write(length, RING_BYTES);
    // QEMU's cards keep them through a reset.
    registers.write(head, 0);
    registers.write(tail, 0);
}

// SAFETY: the card reaches buffers only through its rings. `stop`, also on drop, switches both off and waits until the
// card confirms its reset, after which it uses no ring, or takes its access to memory away. `run` holds the memory of the
// rings until then.
unsafe impl<R: Registers> Nic for E1000<R> {
    type Error = StartError;

    fn info(&self) -> NicInfo {
        NicInfo { mac: self.mac, tx_queues: 1, rx_queues: 1, tx_slots: SLOTS, rx_slots: SLOTS }
    }

    fn connect(&mut self, events: Events) {
        self.registers.connect(handlers::for_pairs(&events, 1));
    }

    /// A card that does not answer has no link.
    fn link(&self) -> Link {
        let status = self.registers.read(Offset::Status);
        if status & status::LINK_UP != 0 && status != !0 { Link::Up } else { Link::Down }
    }

    fn start(&mut self) -> StartResult<Self> {
        // If it cannot be stopped, `begin` refuses.
        let _ = self.stop();
        if !self.run.begin() {
            return Err(StartError::NoReset(self.model));
        }
        let started = self.bring_up();
        if started.is_err() {
            // It has no buffers yet, and `run` keeps its queues.
            let _ = self.stop();
        }
        started
    }

    fn stop(&mut self) -> Stopped {
        let Self { run, registers, model, platform, .. } = self;
        run.end(registers, |registers| reset(registers, *model, platform.as_ref()), R::cut_off)
    }
}

impl<R: Registers> fmt::Debug for E1000<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("E1000")
            .field("model", &self.model)
            .field("mac", &self.mac)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl<R: Registers> Drop for E1000<R> {
    fn drop(&mut self) {
        // The core has stopped it before it gave any buffer back; `run` keeps its queues.
        let _ = self.stop();
    }
}
