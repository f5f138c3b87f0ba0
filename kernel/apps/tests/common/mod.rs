//! What the tests of applications share.
#![allow(dead_code, clippy::unwrap_used, reason = "a test ends here when it fails, and uses a part of it")]

use std::time::Duration;

use nm_apps::{APPS, AppError, Application, Config};
use nm_core::Netmap;
use nm_core::testing::Wire;

/// Longer than any test waits for anything that comes.
pub const LONG: Duration = Duration::from_secs(30);

pub fn frame(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|i| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 8 * 8)) as u8 ^ i as u8).collect()
}

/// Starts what these words of the command line ask for, for so many workers at most.
pub fn start_workers(
    netmap: &Netmap,
    words: &[(&str, &str)],
    workers: usize,
) -> Result<Vec<Box<dyn Application>>, AppError> {
    let config = Config::parse(words, APPS).unwrap();
    config.start(netmap, workers.try_into().unwrap())
}

pub fn assert_all_home(netmap: &Netmap, wires: &[Wire]) {
    let report = netmap.memory();
    assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
    for wire in wires {
        assert_eq!(wire.breaches(), Vec::<String>::new());
    }
}
