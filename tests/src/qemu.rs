//! QEMU around an image: what it is given, and what becomes of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::guest::Guest;
use crate::iso::{Firmware, Iso, Medium};
use crate::monitor::Monitor;
use crate::options::{mac, netdev, option_value};
use crate::permit::Permit;
use crate::serial::Serial;
use crate::wire::Wire;
use crate::{Card, Machine};

/// The longest that any QEMU may run, unless [`Qemu::limit`] says otherwise.
const HARD_LIMIT: Duration = Duration::from_secs(300);

/// What to run: a builder.
#[derive(Debug, Clone)]
pub struct Qemu {
    machine: Machine,
    image: PathBuf,
    memory_mib: u32,
    command_line: String,
    /// What boots instead of image and command line.
    medium: Option<Vec<OsString>>,
    /// Devices that make buses for the cards.
    buses: Vec<String>,
    /// The IOMMU, as QEMU's device.
    iommu: Option<String>,
    /// The words for each card, those of PCI and those without a bus.
    cards: Vec<[String; 4]>,
    mmio_cards: Vec<[String; 4]>,
    /// What QEMU is told once for these cards.
    options: &'static [&'static str],
    arguments: Vec<OsString>,
    /// What the serial port is connected to, as a character device of QEMU's.
    console: String,
    has_debug_exit: bool,
    has_shared_memory: bool,
    limit: Duration,
}

impl Qemu {
    /// The image at `image` on `machine` with 64 MiB of memory, no card and an empty command line.
    pub fn new(machine: Machine, image: impl Into<PathBuf>) -> Self {
        Self {
            machine,
            image: image.into(),
            memory_mib: 64,
            command_line: String::new(),
            medium: None,
            buses: Vec::new(),
            iommu: None,
            cards: Vec::new(),
            mmio_cards: Vec::new(),
            options: &[],
            arguments: Vec::new(),
            console: "stdio,id=console,signal=off".to_owned(),
            has_debug_exit: true,
            has_shared_memory: false,
            limit: HARD_LIMIT,
        }
    }

    /// Guest memory in MiB.
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// So many processors instead of one.
    pub fn processors(self, count: u32) -> Self {
        self.argument("-smp").argument(count.to_string())
    }

    /// The kernel command line, as it stands.
    pub fn command_line(mut self, command_line: impl Into<String>) -> Self {
        self.command_line = command_line.into();
        self
    }

    /// Boots `iso`, which brings a command line of its own, instead of the image directly. Memory is at least what this
    /// firmware and GRUB need.
    pub fn iso(mut self, iso: &Iso, medium: Medium, firmware: Firmware) -> Self {
        self.memory_mib = self.memory_mib.max(firmware.least_memory_mib());
        self.medium = Some(iso.arguments(medium, firmware));
        self
    }

    /// The longest that this QEMU may run at all.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Without the device by which the image tells QEMU its status; and a reset does not end QEMU.
    pub fn without_debug_exit(mut self) -> Self {
        self.has_debug_exit = false;
        self.surviving_resets()
    }

    /// A reset of the machine boots the image again. Otherwise it ends QEMU.
    pub fn surviving_resets(self) -> Self {
        self.argument("-action").argument("reboot=reset")
    }

    /// With the serial port at `serial`, where QEMU waits for the other side, instead of at the guest's
    /// [`console`](Guest::console).
    pub fn serial(mut self, serial: &Serial) -> Self {
        let path = option_value(&serial.path());
        self.console = format!("socket,id=console,path={path},server=on,wait=on");
        self
    }

    /// One more argument of QEMU's own.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With an IOMMU that QEMU makes of `device`. A virtio one has the first free place on the PCI bus, in front of the cards.
    pub fn iommu(mut self, device: impl Into<String>) -> Self {
        self.iommu = Some(device.into());
        self
    }

    /// A virtio card at the end of `wire`. Cards are named in the order in which they are added.
    pub fn wire(self, wire: &Wire) -> Self {
        self.wire_to(Card::Virtio, wire)
    }

    /// A card of this model at the end of `wire`.
    pub fn wire_to(self, card: Card, wire: &Wire) -> Self {
        let backend = wire.backend();
        self.card_on(card, "dgram", &backend)
    }

    /// A virtio card on a netdev of QEMU's, of type `kind` with the properties `properties`.
    pub fn card(self, kind: &str, properties: &str) -> Self {
        self.card_on(Card::Virtio, kind, properties)
    }

    /// A card of this model on a netdev of QEMU's, of type `kind` with the properties `properties`.
    pub fn card_on(mut self, card: Card, kind: &str, properties: &str) -> Self {
        self.options = match self.machine {
            Machine::Microvm if card.is_pci() && self.options.is_empty() => &["-machine", "pcie=on"],
            _ if card.is_pci() => self.options,
            _ => card.options(),
        };
        if card.is_pci() {
            return self.device_on(card.device(), kind, properties);
        }
        let words = self.card_words(card.device(), kind, properties);
        self.mmio_cards.push(words);
        self
    }

    /// A device of QEMU's that makes a bus for the cards, as `pxb` does.
    pub fn bus(mut self, device: &str) -> Self {
        self.buses.push(device.to_owned());
        self
    }

    /// The PCI device that QEMU makes of `device` as a card like the others, on a netdev of type `kind` with the properties
    /// `properties`.
    pub fn device_on(mut self, device: &str, kind: &str, properties: &str) -> Self {
        let words = self.card_words(device, kind, properties);
        self.cards.push(words);
        self
    }

    /// The PCI device that QEMU makes of `device` as a card with so many queue pairs, whose other side listens at `socket` and
    /// maps the guest's memory.
    pub fn vhost_user(mut self, device: &str, socket: &Path, pairs: usize) -> Self {
        self.has_shared_memory = true;
        let number = self.cards.len() + self.mmio_cards.len();
        let queues = if pairs == 1 { String::new() } else { format!(",queues={pairs}") };
        let chardev = format!("socket,id=char{number},path={}", option_value(socket));
        self.argument("-chardev").argument(chardev).device_on(
            device,
            "vhost-user",
            &format!("chardev=char{number}{queues}"),
        )
    }

    fn card_words(&self, device: &str, kind: &str, properties: &str) -> [String; 4] {
        let number = self.cards.len() + self.mmio_cards.len();
        let separator = if properties.is_empty() { "" } else { "," };
        let id = netdev(number);
        let netdev = format!("{kind},id={id}{separator}{properties}");
        let device = format!("{device},netdev={id},mac={}", mac(number));
        ["-netdev".to_owned(), netdev, "-device".to_owned(), device]
    }

    /// Has it listen to `monitor`.
    pub fn monitor(self, monitor: &Monitor) -> Self {
        let socket = option_value(&monitor.path());
        self.argument("-qmp").argument(format!("unix:{socket},server=on,wait=off"))
    }

    /// Starts it, once fewer than two others run.
    pub fn start(self) -> Result<Guest> {
        self.start_under(Permit::one()?)
    }

    /// Starts it under a permit that the caller has: for tests that run two at once.
    pub fn start_under(self, permit: Permit) -> Result<Guest> {
        Guest::start(self.command(), self.limit, permit)
    }

    fn command(&self) -> Command {
        // util-linux's setpriv becomes QEMU, which the kernel then kills with the thread that started it.
        let mut command = Command::new("setpriv");
        // Ctrl-C is for this process alone, which ends QEMU with itself.
        command.process_group(0);
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", self.machine.name(), "-accel", "tcg", "-cpu", "max"]);
        command.arg("-m").arg(format!("{}M", self.memory_mib));
        if self.has_shared_memory {
            let memory = format!("memory-backend-memfd,id=memory,size={}M,share=on", self.memory_mib);
            command.args(["-machine", "memory-backend=memory", "-object", &memory]);
        }
        command.args(["-chardev", &self.console, "-serial", "chardev:console"]);
        if self.has_debug_exit {
            command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        }
        match &self.medium {
            Some(medium) => command.args(medium),
            None => command.arg("-kernel").arg(&self.image).arg("-append").arg(&self.command_line),
        };
        command.args(self.options);
        command.args(self.buses.iter().flat_map(|device| ["-device", device]));
        // QEMU puts only those cards behind an IOMMU that come after it.
        command.args(self.iommu.iter().flat_map(|device| ["-device", device]));
        command.args(self.cards.iter().flatten());
        // microvm gives the first device the highest address, and the image names them by ascending ones.
        command.args(self.mmio_cards.iter().rev().flatten());
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
