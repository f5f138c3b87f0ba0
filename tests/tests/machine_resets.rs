//! Objective: a reset of the whole machine boots the image again, whatever its NICs were doing.
//!
//! On NICs of each kind:
//! 1. Boot the bridge in a QEMU that a reset does not end, and let frames flow both ways all the time.
//! 2. Five times (on one machine twenty times), reset the machine (`system_reset` of QEMU's monitor), wait for READY, and
//!    wait until frames pass both ways. No frame arrives changed, twice or out of order.
//! 3. Stop the image: each reset has booted it once, with the same ports. It has logged neither an error nor a warning.
//!    The last one has passed on each frame that it received, and all buffers are back.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::guest::Guest;
use millrace_tests::monitor::{Monitor, Session};
use millrace_tests::traffic::{self, Traffic};
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wait};
use serde_json::json;

/// Resets of one machine.
const RESETS: usize = 20;
/// Resets of each of the others.
const FEWER_RESETS: usize = 5;

#[test]
fn virtio_q35() -> Result<()> {
    it_boots_again(Setting::new(Machine::Q35, Card::Virtio, Card::Virtio), RESETS)
}

#[test]
fn virtio_packed_and_e1000e_q35() -> Result<()> {
    it_boots_again(Setting::new(Machine::Q35, Card::VirtioPacked, Card::E1000e), FEWER_RESETS)
}

#[test]
fn virtio_legacy_pc() -> Result<()> {
    it_boots_again(Setting::new(Machine::Pc, Card::VirtioLegacy, Card::VirtioLegacyApart), FEWER_RESETS)
}

#[test]
fn virtio_mmio_microvm() -> Result<()> {
    it_boots_again(Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio), FEWER_RESETS)
}

#[test]
fn e1000_pc() -> Result<()> {
    it_boots_again(Setting::new(Machine::Pc, Card::E1000, Card::E1000), FEWER_RESETS)
}

fn it_boots_again(setting: Setting, resets: usize) -> Result<()> {
    let monitor = Monitor::new()?;
    let change = |qemu: Qemu| qemu.monitor(&monitor).surviving_resets();
    let mut appliance = Appliance::boot_with(setting.waiting(Wait::Adaptive), change)?;
    let mut session = monitor.connect()?;
    let Appliance { guest, left, right, .. } = &mut appliance;
    let carried = traffic::during(left, right, |traffic| {
        traffic.wait_until_it_flows()?;
        (0..resets).try_for_each(|_| reset_machine(guest, &mut session, traffic))
    })?;
    println!("{resets} resets: {carried:?}");
    appliance.guest.check_log()?;
    has_booted(&appliance.guest, 1 + resets, &appliance.ready.ports.join(","))?;

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

fn reset_machine(guest: &Guest, session: &mut Session, traffic: &Traffic) -> Result<()> {
    let mark = guest.console().mark();
    session.execute("system_reset", json!({}))?;
    guest.wait_line(mark, "READY line", |line| line.starts_with("READY "))?;
    traffic.wait_until_it_flows()
}

/// The image has been ready this often, each time with these ports.
fn has_booted(guest: &Guest, times: usize, ports: &str) -> Result<()> {
    let lines = guest.console().lines_after(Mark::default());
    let ready: Vec<_> = lines.iter().filter(|line| line.starts_with("READY ")).collect();
    let expected = format!(" ports={ports} ");
    ensure!(
        ready.len() == times && ready.iter().all(|line| line.contains(&expected)),
        "{times} times READY with{expected}was expected, not {ready:?}"
    );
    Ok(())
}
