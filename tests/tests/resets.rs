//! Objective: a card that is reset while it works loses frames at that moment, and nothing else goes wrong.
//!
//! On cards of each kind:
//! 1. Boot the test build of the bridge, and let frames flow both ways all the time.
//! 2. Again and again, reset both cards (`r` on the console of that build), and wait until frames pass both ways. Meanwhile
//!    none comes changed, twice or out of order.
//! 3. Then frames of every length pass both ways, each byte for byte.
//! 4. Stop the image: it has no error and no warning to tell, each ring has counted more frames than the last ones, none
//!    was dropped for a reason of the image's own, no completion made no sense, and all buffers are back.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::traffic::{self, Traffic};
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, transfer};

/// Resets of each card.
const RESETS: usize = 100;
/// The same where QEMU's card receives nothing in the first second behind a reset.
const SLOW_RESETS: usize = 8;

#[test]
fn virtio_q35() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Q35, Card::Virtio, Card::Virtio), RESETS)
}

#[test]
fn virtio_legacy_pc() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Pc, Card::VirtioLegacy, Card::VirtioLegacyApart), RESETS)
}

#[test]
fn virtio_mmio_microvm() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio), RESETS)
}

#[test]
fn virtio_mmio_1_microvm() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Microvm, Card::VirtioMmio1, Card::VirtioMmio1Apart), RESETS)
}

#[test]
fn e1000_pc() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Pc, Card::E1000, Card::E1000), SLOW_RESETS)
}

#[test]
fn e1000e_q35() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Q35, Card::E1000e, Card::E1000e), RESETS)
}

fn resets_cost_only_frames(setting: Setting, resets: usize) -> Result<()> {
    let mut appliance = Appliance::boot_test_build(setting.waiting(Wait::Adaptive))?;
    let Appliance { guest, left, right, ready } = &mut appliance;
    let carried = traffic::during(left, right, |traffic: &Traffic| {
        traffic.wait_until_it_flows()?;
        for _ in 0..resets {
            let mark = guest.console().mark();
            guest.type_in("r")?;
            for port in &ready.ports {
                guest.wait_for(mark, &format!("INFO reset: {port} runs again"))?;
            }
            traffic.wait_until_it_flows()?;
        }
        Ok(())
    })?;
    println!("{resets} resets: {carried:?}");

    let mut generator = Generator::new();
    let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    let lines = appliance.guest.console().lines_after(Mark::default());
    assert_eq!(lines.iter().find(|line| line.contains(" ERROR ") || line.contains(" WARN ")), None);
    let counters = appliance.stop()?;
    for ring in setting.rings() {
        assert!(counters.get(&ring, "packets")? > (LONGEST - SHORTEST) as u64, "packets of {ring}");
    }
    assert_eq!(counters.sum(|name| name == "refused"), 0);
    assert_eq!(counters.dropped(), 0);
    Ok(())
}
