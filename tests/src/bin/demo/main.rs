//! The demonstration: real traffic through a booted appliance, without root.
//!
//! A host with its own TCP/IP ([`host`], smoltcp) sits at one card, QEMU's user network at the other.
//! Whatever the two say to each other crosses the image: a DHCP lease, the gateway's address, pings, and a
//! download whose hash is checked. What happens is printed as it happens; the end is a summary and status 0,
//! or why not and status 1.

mod device;
mod host;
mod report;
mod steps;
mod stream;

use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use anyhow::{Context, Result, bail, ensure};
use millrace_tests::appliance::Ready;
use millrace_tests::console::Mark;
use millrace_tests::counters::{Counters, stats_message};
use millrace_tests::guest::{Guest, STATUS_DONE};
use millrace_tests::{Machine, Qemu, Wire, image};

use host::Host;
use report::{Done, Report};

/// Bytes of the download.
const DOWNLOAD: u64 = 128 << 20;
/// The longest that the whole may take.
const LIMIT: Duration = Duration::from_secs(110);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => demonstrate(),
        // Started by QEMU for each connection to the download's address, with the connection as its output.
        ["--serve", seed, bytes] => serve(seed, bytes),
        _ => Err(anyhow::anyhow!("the demonstration takes no arguments")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demonstration failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    let wire = Wire::new()?;
    let seed = fastrand::u64(..);
    let mut report = Report::new();
    report.title();
    let guest = boot(&wire, seed)?;
    report.start_clock(guest.started());
    report.line("QEMU", "starts a q35 machine with 64 MiB and two virtio-net cards, under TCG");
    let ready = Ready::wait(&guest)?;
    wire.connect()?;
    report.ready(&ready, std::fs::metadata(image::appliance()?)?.len());

    let done = traffic(&wire, &mut report, seed);
    let done = done.with_context(|| format!("traffic through the appliance{}", guest.console().quoted()))?;
    let counters = stop(guest)?;
    report.counters(&counters);
    report.summary(&ready, &done, &counters);
    Ok(())
}

/// The appliance, with the wire at its first card and QEMU's user network at its second.
fn boot(wire: &Wire, seed: u64) -> Result<Guest> {
    let program = env::current_exe().context("cannot tell which program this is")?;
    let program = program.to_str().context("the path of this program is not plain text")?;
    if program.contains([' ', '\'', '"', '\\']) {
        bail!(
            "the folder of this program has a blank or a quote in its name, which QEMU's guestfwd cannot pass: {program}"
        );
    }
    let server = format!("{program} --serve {seed} {DOWNLOAD}").replace(',', ",,");
    let (address, port) = steps::SERVER;
    let network = format!("guestfwd=tcp:{address}:{port}-cmd:{server}");
    Qemu::new(Machine::Q35, image::appliance()?)
        .command_line("app=bridge wait=spin")
        .limit(LIMIT)
        .wire(wire)
        .card("user", &network)
        .start()
}

fn traffic(wire: &Wire, report: &mut Report, seed: u64) -> Result<Done> {
    let mut host = Host::new(wire);
    let lease = steps::lease(&mut host)?;
    report.line("DHCP", &lease.to_string());
    let pings = steps::ping(&mut host, lease.router)?;
    if let Some(station) = host.station_of(lease.router) {
        let station =
            station.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
        report.line("ARP", &format!("{} is at {station}", lease.router));
    }
    report.line("ping", &pings.to_string());
    let download = steps::download(&mut host, seed, DOWNLOAD, |progress| report.progress(progress))?;
    report.line("TCP", &download.to_string());
    report.line("SHA-256", &download.hash_line());
    Ok(Done { pings, download })
}

/// Stops the image, which must say that all is well; its last counters.
fn stop(mut guest: Guest) -> Result<Counters> {
    let mark: Mark = guest.console().mark();
    guest.type_in("q")?;
    guest.wait_status(STATUS_DONE)?;
    let lines = guest.console().lines_after(mark);
    ensure!(
        lines.iter().any(|line| stats_message(line).is_some()),
        "no counters{}",
        guest.console().quoted()
    );
    let counters = Counters::parse(lines.iter().map(String::as_str));
    let (lost, held) = (counters.get("buffers", "lost")?, counters.get("buffers", "held")?);
    ensure!(lost == 0 && held == 0, "buffers are missing at the end: {lost} lost, {held} held");
    Ok(counters)
}

fn serve(seed: &str, bytes: &str) -> Result<()> {
    let seed = seed.parse().with_context(|| format!("{seed:?} is no seed"))?;
    let bytes = bytes.parse().with_context(|| format!("{bytes:?} is no number of bytes"))?;
    stream::write(seed, bytes, &mut io::stdout().lock()).context("the connection ended early")
}
