//! Objective: a card that accesses memory through an IOMMU is driven while the IOMMU passes addresses on, and named when it
//! does not.
//!
//! Passing:
//! 1. Boot the bridge on q35 between two virtio cards with `iommu_platform=on`: without an IOMMU, with Intel's, AMD's and
//!    virtio's, none of which a driver has switched on.
//! 2. Nothing is complained of, and frames pass both ways.
//!
//! Blocking:
//! 1. Boot it with a virtio IOMMU that blocks from the start, such a card, an Intel card, and two virtio cards that access
//!    memory directly.
//! 2. Each of the first two is left out with an error that names the IOMMU and says what to do.
//! 3. Frames pass between the other two.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Card, Machine, Qemu, Wire, image, transfer};

/// A card that uses addresses of the platform (virtio 1.2, section 6.1: ACCESS_PLATFORM).
const PLATFORM: &str = "virtio-net-pci,romfile=,disable-legacy=on,iommu_platform=on";

#[test]
fn no_iommu() -> Result<()> {
    passes(|qemu| qemu)
}

#[test]
fn an_intel_iommu() -> Result<()> {
    passes(|qemu| qemu.iommu("intel-iommu"))
}

#[test]
fn an_amd_iommu() -> Result<()> {
    passes(|qemu| qemu.iommu("amd-iommu"))
}

#[test]
fn a_virtio_iommu() -> Result<()> {
    passes(|qemu| qemu.iommu("virtio-iommu-pci"))
}

#[test]
fn an_iommu_that_blocks() -> Result<()> {
    let (left, right) = (Wire::new()?, Wire::new()?);
    let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line("app=bridge wait=spin");
    let qemu = qemu.iommu("virtio-iommu-pci,boot-bypass=off");
    let qemu = qemu.device_on(PLATFORM, "hubport", "hubid=0").card_on(Card::E1000, "hubport", "hubid=1");
    let appliance = Appliance::start(qemu.wire(&left).wire(&right), left, right)?;
    let errors = complaints(&appliance);
    let cause = "left out: the virtio IOMMU at 00:01.0 blocks its memory accesses";
    let remedies = [("00:02.0 1af4:1041 ", "iommu_platform=off"), ("00:03.0 8086:100e ", "boot-bypass=on")];
    ensure!(errors.len() == remedies.len(), "{errors:#?}");
    for (error, (place, remedy)) in errors.iter().zip(remedies) {
        let is_told = [" ERROR cards: ", place, cause, remedy].iter().all(|part| error.contains(part));
        ensure!(is_told, "{place}, {cause:?} or {remedy} is missing in {error}");
    }
    exchange(appliance)
}

/// The bridge boots without a complaint in a QEMU that `add` has put an IOMMU into, and frames pass.
fn passes(add: impl FnOnce(Qemu) -> Qemu) -> Result<()> {
    let (left, right) = (Wire::new()?, Wire::new()?);
    let qemu = add(Qemu::new(Machine::Q35, image::appliance()?)).command_line("app=bridge wait=adaptive");
    let qemu = [&left, &right]
        .into_iter()
        .fold(qemu, |qemu, wire| qemu.device_on(PLATFORM, "dgram", &wire.backend()));
    let appliance = Appliance::start(qemu, left, right)?;
    let found = complaints(&appliance);
    ensure!(found.is_empty(), "{found:#?}");
    exchange(appliance)
}

/// Errors and warnings so far.
fn complaints(appliance: &Appliance) -> Vec<String> {
    let lines = appliance.guest.console().lines_after(Mark::default());
    lines.into_iter().filter(|line| line.contains(" ERROR ") || line.contains(" WARN ")).collect()
}

/// Frames pass both ways, none is lost or changed.
fn exchange(appliance: Appliance) -> Result<()> {
    let mut generator = Generator::new();
    let mut frames = || (0..1000).map(|number| generator.frame(60 + number % 1400)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    let counters = appliance.stop()?;
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    Ok(())
}
