//! Objective: two million frames and not one lost, changed or out of order, nor a buffer astray.
//!
//! 1. Boot the bridge between two wires.
//! 2. Send one million frames each way at once, of every length from 60 to 1514, about 64 on the way at a
//!    time in each direction; check sequence and each byte of what arrives. Every index in the rings wraps
//!    thousands of times.
//! 3. Stop the image: it counted two million frames in and out, no drop, and has all its buffers back.

use anyhow::Result;
use millrace_tests::flood::flood_both_ways;
use millrace_tests::{Appliance, Machine, on_pc_and_q35};

on_pc_and_q35!(two_million_frames_and_nothing_lost);

const FRAMES_EACH_WAY: u64 = 1_000_000;

fn two_million_frames_and_nothing_lost(machine: Machine) -> Result<()> {
    let appliance = Appliance::boot(machine)?;
    let (there, back) = flood_both_ways(&appliance.left, &appliance.right, FRAMES_EACH_WAY)?;
    println!("{:.0} and {:.0} frames a second", there.rate(), back.rate());

    let counters = appliance.stop()?;
    for ring in ["vtnet0 rx0", "vtnet1 tx0", "vtnet1 rx0", "vtnet0 tx0"] {
        assert_eq!(counters.get(ring, "packets")?, FRAMES_EACH_WAY, "packets of {ring}");
    }
    assert_eq!(counters.get("vtnet1 tx0", "bytes")?, there.bytes);
    assert_eq!(counters.get("vtnet0 tx0", "bytes")?, back.bytes);
    assert_eq!(counters.dropped(), 0);
    Ok(())
}
