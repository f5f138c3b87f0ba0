//! Objective: an appliance in the middle of a broadcast storm can still be watched and stopped.
//!
//! With each way to wait, on NICs of several kinds:
//! 1. Boot the bridge with both NICs on one hub of QEMU's, together with a wire of the test: what leaves one NIC arrives at
//!    the other, so each frame circulates for ever, in both directions.
//! 2. Send 512 broadcasts, more than a ring holds. While each ring passes tens of thousands of frames, the console answers
//!    again and again.
//! 3. Pull and plug the cable of each NIC: the console tells of both. Pulling one ends the storm, so new broadcasts are
//!    sent until frames circulate again.
//! 4. Each frame that reaches the wire is one of those broadcasts, byte for byte.
//! 5. Stop the image in the storm: it has logged neither an error nor a warning and dropped no frame, and all buffers are
//!    back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::counters::Counters;
use millrace_tests::frames::{BROADCAST, Generator, LONGEST, SHORTEST};
use millrace_tests::guest::{Guest, PATIENCE};
use millrace_tests::monitor::{Cable, Monitor, Session};
use millrace_tests::wire::{Interest, wait_any};
use millrace_tests::{Card, Machine, Qemu, Setting, Wait, Wire, image};

/// Broadcasts that are sent at a time.
const BROADCASTS: usize = 512;
/// A hub where no frame passes for so long has no storm.
const SILENCE: Duration = Duration::from_millis(20);
/// From one question on the console to the next.
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// Frames that each ring passes while the console is asked again and again.
const FRAMES: u64 = 30_000;

macro_rules! with_each_wait {
    ($($test:ident $wait:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> Result<()> {
            let setting = Setting::new(Machine::$machine, Card::$left, Card::$right);
            the_console_answers(setting.waiting(Wait::$wait))
        }
    )+ };
}

with_each_wait! {
    spin_virtio_q35 Spin Q35 Virtio Virtio,
    poll_virtio_q35 Poll Q35 Virtio Virtio,
    adaptive_virtio_q35 Adaptive Q35 Virtio Virtio,
    poll_virtio_mmio_microvm Poll Microvm VirtioMmio VirtioMmio,
    spin_e1000_pc Spin Pc E1000 E1000,
    poll_e1000_pc Poll Pc E1000 E1000,
    adaptive_e1000_pc Adaptive Pc E1000 E1000,
    adaptive_e1000e_and_virtio_q35 Adaptive Q35 E1000e Virtio,
}

fn the_console_answers(setting: Setting) -> Result<()> {
    let (wire, monitor) = (Wire::new()?, Monitor::new()?);
    let mut guest = boot_in_a_loop(setting, &wire, &monitor)?;
    let mut session = monitor.connect()?;
    while_it_storms(&wire, || {
        circulates(&mut guest, setting)?;
        for (card, port) in setting.ports().iter().enumerate() {
            pull_and_plug(&guest, &mut session, card, port)?;
            circulates(&mut guest, setting)?;
        }
        Ok(())
    })?;
    let counters = guest.stop()?;
    guest.check_log()?;
    assert_eq!(counters.dropped(), 0);
    Ok(())
}

/// Boots the bridge with both NICs and `wire` on one hub.
fn boot_in_a_loop(setting: Setting, wire: &Wire, monitor: &Monitor) -> Result<Guest> {
    let qemu = Qemu::new(setting.machine, image::appliance()?).command_line(setting.words()).monitor(monitor);
    let cards = [setting.left, setting.right];
    let qemu = cards.into_iter().fold(qemu, |qemu, card| qemu.card_on(card, "hubport", "hubid=0"));
    let qemu = qemu.argument("-netdev").argument(format!("dgram,id=wire,{}", wire.backend()));
    let guest = qemu.argument("-netdev").argument("hubport,id=feed,hubid=0,netdev=wire").start()?;
    Ready::wait(&guest)?;
    wire.connect()?;
    Ok(guest)
}

/// Does `deed` while broadcasts circulate: sends new ones whenever none passes.
fn while_it_storms(wire: &Wire, deed: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut generator = Generator::new();
    let frames: Vec<_> = (0..BROADCASTS)
        .map(|_| {
            let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
            generator.frame_to(BROADCAST, &[], length)
        })
        .collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let feeder = scope.spawn(|| keep_up(wire, &frames, &is_over));
        let done = deed();
        is_over.store(true, Relaxed);
        done.and(feeder.join().map_err(|_| anyhow!("the feeder panicked"))?)
    })
}

/// Sends `frames` whenever none passes, until it is over. Those that pass are among them, unchanged.
fn keep_up(wire: &Wire, frames: &[Vec<u8>], is_over: &AtomicBool) -> Result<()> {
    let known: HashSet<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    while !is_over.load(Relaxed) {
        if let Some(frame) = wire.try_receive()? {
            ensure!(
                known.contains(frame.as_slice()),
                "a frame of {} bytes came that was not sent",
                frame.len()
            );
        } else if !wait_any(&[(wire, Interest::Receive)], Some(SILENCE))? {
            for frame in frames {
                wire.wait(Some(SILENCE), Interest::Send)?;
                wire.try_send(frame)?;
            }
        }
    }
    Ok(())
}

/// The console answers again and again, until each ring has passed many frames in between.
fn circulates(guest: &mut Guest, setting: Setting) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let before = guest.counters()?;
    let mut answers = 0;
    while passed(&before, &guest.counters()?, setting)? < FRAMES {
        answers += 1;
        thread::sleep(ASK_AGAIN);
        ensure!(Instant::now() < deadline, "no storm: {before:?} before, {:?} now", guest.counters()?);
    }
    println!("{answers} answers while each ring passed {FRAMES} frames");
    Ok(())
}

/// The least number of frames that any ring has passed between two reports.
fn passed(before: &Counters, after: &Counters, setting: Setting) -> Result<u64> {
    let rings = setting.rings();
    let passed = rings.iter().map(|ring| Ok(after.get(ring, "packets")? - before.get(ring, "packets")?));
    Ok(passed.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or_default())
}

/// Pulls the cable of this NIC and plugs it in again; the console tells of each.
fn pull_and_plug(guest: &Guest, session: &mut Session, card: usize, port: &str) -> Result<()> {
    let mark = guest.console().mark();
    session.cable(card, Cable::Pulled)?;
    guest.wait_for(mark, &format!("INFO link: {port}: link down"))?;
    session.cable(card, Cable::Plugged)?;
    guest.wait_for(mark, &format!("INFO link: {port}: link up"))?;
    Ok(())
}
