//! Objective: the console tells how many processors there are, how many run, and why fewer do.
//!
//! 1. Boot the bridge with fewer processors than the image uses, and with more.
//! 2. The console has the number that the machine was given. All run; or 32 do, and the line has the limit.
//! 3. Frames cross both ways, and all buffers are back.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, transfer};

#[test]
fn all_run() -> Result<()> {
    of_so_many(3, "processors: 3 run")
}

#[test]
fn as_many_as_are_used_run() -> Result<()> {
    of_so_many(40, "processors: 32 of 40 run: this image uses 32 at most")
}

fn of_so_many(count: u32, line: &str) -> Result<()> {
    let setting = Setting::new(Machine::Q35, Card::Virtio, Card::Virtio).waiting(Wait::Poll);
    let appliance = Appliance::boot_with(setting, |qemu| qemu.processors(count))?;
    let lines = appliance.guest.console().lines_after(Mark::default());
    for part in [&format!("acpi: processors {count},"), line] {
        ensure!(lines.iter().any(|said| said.contains(part)), "no line with {part:?}: {lines:#?}");
    }
    let runs = lines.iter().filter(|said| said.contains(" processors: "));
    ensure!(runs.clone().count() == 1 && runs.clone().all(|said| said.ends_with(line)), "{lines:#?}");
    let mut generator = Generator::new();
    for (from, to) in [(&appliance.left, &appliance.right), (&appliance.right, &appliance.left)] {
        transfer::carry(from, to, [generator.frame(60)])?;
    }
    appliance.stop()?;
    Ok(())
}
