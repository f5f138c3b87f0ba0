//! Objective: two real hosts talk across the bridge: the kernel's own TCP/IP at both ends. Needs root.
//!
//! 1. Make two network namespaces; boot the bridge, on cards of each model, with a TAP device at each, and move each into its
//!    namespace, where it gets an address of one network. Nothing leaves the namespaces.
//! 2. `ping` from one to the other: no packet is lost.
//! 3. `iperf3`, TCP in both directions: it succeeds and something arrives.
//! 4. Stop the image: all its buffers are back in their place. The namespaces are removed, however this ends.

mod namespace;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::guest::{Guest, STATUS_DONE};
use millrace_tests::{Qemu, Setting, image, with_every_card};
use namespace::{Namespace, need_root};

with_every_card!(root_ping_without_loss, root_iperf3_both_ways);

const LEFT: &str = "10.77.0.1";
const RIGHT: &str = "10.77.0.2";

fn root_ping_without_loss(setting: Setting) -> Result<()> {
    let (guest, left, _right) = two_hosts(setting)?;
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

fn root_iperf3_both_ways(setting: Setting) -> Result<()> {
    let (guest, left, right) = two_hosts(setting)?;
    for direction in [&[][..], &["--reverse"]] {
        let server =
            right.serve_once("iperf3", &["--server", "--one-off", "--forceflush"], "Server listening")?;
        let client = [&["--client", RIGHT, "--time", "1", "--connect-timeout", "10000"], direction].concat();
        let output = left.run("iperf3", &client);
        let output = output.with_context(|| format!("the image's side{}", guest.console().quoted()))?;
        server.finish()?;
        let received = output.lines().find(|line| line.ends_with("receiver"));
        let received = received.with_context(|| format!("iperf3 received nothing:\n{output}"))?;
        println!("{setting:?} {direction:?}: {}", received.trim());
        ensure!(!received.contains(" 0.00 Bytes"), "iperf3 received nothing:\n{output}");
    }
    stop(guest)
}

/// A booted bridge between two namespaces.
fn two_hosts(setting: Setting) -> Result<(Guest, Namespace, Namespace)> {
    need_root()?;
    let (left, right) = (Namespace::new()?, Namespace::new()?);
    let guest = Qemu::new(setting.machine, image::appliance()?)
        .command_line("app=bridge wait=spin")
        .limit(Duration::from_secs(120))
        .card_on(setting.left, "tap", &left.backend())
        .card_on(setting.right, "tap", &right.backend())
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
