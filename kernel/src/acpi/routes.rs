//! Which I/O APIC input an interrupt line is connected to.
//!
//! | line | source | fallback |
//! |---|---|---|
//! | ISA interrupt or GSI, by number | the virtio-mmio device that the definition blocks describe with this number, then the source overrides of the MADT | the input of the same number, on an active-high edge |
//! | INTx pin of a PCI function | `_PRT` of the first bridge above it that has an entry, up to the host bridge of its root bus, unless the entry's link device is disabled | the function's interrupt line register, with the source overrides of the MADT, else active low and level-triggered |

use alloc::vec::Vec;

use millrace_acpi::aml::InterruptPin;
use millrace_acpi::tables::{Description, InterruptInput, Polarity, Trigger};
use millrace_drivers::hal::LineSource;
use millrace_drivers::pci::IntxPin;

use super::bridge::pci_routes;
use super::devices::line_at;
use super::pci;

/// Highest input of the two 8259s, as a function's interrupt line register numbers them.
const LAST_OF_8259: u8 = 15;

/// The input that a line is connected to; `None` if it is unknown.
pub(crate) fn input(source: LineSource) -> Option<InterruptInput> {
    let acpi = super::description()?;
    match source {
        LineSource::Number(number) => {
            let usual = InterruptInput { gsi: number, polarity: Polarity::High, trigger: Trigger::Edge };
            let isa = |irq| acpi.isa_input(irq);
            Some(line_at(number).unwrap_or_else(|| u8::try_from(number).map_or(usual, isa)))
        }
        LineSource::Intx { pin, firmware_line } => {
            by_firmware(acpi, pin).or_else(|| by_register(acpi, firmware_line))
        }
    }
}

/// By the `_PRT` of the definition blocks.
fn by_firmware(acpi: &Description, pin: IntxPin) -> Option<InterruptInput> {
    let way = pci::way_to_root(pin)?;
    let bus = way.last()?.function.bus();
    let pins: Vec<_> = way.iter().map(on_its_bus).collect();
    let found = pci_routes()?.find(bus, &pins);
    found
        .inspect_err(|error| log::warn!(target: "acpi", "route of {pin}: {error}"))
        .ok()??
        .interrupt_input(acpi)
}

/// The pin without the number of its bus.
fn on_its_bus(at: &IntxPin) -> InterruptPin {
    InterruptPin { device: at.function.device(), function: at.function.function(), pin: at.pin }
}

/// By the interrupt line register: the input of the 8259s that the firmware has set up.
fn by_register(acpi: &Description, firmware_line: u8) -> Option<InterruptInput> {
    let irq = Some(firmware_line).filter(|irq| (1..=LAST_OF_8259).contains(irq))?;
    let usual = InterruptInput { gsi: irq.into(), polarity: Polarity::Low, trigger: Trigger::Level };
    Some(acpi.overrides.iter().find(|entry| entry.irq == irq).map_or(usual, |entry| entry.input))
}
