//! From the trampoline to the application: everything is set up once, in this order.
#![expect(unsafe_code, reason = "takes over the machine")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use millrace_acpi::tables::{Description, Tables};
use millrace_boot::{BootInfo, Loader, multiboot2, start_info, trampoline};
use millrace_drivers::hal::Hal;

use crate::hardware::Hardware;
use crate::memory::{self, LoaderView, MemoryError};
use crate::pci::Pci;
use crate::{ExitCode, acpi, clock, console, cpu, exit, logger, pci, processors, traps};

/// The machine, ready for an application.
pub struct Machine {
    /// The command line, as the loader left it.
    pub command_line: Vec<u8>,
    /// Memory and device registers.
    pub hal: Arc<dyn Hal>,
    /// What the firmware says about the machine.
    pub acpi: &'static Description,
    /// `None` on a machine without PCI.
    pub pci: Option<Pci>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("command_line", &self.command_line.escape_ascii())
            .finish_non_exhaustive()
    }
}

/// Sets the machine up and lets `main` have it.
///
/// # Safety
/// Called once, by the trampoline, with what it passes to `kernel_entry`, on the boot stack and with the
/// trampoline's page tables in force.
pub unsafe fn start(hand_over: u64, loader: u32, entry_tsc: u64, main: fn(Machine) -> !) -> ! {
    processors::set_number(0);
    console::init();
    logger::init();
    cpu::load_first_segments();
    traps::load();
    clock::init(entry_tsc);
    log::info!(target: "boot", "millrace {}", env!("CARGO_PKG_VERSION"));
    clock::report();
    // SAFETY: the trampoline's tables stay in force until `protect` below, after which neither the view nor
    // what is borrowed from it is used. The frame allocator spares what `info` and the ACPI tables occupy.
    let view = unsafe { LoaderView::new() };
    let info = match read(&view, hand_over, loader) {
        Ok(info) => info,
        // Not the kernel's fault, and it would be so again.
        Err(error) => exit(ExitCode::Application, format_args!("{error}")),
    };
    let tables = Tables::find(&view, info.rsdp);
    match prepare(&info, &tables, entry_tsc) {
        Ok(machine) => main(machine),
        Err(error) => exit(ExitCode::Application, format_args!("{error}")),
    }
}

/// Why the machine could not be set up.
#[derive(Debug)]
enum StartError {
    /// The loader does not say who it is, or is none of those that there are readers for.
    UnknownLoader(u32),
    /// What a loader handed over by direct boot makes no sense.
    StartInfo(start_info::StartInfoError),
    /// What a Multiboot2 loader handed over makes no sense.
    Multiboot2(multiboot2::Multiboot2Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::UnknownLoader(number) => write!(f, "unknown boot loader {number:#x}"),
            StartError::StartInfo(error @ start_info::StartInfoError::CommandLineTooLong) => {
                fmt::Display::fmt(error, f)
            }
            StartError::Multiboot2(error @ multiboot2::Multiboot2Error::CommandLineTooLong) => {
                fmt::Display::fmt(error, f)
            }
            StartError::StartInfo(error) => write!(f, "invalid boot information: {error}"),
            StartError::Multiboot2(error) => write!(f, "invalid boot information: {error}"),
        }
    }
}

fn read(view: &LoaderView, hand_over: u64, loader: u32) -> Result<BootInfo<'_>, StartError> {
    match trampoline::loader(loader) {
        Some(Loader::Pvh) => start_info::read(view, hand_over).map_err(StartError::StartInfo),
        Some(Loader::Multiboot2) => multiboot2::read(view, hand_over).map_err(StartError::Multiboot2),
        None => Err(StartError::UnknownLoader(loader)),
    }
}

fn prepare(info: &BootInfo<'_>, tables: &Tables<'_>, entry_tsc: u64) -> Result<Machine, MemoryError> {
    memory::init(info, tables.ranges())?;
    // From here on there is a heap, and what is needed of the loader's memory is copied to it.
    let command_line = info.command_line.to_vec();
    let hal: Arc<dyn Hal> = Arc::new(Hardware::new());
    let acpi = acpi::init(tables, &hal);
    memory::protect(info)?;
    clock::init_by_acpi(entry_tsc, acpi, hal.as_ref());
    log::info!(target: "boot", "{}, {} KiB RAM found", info.loader, info.memory.ram_bytes() / 1024);
    let shown = if command_line.is_empty() { b"(empty)".as_slice() } else { &command_line };
    log::info!(target: "boot", "command line: {}", shown.escape_ascii());
    log::info!(target: "memory", "{}", memory::usage());
    log::info!(target: "acpi", "{acpi}");
    let found = pci::find(hal.as_ref(), &acpi.config_windows, info.memory.ram());
    match &found {
        Some((Pci { roots, .. }, mechanism)) => {
            log::info!(target: "pci", "configuration space: {mechanism}; root buses {roots}");
        }
        None => log::info!(target: "pci", "this machine has no PCI"),
    }
    Ok(Machine { command_line, hal, acpi, pci: found.map(|(pci, _)| pci) })
}
