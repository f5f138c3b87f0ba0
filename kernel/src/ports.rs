//! x86 I/O ports of the few legacy devices that this kernel drives.
//!
//! A port is a constant of this crate, chosen so that no access to it can touch memory that Rust knows of:
//! the devices behind them (interrupt controllers, timer, reset, PCI configuration, debug exit) do no DMA of their own accord.
#![expect(unsafe_code, reason = "port instructions")]

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
