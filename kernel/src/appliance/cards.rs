//! Finding cards, and giving them their names.

use alloc::collections::BTreeMap;
use alloc::format;

use millrace::Machine;
use millrace_drivers::pci::{self, Function};
use millrace_drivers::{Card, probe};
use nm_core::{AttachError, Netmap};

/// Attaches every card on the PCI buses that there is a driver for: `vtnet0`, `vtnet1`…, `em0`… in the order of
/// their addresses. A card that fails is named and left out, and keeps no number.
pub(super) fn attach(machine: &Machine, netmap: &Netmap) {
    let Some(config) = &machine.config_space else { return };
    let mut attached: BTreeMap<&str, u32> = BTreeMap::new();
    for function in pci::functions(config.as_ref()) {
        log::debug!(target: "pci", "{function}");
        match probe(&machine.hal, config, &function) {
            None => {}
            Some(Ok(card)) => {
                let number = attached.entry(card.name_prefix()).or_default();
                let name = format!("{}{number}", card.name_prefix());
                match attach_one(netmap, &name, card) {
                    Ok(()) => *number += 1,
                    Err(error) => complain(&function, &error),
                }
            }
            Some(Err(error)) => complain(&function, &error),
        }
    }
    netmap.interfaces().iter().for_each(|interface| log::info!(target: "cards", "{interface}"));
}

fn attach_one(netmap: &Netmap, name: &str, card: Card) -> Result<(), AttachError> {
    match card {
        Card::VirtioNet(card) => netmap.attach(name, card),
        Card::E1000(card) => netmap.attach(name, card),
    }
}

fn complain(function: &Function, error: &dyn core::error::Error) {
    log::error!(target: "cards", "{function}: left out: {error}");
}
