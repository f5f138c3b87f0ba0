//! The keys of the machine: those that every application has.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use log::LevelFilter;
use nm_core::nic::Mtu;
use nm_core::tunables::Overrides;

use crate::keys;
use crate::keys::{Bounded, Field, Value, bounded_message, not_allowed};
use crate::mmio_device::MmioDevice;

/// How a worker waits for frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It polls continuously.
    Spin,
    /// It sleeps until an interrupt whenever there is nothing to do.
    Poll,
    /// It polls for a while, then sleeps.
    Adaptive,
}

/// Queue pairs of a card. The image uses 32 processors at most; with more pairs than processors, a worker has several.
pub type QueuePairs = Bounded<1, 64>;

keys! {
    /// What the machine is told, whatever application it runs.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct MachineConfig {
        /// How a worker waits for frames: `spin` polls continuously, without interrupts; `poll` sleeps until an interrupt
        /// whenever there is nothing to do; `adaptive` polls for 50 µs, then sleeps
        "wait" wait: Wait = Wait::Adaptive, "adaptive";
        /// Maximum number of queue pairs per card. There is one worker per processor, up to 32, as long as each port has a ring
        /// for it; with more pairs, a worker has several
        "queues" queues: Option<QueuePairs> = None, "number of processors that run";
        /// MTU of each card, at most the one that a card reports (virtio's `host_mtu`). Frames of up to 22 bytes more (Ethernet
        /// header and two VLAN tags) pass; longer ones are dropped
        "mtu" mtu: Option<Mtu> = None, "what the card reports, else 1500";
        /// Whether virtio cards that offer packed queues use them. With `wait=spin` they are slower than split queues
        "packed" packed: bool = false, "off";
        /// Least severe messages that the console shows
        "log" log: LogLevel = LogLevel(LevelFilter::Info), "info";
        /// A sysctl of netmap: sizes of the memory regions (`buf_num`, `buf_size`, `ring_num`, `ring_size`, `if_num`, `if_size`,
        /// and each with `priv_`), and behaviour (`fwd`, `admode`, `mitigate`, `no_pendintr`, `verbose`, …); `t` on the console
        /// lists all with their ranges
        "netmap.NAME" tunables: Overrides = Overrides::default(),
            "`if_num`, `ring_num` and `buf_num` follow the memory and the sizes that are set; the others as in netmap";
        /// A virtio-mmio device, as a VMM appends it to the command line; once for each device
        "virtio_mmio.device" mmio_devices: MmioDevices = MmioDevices::default(), "none";
    }
}

impl Value for Wait {
    fn values() -> String {
        "spin, poll, adaptive".to_string()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "spin" => Ok(Self::Spin),
            "poll" => Ok(Self::Poll),
            "adaptive" => Ok(Self::Adaptive),
            _ => Err(not_allowed::<Self>()),
        }
    }
}

impl Value for Mtu {
    fn values() -> String {
        format!("{} to {}", Self::MIN, Self::MAX)
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().and_then(Self::new).ok_or_else(not_allowed::<Self>)
    }
}

/// The least severe messages that the console shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub LevelFilter);

impl Value for LogLevel {
    fn values() -> String {
        "off, error, warn, info, debug, trace".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| not_allowed::<Self>())
    }
}

impl Field for Overrides {
    fn values() -> String {
        "a number within the tunable's range".to_owned()
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let number = text.parse().map_err(|_| not_allowed::<Self>())?;
        Overrides::set(self, name, number).map_err(|error| error.to_string())
    }
}

/// The virtio-mmio devices, by ascending address. No two overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MmioDevices(Vec<MmioDevice>);

impl MmioDevices {
    /// The devices, by ascending address.
    pub fn list(&self) -> &[MmioDevice] {
        &self.0
    }

    /// Adds devices that the firmware describes. One whose registers overlap those of a device that is there already is left
    /// out: the command line counts.
    pub fn add_described(&mut self, devices: impl IntoIterator<Item = MmioDevice>) {
        for device in devices {
            self.insert(device);
        }
    }

    /// Adds a device; returns `false` without adding it if its registers overlap those of another.
    fn insert(&mut self, device: MmioDevice) -> bool {
        let is_free = !self.0.iter().any(|other| other.overlaps(&device));
        if is_free {
            let place = self.0.partition_point(|other| other.address < device.address);
            self.0.insert(place, device);
        }
        is_free
    }
}

impl Field for MmioDevices {
    const REPEATS: bool = true;

    fn values() -> String {
        "SIZE@ADDRESS:IRQ".to_owned()
    }

    fn set(&mut self, _name: &str, text: &str) -> Result<(), String> {
        let device = text.parse().map_err(|error| bounded_message(&error))?;
        let is_added = self.insert(device);
        let overlaps = || "its registers overlap those of another device".to_owned();
        if is_added { Ok(()) } else { Err(overlaps()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(texts: &[&str]) -> Result<MmioDevices, String> {
        let mut devices = MmioDevices::default();
        texts.iter().try_for_each(|text| Field::set(&mut devices, "", text))?;
        Ok(devices)
    }

    /// A VMM appends them in an order of its own.
    #[test]
    fn virtio_mmio_devices_are_in_the_order_of_their_addresses() {
        let texts = ["512@0xfeb02e00:23", "512@0xfeb02c00:22", "4K@0xd0000000:5", "512@0xfeb02a00:21"];
        let sorted = devices(&texts).unwrap();
        let addresses: Vec<_> = sorted.list().iter().map(|device| device.address).collect();
        assert_eq!(addresses, [0xd000_0000, 0xfeb0_2a00, 0xfeb0_2c00, 0xfeb0_2e00]);
        assert_eq!(
            devices(&["4K@0xd0000000:5", "1@0xd0000fff:6"]).unwrap_err(),
            "its registers overlap those of another device"
        );
    }

    #[test]
    fn devices_that_the_firmware_describes_come_between_those_of_the_command_line() {
        let device = |address, irq| MmioDevice { address, bytes: 512, irq };
        let mut all = devices(&["512@0xfeb02c00:22"]).unwrap();
        all.add_described([
            device(0xfeb0_2e00, 47),
            device(0xfeb0_2c00, 46),
            device(0xfeb0_2a00, 45),
            device(0xfeb0_2e10, 48),
        ]);
        let expected = [device(0xfeb0_2a00, 45), device(0xfeb0_2c00, 22), device(0xfeb0_2e00, 47)];
        assert_eq!(all.list(), expected, "ascending, and the command line counts");
    }
}
