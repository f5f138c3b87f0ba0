//! The registers that the driver uses, and how they are reached.

use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};

use crate::registers::IoRegion;

/// Where a register is, in bytes from the start of the card's memory. All are of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Offset {
    /// Device control (13.4.1).
    Ctrl = 0x0000,
    /// Device status (13.4.2); read only.
    Status = 0x0008,
    /// EEPROM read (13.4.4).
    Eerd = 0x0014,
    /// Interrupt causes (13.4.17); reading it forgets them.
    Icr = 0x00c0,
    /// IrqStatus that are forgotten when their message was sent (82574L datasheet, EIAC).
    Eiac = 0x00dc,
    /// Which message a queue's cause sends (82574L datasheet, IVAR).
    Ivar = 0x00e4,
    /// Interrupt mask set (13.4.20): ones allow interrupts.
    Ims = 0x00d0,
    /// Interrupt mask clear (13.4.21): ones forbid them; write only.
    Imc = 0x00d8,
    /// Receive control (13.4.22).
    Rctl = 0x0100,
    /// Transmit control (13.4.33).
    Tctl = 0x0400,
    /// Gaps between frames (13.4.34).
    Tipg = 0x0410,
    /// Receive descriptors: address, lower half (13.4.25).
    Rdbal = 0x2800,
    /// Receive descriptors: address, upper half (13.4.26).
    Rdbah = 0x2804,
    /// Receive descriptors: length in bytes (13.4.27).
    Rdlen = 0x2808,
    /// Receive descriptors: the next that the card fills (13.4.28); written before reception is on, never later.
    Rdh = 0x2810,
    /// Receive descriptors: the first that the card may not fill (13.4.29).
    Rdt = 0x2818,
    /// Transmit descriptors: address, lower half (13.4.36).
    Tdbal = 0x3800,
    /// Transmit descriptors: address, upper half (13.4.37).
    Tdbah = 0x3804,
    /// Transmit descriptors: length in bytes (13.4.38).
    Tdlen = 0x3808,
    /// Transmit descriptors: the next that the card sends (13.4.39); written before transmission is on, never later.
    Tdh = 0x3810,
    /// Transmit descriptors: the first that the card may not send (13.4.40).
    Tdt = 0x3818,
    /// When transmit descriptors are fetched and written back (13.4.43).
    Txdctl = 0x3828,
    /// Checksums of received frames (13.4.47).
    Rxcsum = 0x5000,
    /// Filters and format of receive descriptors (82574L datasheet, RFCTL).
    Rfctl = 0x5008,
    /// First station address, bytes 0 to 3 (13.5.2).
    Ral0 = 0x5400,
    /// First station address, bytes 4 and 5, and whether it is valid (13.5.3).
    Rah0 = 0x5404,
}

impl Offset {
    /// All of them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ALL: [Self; 26] = [
        Self::Ctrl,
        Self::Status,
        Self::Eerd,
        Self::Icr,
        Self::Eiac,
        Self::Ivar,
        Self::Ims,
        Self::Imc,
        Self::Rctl,
        Self::Tctl,
        Self::Tipg,
        Self::Rdbal,
        Self::Rdbah,
        Self::Rdlen,
        Self::Rdh,
        Self::Rdt,
        Self::Tdbal,
        Self::Tdbah,
        Self::Tdlen,
        Self::Tdh,
        Self::Tdt,
        Self::Txdctl,
        Self::Rxcsum,
        Self::Rfctl,
        Self::Ral0,
        Self::Rah0,
    ];

    /// Bytes of a card's memory up to the last register that is used.
    pub(super) const END: usize = Offset::Rah0 as usize + size_of::<u32>();
}

/// Bits of CTRL.
pub(super) mod ctrl {
    /// The card makes no new requests on PCI Express (82574L datasheet, CTRL).
    pub const MASTER_DISABLE: u32 = 1 << 2;
    /// Set link up: the MAC takes the link as the PHY has it.
    pub const LINK_UP: u32 = 1 << 6;
    /// Loss of signal is inverted.
    pub const INVERT_LOSS: u32 = 1 << 7;
    /// Speed is what software says.
    pub const FORCE_SPEED: u32 = 1 << 11;
    /// Duplex is what software says.
    pub const FORCE_DUPLEX: u32 = 1 << 12;
    /// Resets the card; reads as set until it is done.
    pub const RESET: u32 = 1 << 26;
    /// Removes tags of received frames, and inserts them where a descriptor says so.
    pub const VLAN: u32 = 1 << 30;
    /// Resets the PHY.
    pub const PHY_RESET: u32 = 1 << 31;
}

/// Bits of STATUS.
pub(super) mod status {
    /// There is a link.
    pub const LINK_UP: u32 = 1 << 1;
    /// Requests on PCI Express are still under way, or may be made (82574L datasheet, STATUS).
    pub const MASTER_ENABLED: u32 = 1 << 19;
}

/// Bits of EERD that all cards have where they are here; for the others see `Model::eeprom_layout`.
pub(super) mod eerd {
    /// Reads a word.
    pub const START: u32 = 1;
    /// Where the word is, once it has been read.
    pub const DATA_SHIFT: u32 = 16;
}

/// Bits of RCTL.
pub(super) mod rctl {
    /// Reception is on.
    pub const ENABLE: u32 = 1 << 1;
    /// Takes frames for any station.
    pub const ANY_UNICAST: u32 = 1 << 3;
    /// Takes frames for any group.
    pub const ANY_MULTICAST: u32 = 1 << 4;
    /// Takes frames of more than 1522 bytes with their checksum; without it they are dropped.
    pub const LONG_FRAMES: u32 = 1 << 5;
    /// Takes frames for everybody.
    pub const BROADCAST: u32 = 1 << 15;
    /// Size of a buffer: 2048 at 0, then a half, a quarter, an eighth of it; 32768 / 2^n (n from 1) with `LARGE`.
    pub const SIZE_SHIFT: u32 = 16;
    /// Sizes of buffers are 16 times as large.
    pub const LARGE: u32 = 1 << 25;
    /// Leaves out the checksum at the end of a frame.
    pub const STRIP_CRC: u32 = 1 << 26;
}

/// Bits of TCTL.
pub(super) mod tctl {
    /// Transmission is on.
    pub const ENABLE: u32 = 1 << 1;
    /// Short frames are padded to 64 bytes with their checksum.
    pub const PAD: u32 = 1 << 3;
    /// Attempts before a frame is given up in half duplex: the recommended 15.
    pub const COLLISIONS: u32 = 0x0f << 4;
    /// Collision distance: the recommended 64 bytes of full duplex.
    pub const DISTANCE: u32 = 0x40 << 12;
}

/// Bits of TXDCTL as the 82574L is to be set up (its datasheet, transmit initialization): thresholds count descriptors,
/// each is written back at once, and the bit between them is to be set.
pub(super) const TXDCTL_82574: u32 = 1 << 24 | 1 << 22 | 1 << 16;

/// In RAH0: the address is valid.
pub(super) const ADDRESS_VALID: u32 = 1 << 31;

/// IrqStatus of interrupts (13.4.17), the bits of IMS and IMC.
pub(super) mod cause {
    /// A transmit descriptor was written back.
    pub const TRANSMITTED: u32 = 1;
    /// A frame was received.
    pub const RECEIVED: u32 = 1 << 7;
    /// The same two where each queue has a message (82574L datasheet, ICR).
    pub const RECEIVE_QUEUE: u32 = 1 << 20;
    /// Of the transmit queue.
    pub const TRANSMIT_QUEUE: u32 = 1 << 22;
    /// All of them.
    pub const ALL: u32 = !0;
}

/// Fields of IVAR.
pub(super) mod ivar {
    /// The number in front of it is a message's.
    pub const VALID: u32 = 1 << 3;
    /// Where the transmit queue's field begins; the receive queue's does at 0.
    pub const TRANSMIT_SHIFT: u32 = 8;
}

/// How a card interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupts {
    /// Not at all.
    None,
    /// By one line for all causes.
    Line,
    /// By a message for each queue (82574L): entries of the card's table.
    Messages {
        /// That of the receive queue.
        receive: u16,
        /// That of the transmit queue.
        transmit: u16,
    },
}

impl Interrupts {
    /// IrqStatus for which the receive queue interrupts, and those of the transmit queue.
    pub(super) fn causes(self) -> (u32, u32) {
        match self {
            Self::None => (0, 0),
            Self::Line => (cause::RECEIVED, cause::TRANSMITTED),
            Self::Messages { .. } => (cause::RECEIVE_QUEUE, cause::TRANSMIT_QUEUE),
        }
    }
}

/// The interrupt of one queue, by its bits of the interrupt mask.
#[derive(Debug)]
pub(super) struct InterruptMask {
    registers: Registers,
    /// What the queue interrupts for; 0 when it does not interrupt.
    causes: u32,
    is_armed: bool,
}

impl InterruptMask {
    /// Masked, as after a reset.
    pub fn new(registers: Registers, causes: u32) -> Self {
        Self { registers, causes, is_armed: false }
    }

    /// Allows the interrupt. Returns `false` when the queue has none. The caller looks at its descriptors afterwards.
    pub fn arm(&mut self) -> bool {
        if self.causes == 0 {
            return false;
        }
        self.registers.write(Offset::Ims, self.causes);
        self.is_armed = true;
        // The mask is written before the caller reads a descriptor. A report that comes after that read finds the mask, or the
        // mask finds its cause: the card remembers causes also while they are masked.
        fence(Ordering::SeqCst);
        true
    }

    /// Masks the interrupt.
    pub fn disarm(&mut self) {
        if core::mem::take(&mut self.is_armed) {
            self.registers.write(Offset::Imc, self.causes);
        }
    }
}

/// The registers of one card, of 32 bits each.
#[derive(Debug, Clone)]
pub(super) struct Registers(Arc<dyn IoRegion>);

impl Registers {
    /// The registers in `region`.
    pub fn new(region: Arc<dyn IoRegion>) -> Self {
        Self(region)
    }

    /// Reads a register; all ones when the card does not answer.
    pub fn read(&self, offset: Offset) -> u32 {
        self.0.read32(offset as usize)
    }

    /// Writes a register.
    pub fn write(&self, offset: Offset, value: u32) {
        self.0.write32(offset as usize, value);
    }
}
