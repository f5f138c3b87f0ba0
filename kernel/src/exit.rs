//! How a run ends: a last line on the console, then a number for whoever started the virtual machine.
//!
//! | code | where QEMU's `isa-debug-exit` is | elsewhere |
//! |---|---|---|
//! | done | status 33 | power-off, as ACPI has it |
//! | the application failed | status 35 | the same: what is wrong would be so again |
//! | the kernel failed | status 37 | reset: nothing is called that may be what has failed, and a fresh start may do better |
//!
//! Where the machine cannot be switched off it is reset. Nothing tells beforehand whether `isa-debug-exit` is there; it ends
//! QEMU within the instruction, and what comes behind that instruction runs only where it is not.
#![expect(unsafe_code, reason = "ends the machine by an unhandled exception when nothing else helps")]

use core::fmt;

use x86_64::VirtAddr;
use x86_64::instructions::{hlt, interrupts, tables};
use x86_64::structures::DescriptorTablePointer;

use crate::ports::IoPort;
use crate::{acpi, console};

/// Why the machine stops. QEMU's exit status is twice the code plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The application did what it was asked to (status 33).
    Done = 0x10,
    /// The application or its configuration failed (status 35).
    Application = 0x11,
    /// The kernel failed (status 37).
    Kernel = 0x12,
}

/// Says why, and ends the machine.
pub fn exit(code: ExitCode, reason: fmt::Arguments<'_>) -> ! {
    interrupts::disable();
    console::begin_last_words();
    console::line(format_args!("EXIT code={:#04x} reason={reason}", code as u8));
    console::flush();
    IoPort::DEBUG_EXIT.write(code as u32);
    if code != ExitCode::Kernel {
        acpi::power_off();
    }
    reset()
}

/// Resets the machine, by the chip set, by the keyboard controller, or by giving the processor no way on.
fn reset() -> ! {
    IoPort::RESET_CONTROL.write(0x02_u8);
    IoPort::RESET_CONTROL.write(0x06_u8);
    IoPort::KEYBOARD_COMMAND.write(0xfe_u8);
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: nothing runs after this that would need a handler; the breakpoint below then finds none, nor
    // does the fault that follows from it, and the processor shuts down.
    unsafe { tables::lidt(&nothing) };
    x86_64::instructions::interrupts::int3();
    loop {
        hlt();
    }
}
