//! The machine as a driver sees it: memory for devices, the registers of devices in memory or in io ports, and their
//! interrupts.
#![expect(unsafe_code, reason = "the trait carries a contract about addresses")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use nm_driver::platform::Platform;

use crate::claims::Claims;
use crate::pci::IntxPin;
use crate::registers::{IoRegion, RegisterError};

/// What drivers need of the machine: [`Platform`]'s device memory, and access to device registers.
///
/// # Safety
/// A region that [`map_mmio`](Hal::map_mmio) or [`io_ports`](Hal::io_ports) returns is that of the registers at that address,
/// uncached, for the whole length asked for. [`claims`](Hal::claims) returns the same set at each call, and no other value
/// has another set for the same machine.
pub unsafe trait Hal: Platform {
    /// Maps `bytes` of device registers at the physical address `phys`, wherever it lies. `None` when the range is not a
    /// possible one (empty, wraps around, RAM, beyond what the processor can address) or the machine has no memory left to
    /// map it.
    fn map_mmio(&self, phys: u64, bytes: usize) -> Option<Arc<dyn IoRegion>>;

    /// The io ports `first..first + ports` of a card. `None` on a machine without, and when they are not such as a card can
    /// have: empty, beyond the last port, or among those that the machine itself uses.
    fn io_ports(&self, first: u16, ports: u16) -> Option<Arc<dyn IoRegion>>;

    /// The devices of this machine that have a driver.
    fn claims(&self) -> &Claims;

    /// An interrupt line that no other card has, for messages. It leads to the processor that works on this pair of queues,
    /// modulo the processors that there are. `None` when all are in use, or when the machine takes no interrupts.
    fn interrupt_line(&self, pair: u16) -> Option<Box<dyn InterruptLine>> {
        let _ = pair;
        None
    }

    /// The interrupt line that leads there from `source`, which other cards may have as well. `None` when there is none, or
    /// its route is unknown, or when the machine takes no interrupts: then the card is looked at now and then.
    fn shared_line(&self, source: LineSource) -> Option<Box<dyn SharedLine>> {
        let _ = source;
        None
    }
}

impl dyn Hal + '_ {
    /// Maps registers, or says which cannot be mapped.
    #[inline(never)]
    pub fn map(&self, phys: u64, bytes: usize) -> Result<Arc<dyn IoRegion>, RegisterError> {
        self.map_mmio(phys, bytes).ok_or(RegisterError::Unmappable { phys, bytes })
    }
}

/// What runs when a card interrupts. It may interrupt anything, so it takes no lock, calls no waker and allocates nothing:
/// it sets pending words ([`Events`](nm_driver::events::Events)).
pub type Handler = Box<dyn Fn() + Send + Sync>;

/// Where a line that cards share comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineSource {
    /// An interrupt pin of a PCI function.
    Intx {
        /// The pin. Where it leads to, behind bridges too, is up to the machine.
        pin: IntxPin,
        /// What the firmware wrote into the function's interrupt line register: on a PC the input of the 8259s that the pin
        /// leads to, 255 for none.
        firmware_line: u8,
    },
    /// A number on the board, as a virtual machine monitor or the firmware says it.
    Number(u32),
}

/// What runs when a shared line interrupts, under the rules of [`Handler`]. It asks its card, acknowledges, and returns
/// whether that had interrupted.
pub type SharedHandler = Box<dyn Fn() -> bool + Send + Sync>;

/// A shared line that a card does not handle yet.
pub trait SharedLine: Send {
    /// From now on `handler` runs whenever the line interrupts, whichever card it was. Cards are found once and stay, and so
    /// do their handlers.
    fn connect(self: Box<Self>, handler: SharedHandler);
}

impl fmt::Display for LineSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intx { pin, .. } => pin.fmt(f),
            Self::Number(number) => write!(f, "interrupt {number}"),
        }
    }
}

/// An interrupt line without a handler yet. Dropping it gives it back to the machine.
pub trait InterruptLine: Send {
    /// From now on `handler` runs whenever a card sends the message that is returned. Cards are found once and stay, and
    /// so do the handlers of their lines.
    fn connect(self: Box<Self>, handler: Handler) -> Message;
}

/// A message-signalled interrupt: what a card writes, and where (PCI Local Bus Specification 3.0, 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Physical address.
    pub address: u64,
    /// The value.
    pub data: u32,
}
