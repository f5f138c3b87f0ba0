//! x86 I/O ports: those of the few legacy devices that this kernel drives, and those of cards.
//!
//! A port of the first kind is a constant of this crate, chosen so that no access to it can touch memory that Rust
//! knows of: the devices behind them (interrupt controllers, timer, reset, PCI configuration, debug exit) do no DMA of their own accord.
//! Those of a card lie above them all. What its registers make a card do to memory is its driver's responsibility,
//! as with registers in memory.
#![expect(unsafe_code, reason = "port instructions")]

use millrace_drivers::bank::RegisterBank;
use x86_64::instructions::port::{Port, PortRead, PortWrite};

/// An I/O port whose accesses have no effect on memory safety.
pub(crate) struct IoPort(u16);

impl IoPort {
    /// First 8259 interrupt controller: which of its inputs are masked.
    pub(crate) const PIC_1_MASK: Self = Self(0x21);
    /// Second 8259 interrupt controller: the same.
    pub(crate) const PIC_2_MASK: Self = Self(0xa1);
    /// 8254 timer: channel 0's counter.
    pub(crate) const TIMER_CHANNEL_0: Self = Self(0x40);
    /// 8254 timer: mode and command.
    pub(crate) const TIMER_COMMAND: Self = Self(0x43);
    /// Keyboard controller: command, and status when read.
    pub(crate) const KEYBOARD_COMMAND: Self = Self(0x64);
    /// QEMU's `isa-debug-exit`.
    pub(crate) const DEBUG_EXIT: Self = Self(0xf4);
    /// PCI configuration address (mechanism #1).
    pub(crate) const PCI_ADDRESS: Self = Self(0xcf8);
    /// Reset control of PCI chip sets, inside the address port.
    pub(crate) const RESET_CONTROL: Self = Self(0xcf9);
    /// PCI configuration data.
    pub(crate) const PCI_DATA: Self = Self(0xcfc);

    /// Reads the port.
    pub(crate) fn read<T: PortRead>(&self) -> T {
        // SAFETY: the port is one of the constants above, none of which affects memory.
        unsafe { Port::new(self.0).read() }
    }

    /// Writes the port.
    pub(crate) fn write<T: PortWrite>(&self, value: T) {
        // SAFETY: the port is one of the constants above, none of which affects memory.
        unsafe { Port::new(self.0).write(value) }
    }
}

/// The first port that a PCI card can have: below are the devices that every PC has at the same place.
const FIRST_OF_CARDS: u16 = 0x1000;

/// The ports of one card.
#[derive(Debug)]
pub(crate) struct CardPorts {
    first: u16,
    ports: u16,
}

impl CardPorts {
    /// The ports `first..first + ports`, if a card can have them.
    pub(crate) fn new(first: u16, ports: u16) -> Option<Self> {
        let last = first.checked_add(ports.checked_sub(1)?);
        (first >= FIRST_OF_CARDS && last.is_some()).then_some(Self { first, ports })
    }

    /// The port at `offset`, if all of the `T` there is the card's, and aligned.
    fn port<T>(&self, offset: usize) -> Option<Port<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        let is_inside = end <= usize::from(self.ports) && offset.is_multiple_of(size_of::<T>());
        let offset = u16::try_from(offset).ok().filter(|_| is_inside)?;
        Some(Port::new(self.first + offset))
    }

    fn read<T: PortRead>(&self, offset: usize) -> Option<T> {
        let mut port = self.port(offset)?;
        // SAFETY: the port is a card's: reading it changes nothing but the card.
        Some(unsafe { port.read() })
    }

    fn write<T: PortWrite>(&self, offset: usize, value: T) {
        if let Some(mut port) = self.port(offset) {
            // SAFETY: the port is a card's, whose driver answers for what the card does to memory.
            unsafe { port.write(value) }
        }
    }
}

impl RegisterBank for CardPorts {
    fn bytes(&self) -> usize {
        self.ports.into()
    }

    fn read8(&self, offset: usize) -> u8 {
        self.read(offset).unwrap_or(!0)
    }

    fn read16(&self, offset: usize) -> u16 {
        self.read(offset).unwrap_or(!0)
    }

    fn read32(&self, offset: usize) -> u32 {
        self.read(offset).unwrap_or(!0)
    }

    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, value);
    }

    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, value);
    }

    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }
}
