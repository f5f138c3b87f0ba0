//! Objective: a machine without `isa-debug-exit` ends as README says: it is switched off or halts when the image is done or
//! refuses, and is reset after a fault of the kernel.
//!
//! Switched off:
//! 1. Boot the bridge without that device, on a QEMU that starts again after a reset, and stop it from the console. The
//!    same with a configuration that is refused, also on microvm with ACPI.
//! 2. After the `EXIT` line QEMU ends with status 0. The image has booted once.
//!
//! Halted:
//! 1. The same on machines without ACPI, which cannot be switched off; with a command line that is too long, and on a
//!    processor without 64-bit mode, before ACPI is known.
//! 2. Behind the `EXIT` line, a line says that the machine is halted. Then all processors halt with interrupts off, by what
//!    QEMU's monitor shows: the machine does nothing any more, and has booted once.
//!
//! Reset:
//! 1. Boot the test build so that it provokes a fault, with ACPI and without.
//! 2. The fault is reported, and the pause is announced. QEMU tells of a reset by the guest, and the image boots again.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::guest::{Guest, STATUS_REFUSED};
use millrace_tests::monitor::Monitor;
use millrace_tests::{Appliance, Machine, Qemu, image, on_pc_and_q35};

on_pc_and_q35!(
    off_when_done,
    off_when_refused,
    halted_when_the_command_line_is_too_long,
    halted_on_a_processor_without_64_bit_mode,
    reset_after_a_fault,
);

/// QEMU's status when the guest has switched itself off.
const STATUS_OFF: i32 = 0;
/// What each boot begins with.
const BANNER: &str = "boot: millrace";

fn off_when_done(machine: Machine) -> Result<()> {
    let mut appliance = Appliance::boot_with(machine, Qemu::without_debug_exit)?;
    appliance.guest.type_in("q")?;
    let text = appliance.guest.wait_status(STATUS_OFF)?;
    appliance.guest.wait_for(Mark::default(), "EXIT code=0x10 ")?;
    assert_eq!(text.matches(BANNER).count(), 1, "{text}");
    assert_eq!(text.matches("halted: ").count(), 0, "{text}");
    Ok(())
}

#[test]
fn off_on_microvm() -> Result<()> {
    off_when_refused(Machine::Microvm)
}

fn off_when_refused(machine: Machine) -> Result<()> {
    let qemu = Qemu::new(machine, image::appliance()?).without_debug_exit();
    let text = qemu.command_line("app=toaster").start()?.wait_status(STATUS_OFF)?;
    assert_eq!(text.matches("EXIT code=0x11 ").count(), 1, "{text}");
    assert_eq!(text.matches(BANNER).count(), 1, "{text}");
    Ok(())
}

#[test]
fn halted_when_done_on_pc_without_acpi() -> Result<()> {
    let monitor = Monitor::new()?;
    let mut appliance =
        Appliance::boot_with(Machine::Pc, |qemu| without_acpi(qemu).without_debug_exit().monitor(&monitor))?;
    appliance.guest.type_in("q")?;
    check_halted(&appliance.guest, &monitor, "EXIT code=0x10 ")
}

#[test]
fn halted_when_refused_on_pc_without_acpi() -> Result<()> {
    halted_when_refused(Machine::Pc)
}

#[test]
fn halted_when_refused_on_microvm_without_acpi() -> Result<()> {
    halted_when_refused(Machine::Microvm)
}

fn halted_when_refused(machine: Machine) -> Result<()> {
    let qemu = Qemu::new(machine, image::appliance()?).command_line("app=toaster");
    halts(without_acpi(qemu), "EXIT code=0x11 reason=unknown application ")
}

/// Before memory is set up and ACPI is read.
fn halted_when_the_command_line_is_too_long(machine: Machine) -> Result<()> {
    let line = format!("app=bridge{}", " ".repeat(5000));
    halts(Qemu::new(machine, image::appliance()?).command_line(line), "EXIT code=0x11 reason=")
}

fn halted_on_a_processor_without_64_bit_mode(machine: Machine) -> Result<()> {
    let qemu = Qemu::new(machine, image::appliance()?).argument("-cpu").argument("qemu32");
    qemu.clone().start()?.wait_status(STATUS_REFUSED)?;
    halts(qemu, "EXIT code=0x11 reason=processor without 64-bit mode")
}

fn halts(qemu: Qemu, last_line: &str) -> Result<()> {
    let monitor = Monitor::new()?;
    let guest = qemu.without_debug_exit().monitor(&monitor).start()?;
    check_halted(&guest, &monitor, last_line)
}

fn check_halted(guest: &Guest, monitor: &Monitor, last_line: &str) -> Result<()> {
    let (_, after) = guest.wait_for(Mark::default(), last_line)?;
    guest.wait_line(after, "line about the halt", |line| line.starts_with("halted: "))?;
    monitor.connect()?.wait_halted()?;
    let text = guest.console().text();
    assert_eq!(text.matches("EXIT ").count(), 1, "{text}");
    assert!(text.matches(BANNER).count() <= 1, "{text}");
    Ok(())
}

#[test]
fn reset_after_a_fault_on_microvm_without_acpi() -> Result<()> {
    resets(without_acpi(faulty(Machine::Microvm)?))
}

fn reset_after_a_fault(machine: Machine) -> Result<()> {
    resets(faulty(machine)?)
}

fn faulty(machine: Machine) -> Result<Qemu> {
    Ok(Qemu::new(machine, image::fault_injection()?).command_line("app=bridge fault=page"))
}

fn resets(qemu: Qemu) -> Result<()> {
    let monitor = Monitor::new()?;
    let guest = qemu.without_debug_exit().monitor(&monitor).start()?;
    let mut session = monitor.connect()?;
    let (_, after) = guest.wait_for(Mark::default(), "EXIT code=0x12 ")?;
    let (announced, after) = guest.wait_for(after, "reset in ")?;
    assert_eq!(announced, "reset in 5 s");
    let reset = session.wait_event("RESET")?;
    assert!(reset.get("guest").is_some_and(|by_guest| by_guest == true), "{reset}");
    guest.wait_for(after, BANNER)?;
    Ok(())
}

fn without_acpi(qemu: Qemu) -> Qemu {
    qemu.argument("-machine").argument("acpi=off")
}
