//! Packets a second over vhost-user, by split and packed queues in turns.
//!
//! The generator, the virtual processor and QEMU share the machine's cores, so a rate says how the two compare and not what the image
//! can do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::cost::{FRAME, Phase, SUBJECTS, Subject};

use crate::results::{print_rate, spread};

/// Rounds, each of which measures all rows in turn, for so long.
const ROUNDS: usize = 3;
const TIME: Duration = Duration::from_secs(3);

/// Packets, and how long they took.
type Measured = (u64, Duration);

/// Prints a line for each kind of queues.
pub fn bench() -> Result<()> {
    let rows: Vec<&Subject> = SUBJECTS.iter().filter(|subject| subject.is_vhost_user()).collect();
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (row, rounds) in rows.iter().zip(&mut measured) {
            rounds.push(run(row).with_context(|| row.name)?);
        }
    }
    let first = measured.first().cloned().unwrap_or_default();
    for (row, rounds) in rows.iter().zip(&measured) {
        print(row, rounds, &first)?;
    }
    Ok(())
}

fn run(row: &Subject) -> Result<Measured> {
    row.boot(
        |qemu| qemu,
        |link, _| {
            let start = Instant::now();
            let packets = Phase::Open.run(link, TIME)?;
            Ok((packets, start.elapsed()))
        },
    )
}

/// The round in the middle, beside the rounds of the first row.
fn print(row: &Subject, rounds: &[Measured], first: &[Measured]) -> Result<()> {
    let rate = |(packets, took): &Measured| *packets as f64 / took.as_secs_f64();
    let (least, ratio, most) =
        spread(rounds.iter().zip(first).map(|(this, other)| rate(this) / rate(other)).collect());
    let mut sorted = rounds.to_vec();
    sorted.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    let (packets, took) = *sorted.get(sorted.len() / 2).context("no round was measured")?;
    let note = format!(
        "cards=\"{}\" rate_to_first={ratio:.2} min={least:.2} max={most:.2} \
         compare=\"queues in turns, {ROUNDS} rounds, the generator on the same cores, tcg\"",
        row.name
    );
    print_rate("vhost-user", FRAME, packets, took, &note);
    Ok(())
}
