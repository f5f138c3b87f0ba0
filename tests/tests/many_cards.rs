//! Objective: eight cards of every kind in one machine, and any two of them are bridged.
//!
//! 1. Boot pc and q35 with eight cards, virtio's and Intel's mixed, once for each of some pairs, named by `a=` and `b=`.
//! 2. The console lists all eight, named by driver in the order of their places, by ascending addresses as QEMU gave them; it has no warning.
//! 3. Send frames to the six cards that are not opened. Then frames of every length pass between the two of the pair both
//!    ways, byte for byte, and none of the others turns up anywhere.
//! 4. Stop the image: the rings of the pair have moved these frames and no other ring any, nothing was dropped, and all
//!    buffers are back.
//!
//! Too little of something:
//! 1. The same in 32 MiB, between Intel cards, whose rings have a length that does not depend on QEMU. They are shorter, and
//!    warnings say so.
//! 2. Six virtio cards, and a seventh in front that cannot be used, because an IOMMU blocks it. An error names its place and the
//!    reason, and the others have the names that they have without it.
//! 3. With buffers for one card only, the image ends with QEMU's status 35, and says how many were asked for, and how many there were.

use anyhow::{Context, Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::guest::STATUS_REFUSED;
use millrace_tests::setting::names;
use millrace_tests::{Appliance, Card, Machine, Qemu, Wire, image, on_pc_and_q35, transfer};

on_pc_and_q35!(any_two_are_bridged, in_32_mib_rings_are_shorter, one_that_cannot_be_used_is_left_out);

/// The cards, in the order of their places.
const CARDS: [Card; 8] = [
    Card::Virtio,
    Card::E1000,
    Card::VirtioLegacy,
    Card::E1000e,
    Card::E1000Gc,
    Card::VirtioLegacyApart,
    Card::E1000Em,
    Card::Virtio,
];

/// Memory for rings of any length that QEMU offers (up to 1024 slots), between all cards.
const PLENTY_MIB: u32 = 256;

/// Cards that access memory directly, whatever an IOMMU blocks.
const DIRECT: [Card; 6] = [
    Card::Virtio,
    Card::VirtioLegacy,
    Card::VirtioBare,
    Card::VirtioLegacyApart,
    Card::VirtioLine,
    Card::VirtioPacked,
];
/// A card that accesses memory through the IOMMU (virtio 1.2, section 6.1, ACCESS_PLATFORM), and an IOMMU that does not let it.
const BLOCKED: &str = "virtio-net-pci,romfile=,disable-legacy=on,iommu_platform=on";
const BLOCKING: &str = "virtio-iommu-pci,boot-bypass=off";

fn any_two_are_bridged(machine: Machine) -> Result<()> {
    for pair in [["vtnet0", "vtnet3"], ["em1", "em0"], ["vtnet1", "em3"], ["em2", "vtnet2"]] {
        Crowd::of(machine)?.bridges(pair, &[])?;
    }
    Ok(())
}

fn in_32_mib_rings_are_shorter(machine: Machine) -> Result<()> {
    let mut crowd = Crowd::of(machine)?;
    crowd.qemu = crowd.qemu.memory_mib(32);
    let warning = |name| format!("WARN netmap: {name}: rings of 256/256 slots instead of 512/512");
    crowd.bridges(["em3", "em1"], &[&warning("em3"), &warning("em1")])
}

fn one_that_cannot_be_used_is_left_out(machine: Machine) -> Result<()> {
    let qemu = Qemu::new(machine, image::appliance()?).iommu(BLOCKING);
    let qemu = qemu.device_on(BLOCKED, "hubport", "hubid=0");
    Crowd::behind(qemu, DIRECT)?.bridges(["vtnet0", "vtnet2"], &["left out: the virtio IOMMU at "])
}

#[test]
fn buffers_for_one_card_only() -> Result<()> {
    let Crowd { qemu, wires, .. } = Crowd::of(Machine::Q35)?;
    let mut guest = qemu.command_line("a=vtnet1 b=em2 netmap.buf_num=64").start()?;
    guest.wait_status(STATUS_REFUSED)?;
    let (line, _) = guest.wait_for(Mark::default(), "EXIT code=0x11 reason=")?;
    assert!(
        line.contains("port b: the buf pool has 30 free objects, 32 are needed (tunable buf_num)"),
        "{line}"
    );
    drop(wires);
    Ok(())
}

/// A machine with all the cards, and their far ends by the cards' names.
struct Crowd {
    qemu: Qemu,
    /// The cards' names, in the order of their places.
    names: Vec<String>,
    wires: Vec<(String, Wire)>,
}

impl Crowd {
    /// [`CARDS`].
    fn of(machine: Machine) -> Result<Self> {
        Self::behind(Qemu::new(machine, image::appliance()?), CARDS)
    }

    /// These cards, with places behind those that are taken already.
    fn behind<const N: usize>(qemu: Qemu, cards: [Card; N]) -> Result<Self> {
        let names = names(cards).to_vec();
        let wires = names.iter().map(|name| Ok((name.clone(), Wire::new()?)));
        let wires = wires.collect::<Result<Vec<_>>>()?;
        let cards = cards.into_iter().zip(&wires);
        let qemu =
            cards.fold(qemu.memory_mib(PLENTY_MIB), |qemu, (card, (_, wire))| qemu.wire_to(card, wire));
        Ok(Self { qemu, names, wires })
    }

    /// Takes out the far end of this card.
    fn take(&mut self, name: &str) -> Result<Wire> {
        let place = self.wires.iter().position(|(other, _)| other == name);
        let place = place.with_context(|| format!("there is no {name}"))?;
        Ok(self.wires.swap_remove(place).1)
    }

    /// The image bridges this pair of cards, and has exactly these things to complain of.
    fn bridges(mut self, pair: [&str; 2], complaints: &[&str]) -> Result<()> {
        let [a, b] = pair;
        let (left, right) = (self.take(a)?, self.take(b)?);
        let qemu = self.qemu.command_line(format!("a={a} b={b} wait=spin"));
        let appliance = Appliance::start(qemu, left, right)?;
        assert_eq!(appliance.ready.ports, pair);
        lists_all_and_complains_of(&appliance, &self.names, complaints)?;
        offer_to_others(&self.wires)?;

        let mut generator = Generator::new();
        let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect();
        transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
        for (name, wire) in &self.wires {
            assert_eq!(wire.try_receive()?, None, "{name} is not open and has sent a frame");
        }
        let counters = appliance.stop()?;
        for (row, _) in counters.rows().filter(|(row, _)| *row != "buffers") {
            let is_open = row.split_whitespace().next().is_some_and(|name| pair.contains(&name));
            let expected = if is_open { (SHORTEST..=LONGEST).count() as u64 } else { 0 };
            assert_eq!(counters.get(row, "packets")?, expected, "packets of {row}");
        }
        assert_eq!(counters.dropped(), 0);
        Ok(())
    }
}

/// The console has two lines for each card with one of these names in order, where it is and what it can, and one that has each of `complaints`.
fn lists_all_and_complains_of(appliance: &Appliance, names: &[String], complaints: &[&str]) -> Result<()> {
    let lines = appliance.guest.console().lines_after(Mark::default());
    let told: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once("INFO cards: ")).map(|(_, card)| card).collect();
    let placed = told.iter().filter_map(|card| card.split_once(" is ")?.1.split_once(": "));
    assert_eq!(placed.map(|(name, _)| name).collect::<Vec<_>>(), names);
    let listed = told.iter().filter(|card| !card.contains(" is ")).filter_map(|card| card.split_once(' '));
    let (listed, addresses): (Vec<&str>, Vec<&str>) = listed.unzip();
    assert_eq!(listed, names);
    assert!(addresses.is_sorted() && addresses.iter().all(|text| text.starts_with("mac=52:54:00:00:00:0")));
    let told: Vec<_> =
        lines.iter().filter(|line| line.contains(" ERROR ") || line.contains(" WARN ")).collect();
    ensure!(told.len() == complaints.len(), "{complaints:?} are expected, not {told:#?}");
    for (line, complaint) in told.iter().zip(complaints) {
        ensure!(line.contains(complaint), "no word of {complaint:?} in {line}");
    }
    Ok(())
}

/// Sends a few frames to each of the cards that are not open.
fn offer_to_others(others: &[(String, Wire)]) -> Result<()> {
    let mut generator = Generator::new();
    for (_, wire) in others {
        wire.connect()?;
        for _ in 0..8 {
            wire.try_send(&generator.frame(100))?;
        }
    }
    Ok(())
}
