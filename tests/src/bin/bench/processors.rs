//! One processor and two: TCP between two real hosts, many connections at once, over TAP devices with two queues.
//!
//! The hosts, QEMU and the guest's processors share the machine that this runs on: with fewer cores than all of them want, two
//! processors of a guest take from the hosts what they gain. So the lines say what they do to each other on this machine,
//! and what the doorbells and interrupts of two queue pairs come to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::counters::Counters;
use millrace_tests::hosts::{Hosts, TapQueues};
use millrace_tests::{Card, Machine, Qemu, image};
use nix::unistd::geteuid;

use crate::results::{print_rate, spread};

/// Connections at once.
const CONNECTIONS: usize = 16;
/// How long they send, in seconds.
const TIME: u32 = 3;
/// Rounds, each of which measures all rows in turn.
const ROUNDS: usize = 3;
/// The size of most frames: a full segment of TCP with its headers.
const FRAME: usize = 1514;

/// What is measured. The first row is what the others are compared with.
const ROWS: [Row; 3] = [
    Row { processors: 1, words: "app=bridge queues=1" },
    Row { processors: 1, words: "app=bridge queues=2" },
    Row { processors: 2, words: "app=bridge queues=2" },
];

/// An image to measure.
#[derive(Debug, Clone, Copy)]
struct Row {
    processors: u32,
    words: &'static str,
}

/// What one round of a row came to.
#[derive(Debug, Clone, Copy)]
struct Measured {
    packets: u64,
    took: Duration,
    doorbells: u64,
    interrupts: u64,
}

/// Prints a line for each row, or what is missing.
pub fn bench() -> Result<()> {
    if !geteuid().is_root() {
        println!("bench name=processors skipped=\"network namespaces and TAP devices need root\"");
        return Ok(());
    }
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); ROWS.len()];
    for _ in 0..ROUNDS {
        for (row, rounds) in ROWS.iter().zip(&mut measured) {
            rounds.push(row.measure().with_context(|| format!("{row:?}"))?);
        }
    }
    let first = measured.first().cloned().unwrap_or_default();
    for (row, rounds) in ROWS.iter().zip(&measured) {
        row.print(rounds, &first)?;
    }
    Ok(())
}

impl Row {
    fn measure(&self) -> Result<Measured> {
        let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line(self.words);
        let cards = [Card::VirtioPairs; 2];
        let mut hosts = Hosts::boot(qemu.processors(self.processors), cards, TapQueues::Two)?;
        hosts.ping()?;
        let (before, start) = (hosts.counters()?, Instant::now());
        hosts.iperf3(CONNECTIONS, TIME, &[])?;
        let took = start.elapsed();
        let after = hosts.counters()?;
        hosts.stop()?;
        let since = |name: &str| {
            let sum = |counters: &Counters| counters.sum(|each| each == name);
            sum(&after) - sum(&before)
        };
        // Each packet is counted where it comes in and where it goes out.
        let packets = since("packets") / 2;
        Ok(Measured { packets, took, doorbells: since("kicks"), interrupts: since("interrupts") })
    }

    /// The round in the middle, beside the rounds of the first row.
    fn print(&self, rounds: &[Measured], first: &[Measured]) -> Result<()> {
        let rate = |round: &Measured| round.packets as f64 / round.took.as_secs_f64();
        let ratios = rounds.iter().zip(first).map(|(this, other)| rate(this) / rate(other)).collect();
        let (least, ratio, most) = spread(ratios);
        let mut sorted = rounds.to_vec();
        sorted.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
        let middle = sorted.get(sorted.len() / 2).context("no round was measured")?;
        let per = |count: u64| middle.packets as f64 / count.max(1) as f64;
        let note = format!(
            "machine=q35 processors={} words=\"{}\" packets_per_doorbell={:.1} packets_per_interrupt={:.1} \
             rate_to_first={ratio:.2} min={least:.2} max={most:.2} \
             compare=\"{CONNECTIONS} TCP connections over TAP, in turns, {ROUNDS} rounds, the hosts on the same cores, tcg\"",
            self.processors,
            self.words,
            per(middle.doorbells),
            per(middle.interrupts),
        );
        print_rate("processors", FRAME, middle.packets, middle.took, &note);
        Ok(())
    }
}
