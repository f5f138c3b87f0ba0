//! Counters and buffer accounting, as log lines that no log level hides.

use millrace::logger;
use nm_core::Netmap;
use nm_core::mem::MemoryReport;

/// Prints the counters of all rings, then where the buffers are.
pub(super) fn print(netmap: &Netmap) -> MemoryReport {
    for ring in netmap.counters() {
        logger::answer("stats", format_args!("{ring}"));
    }
    let memory = netmap.memory();
    logger::answer("stats", format_args!("{memory}"));
    memory
}
