//! How a run ends: a last line on the console, then a number for QEMU, or what the machine itself can do.
//!
//! | code | where QEMU's `isa-debug-exit` is | elsewhere | where ACPI has no power-off |
//! |---|---|---|---|
//! | done | status 33 | power-off | halt |
//! | application: it failed, or it, the command line, the loader's data or the machine do not fit | status 35 | power-off: a fresh start would fail again | halt |
//! | kernel: a fault, a panic | status 37 | reset after 5 s (`PAUSE_US`): a fresh start may do better | the same |
//!
//! After a fault, ACPI is not called, since it may be what has failed. The pause keeps a fault that comes back from taking
//! the host's processors, and leaves its report on the console for a while. A halt is final: interrupts are off and all
//! processors halt, so that the virtual machine takes no time of its host. The line behind `EXIT` says which it is.
//!
//! Before ACPI was read, which is before memory is set up, there is no power-off: the machine halts. The trampoline follows
//! the same rule for a processor that cannot run the image.
//!
//! Before each step that may be the last, the console gets time to send its text (`console::flush`).
//!
//! Nothing tells beforehand whether `isa-debug-exit` is there; it ends QEMU within the instruction, and what comes behind
//! that instruction runs only where it is not.
#![expect(unsafe_code, reason = "ends the machine by an unhandled exception when nothing else helps")]

use core::fmt;

use x86_64::VirtAddr;
use x86_64::instructions::{hlt, interrupts, tables};
use x86_64::structures::DescriptorTablePointer;

use crate::ports::IoPort;
use crate::time_limit::TimeLimit;
use crate::{acpi, console, processors};

/// From the report of a fault to the reset, in microseconds.
const PAUSE_US: u64 = 5_000_000;

/// Why the machine stops. QEMU's exit status is twice the code plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The application did what it was asked to (status 33).
    Done = 0x10,
    /// The application failed, or its configuration, the loader's data or the machine do not fit (status 35).
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
    match code {
        ExitCode::Done | ExitCode::Application => {
            acpi::power_off();
            halt()
        }
        ExitCode::Kernel => reset_after_pause(),
    }
}

/// Halts all processors for good.
fn halt() -> ! {
    console::line(format_args!(
        "halted: this machine cannot switch itself off (no ACPI power-off); end it from its host"
    ));
    console::flush();
    processors::claim_end();
    processors::stand_still()
}

fn reset_after_pause() -> ! {
    console::line(format_args!("reset in {} s", PAUSE_US / 1_000_000));
    processors::claim_end();
    let mut pause = TimeLimit::after_us(PAUSE_US);
    while !pause.is_over() {
        console::try_send();
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
