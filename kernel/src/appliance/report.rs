//! Counters, buffer accounting, memory and tunables, as log lines that no log level hides.

use alloc::string::{String, ToString};
use core::fmt;

use millrace::{clock, logger};
use nm_core::Netmap;
use nm_core::mem::MemoryReport;

/// When counters were printed.
pub(super) struct Report {
    /// Microseconds from the image's entry to READY.
    ready_us: u64,
    /// The same to the last report, if there was one.
    last_us: Option<u64>,
}

impl Report {
    /// No report yet, by an appliance that is ready now.
    pub(super) fn new() -> Self {
        Self { ready_us: clock::uptime_us(), last_us: None }
    }

    /// Prints since when the counters count, the counters of all rings, then where the buffers are.
    pub(super) fn print(&mut self, netmap: &Netmap) -> MemoryReport {
        let now = clock::uptime_us();
        let (up, ready) = (Seconds(now), Seconds(now.saturating_sub(self.ready_us)));
        let text = format_args!("counters since boot; up {up}, ready for {ready}");
        match self.last_us.replace(now) {
            None => logger::answer("uptime", format_args!("{text}, first report")),
            Some(last) => {
                let since = Seconds(now.saturating_sub(last));
                logger::answer("uptime", format_args!("{text}, last report {since} ago"));
            }
        }
        print_counters(netmap)
    }
}

/// A time in microseconds, shown in seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

fn print_counters(netmap: &Netmap) -> MemoryReport {
    netmap.counters().iter().for_each(print_row);
    let memory = netmap.memory();
    print_row(&memory);
    memory
}

/// The longest row that fits a line of 132 columns behind time, level and target.
const ROW_MAX: usize = 104;

/// Prints a row: its name, then `key=value` words. Words that do not fit the line go to further lines with the same name.
fn print_row(row: &impl ToString) {
    let text = row.to_string();
    let name_end = text.split_once('=').and_then(|(head, _)| head.rfind(' ')).unwrap_or(text.len());
    let (name, values) = text.split_at(name_end);
    let mut line = String::from(name);
    for value in values.split_ascii_whitespace() {
        if line.len() > name.len() && line.len() + 1 + value.len() > ROW_MAX {
            logger::answer("stats", format_args!("{line}"));
            line.truncate(name.len());
        }
        line.push(' ');
        line.push_str(value);
    }
    logger::answer("stats", format_args!("{line}"));
}

/// Prints the users of each memory region, and its pools.
pub(super) fn print_regions(netmap: &Netmap) {
    for region in netmap.regions().list() {
        logger::answer("memory", format_args!("{region}"));
        region.pools.iter().for_each(|pool| logger::answer("memory", format_args!("  {pool}")));
    }
}

/// Prints all tunables with what they are set to.
pub(super) fn print_tunables(netmap: &Netmap) {
    netmap.tunables().settings().for_each(|setting| logger::answer("tunables", format_args!("{setting}")));
}
