//! Objective: what is too short for an Ethernet header goes no further and is counted; what is merely short
//! passes.
//!
//! 1. Boot the bridge between two wires; for step 3 on cards of each model (the others make step 2 impossible: QEMU
//!    fills up what they receive to 60 bytes).
//! 2. Send frames of 1 to 13 bytes, each followed by a good one: only the good ones arrive.
//! 3. Send frames of 14 to 59 bytes, shorter than a real Ethernet allows: each arrives as it was sent, unpadded with
//!    virtio cards, and with zeros behind it up to 60 bytes where another card has been on its way.
//! 4. Stop the image: its counters for frames too short have each one of step 2, and no other drop is
//!    counted.

use anyhow::Result;
use millrace_tests::frames::{Generator, HEADER, SHORTEST};
use millrace_tests::transfer::{Fate, carry_fated};
use millrace_tests::{Appliance, Machine, Setting, on_pc_and_q35, with_every_card};

on_pc_and_q35!(without_a_header_dropped_and_counted);
with_every_card!(short_ones_pass);

const ROUNDS: usize = 50;

fn without_a_header_dropped_and_counted(machine: Machine) -> Result<()> {
    let appliance = Appliance::boot(machine)?;
    let mut generator = Generator::new();
    let mut frames = Vec::new();
    for length in (1..HEADER).cycle().take(ROUNDS * (HEADER - 1)) {
        frames.push(Fate::Vanishes(generator.noise(length)));
        frames.push(Fate::Arrives(generator.noise(SHORTEST)));
    }
    let short = frames.len() as u64 / 2;

    carry_fated(&appliance.left, &appliance.right, frames.clone())?;
    carry_fated(&appliance.right, &appliance.left, frames)?;

    let counters = appliance.stop()?;
    assert_eq!(counters.sum(|name| name == "drop_short"), 2 * short);
    assert_eq!(counters.get("vtnet0 rx0", "drop_short")?, short);
    assert_eq!(counters.get("vtnet1 rx0", "drop_short")?, short);
    assert_eq!(counters.dropped(), 2 * short);
    Ok(())
}

fn short_ones_pass(setting: Setting) -> Result<()> {
    let appliance = Appliance::boot(setting)?;
    let mut generator = Generator::new();
    let fate = if setting.is_virtio() { Fate::Arrives } else { Fate::Padded };
    let mut frames = || -> Vec<Fate> {
        (0..ROUNDS).flat_map(|_| HEADER..SHORTEST).map(|length| fate(generator.noise(length))).collect()
    };
    carry_fated(&appliance.left, &appliance.right, frames())?;
    carry_fated(&appliance.right, &appliance.left, frames())?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}
