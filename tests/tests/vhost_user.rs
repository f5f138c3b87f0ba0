//! Objective: cards of vhost-user, with one queue pair and with several, forward between the queues of DPDK's testpmd, an
//! implementation of virtio's device side that is not QEMU's. No root.
//!
//! 1. Start testpmd with two ports, and boot the bridge with a card at each, on one processor or on one for each queue pair. It
//!    says that it uses the kind of queues, split or packed, that the cards offer.
//! 2. testpmd sends to every queue of the first card: frames leave by every ring of the second card, and none by the first.
//! 3. testpmd sends to every queue of both cards, until each ring of the guest, of every pair both ways, has moved thousands
//!    of frames.
//! 4. testpmd stops sending and takes what is still on the way: what it sent to a queue of one card, all of it, in frames and in
//!    bytes, has come back to it from the queue of the same number of the other card.
//! 5. Stop the image: all its buffers are back in their place, its rings have counted exactly these frames and bytes,
//!    nothing was dropped, and there were interrupts if it sleeps, and else none. testpmd ends without an error.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::console::Mark;
use millrace_tests::counters::Counters;
use millrace_tests::guest::{Guest, PATIENCE};
use millrace_tests::testpmd::{Mode, PORTS, Pair, Passed, Testpmd};
use millrace_tests::{Machine, Qemu, Wait, image};

/// Frames that each ring of the guest moves at least.
const FRAMES: u64 = 10_000;
/// Between two looks at counters, which nothing announces. Rarely needed, and long enough for what all looks print to be kept.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A guest with two cards alike.
struct Case {
    /// The cards' properties for QEMU. 7.2 crashes when such a card has vectors and no accelerator.
    properties: &'static str,
    /// The kind of queues that the image then uses.
    kind: &'static str,
    /// Queue pairs of a card.
    pairs: usize,
    processors: u32,
    wait: Wait,
}

/// A test for each row.
macro_rules! cases {
    ($($name:ident $properties:literal $kind:literal $pairs:literal $processors:literal $wait:ident,)+) => { $(
        #[test]
        fn $name() -> Result<()> {
            let (properties, kind, pairs) = ($properties, $kind, $pairs);
            forwards(&Case { properties, kind, pairs, processors: $processors, wait: Wait::$wait })
        }
    )+ };
}

cases! {
    // test                                  properties                      kind      pairs  processors  wait
    one_pair                                 "vectors=0"                     "split"   1      1           Spin,
    one_packed_pair                          "vectors=0,packed=on"           "packed"  1      1           Spin,
    two_pairs_of_one_processor               "vectors=0,mq=on"               "split"   2      1           Spin,
    two_pairs_of_a_processor_each            "vectors=0,mq=on"               "split"   2      2           Spin,
    two_packed_pairs_of_a_processor_each     "vectors=0,mq=on,packed=on"     "packed"  2      2           Spin,
    two_pairs_of_processors_that_sleep       "vectors=0,mq=on"               "split"   2      2           Poll,
    two_packed_pairs_of_processors_that_sleep "vectors=0,mq=on,packed=on"    "packed"  2      2           Poll,
}

fn forwards(case: &Case) -> Result<()> {
    let mut testpmd = Testpmd::start(case.pairs)?;
    let mut guest = boot(case, &testpmd)?;
    let rings = |ways: [&str; 2]| -> Vec<String> {
        (0..case.pairs).flat_map(|pair| ways.map(|way| format!("{way}{pair}"))).collect()
    };
    let (there, back) = (rings(["vtnet0 rx", "vtnet1 tx"]), rings(["vtnet1 rx", "vtnet0 tx"]));

    testpmd.forward(Mode::GenerateAtFirst)?;
    wait_for_frames(&mut guest, &there, 1)?;
    testpmd.halt()?;
    let astray: u64 = frames(&mut guest, &back)?.iter().sum();
    ensure!(astray == 0, "{astray} frames have passed {back:?}, where nothing was sent");

    testpmd.forward(Mode::Generate)?;
    wait_for_frames(&mut guest, &[there, back].concat(), FRAMES)?;
    testpmd.halt()?;

    testpmd.forward(Mode::Receive)?;
    let passed = settle(&mut testpmd)?;
    let counters = guest.stop()?;
    for (port, pairs) in passed.iter().enumerate() {
        for (number, pair) in pairs.iter().enumerate() {
            moved(&counters, &format!("vtnet{port} rx{number}"), pair.sent)?;
            moved(&counters, &format!("vtnet{port} tx{number}"), pair.received)?;
        }
    }
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    let interrupts = counters.sum(|name| name == "interrupts");
    let has_slept = interrupts > 0;
    ensure!(has_slept == (case.wait != Wait::Spin), "{interrupts} interrupts with {:?}", case.wait);
    testpmd.halt()?;
    testpmd.stop()
}

/// The bridge with a card at each of testpmd's ports.
fn boot(case: &Case, testpmd: &Testpmd) -> Result<Guest> {
    let is_packed = if case.kind == "packed" { "on" } else { "off" };
    let words = format!("app=bridge wait={} queues={} packed={is_packed}", case.wait.value(), case.pairs);
    let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line(words).processors(case.processors);
    let device = format!("virtio-net-pci,romfile=,{}", case.properties);
    let cards = (0..PORTS).map(|port| testpmd.socket(port));
    let guest = cards.fold(qemu, |qemu, socket| qemu.vhost_user(&device, &socket, case.pairs)).start()?;
    Ready::wait(&guest)?;
    let lines = guest.console().lines_after(Mark::default());
    let kind = format!(": virtio, {} queues, ", case.kind);
    let are_such = lines.iter().filter(|line| line.contains(&kind)).count() == PORTS;
    ensure!(are_such, "the cards are not{kind}: {lines:?}");
    Ok(guest)
}

/// Waits until each of these rings of the guest has moved so many frames.
fn wait_for_frames(guest: &mut Guest, rings: &[String], least: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let packets = frames(guest, rings)?;
        if packets.iter().all(|packets| *packets >= least) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{rings:?} have moved {packets:?} frames");
        thread::sleep(LOOK_AGAIN);
    }
}

/// How many frames each of these rings of the guest has moved.
fn frames(guest: &mut Guest, rings: &[String]) -> Result<Vec<u64>> {
    let counters = guest.counters()?;
    rings.iter().map(|ring| counters.get(ring, "packets")).collect()
}

/// Waits until testpmd, which sends nothing now, has back what it sent. Returns what passed, for each port a pair.
fn settle(testpmd: &mut Testpmd) -> Result<[Vec<Pair>; PORTS]> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let [left, right] = [testpmd.passed(0)?, testpmd.passed(1)?];
        let mut pairs = left.iter().zip(&right);
        if pairs.all(|(left, right)| left.sent == right.received && right.sent == left.received) {
            return Ok([left, right]);
        }
        ensure!(Instant::now() < deadline, "frames are on the way for ever: {left:?} and {right:?}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// A ring of the guest has counted what testpmd has.
fn moved(counters: &Counters, ring: &str, passed: Passed) -> Result<()> {
    let counted = Passed { packets: counters.get(ring, "packets")?, bytes: counters.get(ring, "bytes")? };
    ensure!(counted == passed, "{ring} has moved {counted:?}, and testpmd counted {passed:?}");
    Ok(())
}
