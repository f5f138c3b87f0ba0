//! Objective: live migration moves a working appliance to another QEMU, and costs the frames of the switch at most.
//!
//! On NICs of each kind, and with each way to wait:
//! 1. Boot the bridge, let frames flow both ways all the time, and start a second QEMU with the same machine, which waits
//!    for the migration.
//! 2. Have the first one migrate to the second, and plug both cables over when it is done. Frames pass both ways again. No
//!    frame arrives changed, twice or out of order.
//! 3. The console of the second QEMU answers, and its counters have gone on from those of the first.
//! 4. Stop the image there: on neither QEMU has it logged an error or a warning. It has passed on each frame that it
//!    received on either, and all buffers are back.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use millrace_tests::counters::Counters;
use millrace_tests::guest::Guest;
use millrace_tests::monitor::Monitor;
use millrace_tests::permit::Permit;
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wait, Wire, image, traffic};
use serde_json::json;
use tempfile::TempDir;

macro_rules! with_each_wait {
    ($($test:ident $wait:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> Result<()> {
            let setting = Setting::new(Machine::$machine, Card::$left, Card::$right);
            it_works_on_elsewhere(setting.waiting(Wait::$wait))
        }
    )+ };
}

with_each_wait! {
    spin_virtio_q35 Spin Q35 Virtio Virtio,
    poll_virtio_q35 Poll Q35 Virtio Virtio,
    adaptive_virtio_and_virtio_legacy_pc Adaptive Pc Virtio VirtioLegacy,
    poll_virtio_packed_q35 Poll Q35 VirtioPacked VirtioPacked,
    poll_virtio_mmio_microvm Poll Microvm VirtioMmio VirtioMmio,
    spin_e1000_pc Spin Pc E1000 E1000,
    poll_e1000_pc Poll Pc E1000 E1000,
    adaptive_e1000e_q35 Adaptive Q35 E1000e E1000e,
}

fn it_works_on_elsewhere(setting: Setting) -> Result<()> {
    let (left, right) = (Wire::new()?, Wire::new()?);
    let qemu = Qemu::new(setting.machine, image::appliance()?).command_line(setting.words());
    let qemu = qemu.wire_to(setting.left, &left).wire_to(setting.right, &right);
    let [here, there] = Permit::both()?;

    let monitor = Monitor::new()?;
    let guest = qemu.clone().monitor(&monitor).start_under(here)?;
    let mut source = Appliance::connect(guest, left, right)?;
    let mut session = monitor.connect()?;
    setting.check(&source.guest)?;
    let mut destination = Destination::start(qemu, there, [&source.left, &source.right])?;

    let Appliance { guest, left, right, .. } = &mut source;
    let carried = traffic::during(left, right, |traffic| {
        traffic.wait_until_it_flows()?;
        let before = guest.counters()?;
        session.migrate(&destination.socket())?;
        left.connect()?;
        right.connect()?;
        traffic.wait_until_it_flows()?;
        go_on(&before, &destination.guest.counters()?, &setting.rings())
    })?;
    println!("{carried:?}");
    session.execute("quit", json!({}))?;
    source.guest.wait_status(0)?;
    source.guest.check_log()?;
    destination.guest.check_log()?;
    traffic::check_counters(&destination.guest.stop()?, &setting.rings(), &carried)
}

/// The counters of these rings have gone on from those of `before`.
fn go_on(before: &Counters, after: &Counters, rings: &[String]) -> Result<()> {
    for ring in rings {
        let (before, after) = (before.get(ring, "packets")?, after.get(ring, "packets")?);
        ensure!(0 < before && before < after, "packets of {ring}: {before} before, {after} after");
    }
    Ok(())
}

/// The QEMU that the machine moves to.
struct Destination {
    guest: Guest,
    folder: TempDir,
}

impl Destination {
    /// Starts a machine like `qemu`, at the same cables, which waits for a migration.
    fn start(qemu: Qemu, permit: Permit, wires: [&Wire; 2]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mr").rand_bytes(8).tempdir()?;
        let monitor = Monitor::new()?;
        for wire in wires {
            wire.free_card_path()?;
        }
        let qemu = qemu.monitor(&monitor).argument("-incoming").argument("defer");
        let destination = Self { guest: qemu.start_under(permit)?, folder };
        let mut session = monitor.connect()?;
        // QEMU would send frames of its own, which announce where the NICs are now.
        session.execute("migrate-set-parameters", json!({ "announce-rounds": 0 }))?;
        let uri = format!("unix:{}", destination.socket().display());
        session.execute("migrate-incoming", json!({ "uri": uri }))?;
        Ok(destination)
    }

    /// Where it listens.
    fn socket(&self) -> PathBuf {
        self.folder.path().join("machine")
    }
}
