//! The cards side by side: the same frames through a bridge between two cards of one model each, over `dgram` sockets.
//!
//! The sockets limit the rate, so it says how the cards compare and not what they can do. What is the guest's own, on a host
//! that does nothing else (a virtio card is asked again for what QEMU has not sent yet, and the slower that is the more
//! often):
//!
//! | | means |
//! |---|---|
//! | `packets_per_rx_doorbell`, `packets_per_tx_doorbell` | of the ring that receives and of the one that sends; a doorbell leaves the guest |
//! | `packets_per_interrupt` | of all four rings' interrupts together, or `none` |

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::flood::flood;
use millrace_tests::pattern::Pattern;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait};

use crate::results::{print_rate, spread};

/// Frames of one round, of this many bytes each.
const FRAMES: u64 = 100_000;
const FRAME: usize = 60;
/// Frames before it: QEMU's e1000 takes none in its first second.
const WARM_UP: u64 = 1000;
/// Rounds, each of which measures all rows in turn: the machine's speed drifts.
const ROUNDS: usize = 3;

/// What is measured, each row in each round. The first row of a way to wait is what the others are compared with.
const ROWS: [Row; 8] = [
    Row { name: "virtio", machine: Machine::Q35, card: Card::Virtio, wait: Wait::Spin },
    Row { name: "virtio-packed", machine: Machine::Q35, card: Card::VirtioPacked, wait: Wait::Spin },
    Row { name: "e1000", machine: Machine::Q35, card: Card::E1000, wait: Wait::Spin },
    Row { name: "e1000e", machine: Machine::Q35, card: Card::E1000e, wait: Wait::Spin },
    Row { name: "virtio", machine: Machine::Q35, card: Card::Virtio, wait: Wait::Poll },
    Row { name: "virtio-packed", machine: Machine::Q35, card: Card::VirtioPacked, wait: Wait::Poll },
    Row { name: "e1000", machine: Machine::Q35, card: Card::E1000, wait: Wait::Poll },
    Row { name: "e1000e", machine: Machine::Q35, card: Card::E1000e, wait: Wait::Poll },
];

/// An image to measure.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
    machine: Machine,
    card: Card,
    wait: Wait,
}

/// What one round of a row came to.
#[derive(Debug, Clone, Copy)]
struct Measured {
    took: Duration,
    rx_doorbells: u64,
    tx_doorbells: u64,
    interrupts: u64,
}

/// Prints a line for each row.
pub fn bench() -> Result<()> {
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); ROWS.len()];
    for _ in 0..ROUNDS {
        for (row, rounds) in ROWS.iter().zip(&mut measured) {
            let round = row.measure();
            rounds.push(round.with_context(|| format!("{} with wait={}", row.name, row.wait.value()))?);
        }
    }
    for (row, rounds) in ROWS.iter().zip(&measured) {
        let first = ROWS.iter().zip(&measured).find(|(other, _)| other.wait == row.wait);
        let (against, others) = first.context("there are rows")?;
        row.print(rounds, against, others)?;
    }
    Ok(())
}

impl Row {
    fn measure(&self) -> Result<Measured> {
        let setting = Setting::new(self.machine, self.card, self.card).waiting(self.wait);
        let mut appliance = Appliance::boot(setting)?;
        let pattern = Pattern::new(fastrand::u64(..), FRAME..=FRAME);
        flood(&appliance.left, &appliance.right, &pattern, WARM_UP)?;
        let start = appliance.counters()?;
        let took = flood(&appliance.left, &appliance.right, &pattern, FRAMES)?.took;
        let end = appliance.counters()?;
        appliance.stop()?;

        let [into_left, out_of_right, ..] = setting.rings();
        let kicks = |ring: &str| -> Result<u64> { Ok(end.get(ring, "kicks")? - start.get(ring, "kicks")?) };
        let sum = |name: &str| end.sum(|each| each == name) - start.sum(|each| each == name);
        Ok(Measured {
            took,
            rx_doorbells: kicks(&into_left)?,
            tx_doorbells: kicks(&out_of_right)?,
            interrupts: sum("interrupts"),
        })
    }

    /// The round in the middle, beside the rounds of the row that it is compared with.
    fn print(&self, rounds: &[Measured], against: &Self, others: &[Measured]) -> Result<()> {
        let ratio =
            |(this, other): (&Measured, &Measured)| other.took.as_secs_f64() / this.took.as_secs_f64();
        let (least, ratio, most) = spread(rounds.iter().zip(others).map(ratio).collect());
        let mut sorted = rounds.to_vec();
        sorted.sort_by_key(|round| round.took);
        let middle = sorted.get(sorted.len() / 2).context("no round was measured")?;
        let per = |count: u64| match count {
            0 => "none".to_owned(),
            count => format!("{:.1}", FRAMES as f64 / count as f64),
        };
        let note = format!(
            "machine={} wait={} packets_per_rx_doorbell={} \
             packets_per_tx_doorbell={} packets_per_interrupt={} rate_to_{}={ratio:.2} min={least:.2} max={most:.2} \
             compare=\"cards in turns, {ROUNDS} rounds, the same sockets, in flight: 64, tcg\"",
            self.machine,
            self.wait.value(),
            per(middle.rx_doorbells),
            per(middle.tx_doorbells),
            per(middle.interrupts),
            against.name,
        );
        print_rate(&format!("bridge-{}", self.name), FRAME, FRAMES, middle.took, &note);
        Ok(())
    }
}
