//! Telling when a link goes down or comes back, for the interfaces that have ports.

use alloc::string::String;
use alloc::vec::Vec;

use millrace::clock;
use nm_core::Netmap;
use nm_core::nic::Link;

/// Time from one look to the next, in microseconds. A look reads a register of each card, which a virtual machine is left
/// for; a link that goes down and comes back in between is not noticed.
const PERIOD_US: u64 = 100_000;

/// What is known of the links. Until it is seen down, a link counts as up.
pub(super) struct Links {
    /// Interfaces whose link was down when they were looked at last.
    down: Vec<String>,
    period: u64,
    next_look: u64,
}

impl Links {
    /// Nothing has been looked at yet, and the first look is due.
    pub(super) fn new() -> Self {
        Self { down: Vec::new(), period: clock::ticks_in_us(PERIOD_US), next_look: clock::ticks() }
    }

    /// Looks if it is time to, and says what has changed.
    pub(super) fn watch(&mut self, netmap: &Netmap) {
        let now = clock::ticks();
        if now < self.next_look {
            return;
        }
        self.next_look = now.saturating_add(self.period);
        for interface in netmap.interfaces().into_iter().filter(|interface| interface.is_open) {
            self.note(interface.name, interface.link);
        }
    }

    fn note(&mut self, name: String, link: Link) {
        let known = self.down.iter().position(|down| *down == name);
        match (link, known) {
            (Link::Up, None) | (Link::Down, Some(_)) => return,
            (Link::Up, Some(known)) => drop(self.down.swap_remove(known)),
            (Link::Down, None) => self.down.push(name.clone()),
        }
        log::info!(target: "link", "{name}: link {link}");
    }
}
