//! Frames a second over `dgram` sockets: through the image, through QEMU without a guest, and copied in
//! memory.
//!
//! QEMU without a guest, its two cards' sockets joined by its own hub, is the most that this way of measuring
//! can show. A copy of the same bytes is the most that any forwarding that touches them could reach.

use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::console::{Console, Mark};
use millrace_tests::flood::{Flooded, flood};
use millrace_tests::guest::PATIENCE;
use millrace_tests::pattern::Pattern;
use millrace_tests::{Appliance, Machine, Wire};

use crate::results::{print_rate, spread};

/// Frames of one round.
const FRAMES: u64 = 200_000;
/// Rounds, each of which measures all three in turn: the machine's speed drifts.
const ROUNDS: usize = 3;
/// Distinct buffers that are copied in turn, as many as two rings hold.
const BUFFERS: usize = 512;

/// Prints the rates for short and long frames.
pub fn bench() -> Result<()> {
    for frame in [60, 1514] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(Round::measure(frame)?);
        }
        rounds.sort_by_key(|round| round.image.took);
        let middle = rounds.get(ROUNDS / 2).context("no round was measured")?;
        print_rate("dgram", frame, FRAMES, middle.image.took, "compare=\"in flight: 64, q35, tcg\"");
        print_rate(
            "dgram-no-guest",
            frame,
            FRAMES,
            middle.hub.took,
            "compare=\"QEMU's hub instead of the image\"",
        );
        print_rate("memcpy", frame, FRAMES, middle.copy, "compare=\"the same bytes copied once\"");
        let to_hub = spread(rounds.iter().map(|round| round.image.rate() / round.hub.rate()).collect());
        let to_copy = spread(
            rounds.iter().map(|round| round.image.took.as_secs_f64() / round.copy.as_secs_f64()).collect(),
        );
        println!(
            "bench name=dgram-ratio frame={frame} rounds={ROUNDS} rate_to_no_guest={:.2} min={:.2} max={:.2} time_to_memcpy={:.0}",
            to_hub.1, to_hub.0, to_hub.2, to_copy.1
        );
    }
    Ok(())
}

/// The three, measured one after the other.
struct Round {
    image: Flooded,
    hub: Flooded,
    copy: Duration,
}

impl Round {
    fn measure(frame: usize) -> Result<Self> {
        let pattern = Pattern::new(fastrand::u64(..), frame..=frame);
        let appliance = Appliance::boot(Machine::Q35)?;
        let image = flood(&appliance.left, &appliance.right, &pattern, FRAMES)?;
        appliance.stop()?;
        let (left, right) = (Wire::new()?, Wire::new()?);
        let hub = Hub::join(&left, &right)?;
        let through_hub = flood(&left, &right, &pattern, FRAMES)?;
        drop(hub);
        Ok(Self { image, hub: through_hub, copy: copy(frame) })
    }
}

/// A QEMU without a guest that passes frames between two wires.
struct Hub(Child);

impl Hub {
    fn join(left: &Wire, right: &Wire) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "none", "-nodefaults"]);
        command.args(["-display", "none", "-qmp", "stdio"]);
        for (number, wire) in [left, right].into_iter().enumerate() {
            command.arg("-netdev").arg(format!("dgram,id=net{number},{}", wire.backend()));
            command.arg("-netdev").arg(format!("hubport,id=port{number},hubid=0,netdev=net{number}"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut hub = Self(command.spawn().context("cannot start qemu-system-x86_64")?);
        let output = hub.0.stdout.take().context("QEMU has no output")?;
        let is_greeting = |line: &str| line.contains("QMP");
        Console::read_from(output).wait_for(Mark::default(), PATIENCE, "greeting of QEMU's", is_greeting)?;
        left.connect()?;
        right.connect()?;
        Ok(hub)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long it takes to copy as many bytes as a round forwards.
fn copy(frame: usize) -> Duration {
    let from = vec![vec![0xa5_u8; frame]; BUFFERS];
    let mut to = vec![vec![0_u8; frame]; BUFFERS];
    let started = Instant::now();
    for _ in 0..FRAMES / BUFFERS as u64 {
        for (from, to) in from.iter().zip(&mut to) {
            to.copy_from_slice(black_box(from));
        }
        black_box(&mut to);
    }
    // The last, partial turn over the buffers.
    for (from, to) in from.iter().zip(&mut to).take((FRAMES % BUFFERS as u64) as usize) {
        to.copy_from_slice(black_box(from));
    }
    black_box(&mut to);
    started.elapsed()
}
