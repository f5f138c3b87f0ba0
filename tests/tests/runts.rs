//! Objective: what is too short for an Ethernet header goes no further and is counted; what is merely short
//! passes.
//!
//! 1. Boot the bridge between two wires; for step 3 on cards of each model. Step 2 needs virtio cards: QEMU may pad what
//!    the other models receive.
//! 2. Send frames of 1 to 13 bytes, each followed by a good one: only the good ones arrive.
//! 3. Send frames of 14 to 59 bytes, shorter than a real Ethernet allows. An Intel card transmits each with zeros behind it
//!    up to 60 bytes, a virtio card as it was received: as it was sent, or also padded when an Intel card received it (QEMU's
//!    models do so up to 7.2, and do not in 10.0).
//! 4. Stop the image: its counters for frames too short have each one of step 2, and no other drop is
//!    counted.

use anyhow::Result;
use millrace_tests::frames::{Generator, HEADER, SHORTEST};
use millrace_tests::transfer::{Fate, carry_fated};
use millrace_tests::{Appliance, Card, Machine, Setting, on_pc_and_q35, with_every_card};

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
    let mut frames = |from: Card, to: Card| -> Vec<Fate> {
        let fate = match (from.is_virtio(), to.is_virtio()) {
            (_, false) => Fate::Padded,
            (false, true) => Fate::MaybePadded,
            (true, true) => Fate::Arrives,
        };
        (0..ROUNDS).flat_map(|_| HEADER..SHORTEST).map(|length| fate(generator.noise(length))).collect()
    };
    carry_fated(&appliance.left, &appliance.right, frames(setting.left, setting.right))?;
    carry_fated(&appliance.right, &appliance.left, frames(setting.right, setting.left))?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}
