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
    let counters = while_it_storms(&wire, |storm| {
        circulates(&mut guest, setting, storm)?;
        for (card, port) in setting.ports().iter().enumerate() {
            pull_and_plug(&guest, &mut session, card, port)?;
            circulates(&mut guest, setting, storm)?;
        }
        storm.is_left_alone.store(true, Relaxed);
        guest.stop()
    })?;
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

/// What the thread that keeps the storm up is told.
#[derive(Default)]
struct Storm {
    /// New broadcasts are wanted, even if some circulate: with a cable plugged in just behind them, they may do so in one
    /// direction only.
    is_wanted: AtomicBool,
    /// No broadcast is to be sent any more.
    is_left_alone: AtomicBool,
    is_over: AtomicBool,
}

/// Does `deed` while broadcasts circulate: new ones are sent whenever none passes, and whenever they are wanted.
fn while_it_storms<T>(wire: &Wire, deed: impl FnOnce(&Storm) -> Result<T>) -> Result<T> {
    let mut generator = Generator::new();
    let frames: Vec<_> = (0..BROADCASTS)
        .map(|_| {
            let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
            generator.frame_to(BROADCAST, &[], length)
        })
        .collect();
    let storm = Storm::default();
    thread::scope(|scope| {
        let keeper = scope.spawn(|| keep_up(wire, &frames, &storm));
        let done = deed(&storm);
        storm.is_over.store(true, Relaxed);
        keeper.join().map_err(|_| anyhow!("the wire's thread panicked"))?.and(done)
    })
}

/// Keeps the storm up with `frames`. Those that pass are among them, unchanged.
///
/// The wire is read all the time: while a hub's port takes no frame and both NICs have full rings, QEMU lets each NIC wait
/// for the other.
fn keep_up(wire: &Wire, frames: &[Vec<u8>], storm: &Storm) -> Result<()> {
    let known: HashSet<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut outgoing = frames.iter().peekable();
    while !storm.is_over.load(Relaxed) {
        while let Some(frame) = wire.try_receive()? {
            let length = frame.len();
            ensure!(known.contains(frame.as_slice()), "a frame of {length} bytes came that was not sent");
        }
        if storm.is_left_alone.load(Relaxed) {
            outgoing = [].iter().peekable();
        } else if storm.is_wanted.swap(false, Relaxed) {
            outgoing = frames.iter().peekable();
        }
        if let Some(frame) = outgoing.peek() {
            let is_taken = wire.try_send(frame);
            if storm.is_left_alone.load(Relaxed) {
                // QEMU may have ended meanwhile.
                continue;
            }
            if is_taken? {
                outgoing.next();
            } else {
                wait_any(&[(wire, Interest::Receive), (wire, Interest::Send)], Some(SILENCE))?;
            }
        } else if !wait_any(&[(wire, Interest::Receive)], Some(SILENCE))? {
            storm.is_wanted.store(true, Relaxed);
        }
    }
    Ok(())
}

/// The console answers again and again, until each ring has passed many frames in between.
fn circulates(guest: &mut Guest, setting: Setting, storm: &Storm) -> Result<()> {
    storm.is_wanted.store(true, Relaxed);
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
