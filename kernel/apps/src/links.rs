//! Reports links that go down or come back, for the interfaces with open ports.

use alloc::string::String;
use alloc::vec::Vec;

use nm_core::Netmap;
use nm_core::nic::Link;

use crate::task::{Task, Turn};

/// Time between two looks, in nanoseconds. A look reads a register of each card, which on a virtual machine is a VM exit. A link
/// that goes down and comes back in between is not noticed.
const PERIOD_NS: u64 = 100_000_000;

/// The task that reports links.
#[derive(Debug)]
pub struct Links {
    netmap: Netmap,
    /// Interfaces whose link was down at the last look. All others count as up.
    down: Vec<String>,
}

impl Links {
    /// Reports the links of this netmap's interfaces.
    pub fn new(netmap: Netmap) -> Self {
        Self { netmap, down: Vec::new() }
    }

    fn update(&mut self, name: String, link: Link) {
        let known = self.down.iter().position(|down| *down == name);
        match (link, known) {
            (Link::Up, None) | (Link::Down, Some(_)) => return,
            (Link::Up, Some(known)) => drop(self.down.swap_remove(known)),
            (Link::Down, None) => self.down.push(name.clone()),
        }
        log::info!(target: "link", "{name}: link {link}");
    }
}

impl Task for Links {
    fn poll(&mut self, turn: &Turn<'_>) -> Option<u64> {
        for interface in self.netmap.interfaces().into_iter().filter(|interface| interface.is_open) {
            self.update(interface.name, interface.link);
        }
        Some(turn.now_ns.saturating_add(PERIOD_NS))
    }
}
