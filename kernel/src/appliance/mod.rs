//! The appliance, from command line to exit.
//!
//! ```text
//! settings   command line ──► Config            before any card is touched; with what the firmware describes
//! interrupts enabled, unless wait=spin           cards get lines, polls can sleep
//! processors started                             each can have a worker
//! cards      PCI functions, virtio-mmio devices ──► vtnet0, vtnet1 …  one that fails or has no driver is reported and left out
//! nm_apps    opens the ports, takes packets      ── READY
//! workers    a worker (nm_apps::worker) for each processor and part of the application
//! service    the first worker's rounds, and between them the tasks (nm_apps::task): console, links, masked interrupt lines
//!            counters and buffer accounting      ── EXIT
//! ```

mod cards;
mod failure;
mod service;
mod settings;
mod tasks;
mod workers;

use alloc::string::String;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::num::{NonZeroU16, NonZeroUsize};

use failure::Failure;
use millrace::acpi::{self, MmioPlace};
use millrace::{ExitCode, Machine, clock, console, exit, interrupts, memory, smp};
use millrace_drivers::Options;
use nm_apps::machine::{MachineConfig, Wait};
use nm_apps::{Application, Config, MmioDevice};
use nm_core::Netmap;
use nm_core::platform::Platform;
use nm_core::tunables::Tunables;
use workers::WorkerPool;

/// Runs the appliance until a command ends it or it fails.
pub(crate) fn run(machine: Machine) -> ! {
    let Err(failure) = configure_and_serve(&machine);
    exit(ExitCode::Application, format_args!("{failure}"))
}

fn configure_and_serve(machine: &Machine) -> Result<Infallible, Failure> {
    let mut config = settings::read(&machine.command_line)?;
    let settings = &mut config.machine;
    settings.mmio_devices.add_described(acpi::mmio_devices().iter().map(described));
    log::set_max_level(settings.log.0);
    if settings.wait != Wait::Spin {
        interrupts::take(machine.hal.as_ref());
        console::listen(machine.hal.as_ref());
    }
    let workers = smp::start(machine.hal.as_ref(), machine.acpi);
    let platform: Arc<dyn Platform> = machine.hal.clone();
    let tunables = Tunables::for_memory(memory::usage().largest_run, &settings.tunables)?;
    let netmap = Netmap::new(&platform, tunables)?;
    let iommu = cards::active_iommu(machine);
    let options =
        Options { queue_pairs: queue_pairs(settings, workers), allows_packed: settings.packed, iommu };
    let devices = settings.mmio_devices.list();
    let without_driver = cards::attach(machine, devices, (options, settings.mtu), &netmap);
    serve(&config, &netmap, workers, &without_driver)
}

/// Most queue pairs of a card: one per worker unless the command line says otherwise. A worker with several pairs serves them in
/// turn.
fn queue_pairs(settings: &MachineConfig, workers: NonZeroUsize) -> NonZeroU16 {
    let configured = settings.queues.and_then(|queues| u16::try_from(queues.get()).ok());
    let pairs = configured.and_then(NonZeroU16::new).or_else(|| NonZeroU16::try_from(workers).ok());
    pairs.unwrap_or(NonZeroU16::MIN)
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
    let apps = config.start(netmap, workers);
    let apps = apps.map_err(|error| error.with_undriven(without_driver))?;
    if let Some(app) = apps.first() {
        announce(app.as_ref());
    }
    service::run(WorkerPool::start(apps, config.machine.wait), netmap)
}

/// Prints the line that says that packets are being taken. It has a mark if the time is uncalibrated.
fn announce(app: &dyn Application) {
    let (name, ports, boot_us) = (app.name(), app.ports().join(","), clock::uptime_us());
    let mark = if clock::is_calibrated() { "" } else { " clock=uncalibrated" };
    console::line(format_args!("READY app={name} ports={ports} boot_us={boot_us}{mark}"));
}
