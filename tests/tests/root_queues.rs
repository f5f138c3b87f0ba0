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

mod namespace;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::console::Mark;
use millrace_tests::counters::{Counters, stats_message};
use millrace_tests::guest::{Guest, STATUS_DONE};
use millrace_tests::{Card, Machine, Qemu, image};
use namespace::{Namespace, need_root};

const LEFT: &str = "10.77.2.1";
const RIGHT: &str = "10.77.2.2";
const CONNECTIONS: usize = 16;

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
    let (mut guest, left, right) = two_hosts(processors, words, "tx=2x256 rx=2x256")?;
    ping(&guest, &left)?;
    for direction in [&[][..], &["--reverse"]] {
        iperf3(&guest, &left, &right, direction)?;
    }
    let counters = counters(&mut guest)?;
    for row in ["vtnet0 rx0", "vtnet0 rx1", "vtnet0 tx0", "vtnet0 tx1"] {
        for row in [row.to_owned(), row.replace("vtnet0", "vtnet1")] {
            ensure!(counters.get(&row, "packets")? > 0, "nothing passed by {row}: {counters:?}");
        }
    }
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    stop(guest)
}

#[test]
fn root_without_the_key_one_queue_pair_is_used() -> Result<()> {
    let (guest, left, _right) = two_hosts(1, "app=bridge", "tx=1x256 rx=1x256")?;
    ping(&guest, &left)?;
    stop(guest)
}

fn ping(guest: &Guest, left: &Namespace) -> Result<()> {
    for size in ["56", "1472"] {
        let output = left.run("ping", &["-c", "100", "-i", "0.01", "-W", "5", "-s", size, RIGHT])?;
        let console = guest.console();
        ensure!(output.contains(" 0% packet loss"), "packets were lost:\n{output}{}", console.quoted());
    }
    Ok(())
}

fn iperf3(guest: &Guest, left: &Namespace, right: &Namespace, direction: &[&str]) -> Result<()> {
    let server =
        right.serve_once("iperf3", &["--server", "--one-off", "--forceflush"], "Server listening")?;
    let connections = CONNECTIONS.to_string();
    let client = ["--client", RIGHT, "--time", "2", "--parallel", &connections, "--connect-timeout", "10000"];
    let output = left.run("iperf3", &[&client, direction].concat());
    let output = output.with_context(|| format!("the image's side{}", guest.console().quoted()))?;
    server.finish()?;
    let received: Vec<_> = output.lines().filter(|line| line.ends_with("receiver")).collect();
    // One line each, and their sum.
    ensure!(received.len() == CONNECTIONS + 1, "{output}");
    ensure!(!received.iter().any(|line| line.contains(" 0.00 Bytes")), "a connection got nothing:\n{output}");
    Ok(())
}

/// A booted bridge between two namespaces, on so many processors, whose cards both say that they have this `shape`.
fn two_hosts(processors: u32, words: &str, shape: &str) -> Result<(Guest, Namespace, Namespace)> {
    need_root()?;
    let (left, right) = (Namespace::with_queues()?, Namespace::with_queues()?);
    let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line(words).processors(processors);
    let qemu = [&left, &right].into_iter().fold(qemu.limit(Duration::from_secs(120)), |qemu, host| {
        qemu.card_on(Card::VirtioPairs, "tap", &format!("{},queues=2", host.backend()))
    });
    let guest = qemu.start()?;
    Ready::wait(&guest)?;
    let lines = guest.console().lines_after(Mark::default());
    let cards = lines.iter().filter(|line| line.contains("cards: vtnet") && line.contains(shape));
    ensure!(cards.count() == 2, "not two cards with {shape}{}", guest.console().quoted());
    left.take_tap(LEFT)?;
    right.take_tap(RIGHT)?;
    Ok((guest, left, right))
}

/// The counters as they stand.
fn counters(guest: &mut Guest) -> Result<Counters> {
    let mark = guest.console().mark();
    guest.type_in("s")?;
    let is_last = |line: &str| stats_message(line).is_some_and(|text| text.starts_with("buffers"));
    guest.wait_line(mark, "counters", is_last)?;
    Ok(Counters::parse(guest.console().lines_after(mark).iter().map(String::as_str)))
}

fn stop(mut guest: Guest) -> Result<()> {
    let mark = guest.console().mark();
    guest.type_in("q")?;
    guest.wait_status(STATUS_DONE)?;
    guest.wait_for(mark, "held=0 lost=0")?;
    Ok(())
}
