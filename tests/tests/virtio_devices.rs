//! Objective: a virtio card is driven whatever its device leaves out, and with queues as long as they come.
//!
//! 1. Boot the bridge between two cards whose devices offer the least there can be, with the waiting that would use
//!    interrupts if there were any; then between two with receive queues of 1024, and between two with packed queues.
//! 2. The image says which kind of queues it uses, and how long they are.
//! 3. Frames pass both ways, none is lost or changed.
//! 4. Stop it: all its buffers are back in their place.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, transfer};

#[test]
fn a_device_that_offers_the_least() -> Result<()> {
    passes_frames(Card::VirtioBare, "split", "link=up tx=1x256 rx=1x256")
}

#[test]
fn a_device_with_long_queues() -> Result<()> {
    passes_frames(Card::VirtioLong, "split", "link=up tx=1x256 rx=1x1024")
}

#[test]
fn a_device_with_packed_queues() -> Result<()> {
    passes_frames(Card::VirtioPacked, "packed", "link=up tx=1x256 rx=1x256")
}

fn passes_frames(card: Card, kind: &str, shape: &str) -> Result<()> {
    let setting = Setting::new(Machine::Q35, card, card).waiting(Wait::Adaptive);
    let appliance = Appliance::boot(setting)?;
    let lines = appliance.guest.console().lines_after(Mark::default());
    let is_such = |line: &&String| line.contains("cards: vtnet") && line.contains(shape);
    ensure!(lines.iter().filter(is_such).count() == 2, "not two cards with {shape}: {lines:?}");
    let kind = format!(": virtio, {kind} queues, ");
    let is_such = |line: &&String| line.contains(" is vtnet") && line.contains(&kind);
    ensure!(lines.iter().filter(is_such).count() == 2, "not two cards with{kind}: {lines:?}");
    ensure!(!lines.iter().any(|line| line.contains("WARN")), "{lines:?}");

    let mut generator = Generator::new();
    let mut frames = || (0..3000).map(|number| generator.frame(60 + number % 1400)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    let counters = appliance.stop()?;
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    Ok(())
}
