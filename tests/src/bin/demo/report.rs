//! What the demonstration prints.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use millrace_tests::appliance::Ready;
use millrace_tests::counters::Counters;

use crate::steps::{Download, Pings, Progress};

/// Characters of a progress bar.
const BAR: u64 = 32;

/// Standard output, told what happens.
pub struct Report {
    started: Instant,
    is_terminal: bool,
    /// Quarters of the download that were reported.
    quarter: u64,
}

/// The results of the traffic.
pub struct Done {
    /// The answers of the router to echo requests.
    pub pings: Pings,
    /// What came over TCP.
    pub download: Download,
}

impl Report {
    pub fn new() -> Self {
        Self { started: Instant::now(), is_terminal: io::stdout().is_terminal(), quarter: 0 }
    }

    /// What there is to see.
    pub fn title(&self) {
        println!("Millrace: real traffic through a booted appliance\n");
        println!("     this process              the appliance             QEMU's user network");
        println!("    ┌────────────┐    ┌───────────────────────────┐    ┌─────────────────────┐");
        println!("    │  smoltcp   ├────┤ vtnet0    bridge   vtnet1 ├────┤ DHCP  ARP  ping TCP │");
        println!("    └────────────┘    └───────────────────────────┘    └─────────────────────┘\n");
    }

    /// Times are counted from `started`.
    pub fn start_clock(&mut self, started: Instant) {
        self.started = started;
    }

    /// One thing that happened.
    pub fn line(&self, subject: &str, text: &str) {
        self.clear_progress();
        println!("  {:7.3} s  {subject:<8} {text}", self.started.elapsed().as_secs_f64());
    }

    /// The image takes packets.
    pub fn ready(&self, ready: &Ready, image_bytes: u64) {
        let text = format!(
            "{} between {}, {:.1} ms after the image's entry; the image has {} KiB",
            ready.app,
            ready.ports.join(" and "),
            ready.boot_us as f64 / 1000.0,
            image_bytes.div_ceil(1024)
        );
        self.line("READY", &text);
    }

    /// The download moves on. On a terminal this is one line that changes, else a line each quarter of the
    /// way.
    pub fn progress(&mut self, progress: &Progress) {
        if !self.is_terminal {
            return self.progress_line(progress);
        }
        let filled = (progress.bytes * BAR).checked_div(progress.total).unwrap_or(0).min(BAR);
        let bar = "█".repeat(filled as usize) + &"░".repeat((BAR - filled) as usize);
        let seconds = progress.took.as_secs_f64().max(1e-6);
        print!(
            "\r  {:7.3} s  TCP      {bar} {:3} of {} MiB  {:4.0} Mbit/s  {:6.0} frames/s ",
            self.started.elapsed().as_secs_f64(),
            progress.bytes >> 20,
            progress.total >> 20,
            progress.bytes as f64 * 8.0 / 1e6 / seconds,
            progress.frames as f64 / seconds
        );
        // A progress line that cannot be shown is no reason to stop.
        let _ = io::stdout().flush();
    }

    fn progress_line(&mut self, progress: &Progress) {
        let quarter = (progress.bytes * 4).checked_div(progress.total).unwrap_or(0);
        if quarter <= self.quarter || quarter >= 4 {
            return;
        }
        self.quarter = quarter;
        let seconds = progress.took.as_secs_f64().max(1e-6);
        let text = format!(
            "{} of {} MiB, {:.0} Mbit/s, {:.0} frames/s",
            progress.bytes >> 20,
            progress.total >> 20,
            progress.bytes as f64 * 8.0 / 1e6 / seconds,
            progress.frames as f64 / seconds
        );
        self.line("TCP", &text);
    }

    /// The appliance's last counters, a row a ring.
    pub fn counters(&self, counters: &Counters) {
        self.line("stopped", "every buffer is back in its place; the appliance's counters:");
        println!(
            "\n      {:<14} {:>9} {:>12} {:>9} {:>9}  dropped",
            "ring", "packets", "bytes", "syncs", "kicks"
        );
        for (row, values) in counters.rows().filter(|(_, values)| values.contains_key("packets")) {
            let value = |name: &str| values.get(name).copied().unwrap_or(0);
            let dropped: u64 =
                values.iter().filter(|(name, _)| name.starts_with("drop_")).map(|(_, v)| v).sum();
            println!(
                "      {row:<14} {:>9} {:>12} {:>9} {:>9}  {dropped}",
                value("packets"),
                value("bytes"),
                value("syncs"),
                value("kicks")
            );
        }
    }

    /// The end.
    pub fn summary(&self, ready: &Ready, done: &Done, counters: &Counters) {
        let received = |name: &str| -> u64 {
            let rings = counters.rows().filter(|(row, _)| row.contains(" rx"));
            rings.filter_map(|(_, values)| values.get(name)).sum()
        };
        println!(
            "\nAll of it crossed the appliance: a lease, {} pings and {} MiB over TCP, intact.",
            done.pings.answered(),
            done.download.progress.bytes >> 20
        );
        println!(
            "{} frames and {} bytes, {} dropped; forwarding {:.0} ms after QEMU's start; {:.1} s in all.",
            received("packets"),
            received("bytes"),
            counters.dropped(),
            ready.since_start.as_secs_f64() * 1000.0,
            self.started.elapsed().as_secs_f64()
        );
    }

    fn clear_progress(&self) {
        if self.is_terminal {
            print!("\r\x1b[K");
        }
    }
}
