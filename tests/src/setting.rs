//! What an image runs on, a machine and the two cards that it bridges, and how it waits for frames.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::Machine;
use crate::console::Mark;
use crate::guest::Guest;

/// A model of QEMU's network cards that the image drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// virtio-net on PCI, modern interface.
    Virtio,
    /// The same without MSI-X: it interrupts by its line.
    VirtioLine,
    /// The same with two queue pairs, where its backend has as many.
    VirtioPairs,
    /// The same with the least that a device can offer: no event indices, no link state, no control queue, no messages.
    VirtioBare,
    /// The same with queues of at least 1024 entries to receive and 256 to transmit, the most that QEMU 7.2 has without
    /// vhost-user.
    VirtioLong,
    /// The same with packed queues, which the image has to be told to use.
    VirtioPacked,
    /// virtio-net on PCI, legacy interface only.
    VirtioLegacy,
    /// The same with a device that wants the header of a packet apart.
    VirtioLegacyApart,
    /// virtio-net on virtio-mmio, registers of version 2.
    VirtioMmio,
    /// The same with packed queues, which the image has to be told to use.
    VirtioMmioPacked,
    /// virtio-net on virtio-mmio, on a machine with ACPI: its definition blocks alone say where the card is.
    VirtioMmioAcpi,
    /// The same with registers of version 1, the legacy interface.
    VirtioMmio1,
    /// The last with a device that wants the header of a packet apart.
    VirtioMmio1Apart,
    /// 82540EM.
    E1000,
    /// 82544GC.
    E1000Gc,
    /// 82545EM.
    E1000Em,
    /// 82574L.
    E1000e,
}

impl Card {
    /// Its name for QEMU's `-device`, with what such a card needs. No PCI card has an option ROM: Debian ships them in a
    /// package of their own, and QEMU stops without them.
    pub fn device(self) -> &'static str {
        match self {
            Card::Virtio => "virtio-net-pci,romfile=",
            Card::VirtioLine => "virtio-net-pci,romfile=,vectors=0",
            Card::VirtioPairs => "virtio-net-pci,romfile=,mq=on,vectors=6",
            Card::VirtioBare => {
                "virtio-net-pci,romfile=,event_idx=off,status=off,ctrl_vq=off,mq=off,vectors=0"
            }
            Card::VirtioLong => "virtio-net-pci,romfile=,rx_queue_size=1024,tx_queue_size=256",
            Card::VirtioPacked => "virtio-net-pci,romfile=,packed=on",
            Card::VirtioLegacy => "virtio-net-pci,romfile=,disable-modern=on",
            Card::VirtioLegacyApart => "virtio-net-pci,romfile=,disable-modern=on,any_layout=off",
            Card::VirtioMmio | Card::VirtioMmioAcpi | Card::VirtioMmio1 => "virtio-net-device",
            Card::VirtioMmioPacked => "virtio-net-device,packed=on",
            Card::VirtioMmio1Apart => "virtio-net-device,any_layout=off",
            Card::E1000 => "e1000,romfile=",
            Card::E1000Gc => "e1000-82544gc,romfile=",
            Card::E1000Em => "e1000-82545em,romfile=",
            Card::E1000e => "e1000e,romfile=",
        }
    }

    /// What QEMU has to be told once for such cards: options and their values.
    pub fn options(self) -> &'static [&'static str] {
        match self {
            // Without ACPI, QEMU puts the places of such cards on the kernel command line.
            Card::VirtioMmio | Card::VirtioMmioPacked => {
                &["-machine", "acpi=off", "-global", "virtio-mmio.force-legacy=off"]
            }
            Card::VirtioMmioAcpi => &["-machine", "pcie=on", "-global", "virtio-mmio.force-legacy=off"],
            Card::VirtioMmio1 | Card::VirtioMmio1Apart => {
                &["-machine", "acpi=off", "-global", "virtio-mmio.force-legacy=on"]
            }
            _ => &[],
        }
    }

    /// Whether it sits on PCI.
    pub fn is_pci(self) -> bool {
        use Card::{VirtioMmio, VirtioMmio1, VirtioMmio1Apart, VirtioMmioAcpi, VirtioMmioPacked};
        !matches!(self, VirtioMmio | VirtioMmioPacked | VirtioMmioAcpi | VirtioMmio1 | VirtioMmio1Apart)
    }

    /// Whether it is to have packed queues.
    fn is_packed(self) -> bool {
        matches!(self, Card::VirtioPacked | Card::VirtioMmioPacked)
    }

    /// Whether it is one of virtio's.
    pub fn is_virtio(self) -> bool {
        self.prefix() == "vtnet"
    }

    /// What the image's names for such cards begin with.
    fn prefix(self) -> &'static str {
        match self {
            Card::Virtio
            | Card::VirtioLine
            | Card::VirtioPairs
            | Card::VirtioBare
            | Card::VirtioLong
            | Card::VirtioPacked
            | Card::VirtioLegacy
            | Card::VirtioLegacyApart
            | Card::VirtioMmio
            | Card::VirtioMmioPacked
            | Card::VirtioMmioAcpi
            | Card::VirtioMmio1
            | Card::VirtioMmio1Apart => "vtnet",
            Card::E1000 | Card::E1000Gc | Card::E1000Em | Card::E1000e => "em",
        }
    }
}

/// How the image waits for frames: its key `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It looks again and again.
    Spin,
    /// It sleeps as soon as there is nothing to do.
    Poll,
    /// It sleeps when nothing has come for a while.
    Adaptive,
}

impl Wait {
    /// The key's value.
    pub fn value(self) -> &'static str {
        match self {
            Wait::Spin => "spin",
            Wait::Poll => "poll",
            Wait::Adaptive => "adaptive",
        }
    }
}

/// A machine with two cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The machine.
    pub machine: Machine,
    /// The first card.
    pub left: Card,
    /// The second card.
    pub right: Card,
    /// How the image waits.
    pub wait: Wait,
}

impl Setting {
    /// Fails unless the image, which is ready, uses packed queues for as many cards as are to have them.
    pub fn check(self, guest: &Guest) -> Result<()> {
        let wanted = [self.left, self.right].iter().filter(|card| card.is_packed()).count();
        let lines = guest.console().lines_after(Mark::default());
        let found = lines.iter().filter(|line| line.contains(": virtio, packed queues, ")).count();
        ensure!(found == wanted, "{found} cards have packed queues instead of {wanted}: {lines:?}");
        Ok(())
    }

    /// What the image's command line says for it.
    pub fn words(self) -> String {
        let is_packed = self.left.is_packed() || self.right.is_packed();
        let packed = if is_packed { " packed=on" } else { "" };
        format!("app=bridge wait={}{packed}", self.wait.value())
    }

    /// A machine with these cards, whose image spins.
    pub fn new(machine: Machine, left: Card, right: Card) -> Self {
        Self { machine, left, right, wait: Wait::Spin }
    }

    /// The same, with an image that waits so.
    pub fn waiting(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    /// The image's names for the two cards.
    pub fn ports(self) -> [String; 2] {
        names([self.left, self.right])
    }

    /// Whether both cards are virtio's.
    pub fn is_virtio(self) -> bool {
        self.left.is_virtio() && self.right.is_virtio()
    }

    /// The four rings that a frame passes on its way to the right and back, as the counters name them.
    pub fn rings(self) -> [String; 4] {
        let [left, right] = self.ports();
        [format!("{left} rx0"), format!("{right} tx0"), format!("{right} rx0"), format!("{left} tx0")]
    }
}

/// The image's names for these cards, in the order in which it finds them.
pub fn names<const N: usize>(cards: [Card; N]) -> [String; N] {
    let mut numbers = BTreeMap::<&str, u32>::new();
    cards.map(|card| {
        let number = numbers.entry(card.prefix()).or_default();
        let name = format!("{}{number}", card.prefix());
        *number += 1;
        name
    })
}

impl From<Machine> for Setting {
    /// The machine with two virtio cards.
    fn from(machine: Machine) -> Self {
        Self::new(machine, Card::Virtio, Card::Virtio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbered_by_the_letters_of_their_driver() {
        let ports = |left, right| Setting::new(Machine::Pc, left, right).ports();
        assert_eq!(ports(Card::Virtio, Card::Virtio), ["vtnet0", "vtnet1"]);
        assert_eq!(ports(Card::Virtio, Card::E1000), ["vtnet0", "em0"]);
        assert_eq!(ports(Card::E1000, Card::E1000e), ["em0", "em1"]);
    }
}
