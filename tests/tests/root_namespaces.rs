//! Objective: two real hosts talk across the bridge: the kernel's own TCP/IP at both ends. Needs root.
//!
//! 1. Make two network namespaces; boot the bridge, on cards of each model, with a TAP device at each, and move each into its
//!    namespace, where it gets an address of one network. Nothing leaves the namespaces.
//! 2. `ping` from one to the other: no packet is lost.
//! 3. `iperf3`, TCP in both directions: it succeeds and something arrives.
//! 4. Stop the image: all its buffers are back in their place. The namespaces are removed, however this ends.

use anyhow::Result;
use millrace_tests::hosts::{Hosts, TapQueues};
use millrace_tests::{Qemu, Setting, image, with_every_card};

with_every_card!(root_ping_without_loss, root_iperf3_both_ways);

fn root_ping_without_loss(setting: Setting) -> Result<()> {
    let hosts = boot(setting)?;
    hosts.ping()?;
    hosts.stop()
}

fn root_iperf3_both_ways(setting: Setting) -> Result<()> {
    let hosts = boot(setting)?;
    for direction in [&[][..], &["--reverse"]] {
        let received = hosts.iperf3(1, 1, direction)?;
        println!("{setting:?} {direction:?}: {}", received.join("\n").trim());
    }
    hosts.stop()
}

/// A booted bridge between two namespaces.
fn boot(setting: Setting) -> Result<Hosts> {
    let qemu = Qemu::new(setting.machine, image::appliance()?).command_line(setting.words());
    let hosts = Hosts::boot(qemu, [setting.left, setting.right], TapQueues::One)?;
    setting.check(&hosts.guest)?;
    Ok(hosts)
}
