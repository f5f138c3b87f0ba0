//! Objective: the image runs on a machine without PCI as far as its console, and says that it has no card.
//!
//! 1. Boot the bridge on microvm, with ACPI and without.
//! 2. It says that there are too few cards, and ends with QEMU's status 35.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::guest::STATUS_REFUSED;
use millrace_tests::{Machine, Qemu, image};

#[test]
fn reaches_the_console_and_misses_its_cards() -> Result<()> {
    says_that_cards_are_missing(Qemu::new(Machine::Microvm, image::appliance()?))
}

#[test]
fn the_same_without_acpi() -> Result<()> {
    let qemu = Qemu::new(Machine::Microvm, image::appliance()?);
    says_that_cards_are_missing(qemu.argument("-machine").argument("acpi=off"))
}

fn says_that_cards_are_missing(qemu: Qemu) -> Result<()> {
    let mut guest = qemu.command_line("app=bridge").start()?;
    guest.wait_status(STATUS_REFUSED)?;
    guest.wait_for(Mark::default(), "EXIT code=0x11 reason=")?;
    guest.wait_for(Mark::default(), "network cards are needed")?;
    Ok(())
}
