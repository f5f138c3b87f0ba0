//! Objective: the image lives with the memory that there is, be it little or much.
//!
//! 1. Boot the bridge with 32 MiB, and with 8 GiB (where memory lies above the 32-bit hole as well).
//! 2. Frames pass both ways.
//! 3. Stop the image: all buffers are back in their place.
//!
//! The same with 64 MiB and 256 MiB and buffers of 10240 bytes, which hold jumbo frames, and with the smallest buffers, of 256
//! bytes, each with the largest MTU whose frames fit a buffer: the longest frames pass, longer ones do not, and the rings have as
//! many slots as the cards offer.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::transfer::Fate;
use millrace_tests::wire::LONGEST_FRAME;
use millrace_tests::{Appliance, Machine, on_pc_and_q35, transfer};

on_pc_and_q35!(
    bridges_in_32_mib,
    bridges_in_8_gib,
    large_buffers_in_64_mib,
    large_buffers_in_256_mib,
    small_buffers_in_64_mib
);

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

/// A buffer begins with so many bytes that no frame uses.
const HEADROOM: usize = 64;
/// Ethernet header and two VLAN tags.
const AROUND: usize = 22;
/// The largest MTU.
const MTU_MAX: usize = 9000;

fn large_buffers_in_64_mib(machine: Machine) -> Result<()> {
    buffers_of(machine, 10240, 64)
}

fn large_buffers_in_256_mib(machine: Machine) -> Result<()> {
    buffers_of(machine, 10240, 256)
}

fn small_buffers_in_64_mib(machine: Machine) -> Result<()> {
    buffers_of(machine, 256, 64)
}

fn buffers_of(machine: Machine, bytes: usize, memory_mib: u32) -> Result<()> {
    let mtu = (bytes - HEADROOM - AROUND).min(MTU_MAX);
    let words = format!("netmap.buf_size={bytes} mtu={mtu}");
    let appliance = Appliance::boot_with(machine, |qemu| qemu.memory_mib(memory_mib).command_line(words))?;
    let longest = mtu + AROUND;
    let mut generator = Generator::new();
    let mut frames = || {
        let lengths = (60..=longest).step_by(longest.div_ceil(100)).chain([longest]);
        lengths.map(|length| generator.frame(length)).collect()
    };
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    let too_long = (longest + 1..LONGEST_FRAME).step_by(100);
    let most_dropped = too_long.clone().count() as u64;
    let fates = too_long.flat_map(|length| {
        [Fate::Vanishes(generator.frame(length)), Fate::Arrives(generator.frame(longest))]
    });
    transfer::carry_fated(&appliance.left, &appliance.right, fates)?;
    let fewer = appliance.guest.console().lines_after(Mark::default());
    let fewer = fewer.iter().find(|line| line.contains(" slots instead of "));
    assert_eq!(fewer, None, "the rings are smaller than the cards offer");
    // QEMU drops what does not fit a buffer, and has no counter for that.
    let dropped = appliance.stop()?.dropped();
    assert!(dropped <= most_dropped, "{dropped} of {most_dropped}");
    Ok(())
}
