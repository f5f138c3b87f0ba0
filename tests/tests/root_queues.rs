//! Objective: cards with two queue pairs carry many flows between two real hosts, by both pairs. Needs root.
//!
//! 1. Make two network namespaces, each with a TAP device of two queues; boot the bridge with `queues=2` on cards with two
//!    queue pairs, one processor. It says that it uses both. Each device goes into its namespace.
//! 2. `ping` from one to the other: no packet is lost.
//! 3. `iperf3`, 16 TCP connections at once, in both directions: it succeeds, and each connection gets something across, with
//!    TCP's checksums over all of it. The host spreads the connections over the queues.
//! 4. The counters of both queue pairs of both cards have risen, both ways, and nothing was dropped.
//! 5. Stop the image: all its buffers are back in their place. The namespaces are removed, however this ends.
//! 6. The same without the key: one processor uses one pair; of two processors, which have a worker each, each has a pair
//!    for itself and forwards what comes by it, however they wait.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::hosts::{Hosts, TapQueues};
use millrace_tests::{Card, Machine, Qemu, image};

const CONNECTIONS: usize = 16;
/// How long each of them sends, in seconds.
const TIME: u32 = 2;

#[test]
fn root_many_flows_pass_by_both_queue_pairs() -> Result<()> {
    many_flows(1, "app=bridge queues=2")
}

#[test]
fn root_two_processors_that_spin_forward_by_a_pair_each() -> Result<()> {
    many_flows(2, "app=bridge wait=spin")
}

#[test]
fn root_two_processors_that_sleep_forward_by_a_pair_each() -> Result<()> {
    many_flows(2, "app=bridge wait=poll")
}

#[test]
fn root_two_adaptive_processors_forward_by_a_pair_each() -> Result<()> {
    many_flows(2, "app=bridge wait=adaptive")
}

fn many_flows(processors: u32, words: &str) -> Result<()> {
    let mut hosts = boot(processors, words, 2)?;
    hosts.ping()?;
    for direction in [&[][..], &["--reverse"]] {
        hosts.iperf3(CONNECTIONS, TIME, direction)?;
    }
    let counters = hosts.counters()?;
    for row in ["vtnet0 rx0", "vtnet0 rx1", "vtnet0 tx0", "vtnet0 tx1"] {
        for row in [row.to_owned(), row.replace("vtnet0", "vtnet1")] {
            ensure!(counters.get(&row, "packets")? > 0, "nothing passed by {row}: {counters:?}");
        }
    }
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    hosts.stop()
}

#[test]
fn root_without_the_key_one_queue_pair_is_used() -> Result<()> {
    let hosts = boot(1, "app=bridge", 1)?;
    hosts.ping()?;
    hosts.stop()
}

/// A booted bridge between two hosts, on so many processors, whose cards both say that they have so many queue pairs.
fn boot(processors: u32, words: &str, pairs: u32) -> Result<Hosts> {
    let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line(words).processors(processors);
    let hosts = Hosts::boot(qemu, [Card::VirtioPairs; 2], TapQueues::Two)?;
    let lines = hosts.guest.console().lines_after(Mark::default());
    let shape = [format!(" tx={pairs}x"), format!(" rx={pairs}x")];
    let has_shape = |line: &&String| shape.iter().all(|part| line.contains(part));
    let cards = lines.iter().filter(|line| line.contains("cards: vtnet")).filter(has_shape);
    ensure!(cards.count() == 2, "not two cards with {shape:?}{}", hosts.guest.console().quoted());
    Ok(hosts)
}
