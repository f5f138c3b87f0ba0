//! Objective: frames of every standard length pass both ways, byte for byte and in order.
//!
//! 1. Boot the bridge between two wires, on cards of each model, and with each way to wait.
//! 2. Send frames of each length from 60 to 1514 with random content (header too) both ways at once, about 64
//!    on the way at a time; compare each frame as it arrives with the next one sent.
//! 3. Stop the image: it counted each frame once on each side, dropped none, and has all its buffers back.

use anyhow::Result;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::{Appliance, Setting, transfer, with_every_card, with_every_wait};

with_every_card!(every_length_passes_both_ways);
with_every_wait!(every_length_passes_both_ways);

fn every_length_passes_both_ways(setting: Setting) -> Result<()> {
    let appliance = Appliance::boot(setting)?;
    let mut generator = Generator::new();
    let rightwards: Vec<Vec<u8>> = (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect();
    let leftwards: Vec<Vec<u8>> = (SHORTEST..=LONGEST).rev().map(|length| generator.noise(length)).collect();
    let (frames, bytes) = (rightwards.len() as u64, rightwards.iter().map(Vec::len).sum::<usize>() as u64);

    transfer::exchange(&appliance.left, &appliance.right, rightwards, leftwards)?;

    let counters = appliance.stop()?;
    for ring in &setting.rings() {
        assert_eq!(counters.get(ring, "packets")?, frames, "packets of {ring}");
        assert_eq!(counters.get(ring, "bytes")?, bytes, "bytes of {ring}");
    }
    assert_eq!(counters.dropped(), 0);
    Ok(())
}
