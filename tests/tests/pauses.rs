//! Objective: a pause of the whole machine costs the frames of that time at most, and nothing goes wrong afterwards.
//!
//! With each way to wait, on NICs that interrupt by message and on NICs that interrupt by a line:
//! 1. Boot the bridge, and let frames flow both ways all the time.
//! 2. Stop the machine (`stop` of QEMU's monitor), let it continue (`cont`), and wait until frames pass both ways; again
//!    and again, with pauses that are shorter and longer than the longest sleep of the image. No frame arrives changed,
//!    twice or out of order. The console answers.
//! 3. Each time, suspend the QEMU process for as long as well. That pause is one for the time stamp counter only if the
//!    host's does not run either: the image sees the time jump.
//! 4. Stop the image: it has logged neither an error nor a warning, has passed on each frame that it received, and all
//!    buffers are back.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use millrace_tests::guest::Guest;
use millrace_tests::monitor::{Monitor, Session};
use millrace_tests::traffic::{self, Traffic};
use millrace_tests::{Appliance, Card, Machine, Setting, Wait};
use serde_json::json;

/// The image sleeps for 50 ms at most.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(30),
    Duration::from_millis(80),
    Duration::from_millis(600),
];

macro_rules! with_each_wait {
    ($($test:ident $wait:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> Result<()> {
            let setting = Setting::new(Machine::$machine, Card::$left, Card::$right);
            pauses_cost_only_frames(setting.waiting(Wait::$wait))
        }
    )+ };
}

with_each_wait! {
    spin_virtio_q35 Spin Q35 Virtio Virtio,
    poll_virtio_q35 Poll Q35 Virtio Virtio,
    adaptive_virtio_q35 Adaptive Q35 Virtio Virtio,
    poll_virtio_legacy_pc Poll Pc VirtioLegacy VirtioLegacyApart,
    poll_virtio_mmio_microvm Poll Microvm VirtioMmio VirtioMmio,
    spin_e1000_pc Spin Pc E1000 E1000,
    poll_e1000_pc Poll Pc E1000 E1000,
    adaptive_e1000_pc Adaptive Pc E1000 E1000,
    poll_e1000e_q35 Poll Q35 E1000e E1000e,
}

fn pauses_cost_only_frames(setting: Setting) -> Result<()> {
    let monitor = Monitor::new()?;
    let mut appliance = Appliance::boot_with(setting, |qemu| qemu.monitor(&monitor))?;
    let mut session = monitor.connect()?;
    let Appliance { guest, left, right, .. } = &mut appliance;
    let carried = traffic::during(left, right, |traffic| {
        traffic.wait_until_it_flows()?;
        PAUSES.into_iter().try_for_each(|pause| pause_both_ways(guest, &mut session, traffic, pause))
    })?;
    println!("{carried:?}");
    appliance.guest.check_log()?;
    traffic::check_counters(&appliance.stop()?, &setting.rings(), &carried)
}

/// Stops the machine for this long, then suspends QEMU for as long.
fn pause_both_ways(
    guest: &mut Guest,
    session: &mut Session,
    traffic: &Traffic,
    pause: Duration,
) -> Result<()> {
    session.execute("stop", json!({}))?;
    thread::sleep(pause);
    session.execute("cont", json!({}))?;
    traffic.wait_until_it_flows()?;
    guest.counters()?;

    guest.suspend()?;
    thread::sleep(pause);
    guest.resume()?;
    traffic.wait_until_it_flows()?;
    guest.counters()?;
    Ok(())
}
