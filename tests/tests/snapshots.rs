//! Objective: an appliance whose state was saved goes on from there when the state is loaded again.
//!
//! On NICs of each kind:
//! 1. Boot the bridge, let frames flow both ways, and meanwhile have QEMU save the machine. Frames pass afterwards as
//!    before: none arrives changed, twice or out of order.
//! 2. Let more frames pass, then load the saved machine. Its counters are back to where they were at the time, and it passes
//!    on what its rings held then.
//! 3. Frames flow both ways again, with the same guarantees.
//! 4. Stop the image: it has logged neither an error nor a warning, has passed on each frame that it received, and all
//!    buffers are back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::counters::Counters;
use millrace_tests::monitor::{Monitor, Session};
use millrace_tests::wire::{Interest, wait_any};
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, Wire, traffic};
use serde_json::json;

/// A wire where nothing arrives for so long is empty.
const STILL: Duration = Duration::from_millis(700);

#[test]
fn virtio_q35() -> Result<()> {
    it_goes_on_from_there(Setting::new(Machine::Q35, Card::Virtio, Card::Virtio))
}

#[test]
fn virtio_mmio_microvm() -> Result<()> {
    it_goes_on_from_there(Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio))
}

#[test]
fn e1000_and_e1000e_q35() -> Result<()> {
    it_goes_on_from_there(Setting::new(Machine::Q35, Card::E1000, Card::E1000e))
}

fn it_goes_on_from_there(setting: Setting) -> Result<()> {
    let (monitor, folder) = (Monitor::new()?, tempfile::tempdir()?);
    let mut appliance = Appliance::boot_with(setting.waiting(Wait::Adaptive), |qemu| qemu.monitor(&monitor))?;
    let mut session = monitor.connect()?;
    add_disk(&mut session, &folder.path().join("disk"))?;

    let mut before = Counters::default();
    let Appliance { guest, left, right, .. } = &mut appliance;
    traffic::during(left, right, |traffic| {
        traffic.wait_until_it_flows()?;
        before = guest.counters()?;
        session.run_job("snapshot-save", json!({ "tag": "then", "vmstate": DISK, "devices": [DISK] }))?;
        traffic.wait_until_it_flows()
    })?;
    let after = guest.counters()?;
    session.run_job("snapshot-load", json!({ "tag": "then", "vmstate": DISK, "devices": [DISK] }))?;
    drain(left)?;
    drain(right)?;
    lies_between(&before, &guest.counters()?, &after, &setting.rings())?;

    traffic::during(left, right, |traffic| traffic.wait_until_it_flows())?;
    appliance.guest.check_log()?;
    let counters = appliance.stop()?;
    let [there_in, there_out, back_in, back_out] = setting.rings();
    for (input, output) in [(there_in, there_out), (back_in, back_out)] {
        assert_eq!(
            counters.get(&input, "packets")?,
            counters.get(&output, "packets")?,
            "{input} to {output}"
        );
    }
    assert_eq!(counters.dropped(), 0);
    Ok(())
}

/// QEMU's name for the disk with the saved machine, which the machine itself does not have.
const DISK: &str = "disk";

/// Makes a disk for saved machines at `path`, and gives it to QEMU.
fn add_disk(session: &mut Session, path: &Path) -> Result<()> {
    let path = path.to_str().context("the temporary folder has a name that is no text")?;
    let file = json!({ "driver": "file", "filename": path, "size": 0 });
    session.run_job("blockdev-create", json!({ "options": file }))?;
    session.execute("blockdev-add", json!({ "driver": "file", "node-name": "file", "filename": path }))?;
    let disk = json!({ "driver": "qcow2", "file": "file", "size": 1 << 20 });
    session.run_job("blockdev-create", json!({ "options": disk }))?;
    session.execute("blockdev-add", json!({ "driver": "qcow2", "node-name": DISK, "file": "file" }))?;
    Ok(())
}

/// Takes what is on its way out of the loaded machine.
fn drain(wire: &Wire) -> Result<()> {
    while wait_any(&[(wire, Interest::Receive)], Some(STILL))? {
        while wire.try_receive()?.is_some() {}
    }
    Ok(())
}

/// The counters of these rings are at least those of `before`, and less than those of `after`.
fn lies_between(before: &Counters, now: &Counters, after: &Counters, rings: &[String]) -> Result<()> {
    for ring in rings {
        let packets = |counters: &Counters| counters.get(ring, "packets");
        let (before, now, after) = (packets(before)?, packets(now)?, packets(after)?);
        ensure!((before..after).contains(&now), "packets of {ring}: {now}, not within {before}..{after}");
    }
    Ok(())
}
