//! Which input of an I/O APIC a line leads to.
//!
//! | the line | is known by | else |
//! |---|---|---|
//! | a number on the board | the device that the definition blocks describe with it, then the overrides of the MADT | it is the input's own number, on a high edge |
//! | a pin of a PCI slot | `_PRT` of the host bridge to bus 0, unless the link that it names is switched off | the function's interrupt line register, as the MADT's overrides have it; an input without one is a low level |
//!
//! The interpreter is made for the first pin that is asked for, and kept for the others.

use millrace_boot::acpi::{Description, IsaLine, Polarity, Trigger};
use millrace_boot::aml::{Interpreter, Pin, Routes, root_bridge};
use millrace_drivers::hal::LineSource;
use spin::{Mutex, Once};

use super::devices::line_at;
use super::hardware::PciHost;

/// In a function's interrupt line register: the inputs of the 8259s, of which the second is at the third of the first.
const LAST_OF_8259: u8 = 15;

/// `None` in it when the firmware has no routes.
static ROUTER: Once<Option<Mutex<Router>>> = Once::new();

/// The routes, and the interpreter that follows those which lead on.
struct Router {
    aml: Interpreter<PciHost>,
    routes: Routes,
}

/// The input that a line leads to; `None` when nobody says.
pub(crate) fn input(source: LineSource) -> Option<IsaLine> {
    let acpi = super::description()?;
    match source {
        LineSource::Number(number) => {
            let usual = IsaLine { gsi: number, polarity: Polarity::High, trigger: Trigger::Edge };
            let isa = |irq| acpi.isa_line(irq);
            Some(line_at(number).unwrap_or_else(|| u8::try_from(number).map_or(usual, isa)))
        }
        LineSource::Slot { device, pin, firmware_line } => {
            by_firmware(acpi, Pin { device, pin }).or_else(|| by_register(acpi, firmware_line))
        }
    }
}

fn by_firmware(acpi: &Description, pin: Pin) -> Option<IsaLine> {
    let mut router = ROUTER.call_once(ask).as_ref()?.lock();
    let Router { aml, routes } = &mut *router;
    let found = routes.find(aml, pin);
    let found =
        found.inspect_err(|error| log::warn!(target: "acpi", "route of PCI slot {}: {error}", pin.device));
    found.ok()??.line(acpi)
}

/// The routes of the host bridge to bus 0.
fn ask() -> Option<Mutex<Router>> {
    let mut aml = super::interpreter()?;
    let bridge = root_bridge(&mut aml)?;
    let routes = Routes::read(&mut aml, &bridge);
    let routes = routes.inspect_err(|error| log::warn!(target: "acpi", "interrupts of {bridge}: {error}"));
    Some(Mutex::new(Router { routes: routes.ok()?, aml }))
}

/// Without routes: the input of the 8259s that the firmware has noted.
fn by_register(acpi: &Description, firmware_line: u8) -> Option<IsaLine> {
    let irq = Some(firmware_line).filter(|irq| (1..=LAST_OF_8259).contains(irq))?;
    let usual = IsaLine { gsi: irq.into(), polarity: Polarity::Low, trigger: Trigger::Level };
    Some(acpi.overrides.iter().find(|entry| entry.irq == irq).map_or(usual, |entry| entry.line))
}
