//! Splits the executions of blocks over packets, batches, loops and transmit syncs: least squares, with coefficients that are not negative.

use std::error::Error;
use std::fmt;

use super::phase::Phase;
use super::plugin::Block;

/// What was counted. Everything has one value for each phase, in the same order.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The phases.
    pub phases: Vec<Phase>,
    /// Packets that were forwarded.
    pub packets: Vec<f64>,
    /// Loops of the application.
    pub loops: Vec<f64>,
    /// Transmit syncs.
    pub tx_syncs: Vec<f64>,
    /// Executions of each block.
    pub blocks: Vec<(Block, Vec<f64>)>,
}

/// How often a block runs for a packet, a batch beyond its packets, a loop that finds nothing, and a transmit sync outside of batches.
pub type Coefficients = [f64; 4];

/// Guest instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// For each packet.
    pub packet: f64,
    /// For each batch beyond its packets: the application's loop and the transmit sync.
    pub batch: f64,
    /// For each loop that finds nothing.
    pub idle: f64,
}

impl Cost {
    /// For each packet when they come in batches of so many, without loops that find nothing.
    pub fn in_batches_of(&self, packets: f64) -> f64 {
        self.packet + self.batch / packets
    }
}

/// The split that explains the counts.
#[derive(Debug, Clone)]
pub struct Fit {
    /// All blocks together.
    pub cost: Cost,
    /// Each block.
    pub blocks: Vec<(Block, Coefficients)>,
    /// The instructions by these costs, as a part of those counted, for each phase.
    pub explained: Vec<f64>,
}

/// No split explains the counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Unexplained {
    reason: String,
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the phases do not add up: {}", self.reason)
    }
}

impl Error for Unexplained {}

/// How far the explained instructions of a phase may be from those counted.
const TOLERANCE: f64 = 0.05;
/// Blocks that run once a batch: how far from once a packet in bursts of one, and how often at most in bursts of 32.
const ONCE: f64 = 0.02;
const SELDOM: f64 = 0.6;
/// Coordinate descent ends after so many rounds, or when no coefficient changes by more than this part of the counts.
const ROUNDS: usize = 10_000;
const CONVERGED: f64 = 1e-13;

/// Finds the costs.
///
/// # Errors
/// There is no block that runs once a batch, or a phase has more or fewer instructions than the costs explain.
pub fn fit(samples: &Samples) -> Result<Fit, Unexplained> {
    let totals = totals(samples);
    // Every phase weighs the same, however long it was.
    let weights: Vec<f64> = totals.iter().map(|total| 1.0 / total.max(1.0)).collect();
    let quantities = quantities(samples)?.map(|values| multiply(&values, &weights));
    let blocks = samples
        .blocks
        .iter()
        .map(|(block, executed)| (*block, non_negative(&quantities, &multiply(executed, &weights))));
    let blocks: Vec<(Block, Coefficients)> = blocks.collect();
    let mut sums = Coefficients::default();
    for (block, coefficients) in &blocks {
        add_scaled(&mut sums, coefficients, block.instructions as f64);
    }
    // Divided by the phase's instructions already.
    let mut explained = vec![0.0; totals.len()];
    for (sum, quantity) in sums.iter().zip(&quantities) {
        add_scaled(&mut explained, quantity, *sum);
    }
    for (phase, part) in samples.phases.iter().zip(&explained) {
        if (part - 1.0).abs() > TOLERANCE {
            let reason = format!("{:.0} % of the phase's instructions explained, {phase}", part * 100.0);
            return Err(Unexplained { reason });
        }
    }
    let [packet, batch, idle, _] = sums;
    Ok(Fit { cost: Cost { packet, batch, idle }, blocks, explained })
}

/// What blocks are executed for, in each phase: packets, batches, loops that find nothing, and transmit syncs outside of batches.
fn quantities(samples: &Samples) -> Result<[Vec<f64>; 4], Unexplained> {
    let batches = batches(samples)?;
    let others =
        |all: &[f64]| all.iter().zip(&batches).map(|(all, batches)| (all - batches).max(0.0)).collect();
    let (idle, flushes) = (others(&samples.loops), others(&samples.tx_syncs));
    Ok([samples.packets.clone(), batches, idle, flushes])
}

/// Instructions in each phase.
fn totals(samples: &Samples) -> Vec<f64> {
    let mut totals = vec![0.0; samples.phases.len()];
    for (block, executed) in &samples.blocks {
        add_scaled(&mut totals, executed, block.instructions as f64);
    }
    totals
}

/// Batches in each phase: the executions that most of the blocks agree on that run about once a batch.
fn batches(samples: &Samples) -> Result<Vec<f64>, Unexplained> {
    let blocks = samples.blocks.iter().map(|(_, executed)| executed);
    let once: Vec<&Vec<f64>> = blocks.filter(|executed| is_once_a_batch(samples, executed)).collect();
    let agreeing = |executed: &&&Vec<f64>| once.iter().filter(|other| *other == *executed).count();
    let most = once.iter().max_by_key(agreeing);
    most.map(|executed| executed.to_vec())
        .ok_or(Unexplained { reason: "no block runs once a batch".to_owned() })
}

fn is_once_a_batch(samples: &Samples, executed: &[f64]) -> bool {
    let mut phases = samples.phases.iter().zip(&samples.packets).zip(executed);
    phases.all(|((phase, packets), executed)| match phase {
        Phase::Idle => *executed == 0.0,
        Phase::Closed(1) => (executed - packets).abs() <= ONCE * packets,
        Phase::Closed(32) => *executed < SELDOM * packets,
        _ => true,
    })
}

/// The `x`, none negative, for which the sum of `x` times `columns` is closest to `target`, by coordinate descent: each
/// coefficient in turn is set to what is best for the others as they are. The problem is convex, so that ends at the best of all.
fn non_negative(columns: &[Vec<f64>; 4], target: &[f64]) -> Coefficients {
    let norms = columns.each_ref().map(|column| dot(column, column).sqrt());
    let mut rest = target.to_vec();
    let mut x = Coefficients::default();
    let enough = CONVERGED * dot(target, target).sqrt();
    for _ in 0..ROUNDS {
        let mut largest = 0.0_f64;
        for ((x, column), norm) in x.iter_mut().zip(columns).zip(norms) {
            if norm == 0.0 {
                continue;
            }
            let best = f64::max(*x + dot(column, &rest) / (norm * norm), 0.0);
            let change = best - *x;
            add_scaled(&mut rest, column, -change);
            *x = best;
            largest = largest.max(change.abs() * norm);
        }
        if largest <= enough {
            break;
        }
    }
    x
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn multiply(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// Adds `scale` times `more` to `sum`.
fn add_scaled(sum: &mut [f64], more: &[f64], scale: f64) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more * scale);
}

#[cfg(test)]
mod tests {
    use super::super::phase::PHASES;
    use super::*;

    /// Blocks of a guest: instructions, and executions for a packet, a batch, a loop that finds nothing, and another transmit sync.
    /// Those with less than eight instructions run nearly once a batch, and do not count batches.
    const BLOCKS: [(u64, Coefficients); 13] = [
        (12, [1.0, 0.0, 0.0, 0.0]),
        (30, [1.0, 0.0, 0.0, 0.0]),
        (17, [0.25, 0.5, 0.0, 0.0]),
        (400, [0.0, 1.0, 0.0, 0.0]),
        (9, [0.0, 1.0, 2.0, 0.0]),
        (250, [0.0, 0.0, 1.0, 0.0]),
        (64, [0.0, 1.0, 0.0, 1.0]),
        (21, [0.0, 0.0, 1.0 / 64.0, 1.0]),
        (8, [0.0, 1.0, 0.0, 0.0]),
        (7, [0.005, 0.995, 0.0, 0.0]),
        (1, [0.0, 1.0, 0.001, 0.0]),
        (1, [0.0, 1.0, 0.001, 0.0]),
        (1, [0.0, 1.0, 0.001, 0.0]),
    ];
    /// What they add up to.
    const COST: Cost = Cost { packet: 46.285, batch: 499.465, idle: 268.331125 };

    /// What a guest with these blocks counts in phases of these lengths.
    fn samples(blocks: &[(u64, Coefficients)], lengths: [f64; 7]) -> Samples {
        let quantities = [
            [0.0, 40e3, 120e3, 400e3, 700e3, 2e6, 3e6],
            [0.0, 40e3, 31e3, 25e3, 23e3, 16e3, 50e3],
            [9e5, 3e5, 2e5, 8e4, 6e4, 16e3, 0.0],
            [0.0, 5e3, 3e3, 900.0, 1e3, 200.0, 0.0],
        ];
        let quantities = quantities.map(|values| multiply(&values, &lengths));
        let executed = |coefficients: &Coefficients| {
            let mut executed = vec![0.0; PHASES.len()];
            coefficients
                .iter()
                .zip(&quantities)
                .for_each(|(x, values)| add_scaled(&mut executed, values, *x));
            executed
        };
        let block = |(number, (instructions, coefficients)): (u64, &(u64, Coefficients))| {
            (Block { address: 0x1000 + number * 0x40, instructions: *instructions }, executed(coefficients))
        };
        Samples {
            phases: PHASES.to_vec(),
            packets: quantities[0].clone(),
            loops: executed(&[0.0, 1.0, 1.0, 0.0]),
            tx_syncs: executed(&[0.0, 1.0, 0.0, 1.0]),
            blocks: (0..).zip(blocks).map(block).collect(),
        }
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6 * expected.max(1.0), "{found} instead of {expected}");
    }

    fn assert_cost(found: &Cost) {
        assert_close(found.packet, COST.packet);
        assert_close(found.batch, COST.batch);
        assert_close(found.idle, COST.idle);
    }

    #[test]
    fn known_coefficients_are_found() {
        let fit = fit(&samples(&BLOCKS, [1.0; 7])).unwrap();
        for ((_, found), (_, expected)) in fit.blocks.iter().zip(&BLOCKS) {
            found.iter().zip(expected).for_each(|(found, expected)| assert_close(*found, *expected));
        }
        assert_cost(&fit.cost);
        assert_close(fit.cost.in_batches_of(4.0), 46.285 + 499.465 / 4.0);
        fit.explained.iter().for_each(|part| assert_close(*part, 1.0));
    }

    #[test]
    fn phases_of_different_length_find_the_same() {
        assert_cost(&fit(&samples(&BLOCKS, [1.0, 0.25, 3.0, 1.5, 0.1, 2.0, 7.0])).unwrap().cost);
    }

    #[test]
    fn no_coefficient_is_negative() {
        // Runs less often the more packets there are: plain least squares would give it a negative coefficient for packets.
        let mut samples = samples(&BLOCKS, [1.0; 7]);
        let odd =
            samples.loops.iter().zip(&samples.packets).map(|(loops, packets)| 1e6 + loops - packets / 4.0);
        samples.blocks.push((Block { address: 1, instructions: 1 }, odd.collect()));
        let fit = fit(&samples).unwrap();
        assert!(fit.blocks.iter().flat_map(|(_, found)| found).all(|x| *x >= 0.0), "{:?}", fit.blocks.last());
        fit.blocks
            .iter()
            .zip(&BLOCKS)
            .for_each(|((_, found), (_, expected))| assert_close(found[0], expected[0]));
    }

    #[test]
    fn phases_that_do_not_add_up_are_refused() {
        for phase in 0..PHASES.len() {
            let mut samples = samples(&BLOCKS, [1.0; 7]);
            let more = totals(&samples)[phase] * 0.25;
            let mut executed = vec![0.0; PHASES.len()];
            executed[phase] = more;
            samples.blocks.push((Block { address: 1, instructions: 1 }, executed));
            let error = fit(&samples).unwrap_err().to_string();
            assert!(error.contains("do not add up"), "{error}");
        }
    }

    #[test]
    fn a_guest_without_a_block_for_each_batch_is_refused() {
        // What is left runs for packets too, or in loops that find nothing.
        let is_left = |instructions: u64| ![400, 64, 8, 7].contains(&instructions);
        let blocks: Vec<_> = BLOCKS.into_iter().filter(|(instructions, _)| is_left(*instructions)).collect();
        let error = fit(&samples(&blocks, [1.0; 7])).unwrap_err().to_string();
        assert!(error.contains("no block runs once a batch"), "{error}");
    }
}
