//! Objective: virtio-mmio devices are found where the command line says, and devices there that are not cards do no harm.
//!
//! 1. Boot the bridge on microvm with two cards. QEMU appends their places, the higher address first; add, in front of them,
//!    a place without a device, and one where something else is.
//! 2. The image names what is something else, and the cards by ascending addresses; of the free place it says nothing.
//! 3. Frames pass both ways, between the sides that the names stand for.
//! 4. Boot it with ACPI, so that its definition blocks alone say where the cards are: they have the same names, and frames
//!    pass. Name one of the places by a word as well: nothing changes.
//! 5. Give it a word that is no place, and one whose registers are those of a card: it refuses, with the word.

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::guest::STATUS_REFUSED;
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wire, image, transfer};

/// The first of QEMU's places, of 512 bytes each; cards get the last of them.
const FREE: &str = "512@0xfeb00000:5";
/// The registers of the interrupt controller of each processor.
const NO_VIRTIO: &str = "4K@0xfee00000:5";

fn microvm() -> Setting {
    Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio)
}

#[test]
fn cards_are_found_among_what_is_none() -> Result<()> {
    let words = format!("app=bridge virtio_mmio.device={FREE} virtio_mmio.device={NO_VIRTIO}");
    let appliance = Appliance::boot_with(microvm(), |qemu| qemu.command_line(words))?;
    assert_eq!(appliance.ready.ports, ["vtnet0", "vtnet1"]);
    let lines = appliance.guest.console().lines_after(Mark::default());
    let complaints: Vec<_> = lines.iter().filter(|line| line.contains("ERROR")).collect();
    assert!(
        matches!(&complaints[..], [line] if line.contains("0xfee00000: left out: there is no virtio device"))
    );
    let first = lines.iter().find(|line| line.contains("cards: vtnet0 "));
    assert!(first.is_some_and(|line| line.contains("mac=52:54:00:00:00:01")), "{first:?}");

    let mut generator = Generator::new();
    let mut frames = || (0..1000).map(|number| generator.frame(60 + number)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}

#[test]
fn cards_that_acpi_describes_are_found() -> Result<()> {
    // The first of QEMU's cards with an I/O APIC of its own for them.
    for words in ["app=bridge", "app=bridge virtio_mmio.device=512@0xfeb02c00:46"] {
        let setting = Setting::new(Machine::Microvm, Card::VirtioMmioAcpi, Card::VirtioMmioAcpi);
        let appliance = Appliance::boot_with(setting, |qemu| qemu.command_line(words))?;
        assert_eq!(appliance.ready.ports, ["vtnet0", "vtnet1"]);
        let (first, _) = appliance.guest.wait_for(Mark::default(), "cards: vtnet0 ")?;
        assert!(first.contains("mac=52:54:00:00:00:01"), "{first}");
        let mut generator = Generator::new();
        let mut frames = || (0..1000).map(|number| generator.frame(60 + number)).collect();
        transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
        assert_eq!(appliance.stop()?.dropped(), 0);
    }
    Ok(())
}

#[test]
fn words_that_are_no_place_are_refused() -> Result<()> {
    for (word, reason) in [("4K@d0000000:5", "ADDRESS"), ("4K@0xfeb00000:5", "those of another device")] {
        let wire = Wire::new()?;
        let qemu = Qemu::new(Machine::Microvm, image::appliance()?).wire_to(Card::VirtioMmio, &wire);
        let mut guest = qemu.command_line(format!("app=bridge virtio_mmio.device={word}")).start()?;
        guest.wait_status(STATUS_REFUSED)?;
        let (line, _) = guest.wait_for(Mark::default(), "EXIT code=0x11 reason=")?;
        assert!(line.contains("virtio_mmio.device=") && line.contains(reason), "{line}");
    }
    Ok(())
}
