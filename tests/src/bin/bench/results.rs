//! How the benchmarks show what they have measured.

use std::time::Duration;

/// One line for `packets` frames of `frame` bytes in `took`.
pub(crate) fn print_rate(name: &str, frame: usize, packets: u64, took: Duration, note: &str) {
    let nanoseconds = took.as_secs_f64() * 1e9 / packets.max(1) as f64;
    let rate = packets as f64 / took.as_secs_f64().max(1e-9);
    println!(
        "bench name={name} frame={frame} packets={packets} ns_per_packet={nanoseconds:.1} pps={rate:.0} {note}"
    );
}

/// The smallest, the middle and the largest of `values`.
pub(crate) fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
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
