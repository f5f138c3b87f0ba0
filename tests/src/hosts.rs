//! Two real hosts with the image between them: the kernel's own TCP/IP at both ends. Needs root.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::appliance::Ready;
use crate::counters::Counters;
use crate::guest::Guest;
use crate::namespace::{Namespace, need_root};
use crate::{Card, Qemu};

/// The left host's address.
pub const LEFT: &str = "10.77.0.1";
/// The right host's address.
pub const RIGHT: &str = "10.77.0.2";

/// The longest that the image may run.
const LIMIT: Duration = Duration::from_secs(120);

/// How many queues the TAP device of a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapQueues {
    /// One.
    One,
    /// Two, to which the host spreads flows.
    Two,
}

/// The hosts, and the image that bridges them.
#[derive(Debug)]
pub struct Hosts {
    /// Where the image runs.
    pub guest: Guest,
    /// The host behind the first card.
    pub left: Namespace,
    /// The host behind the second card.
    pub right: Namespace,
}

impl Hosts {
    /// Boots what `qemu` is, with a card of these models at each host.
    pub fn boot(qemu: Qemu, cards: [Card; 2], queues: TapQueues) -> Result<Self> {
        need_root()?;
        let make = || match queues {
            TapQueues::One => Namespace::new(),
            TapQueues::Two => Namespace::with_queues(),
        };
        let (left, right) = (make()?, make()?);
        let backend = |host: &Namespace| match queues {
            TapQueues::One => host.backend(),
            TapQueues::Two => format!("{},queues=2", host.backend()),
        };
        let [first, second] = cards;
        let qemu =
            qemu.limit(LIMIT).card_on(first, "tap", &backend(&left)).card_on(second, "tap", &backend(&right));
        let guest = qemu.start()?;
        Ready::wait(&guest)?;
        left.take_tap(LEFT)?;
        right.take_tap(RIGHT)?;
        Ok(Self { guest, left, right })
    }

    /// Lets the left host ping the right one, with packets of two sizes: none is lost.
    pub fn ping(&self) -> Result<()> {
        for size in ["56", "1472"] {
            let output = self.left.run("ping", &["-c", "100", "-i", "0.01", "-W", "5", "-s", size, RIGHT])?;
            let console = self.guest.console();
            ensure!(output.contains(" 0% packet loss"), "packets were lost:\n{output}{}", console.quoted());
        }
        Ok(())
    }

    /// Runs iperf3 from left to right over so many connections, with these options besides. Each of them gets something
    /// across. Returns the client's lines about what was received: one for each connection, and of several their sum.
    pub fn iperf3(&self, connections: usize, seconds: u32, options: &[&str]) -> Result<Vec<String>> {
        let arguments = ["--server", "--one-off", "--forceflush"];
        let server = self.right.serve_once("iperf3", &arguments, "Server listening")?;
        let (parallel, time) = (connections.to_string(), seconds.to_string());
        let client =
            ["--client", RIGHT, "--time", &time, "--parallel", &parallel, "--connect-timeout", "10000"];
        let output = self.left.run("iperf3", &[&client, options].concat());
        let output = output.with_context(|| format!("the image's side{}", self.guest.console().quoted()))?;
        server.finish()?;
        let received: Vec<_> = output.lines().filter(|line| line.ends_with("receiver")).collect();
        let expected = if connections == 1 { 1 } else { connections + 1 };
        ensure!(received.len() == expected, "iperf3 says of what it received:\n{output}");
        let nothing = received.iter().any(|line| line.contains(" 0.00 Bytes"));
        ensure!(!nothing, "a connection got nothing:\n{output}");
        Ok(received.into_iter().map(str::to_owned).collect())
    }

    /// The counters as they stand.
    pub fn counters(&mut self) -> Result<Counters> {
        self.guest.counters()
    }

    /// Stops the image, see [`Guest::stop`].
    pub fn stop(mut self) -> Result<()> {
        self.guest.stop().map(drop)
    }
}
