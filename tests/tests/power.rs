//! Objective: a machine without `isa-debug-exit` is switched off when the image is done, and not started again.
//!
//! 1. Boot the bridge without that device, on a QEMU that starts again after a reset, and stop it from the console. The
//!    same with a configuration that is refused, also on microvm with ACPI.
//! 2. After the `EXIT` line QEMU ends with status 0. The image has booted once.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::{Appliance, Machine, Qemu, image, on_pc_and_q35};

on_pc_and_q35!(off_when_done, off_when_refused);

/// QEMU's status when the guest has switched itself off.
const STATUS_OFF: i32 = 0;

fn off_when_done(machine: Machine) -> Result<()> {
    let mut appliance = Appliance::boot_with(machine, Qemu::without_debug_exit)?;
    appliance.guest.type_in("q")?;
    let text = appliance.guest.wait_status(STATUS_OFF)?;
    appliance.guest.wait_for(Mark::default(), "EXIT code=0x10 ")?;
    assert_eq!(text.matches("boot: millrace").count(), 1, "{text}");
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
    assert_eq!(text.matches("boot: millrace").count(), 1, "{text}");
    Ok(())
}
