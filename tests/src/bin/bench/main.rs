//! The benchmarks: what is measured, one `bench` line each, and beside it what it is compared with.
//!
//! Absolute times say more of the machine than of the image. So each rate stands beside another that was
//! measured in the same run ([`dgram`], [`cards`], [`processors`]), and what one packet costs is counted in guest instructions
//! ([`cards`], [`vhost`]).

mod boot;
mod cards;
mod dgram;
mod instructions;
mod processors;
mod vhost;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

fn main() -> ExitCode {
    let parts = [
        ("boot", boot::bench as fn() -> Result<()>),
        ("dgram", dgram::bench),
        ("cards", cards::bench),
        ("processors", processors::bench),
        ("vhost-user", vhost::bench),
    ];
    let mut status = ExitCode::SUCCESS;
    for (name, bench) in parts {
        if let Err(error) = bench() {
            eprintln!("the benchmark {name} failed: {error:#}");
            status = ExitCode::FAILURE;
        }
    }
    status
}

/// One line for `packets` frames of `frame` bytes in `took`.
fn print_rate(name: &str, frame: usize, packets: u64, took: Duration, note: &str) {
    let nanoseconds = took.as_secs_f64() * 1e9 / packets.max(1) as f64;
    let rate = packets as f64 / took.as_secs_f64().max(1e-9);
    println!(
        "bench name={name} frame={frame} packets={packets} ns_per_packet={nanoseconds:.1} pps={rate:.0} {note}"
    );
}

/// The smallest, the middle and the largest of `values`.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_smallest_middle_and_largest() {
        assert_eq!(spread(vec![3.0, 1.0, 9.0, 2.0, 4.0]), (1.0, 3.0, 9.0));
        assert!(spread(Vec::new()).0.is_nan());
    }
}
