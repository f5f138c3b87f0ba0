//! The appliance, from command line to exit.
//!
//! ```text
//! settings   command line ──► Config            before any card is touched; with what the firmware describes
//! interrupts taken, unless wait=spin             cards get lines, polls can sleep
//! processors started                             each can have a worker
//! cards      PCI functions, virtio-mmio devices ──► vtnet0, vtnet1 …  one that fails or has no driver is named and left out
//! nm_apps    opens the ports, takes packets      ── READY
//! crew       a worker (nm_apps::worker) for each processor and part of the application
//! service    the first worker's steps and waits … and now and then a letter from the console, or a link that has changed
//! report     counters and buffer accounting      ── EXIT
//! ```

mod cards;
mod crew;
mod failure;
mod links;
mod report;
mod service;
mod settings;

use alloc::string::String;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::num::{NonZeroU16, NonZeroUsize};

use crew::Crew;
use failure::Failure;
use millrace::acpi::{self, MmioPlace};
use millrace::{ExitCode, Machine, clock, console, exit, interrupts, memory, smp};
use millrace_drivers::Options;
use nm_apps::config::Wait;
use nm_apps::{Application, Config, MmioDevice};
use nm_core::Netmap;
use nm_core::platform::Platform;
use nm_core::tunables::Tunables;

/// Runs the appliance until somebody ends it or it fails.
pub(crate) fn run(machine: Machine) -> ! {
    let Err(failure) = configure_and_serve(&machine);
    exit(ExitCode::Application, format_args!("{failure}"))
}

fn configure_and_serve(machine: &Machine) -> Result<Infallible, Failure> {
    let mut config = settings::read(&machine.command_line)?;
    config.add_described(acpi::mmio_devices().iter().map(described));
    log::set_max_level(config.log);
    if config.wait != Wait::Spin {
        interrupts::take(machine.hal.as_ref());
        console::listen(machine.hal.as_ref());
    }
    let workers = smp::start(machine.hal.as_ref(), machine.acpi);
    let platform: Arc<dyn Platform> = machine.hal.clone();
    let tunables = Tunables::for_memory(memory::usage().largest_run, &config.tunables)?;
    let netmap = Netmap::new(&platform, tunables)?;
    // More queue pairs than workers would only be looked at by turns.
    let queue_pairs = config.queues.or_else(|| NonZeroU16::try_from(workers).ok()).unwrap_or(NonZeroU16::MIN);
    let iommu = cards::active_iommu(machine);
    let options = Options { queue_pairs, allows_packed: config.packed, iommu };
    let without_driver = cards::attach(machine, &config.mmio_devices, (options, config.mtu), &netmap);
    serve(&config, &netmap, workers, &without_driver)
}

/// A device as the command line would have it.
fn described(place: &MmioPlace) -> MmioDevice {
    MmioDevice { address: place.address, bytes: place.bytes, irq: place.line.gsi }
}

/// Starts the application and runs it. `without_driver` are the network controllers that have no interface for that reason.
fn serve(
    config: &Config,
    netmap: &Netmap,
    workers: NonZeroUsize,
    without_driver: &[String],
) -> Result<Infallible, Failure> {
    let apps = nm_apps::start(config, netmap, workers);
    let apps = apps.map_err(|error| error.with_undriven(without_driver))?;
    if let Some(app) = apps.first() {
        announce(app.as_ref());
    }
    service::run(Crew::start(apps, config.wait), netmap)
}

/// The one line that tells the outside that packets are being taken. It says so when its time is uncalibrated.
fn announce(app: &dyn Application) {
    let (name, ports, boot_us) = (app.name(), app.ports().join(","), clock::uptime_us());
    let mark = if clock::is_calibrated() { "" } else { " clock=uncalibrated" };
    console::line(format_args!("READY app={name} ports={ports} boot_us={boot_us}{mark}"));
}
