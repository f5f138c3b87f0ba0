//! Objective: a card that is reset while it works loses frames at that moment, and nothing else goes wrong.
//!
//! On cards of each kind:
//! 1. Boot the test build of the bridge, and let frames flow both ways all the time.
//! 2. Again and again, reset both cards (`r` on the console of that build), and wait until frames pass both ways. Meanwhile
//!    none comes changed, twice or out of order.
//! 3. Then frames of every length pass both ways, each byte for byte.
//! 4. Stop the image: it has no error and no warning to tell, each ring has counted more frames than the last ones, none
//!    was dropped for a reason of the image's own, no completion made no sense, and all buffers are back.
//!
//! What the application holds (on virtio cards, which QEMU makes wait while there is no reader):
//! 1. Offer frames and read none, until no more are taken: the bridge holds a ring full of them.
//! 2. Reset both cards, then read: at least those that it held arrive, in order and byte for byte.
//! 3. Frames pass both ways, and all buffers are back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::counters::Counters;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::guest::Guest;
use millrace_tests::pattern::Pattern;
use millrace_tests::traffic::{self, Traffic};
use millrace_tests::wire::{Interest, wait_any};
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, Wire, transfer};

/// A card or a side where nothing moves for so long is full, or empty.
const STILL: Duration = Duration::from_millis(700);
/// Frames in a ring of 256 slots that is full, one of which stays empty.
const HELD: u64 = 255;
/// Resets of each card.
const RESETS: usize = 100;
/// The same where QEMU's card receives nothing in the first second behind a reset.
const SLOW_RESETS: usize = 8;

#[test]
fn virtio_q35() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Q35, Card::Virtio, Card::Virtio), RESETS)
}

#[test]
fn virtio_packed_q35() -> Result<()> {
    resets_cost_only_frames(Setting::new(Machine::Q35, Card::VirtioPacked, Card::VirtioPacked), RESETS)
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

#[test]
fn what_the_bridge_holds_survives_virtio_q35() -> Result<()> {
    what_the_bridge_holds_survives(Setting::new(Machine::Q35, Card::Virtio, Card::Virtio))
}

#[test]
fn what_the_bridge_holds_survives_virtio_packed_q35() -> Result<()> {
    what_the_bridge_holds_survives(Setting::new(Machine::Q35, Card::VirtioPacked, Card::VirtioPacked))
}

#[test]
fn what_the_bridge_holds_survives_virtio_legacy_pc() -> Result<()> {
    what_the_bridge_holds_survives(Setting::new(Machine::Pc, Card::VirtioLegacy, Card::VirtioLegacy))
}

fn what_the_bridge_holds_survives(setting: Setting) -> Result<()> {
    let mut appliance = Appliance::boot_test_build(setting.waiting(Wait::Adaptive))?;
    let pattern = Pattern::default();
    let taken = fill(&appliance.left, &pattern)?;
    reset_cards(&mut appliance.guest, &appliance.ready.ports)?;
    let arrived = drain(&appliance.right, &pattern, taken)?;
    println!("{taken} frames were taken, {arrived} arrived behind the reset");
    assert!(arrived >= HELD, "{arrived} of {taken} frames arrived");

    let mut generator = Generator::new();
    let mut frames = || (0..1000).map(|_| generator.frame(200)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    assert_eq!(dropped_otherwise(&appliance.stop()?), 0);
    Ok(())
}

/// Offers frames from number 0 on until none is taken for a while; returns how many were.
fn fill(wire: &Wire, pattern: &Pattern) -> Result<u64> {
    let mut frame = Vec::new();
    let mut number = 0;
    loop {
        pattern.write(number, &mut frame);
        if wire.try_send(&frame)? {
            number += 1;
        } else if !wait_any(&[(wire, Interest::Send)], Some(STILL))? {
            return Ok(number);
        }
    }
}

/// Reads until nothing comes for a while; each frame is one of the first `sent`, unchanged, and behind those before it.
/// Returns how many came.
fn drain(wire: &Wire, pattern: &Pattern, sent: u64) -> Result<u64> {
    let (mut arrived, mut next) = (0, 0);
    while wait_any(&[(wire, Interest::Receive)], Some(STILL))? {
        while let Some(frame) = wire.try_receive()? {
            let number = Pattern::number(&frame).context("a frame came that is too short")?;
            ensure!((next..sent).contains(&number), "frame {number} came, not one of {next}..{sent}");
            pattern.check(number, &frame)?;
            (arrived, next) = (arrived + 1, number + 1);
        }
    }
    Ok(arrived)
}

/// Has the image reset its cards, which have these ports.
fn reset_cards(guest: &mut Guest, ports: &[String]) -> Result<()> {
    let mark = guest.console().mark();
    guest.type_in("r")?;
    for port in ports {
        guest.wait_for(mark, &format!("INFO reset: {port} runs again"))?;
    }
    Ok(())
}

fn resets_cost_only_frames(setting: Setting, resets: usize) -> Result<()> {
    let mut appliance = Appliance::boot_test_build(setting.waiting(Wait::Adaptive))?;
    let Appliance { guest, left, right, ready } = &mut appliance;
    let carried = traffic::during(left, right, |traffic: &Traffic| {
        traffic.wait_until_it_flows()?;
        for _ in 0..resets {
            reset_cards(guest, &ready.ports)?;
            traffic.wait_until_it_flows()?;
        }
        Ok(())
    })?;
    println!("{resets} resets: {carried:?}");

    let mut generator = Generator::new();
    let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    appliance.guest.check_log()?;
    let counters = appliance.stop()?;
    for ring in setting.rings() {
        assert!(counters.get(&ring, "packets")? > (LONGEST - SHORTEST) as u64, "packets of {ring}");
    }
    assert_eq!(counters.sum(|name| name == "refused"), 0);
    assert_eq!(dropped_otherwise(&counters), 0);
    Ok(())
}

/// Frames dropped for another cause than a reset, which loses what the cards hold.
fn dropped_otherwise(counters: &Counters) -> u64 {
    counters.sum(|name| name.starts_with("drop_") && name != "drop_reset")
}
