//! The ways in which the card is attached: each test of the driver runs over all of them.

use std::sync::Arc;

use millrace_drivers::Options;
use millrace_drivers::pci::{Address, Claim, ConfigSpace, Function};
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci, MmioVersion, NetDevice, Setup};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::legacy::LegacyPciTransport;
use millrace_drivers::virtio::mmio::{MmioTransport, Slot};
use millrace_drivers::virtio::transport::Transport;

/// A way in which the card is attached.
pub trait Way {
    /// Devices of this way are legacy devices.
    const IS_LEGACY: bool = false;
    /// A device that does not stop can be cut off from memory, and the model sees that it is (what configuration space says
    /// of it is for the tests of PCI).
    const CUTS_OFF: bool;
    /// A device that does not stop can be cut off by configuration space, which the model does not see.
    const CUTS_OFF_BY_BUS: bool = false;
    /// The device says whether it takes the size of a queue.
    const CONFIRMS_SIZE: bool;
    /// The device says how many entries a queue has, and the driver takes them as they are.
    const HAS_FIXED_SIZES: bool = false;
    /// Descriptors for each packet.
    const DESCRIPTORS: u16;
    /// Queues are packed.
    const IS_PACKED: bool = false;
    /// The device has promised to use buffers in order, and does.
    const IS_IN_ORDER: bool = false;

    /// The driver's way to `device`, which becomes one of this way.
    fn attach(device: &NetDevice) -> Box<dyn Transport>;

    /// Bytes of the header in front of each packet.
    fn header_bytes() -> u32 {
        if Self::IS_LEGACY { 10 } else { 12 }
    }

    /// How a card of this way is to be used, with so many queue pairs.
    fn options(pairs: u16) -> Options {
        let queue_pairs = pairs.try_into().expect("a pair or more");
        Options { queue_pairs, allows_packed: Self::IS_PACKED, ..Options::default() }
    }

    /// A card that has room for so many packets to receive and to transmit.
    fn with_slots(receive: u16, transmit: u16) -> Setup {
        Setup::with_queues(receive * Self::DESCRIPTORS, transmit * Self::DESCRIPTORS)
    }
}

/// Each register by a method of its own: what all ways have in common.
pub enum Plain {}

/// virtio-mmio, version 2.
pub enum Mmio2 {}

/// Each register by a method of its own, and a device that offers packed queues.
pub enum PlainPacked {}

/// virtio-mmio, version 2, and the same. The device does not mark what it has written as written, as QEMU's.
pub enum Mmio2Packed {}

/// Each register by a method of its own, and a device that offers to use buffers in order.
pub enum InOrder {}

/// The same with packed queues.
pub enum PackedInOrder {}

/// virtio-mmio, version 1, and a device that takes packets in any layout.
pub enum Mmio1 {}

/// The same with a device that wants the header apart.
pub enum Mmio1Apart {}

/// PCI by the legacy interface, and a device that takes packets in any layout.
pub enum LegacyPci {}

/// The same with a device that wants the header apart.
pub enum LegacyPciApart {}

impl Way for Plain {
    const CUTS_OFF: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const DESCRIPTORS: u16 = 1;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        Box::new(device.transport())
    }
}

impl Way for Mmio2 {
    const CUTS_OFF: bool = false;
    const CONFIRMS_SIZE: bool = false;
    const DESCRIPTORS: u16 = 1;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        Box::new(MmioTransport::new(slot(device, MmioVersion::V2)))
    }
}

impl Way for PlainPacked {
    const CUTS_OFF: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const DESCRIPTORS: u16 = 1;
    const IS_PACKED: bool = true;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        offer_packed(device);
        Plain::attach(device)
    }
}

impl Way for Mmio2Packed {
    const CUTS_OFF: bool = false;
    const CONFIRMS_SIZE: bool = false;
    const DESCRIPTORS: u16 = 1;
    const IS_PACKED: bool = true;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        offer_packed(device);
        device.change_setup(|setup| setup.quirks.omits_write_flag = true);
        Mmio2::attach(device)
    }
}

impl Way for InOrder {
    const CUTS_OFF: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const DESCRIPTORS: u16 = 1;
    const IS_IN_ORDER: bool = true;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        device.change_setup(|setup| setup.offered |= Features::IN_ORDER);
        Plain::attach(device)
    }
}

impl Way for PackedInOrder {
    const CUTS_OFF: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const DESCRIPTORS: u16 = 1;
    const IS_PACKED: bool = true;
    const IS_IN_ORDER: bool = true;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        device.change_setup(|setup| setup.offered |= Features::IN_ORDER);
        PlainPacked::attach(device)
    }
}

impl Way for Mmio1 {
    const IS_LEGACY: bool = true;
    const CUTS_OFF: bool = false;
    const CONFIRMS_SIZE: bool = false;
    const DESCRIPTORS: u16 = 1;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        make_legacy(device, Features::ANY_LAYOUT);
        Box::new(MmioTransport::new(slot(device, MmioVersion::V1)))
    }
}

impl Way for Mmio1Apart {
    const IS_LEGACY: bool = true;
    const CUTS_OFF: bool = false;
    const CONFIRMS_SIZE: bool = false;
    const DESCRIPTORS: u16 = 2;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        make_legacy(device, Features::empty());
        Box::new(MmioTransport::new(slot(device, MmioVersion::V1)))
    }
}

impl Way for LegacyPci {
    const IS_LEGACY: bool = true;
    const CUTS_OFF: bool = false;
    const CUTS_OFF_BY_BUS: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const HAS_FIXED_SIZES: bool = true;
    const DESCRIPTORS: u16 = 1;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        make_legacy(device, Features::ANY_LAYOUT);
        Box::new(legacy_pci(device))
    }
}

impl Way for LegacyPciApart {
    const IS_LEGACY: bool = true;
    const CUTS_OFF: bool = false;
    const CUTS_OFF_BY_BUS: bool = true;
    const CONFIRMS_SIZE: bool = true;
    const HAS_FIXED_SIZES: bool = true;
    const DESCRIPTORS: u16 = 2;

    fn attach(device: &NetDevice) -> Box<dyn Transport> {
        make_legacy(device, Features::empty());
        Box::new(legacy_pci(device))
    }
}

/// The device's io ports, in a machine that has nothing else.
fn legacy_pci(device: &NetDevice) -> LegacyPciTransport {
    let machine = FakeMachine::new();
    machine.add_ports(0xc000, Arc::new(device.legacy_pci_registers()));
    let address = Address::new(0, 3, 0).expect("an address");
    let mut function = FakeFunction::endpoint(0x1af4, 0x1000);
    function.set_port_bar(0, 0xc000, 32);
    let pci = FakePci::default();
    pci.insert(address, function);
    let config: Arc<dyn ConfigSpace> = Arc::new(pci);
    let function = Function::read(config.as_ref(), address).expect("the function");
    LegacyPciTransport::new(machine.as_ref(), Claim::new(machine.as_ref(), &config, &function).unwrap())
        .expect("a legacy device")
}

/// Has the device offer packed queues.
fn offer_packed(device: &NetDevice) {
    device.change_setup(|setup| setup.offered |= Features::RING_PACKED);
}

/// Makes a legacy device of one that may offer anything, with this layout of packets.
fn make_legacy(device: &NetDevice, layout: Features) {
    device.change_setup(|setup| {
        *setup = setup.clone().legacy().without(Features::ANY_LAYOUT);
        setup.offered |= layout;
    });
}

fn slot(device: &NetDevice, version: MmioVersion) -> Slot {
    let (machine, at) = (FakeMachine::new(), 0xfeb0_0000);
    let registers = device.mmio_registers(version);
    let bytes = registers.bytes();
    machine.add_model(at, Arc::new(registers));
    Slot::find(machine.as_ref(), at, bytes).expect("virtio-mmio registers").expect("a device")
}

/// Turns `fn test<W: Way>()` into a test for each way.
macro_rules! in_every_way {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            in_ways! { $test
                plain Plain,
                plain_packed PlainPacked,
                in_order InOrder,
                packed_in_order PackedInOrder,
                mmio_2 Mmio2,
                mmio_2_packed Mmio2Packed,
                mmio_1 Mmio1,
                mmio_1_header_apart Mmio1Apart,
                legacy_pci LegacyPci,
                legacy_pci_header_apart LegacyPciApart,
            }
        }
    )+ };
}

/// The same for each way with split queues: for what a packed queue does not have.
macro_rules! in_every_way_with_split_queues {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            in_ways! { $test
                plain Plain,
                in_order InOrder,
                mmio_2 Mmio2,
                mmio_1 Mmio1,
                mmio_1_header_apart Mmio1Apart,
                legacy_pci LegacyPci,
                legacy_pci_header_apart LegacyPciApart,
            }
        }
    )+ };
}

/// The same for each way with a device that has promised to use buffers in order.
macro_rules! in_every_way_in_order {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            in_ways! { $test
                in_order InOrder,
                packed_in_order PackedInOrder,
            }
        }
    )+ };
}

macro_rules! in_ways {
    ($test:ident $($name:ident $way:ident,)+) => { $(
        #[test]
        fn $name() {
            super::$test::<crate::ways::$way>();
        }
    )+ };
}
