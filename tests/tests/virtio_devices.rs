//! Objective: a virtio card is driven whatever its device leaves out, and with queues as long as they come.
//!
//! 1. Boot the bridge between two cards whose devices offer the least there can be, with the waiting that would use
//!    interrupts if there were any; then between two with receive queues of 1024, and between two with packed queues.
//! 2. The image says which kind of queues it uses, and how long they are: as long as the device was told to have them, or
//!    longer (QEMU 10.0 offers 1024 entries whatever it is told).
//! 3. Frames pass both ways, none is lost or changed.
//! 4. Stop it: all its buffers are back in their place.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, transfer};

#[test]
fn a_device_that_offers_the_least() -> Result<()> {
    passes_frames(Card::VirtioBare, "split", 256, 256)
}

#[test]
fn a_device_with_long_queues() -> Result<()> {
    passes_frames(Card::VirtioLong, "split", 256, 1024)
}

#[test]
fn a_device_with_packed_queues() -> Result<()> {
    passes_frames(Card::VirtioPacked, "packed", 256, 256)
}

/// `tx` and `rx` are the least entries that the queues have.
fn passes_frames(card: Card, kind: &str, tx: u32, rx: u32) -> Result<()> {
    let setting = Setting::new(Machine::Q35, card, card).waiting(Wait::Adaptive);
    let appliance = Appliance::boot(setting)?;
    let lines = appliance.guest.console().lines_after(Mark::default());
    let entries =
        |line: &str, key| -> Option<u32> { line.split_once(key)?.1.split_whitespace().next()?.parse().ok() };
    let is_such = |line: &&String| {
        line.contains("cards: vtnet")
            && line.contains(" link=up ")
            && entries(line, " tx=1x").is_some_and(|entries| entries >= tx)
            && entries(line, " rx=1x").is_some_and(|entries| entries >= rx)
    };
    ensure!(lines.iter().filter(is_such).count() == 2, "not two cards with {tx} and {rx}: {lines:?}");
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
