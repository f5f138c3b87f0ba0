//! Objective: hundreds of thousands of frames, two millions on the cards that are used most, and none lost, changed or out of order,
//! nor a buffer missing.
//!
//! 1. Boot the bridge between two wires, on cards of each model, and with each way to wait.
//! 2. Send frames both ways at once, of every length from 60 to 1514, about 64 on the way at a time in each direction; check
//!    sequence and each byte of what arrives. In each direction these are a million frames with virtio cards of QEMU's default form on
//!    q35 and with packed queues, 200,000 with other virtio cards, so that each 16-bit index wraps three times, and 100,000 with
//!    Intel's, whose doorbells cost more. Every ring wraps hundreds of times.
//! 3. Stop the image: it counted each frame in and out, no drop, fewer doorbells than frames, no interrupt unless it
//!    waits for some, and has all its buffers back.

use anyhow::Result;
use millrace_tests::flood::flood_both_ways;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, with_every_card, with_every_wait};

with_every_card!(frames_without_end_and_nothing_lost);
with_every_wait!(frames_without_end_and_nothing_lost);

fn frames_without_end_and_nothing_lost(setting: Setting) -> Result<()> {
    let most = [
        Setting::new(Machine::Q35, Card::Virtio, Card::Virtio),
        Setting::new(Machine::Pc, Card::VirtioPacked, Card::VirtioPacked),
    ];
    let frames = match setting {
        _ if most.contains(&setting) => 1_000_000,
        _ if setting.is_virtio() => 200_000,
        _ => 100_000,
    };
    let appliance = Appliance::boot(setting)?;
    let (there, back) = flood_both_ways(&appliance.left, &appliance.right, frames)?;
    println!("{:.0} and {:.0} frames a second", there.rate(), back.rate());

    let counters = appliance.stop()?;
    let rings = setting.rings();
    for ring in &rings {
        assert_eq!(counters.get(ring, "packets")?, frames, "packets of {ring}");
        let kicks = counters.get(ring, "kicks")?;
        println!("{ring}: {:.1} frames a doorbell", frames as f64 / kicks.max(1) as f64);
        assert!(kicks < frames, "{kicks} doorbells of {ring}");
    }
    let [_, there_out, _, back_out] = &rings;
    assert_eq!(counters.get(there_out, "bytes")?, there.bytes);
    assert_eq!(counters.get(back_out, "bytes")?, back.bytes);
    assert_eq!(counters.dropped(), 0);
    let interrupts = counters.sum(|name| name == "interrupts");
    println!("{interrupts} interrupts");
    assert!(setting.wait != Wait::Spin || interrupts == 0, "{interrupts} interrupts without a wait");
    Ok(())
}
