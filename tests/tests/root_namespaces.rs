//! Objective: two real hosts talk across the bridge: the kernel's own TCP/IP at both ends. Needs root.
//!
//! 1. Make two network namespaces; boot the bridge with a TAP device at each card, and move each into its
//!    namespace, where it gets an address of one network. Nothing leaves the namespaces.
//! 2. `ping` from one to the other: no packet is lost.
//! 3. `iperf3`, TCP in both directions: it succeeds and something arrives.
//! 4. Stop the image: all its buffers are back in their place. The namespaces are removed, however this ends.

mod namespace;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::guest::{Guest, STATUS_DONE};
use millrace_tests::{Machine, Qemu, image, on_pc_and_q35};
use namespace::{Namespace, need_root};

on_pc_and_q35!(root_ping_without_loss, root_iperf3_both_ways);

const LEFT: &str = "10.77.0.1";
const RIGHT: &str = "10.77.0.2";

fn root_ping_without_loss(machine: Machine) -> Result<()> {
    let (guest, left, _right) = two_hosts(machine)?;
    for size in ["56", "1472"] {
        let output = left.run("ping", &["-c", "100", "-i", "0.01", "-W", "5", "-s", size, RIGHT])?;
        ensure!(
            output.contains(" 0% packet loss"),
            "packets were lost:\n{output}{}",
            guest.console().quoted()
        );
    }
    stop(guest)
}

fn root_iperf3_both_ways(machine: Machine) -> Result<()> {
    let (guest, left, right) = two_hosts(machine)?;
    for direction in [&[][..], &["--reverse"]] {
        let server =
            right.serve_once("iperf3", &["--server", "--one-off", "--forceflush"], "Server listening")?;
        let client = [&["--client", RIGHT, "--time", "2", "--connect-timeout", "10000"], direction].concat();
        let output = left.run("iperf3", &client);
        let output = output.with_context(|| format!("the image's side{}", guest.console().quoted()))?;
        server.finish()?;
        let received = output.lines().find(|line| line.ends_with("receiver"));
        let received = received.with_context(|| format!("iperf3 received nothing:\n{output}"))?;
        println!("{machine} {direction:?}: {}", received.trim());
        ensure!(!received.contains(" 0.00 Bytes"), "iperf3 received nothing:\n{output}");
    }
    stop(guest)
}

/// A booted bridge between two namespaces.
fn two_hosts(machine: Machine) -> Result<(Guest, Namespace, Namespace)> {
    need_root()?;
    let (left, right) = (Namespace::new()?, Namespace::new()?);
    let guest = Qemu::new(machine, image::appliance()?)
        .command_line("app=bridge wait=spin")
        .limit(Duration::from_secs(120))
        .card("tap", &left.backend())
        .card("tap", &right.backend())
        .start()?;
    Ready::wait(&guest)?;
    left.take_tap(LEFT)?;
    right.take_tap(RIGHT)?;
    Ok((guest, left, right))
}

fn stop(mut guest: Guest) -> Result<()> {
    let mark = guest.console().mark();
    guest.type_in("q")?;
    guest.wait_status(STATUS_DONE)?;
    guest.wait_for(mark, "held=0 lost=0")?;
    Ok(())
}
