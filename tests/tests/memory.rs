//! Objective: the image lives with the memory that there is, be it little or much.
//!
//! 1. Boot the bridge with 32 MiB, and with 8 GiB (where memory lies above the 32-bit hole as well).
//! 2. Frames pass both ways.
//! 3. Stop the image: all buffers are back in their place.

use anyhow::Result;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Machine, on_pc_and_q35, transfer};

on_pc_and_q35!(bridges_in_32_mib, bridges_in_8_gib);

fn bridges_in_32_mib(machine: Machine) -> Result<()> {
    bridges_in(machine, 32)
}

fn bridges_in_8_gib(machine: Machine) -> Result<()> {
    bridges_in(machine, 8192)
}

fn bridges_in(machine: Machine, memory_mib: u32) -> Result<()> {
    let appliance = Appliance::boot_with(machine, |qemu| qemu.memory_mib(memory_mib))?;
    let mut generator = Generator::new();
    let mut frames = || (0..5000).map(|number| generator.frame(60 + number % 1455)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}
