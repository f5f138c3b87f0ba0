//! Counters, buffer accounting, memory and tunables, as log lines that no log level hides.

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

/// Prints what each memory region is made of, and who uses it.
pub(super) fn print_regions(netmap: &Netmap) {
    netmap.regions().list().iter().for_each(|region| logger::answer("memory", format_args!("{region}")));
}

/// Prints all tunables with what they are set to.
pub(super) fn print_tunables(netmap: &Netmap) {
    netmap.tunables().settings().for_each(|setting| logger::answer("tunables", format_args!("{setting}")));
}
