//! virtio over PCI by the legacy interface: where the registers are found, and what is written to which.

use std::sync::{Arc, Mutex};

use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{Address, BarError, Claim, Command, ConfigSpace, Function};
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci, RegisterModel};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::legacy::{LegacyPciError, LegacyPciTransport};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{QueuePlace, Transport, TransportError, activate_queue};
use millrace_drivers::{Card, Options, ProbeError, probe};
use nm_driver::nic::Nic;

const FIRST: u16 = 0xc040;
const PORTS: u16 = 64;

/// Ports that keep what is written to them.
#[derive(Debug)]
struct Ports(Mutex<Vec<u8>>);

impl Ports {
    fn new() -> Arc<Self> {
        let mut bytes = vec![0; PORTS.into()];
        bytes[0] = 1 << 5;
        bytes[0x0d] = 1; // 256 entries
        bytes[0x14..0x1c].copy_from_slice(&[1, 2, 3, 4, 5, 6, 1, 0]);
        Arc::new(Self(Mutex::new(bytes)))
    }

    fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0.lock().unwrap()[offset..offset + N].try_into().unwrap()
    }

    fn read16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.get(offset))
    }

    fn read32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.get(offset))
    }

    fn set(&self, offset: usize, bytes: &[u8]) {
        self.0.lock().unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl RegisterModel for Ports {
    fn bytes(&self) -> usize {
        PORTS.into()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        let mut value = [0; 4];
        value[..width].copy_from_slice(&self.0.lock().unwrap()[offset..offset + width]);
        u32::from_le_bytes(value)
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        self.set(offset, &value.to_le_bytes()[..width]);
    }
}

/// A transitional card as QEMU shows it with `disable-modern=on`.
fn card() -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1000);
    function.set_port_bar(0, FIRST, PORTS);
    function.set_memory_bar(1, 0xfebd_1000, 4096, false);
    function.push_capability(0x98, 0x11, &[0x02, 0x00]);
    function
}

/// A machine with that function and its ports.
struct Slot {
    hal: Arc<dyn Hal>,
    pci: Arc<FakePci>,
    config: Arc<dyn ConfigSpace>,
    ports: Arc<Ports>,
}

impl Slot {
    fn with(function: FakeFunction) -> Self {
        let (machine, pci, ports) = (FakeMachine::new(), Arc::new(FakePci::default()), Ports::new());
        machine.add_ports(FIRST, ports.clone());
        pci.insert(address(), function);
        Self { hal: machine, config: pci.clone(), pci, ports }
    }

    fn function(&self) -> Function {
        Function::read(self.config.as_ref(), address()).unwrap()
    }

    fn transport(&self) -> Result<LegacyPciTransport, LegacyPciError> {
        LegacyPciTransport::new(
            self.hal.as_ref(),
            Claim::new(self.hal.as_ref(), &self.config, &self.function()).unwrap(),
        )
    }

    fn probe(&self) -> Option<Result<Card, ProbeError>> {
        probe(&self.hal, &self.config, &self.function(), Options::default())
    }

    fn command(&self) -> u16 {
        self.pci.function(address()).unwrap().get(4) as u16
    }
}

fn address() -> Address {
    Address::new(0, 3, 0).unwrap()
}

#[test]
fn a_card_without_modern_interface_is_driven_by_its_ports() {
    let slot = Slot::with(card());
    let Some(Ok(card)) = slot.probe() else { panic!("it is a card") };
    assert_eq!(card.name_prefix(), "vtnet");
    let Card::VirtioNet(nic) = card else { panic!("it is a virtio card") };
    assert_eq!(nic.info().mac, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        (nic.info().tx_slots, nic.info().rx_slots),
        (128, 128),
        "a header by itself takes half of 256"
    );

    drop(nic);
    slot.ports.write(0, 4, 1 << 27);
    let Some(Ok(Card::VirtioNet(nic))) = slot.probe() else { panic!("it is a card") };
    assert_eq!(nic.info().mac, [0x02, b'm', b'r', 0, 0, 3 << 3], "made from 00:03.0");
    assert_eq!((nic.info().tx_slots, nic.info().rx_slots), (256, 256));
}

#[test]
fn registers_lie_where_they_always_have() {
    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    assert_eq!(slot.command(), (Command::IO | Command::BUS_MASTER | Command::INTERRUPT_DISABLE).bits());

    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    assert_eq!((slot.ports.get(0x12), transport.status().bits()), ([3], 3));
    transport.accept_features(Features::NET_MAC | Features::VERSION_1);
    assert_eq!(slot.ports.get(0x04), [1 << 5, 0, 0, 0, 0, 0, 0, 0], "32 bits and no more");
    assert_eq!((transport.config_u8(2), transport.config_u16(6)), (Ok(3), Ok(1)));
    assert!(transport.config_u8(43).is_ok() && transport.config_u8(44).is_err());
    assert!(transport.config_u16(42).is_ok() && transport.config_u16(43).is_err());
    assert!(transport.config_u8(usize::MAX).is_err());

    let place =
        QueuePlace { size: 256, descriptors: 0x1_2345_6000, available: 0x1_2345_7000, used: 0x1_2345_8000 };
    let doorbell = activate_queue(&mut transport, 1, place).unwrap();
    assert_eq!((slot.ports.read32(0x08), slot.ports.read16(0x0e)), (0x12_3456, 1));
    assert_eq!(slot.ports.read16(0x0c), 256, "it is the device's to say");
    slot.ports.write(0x10, 2, 7);
    doorbell.notify();
    assert_eq!(slot.ports.read16(0x10), 1);

    assert!(transport.quiesce());
    assert_eq!(slot.command(), (Command::IO | Command::INTERRUPT_DISABLE).bits());
}

#[test]
fn a_queue_that_cannot_be_told_of_is_refused() {
    let slot = Slot::with(card());
    let mut transport = slot.transport().unwrap();
    let place = QueuePlace { size: 256, descriptors: 1 << 44, ..QueuePlace::default() };
    let mut refusal = |place| activate_queue(&mut transport, 1, place).map(|_| ()).unwrap_err();
    assert_eq!(refusal(place), TransportError::OutOfReach { queue: 1 });
    let short = QueuePlace { size: 128, descriptors: 4096, ..place };
    assert_eq!(refusal(short), TransportError::SizeRefused { queue: 1, wanted: 128, found: 256 });
    assert_eq!(slot.ports.read32(0x08), 0, "a 0 is not written, nor anything else");
    slot.ports.write(0x08, 4, 5);
    assert_eq!(refusal(place), TransportError::InUse { queue: 1 });
}

/// Earlier software has used MSI-X: two numbers of vectors are in front of the configuration.
#[test]
fn the_configuration_is_behind_the_vectors_while_msi_x_is_on() {
    let mut function = card();
    function.set(0x98, function.get(0x98) | 1 << 31);
    let slot = Slot::with(function);
    slot.ports.set(0x14, &[0xff, 0xff, 0xff, 0xff, 9, 8, 7, 6, 5, 4]);
    assert_eq!(slot.transport().unwrap().config_u8(0), Ok(9));
}

#[test]
fn what_is_wrong_with_a_card_is_said() {
    let refusal = |change: &dyn Fn(&mut FakeFunction)| {
        let mut function = card();
        change(&mut function);
        match Slot::with(function).probe() {
            Some(Err(ProbeError::LegacyPci(error))) => error,
            other => panic!("{other:?}"),
        }
    };
    let bar = LegacyPciError::Bar;
    assert_eq!(refusal(&|card| card.set_port_bar(0, 0, 64)), bar(BarError::Unassigned));
    assert_eq!(refusal(&|card| card.set_memory_bar(0, 0xfe00_0000, 4096, false)), bar(BarError::Memory));
    let large = |card: &mut FakeFunction| {
        card.set(0x10, 0x1_0001);
        card.set_writable(0x10, !0xff);
    };
    assert_eq!(refusal(&large), bar(BarError::NoSuchPort));
    assert_eq!(refusal(&|card| card.set_port_bar(0, FIRST, 16)), LegacyPciError::TooShort { ports: 16 });
    let elsewhere = refusal(&|card| card.set_port_bar(0, 0xd000, 64));
    assert_eq!(elsewhere, LegacyPciError::NoPorts { first: 0xd000 });
    assert_eq!(
        elsewhere.to_string(),
        "the device has the legacy interface only, and its I/O ports from 0xd000 on are not available"
    );
}
