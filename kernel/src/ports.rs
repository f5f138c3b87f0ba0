//! x86 I/O ports: those of the few legacy devices that this kernel drives, and those of cards and of power management.
//!
//! A port of the first kind is a constant of this crate, chosen so that no access to it can touch memory that Rust
//! knows of: the devices behind them (interrupt controllers, timer, real-time clock, reset, PCI configuration, debug exit) do no DMA of their own accord.
//! Those of cards and of power management lie above them all, but for the one by which firmware is told something. What its registers make a card do to memory is its driver's responsibility,
//! as with registers in memory.
#![expect(unsafe_code, reason = "port instructions")]

use millrace_drivers::registers::IoRegion;
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
    /// Battery-backed memory and real-time clock: which register.
    pub(crate) const CMOS_INDEX: Self = Self(0x70);
    /// The same: the register.
    pub(crate) const CMOS_DATA: Self = Self(0x71);
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

/// The port by which the firmware is told something.
const FIRMWARE_COMMAND: u16 = 0xb2;
/// The first port that power management can have: below are the devices that every PC has, but for PCI configuration.
const FIRST_OF_FIRMWARE: u16 = 0x400;
/// The ports of PCI configuration, the last of which also resets the machine.
const PCI_CONFIGURATION: core::ops::RangeInclusive<u16> = 0xcf8..=0xcff;
/// The first port that a PCI card can have: below are the devices that every PC has at the same place.
const FIRST_OF_CARDS: u16 = 0x1000;

/// The ports of one card, or of power management.
#[derive(Debug)]
pub(crate) struct PortRegion {
    first: u16,
    ports: u16,
}

impl PortRegion {
    /// The ports `first..first + ports`, if a card can have them.
    pub(crate) fn of_card(first: u16, ports: u16) -> Option<Self> {
        Self::new(first, ports).filter(|_| first >= FIRST_OF_CARDS)
    }

    /// The same, if they can be power management's.
    pub(crate) fn of_firmware(first: u16, ports: u16) -> Option<Self> {
        let is_power = first >= FIRST_OF_FIRMWARE && !PCI_CONFIGURATION.contains(&first);
        let is_command = first == FIRMWARE_COMMAND && ports == 1;
        Self::new(first, ports).filter(|_| is_power || is_command)
    }

    fn new(first: u16, ports: u16) -> Option<Self> {
        first.checked_add(ports.checked_sub(1)?)?;
        Some(Self { first, ports })
    }

    /// The port at `offset`, if all of the `T` there lies in the region, aligned.
    fn port<T>(&self, offset: usize) -> Option<Port<T>> {
        self.check(offset, size_of::<T>()).ok()?;
        Some(Port::new(self.first + u16::try_from(offset).ok()?))
    }

    fn load<T: PortRead>(&self, offset: usize) -> Option<T> {
        let mut port = self.port(offset)?;
        // SAFETY: the port is a card's or power management's: reading it changes nothing else.
        Some(unsafe { port.read() })
    }

    fn store<T: PortWrite>(&self, offset: usize, value: T) {
        if let Some(mut port) = self.port(offset) {
            // SAFETY: the port is a card's, whose driver answers for what the card does to memory, or power
            // management's, which does nothing to it.
            unsafe { port.write(value) }
        }
    }
}

// SAFETY: the ports are the card's or power management's alone, by `of_card` and `of_firmware`. A port access touches no memory
// by itself, and the processor makes each one, in order.
unsafe impl IoRegion for PortRegion {
    fn bytes(&self) -> usize {
        self.ports.into()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        match width {
            1 => self.load::<u8>(offset).map_or(!0, u32::from),
            2 => self.load::<u16>(offset).map_or(!0, u32::from),
            _ => self.load::<u32>(offset).unwrap_or(!0),
        }
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        match width {
            1 => self.store(offset, value as u8),
            2 => self.store(offset, value as u16),
            _ => self.store(offset, value),
        }
    }
}
