//! Finding cards, and giving them their names.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Display;

use millrace::Machine;
use millrace::pci::Pci;
use millrace_acpi::tables::IommuVendor;
use millrace_drivers::iommu::ActiveIommu;
use millrace_drivers::pci::{self, Function};
use millrace_drivers::{Card, Options, ProbeError, probe, probe_mmio};
use nm_apps::MmioDevice;
use nm_core::nic::Mtu;
use nm_core::{AttachError, Attachment, Netmap};

/// Attaches every card that there is a driver for, on the PCI buses and then among `mmio_devices`, which come by
/// ascending address: `vtnet0`, `vtnet1`…, `em0`… in that order, with this MTU if there is one. A card that fails is named and left out, and keeps no number.
/// A network controller on PCI without a driver is named as well. Returns the place and ids of each of these.
pub(super) fn attach(
    machine: &Machine,
    mmio_devices: &[MmioDevice],
    (options, mtu): (Options, Option<Mtu>),
    netmap: &Netmap,
) -> Vec<String> {
    let mut names = Names { mtu, ..Names::default() };
    let mut without_driver = Vec::new();
    if let Some(Pci { config, roots }) = &machine.pci {
        for function in pci::functions(config.as_ref(), roots) {
            log::debug!(target: "pci", "{function}");
            let found = probe(&machine.hal, config, &function, options);
            if found.is_none() && function.is_network_controller() {
                let Function { address, vendor, device, .. } = function;
                log::warn!(target: "cards", "{address}: no driver for network controller {vendor:04x}:{device:04x}");
                without_driver.push(format!("{address} {vendor:04x}:{device:04x}"));
            }
            names.attach(netmap, &function, found);
        }
    }
    for device in mmio_devices {
        names.attach(
            netmap,
            device,
            probe_mmio(&machine.hal, device.address, device.bytes, Some(device.irq), options),
        );
    }
    netmap.interfaces().iter().for_each(|interface| log::info!(target: "cards", "{interface}"));
    without_driver
}

/// The first IOMMU found that keeps cards from memory: a unit that the firmware's tables have, or a virtio IOMMU on PCI.
pub(super) fn active_iommu(machine: &Machine) -> Option<ActiveIommu> {
    let hal = machine.hal.as_ref();
    let mut units = machine.acpi.iommus.iter();
    let active = units.find_map(|unit| match unit.vendor {
        IommuVendor::Intel => ActiveIommu::intel(hal, unit.registers),
        IommuVendor::Amd => ActiveIommu::amd(hal, unit.registers),
    });
    let on_pci = |Pci { config, roots }: &Pci| ActiveIommu::virtio(hal, config.as_ref(), roots);
    active.or_else(|| machine.pci.as_ref().and_then(on_pci))
}

/// The names of cards, and the MTU of each.
#[derive(Default)]
struct Names {
    /// How many cards have a name, by its letters.
    numbers: BTreeMap<&'static str, u32>,
    mtu: Option<Mtu>,
}

impl Names {
    /// Attaches what was found at `place` under the next name for such cards.
    fn attach(&mut self, netmap: &Netmap, place: &dyn Display, found: Option<Result<Card, ProbeError>>) {
        match found {
            None => {}
            Some(Ok(card)) => {
                let number = self.numbers.entry(card.name_prefix()).or_default();
                let name = format!("{}{number}", card.name_prefix());
                let what = card.to_string();
                match attach_one(netmap, &name, card, self.mtu) {
                    Ok(()) => {
                        log::info!(target: "cards", "{place} is {name}: {what}");
                        *number += 1;
                    }
                    Err(error) => report_left_out(place, &error),
                }
            }
            Some(Err(error)) => report_left_out(place, &error),
        }
    }
}

fn attach_one(netmap: &Netmap, name: &str, card: Card, mtu: Option<Mtu>) -> Result<(), AttachError> {
    let attachment = match card {
        Card::VirtioNet(card) => Attachment::rings(card),
        Card::E1000(card) => Attachment::rings(card),
    };
    let attachment = match mtu {
        Some(mtu) => attachment.with_mtu(mtu),
        None => attachment,
    };
    netmap.attach_as(name, attachment)
}

fn report_left_out(place: &dyn Display, error: &dyn core::error::Error) {
    log::error!(target: "cards", "{place}: left out: {error}");
}
