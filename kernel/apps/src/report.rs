//! Counters, buffer accounting, memory and tunables as lines of text.

use alloc::string::{String, ToString};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nm_core::Netmap;
use nm_core::mem::MemoryReport;

/// Where reports and answers go: to the console, whatever the level of the log.
pub trait Output {
    /// Prints one line about `target`.
    fn line(&mut self, target: &str, text: fmt::Arguments<'_>);
}

/// The report of counters, and when it was printed last. The console's command prints it, and so does the end of a run.
#[derive(Debug)]
pub struct CounterReport {
    /// When the appliance became ready, in nanoseconds since the machine started.
    ready_ns: u64,
    /// When the last report was printed; [`NEVER`] before the first.
    last_ns: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl CounterReport {
    /// No report yet, for an appliance that is ready now.
    pub fn new(netmap: &Netmap) -> Self {
        Self { ready_ns: netmap.now_ns(), last_ns: AtomicU64::new(NEVER) }
    }

    /// Prints the time since the counters count, the counters of all rings, then where the buffers are.
    pub fn print(&self, netmap: &Netmap, out: &mut dyn Output) -> MemoryReport {
        let now = netmap.now_ns();
        let (up, ready) = (Seconds(now), Seconds(now.saturating_sub(self.ready_ns)));
        let text = format_args!("counters since boot; up {up}, ready for {ready}");
        match self.last_ns.swap(now, Relaxed) {
            NEVER => out.line("uptime", format_args!("{text}, first report")),
            last => {
                let since = Seconds(now.saturating_sub(last));
                out.line("uptime", format_args!("{text}, last report {since} ago"));
            }
        }
        netmap.counters().iter().for_each(|row| print_row(row, out));
        let memory = netmap.memory();
        print_row(&memory, out);
        memory
    }
}

/// A time in nanoseconds, shown in seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}

/// The longest row that fits a line of 132 columns behind time, level and target.
const ROW_MAX: usize = 104;

/// Prints a row: its name, then `key=value` words. Words that do not fit the line go to further lines with the same name.
fn print_row(row: &dyn fmt::Display, out: &mut dyn Output) {
    let text = row.to_string();
    let name_end = text.split_once('=').and_then(|(head, _)| head.rfind(' ')).unwrap_or(text.len());
    let (name, values) = text.split_at(name_end);
    let mut line = String::from(name);
    for value in values.split_ascii_whitespace() {
        if line.len() > name.len() && line.len() + 1 + value.len() > ROW_MAX {
            out.line("stats", format_args!("{line}"));
            line.truncate(name.len());
        }
        line.push(' ');
        line.push_str(value);
    }
    out.line("stats", format_args!("{line}"));
}

/// Prints the users of each memory region, and its pools.
pub fn print_regions(netmap: &Netmap, out: &mut dyn Output) {
    for region in netmap.regions().list() {
        out.line("memory", format_args!("{region}"));
        region.pools.iter().for_each(|pool| out.line("memory", format_args!("  {pool}")));
    }
}

/// Prints all tunables with their values.
pub fn print_tunables(netmap: &Netmap, out: &mut dyn Output) {
    netmap.tunables().settings().for_each(|setting| out.line("tunables", format_args!("{setting}")));
}
