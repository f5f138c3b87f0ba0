//! Objective: cards on a PCI root bus other than 0 are found, interrupt and forward.
//!
//! 1. Boot q35 with a root bus 64 and two root ports on it, and pc with a root bus 64 and a bridge on it. Both cards are
//!    behind these. The image sleeps when it has nothing to do.
//! 2. The console lists both root buses, and both cards on buses from 64 on.
//! 3. Frames of every length pass both ways, byte for byte. Then single frames do, each after the one before has arrived.
//! 4. Stop the image: each card has interrupted, by message or by line, nothing was dropped, and all buffers are back.
//!
//! Without ACPI, pc has no routes of lines and no list of root buses: the image finds the bus by itself, and a card that
//! interrupts by message still does.

use anyhow::{Context, Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wait, Wire, image, transfer};

/// Single frames each way.
const SINGLE_FRAMES: usize = 20;

/// The devices that make the other root bus, and where on it the two cards are.
struct Hierarchy {
    buses: &'static [&'static str],
    places: [&'static str; 2],
}

const ROOT_PORTS: Hierarchy = Hierarchy {
    buses: &[
        "pxb-pcie,id=root,bus_nr=64",
        "pcie-root-port,id=port0,bus=root,chassis=1,addr=0",
        "pcie-root-port,id=port1,bus=root,chassis=2,addr=1",
    ],
    places: ["bus=port0", "bus=port1"],
};
const CONVENTIONAL: Hierarchy =
    Hierarchy { buses: &["pxb,id=root,bus_nr=64"], places: ["bus=root,addr=1", "bus=root,addr=2"] };

#[test]
fn behind_root_ports_by_message_and_by_line() -> Result<()> {
    let setting = Setting::new(Machine::Q35, Card::Virtio, Card::E1000);
    both_cards_forward(setting, &ROOT_PORTS, |qemu| qemu, &[Card::Virtio, Card::E1000])
}

#[test]
fn behind_root_ports_by_line() -> Result<()> {
    let setting = Setting::new(Machine::Q35, Card::E1000, Card::VirtioLine);
    both_cards_forward(setting, &ROOT_PORTS, |qemu| qemu, &[Card::E1000, Card::VirtioLine])
}

#[test]
fn behind_a_conventional_bridge_by_line() -> Result<()> {
    let setting = Setting::new(Machine::Pc, Card::VirtioLine, Card::E1000);
    both_cards_forward(setting, &CONVENTIONAL, |qemu| qemu, &[Card::VirtioLine, Card::E1000])
}

#[test]
fn without_acpi() -> Result<()> {
    let setting = Setting::new(Machine::Pc, Card::Virtio, Card::E1000);
    let without_acpi = |qemu: Qemu| qemu.argument("-machine").argument("acpi=off");
    both_cards_forward(setting, &CONVENTIONAL, without_acpi, &[Card::Virtio])
}

/// Boots the machine with its cards in this hierarchy, and forwards. The cards `interrupting` are to have interrupted.
fn both_cards_forward(
    setting: Setting,
    hierarchy: &Hierarchy,
    change: impl FnOnce(Qemu) -> Qemu,
    interrupting: &[Card],
) -> Result<()> {
    let setting = setting.waiting(Wait::Poll);
    let appliance = boot(setting, hierarchy, change)?;
    are_on_the_other_root(&appliance)?;
    let (left, right) = (&appliance.left, &appliance.right);
    let mut generator = Generator::new();
    let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect();
    transfer::exchange(left, right, frames(), frames())?;
    for _ in 0..SINGLE_FRAMES {
        for (from, to) in [(left, right), (right, left)] {
            transfer::carry(from, to, [generator.frame(60)])?;
        }
    }
    let counters = appliance.stop()?;
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    let [left, _, right, _] = setting.rings();
    for (card, ring) in [(setting.left, left), (setting.right, right)] {
        let interrupts = counters.get(&ring, "interrupts")?;
        ensure!(interrupts > 0 || !interrupting.contains(&card), "no interrupts of {ring}: {counters:?}");
    }
    Ok(())
}

fn boot(setting: Setting, hierarchy: &Hierarchy, change: impl FnOnce(Qemu) -> Qemu) -> Result<Appliance> {
    let (left, right) = (Wire::new()?, Wire::new()?);
    let qemu = Qemu::new(setting.machine, image::appliance()?).command_line(setting.words());
    let qemu = hierarchy.buses.iter().fold(qemu, |qemu, bus| qemu.bus(bus));
    let cards = [(setting.left, &left), (setting.right, &right)].into_iter().zip(hierarchy.places);
    let qemu = cards.fold(qemu, |qemu, ((card, wire), place)| {
        qemu.device_on(&format!("{},{place}", card.device()), "dgram", &wire.backend())
    });
    Appliance::start(change(qemu), left, right)
}

/// The console lists the root buses, and the two cards on buses from 64 on; it has no warning.
fn are_on_the_other_root(appliance: &Appliance) -> Result<()> {
    let lines = appliance.guest.console().lines_after(Mark::default());
    ensure!(lines.iter().any(|line| line.ends_with("; root buses 0, 64")), "no root bus 64: {lines:#?}");
    let found = lines.iter().filter_map(|line| line.split_once("INFO cards: ")?.1.split_once(" is "));
    let buses = found.map(|(place, _)| {
        let bus = place.split(':').next().context("a card without a bus")?;
        u8::from_str_radix(bus, 16).with_context(|| format!("{place:?} is no place on a bus"))
    });
    let buses = buses.collect::<Result<Vec<_>>>()?;
    ensure!(buses.len() == 2 && buses.iter().all(|bus| *bus >= 64), "cards on buses {buses:?}");
    ensure!(!lines.iter().any(|line| line.contains(" WARN ") || line.contains(" ERROR ")), "{lines:#?}");
    Ok(())
}
