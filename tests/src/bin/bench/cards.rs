//! The cards side by side: the same frames through a bridge between two cards of one model each, over `dgram` sockets.
//!
//! The sockets limit the rate, so it says how the cards compare and not what they can do. What is the guest's own, on a host
//! that does nothing else (a virtio card is asked again for what QEMU has not sent yet, and the slower that is the more
//! often):
//!
//! | | means |
//! |---|---|
//! | `instructions_per_packet`, `wait=spin` | beyond those of steps that find nothing: a step's are counted while nothing is sent |
//! | `instructions_per_packet`, else | all that were executed meanwhile: waiting, interrupts and waking too |
//! | `packets_per_rx_doorbell`, `packets_per_tx_doorbell` | of the ring that receives and of the one that sends; a doorbell leaves the guest |
//! | `packets_per_interrupt` | of all four rings' interrupts together, or `none` |

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::counters::Counters;
use millrace_tests::flood::flood;
use millrace_tests::pattern::Pattern;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait};

use crate::instructions::{Count, Plugin};
use crate::results::{print_rate, spread};

/// Frames of one round, of this many bytes each.
const FRAMES: u64 = 100_000;
const FRAME: usize = 60;
/// Frames before it: QEMU's e1000 takes none in its first second.
const WARM_UP: u64 = 1000;
/// Rounds, each of which measures all rows in turn: the machine's speed drifts.
const ROUNDS: usize = 3;
/// How long the steps of an idle image are counted.
const IDLE: Duration = Duration::from_millis(300);

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
    instructions: Option<f64>,
    rx_doorbells: u64,
    tx_doorbells: u64,
    interrupts: u64,
}

/// Prints a line for each row.
pub fn bench() -> Result<()> {
    let plugin = Plugin::build();
    if let Err(missing) = &plugin {
        println!("bench name=instructions skipped=\"{missing}\"");
    }
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); ROWS.len()];
    for _ in 0..ROUNDS {
        for (row, rounds) in ROWS.iter().zip(&mut measured) {
            let round = row.measure(plugin.as_ref().ok());
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
    fn measure(&self, plugin: Option<&Plugin>) -> Result<Measured> {
        let setting = Setting::new(self.machine, self.card, self.card).waiting(self.wait);
        let count = plugin.map(Plugin::count).transpose()?;
        let mut appliance =
            Appliance::boot_with(setting, |qemu| count.iter().fold(qemu, |qemu, count| count.attach(qemu)))?;
        let pattern = Pattern::new(fastrand::u64(..), FRAME..=FRAME);
        flood(&appliance.left, &appliance.right, &pattern, WARM_UP)?;
        let before = Look::at(&mut appliance, count.as_ref())?;
        thread::sleep(IDLE);
        let start = Look::at(&mut appliance, count.as_ref())?;
        let took = flood(&appliance.left, &appliance.right, &pattern, FRAMES)?.took;
        let end = Look::at(&mut appliance, count.as_ref())?;
        appliance.stop()?;

        let [into_left, out_of_right, ..] = setting.rings();
        let sum =
            |name: &str| end.counters.sum(|each| each == name) - start.counters.sum(|each| each == name);
        Ok(Measured {
            took,
            instructions: match self.wait {
                Wait::Spin => end.beyond(&start, &before, &into_left)?,
                _ => end.instructions_since(&start).map(|all| all / FRAMES as f64),
            },
            rx_doorbells: end.since(&start, &into_left, "kicks")?,
            tx_doorbells: end.since(&start, &out_of_right, "kicks")?,
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
        let instructions = sorted.iter().filter_map(|round| round.instructions).collect::<Vec<_>>();
        let instructions = match instructions.is_empty() {
            true => "unknown".to_owned(),
            false => format!("{:.0}", spread(instructions).1),
        };
        let per = |count: u64| match count {
            0 => "none".to_owned(),
            count => format!("{:.1}", FRAMES as f64 / count as f64),
        };
        let note = format!(
            "machine={} wait={} instructions_per_packet={instructions} packets_per_rx_doorbell={} \
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

/// What was counted up to a moment.
struct Look {
    counters: Counters,
    instructions: Option<u64>,
}

impl Look {
    fn at(appliance: &mut Appliance, count: Option<&Count>) -> Result<Self> {
        let counters = appliance.counters()?;
        Ok(Self { counters, instructions: count.map(Count::now).transpose()? })
    }

    fn since(&self, before: &Self, ring: &str, name: &str) -> Result<u64> {
        Ok(self.counters.get(ring, name)? - before.counters.get(ring, name)?)
    }

    fn instructions_since(&self, before: &Self) -> Option<f64> {
        Some((self.instructions? - before.instructions?) as f64)
    }

    /// Instructions for a packet since `start`, beyond those that as many steps take that find nothing: such steps were
    /// taken from `idle` to `start`. Each step syncs the receive ring `ring` once.
    fn beyond(&self, start: &Self, idle: &Self, ring: &str) -> Result<Option<f64>> {
        let (steps, idle_steps) = (self.since(start, ring, "syncs")?, start.since(idle, ring, "syncs")?);
        let (Some(all), Some(of_idle)) = (self.instructions_since(start), start.instructions_since(idle))
        else {
            return Ok(None);
        };
        let of_steps = of_idle / idle_steps.max(1) as f64 * steps as f64;
        Ok(Some((all - of_steps) / FRAMES as f64))
    }
}
