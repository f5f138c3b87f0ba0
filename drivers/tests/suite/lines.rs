//! Interrupts by a line that cards share: whose pin leads where, what acknowledges, and which queue is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_drivers::e1000::{Attachment, Interrupts, Offset};
use millrace_drivers::hal::{Hal, Handler, LineSource};
use millrace_drivers::pci::{Address, Claim, Command, ConfigSpace, Function, IntxPin, RootBuses};
use millrace_drivers::registers::IoRegion;
use millrace_drivers::testing::{
    FakeFunction, FakeMachine, FakePci, MmioVersion, NetDevice, RegisterModel, Setup,
};
use millrace_drivers::virtio::legacy::LegacyPciTransport;
use millrace_drivers::virtio::mmio::{MmioTransport, Slot};
use millrace_drivers::virtio::pci::PciTransport;
use millrace_drivers::virtio::transport::Transport;
use nm_driver::nic::Armed;

use crate::bench::Bench;
use crate::ways::Plain;

const BAR: u64 = 0xfeb0_0000;
const BAR_BYTES: usize = 0x2_0000;
const PORTS: u16 = 0xc040;

/// How often each queue was told.
#[derive(Default, Clone)]
struct Told([Arc<AtomicU32>; 2]);

impl Told {
    fn handlers(&self) -> Vec<Handler> {
        let handler = |count: &Arc<AtomicU32>| {
            let count = count.clone();
            Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            }) as Handler
        };
        self.0.iter().map(handler).collect()
    }

    fn counts(&self) -> [u32; 2] {
        [&self.0[0], &self.0[1]].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

fn address() -> Address {
    Address::new(0, 4, 0).unwrap()
}

/// The line of the function there.
fn intb() -> LineSource {
    LineSource::Intx { pin: IntxPin { function: address(), pin: 1 }, firmware_line: 11 }
}

/// A machine with a line from slot 4, and this function there.
struct World {
    machine: Arc<FakeMachine>,
    pci: Arc<FakePci>,
    told: Told,
}

impl World {
    fn with(mut function: FakeFunction) -> Self {
        function.set(0x3c, 2 << 8 | 11);
        let (machine, pci) = (FakeMachine::new(), Arc::new(FakePci::default()));
        machine.add_shared_line(intb());
        machine.add_registers(BAR, &[0; BAR_BYTES]);
        pci.insert(address(), function);
        Self { machine, pci, told: Told::default() }
    }

    fn parts(&self) -> (Arc<dyn ConfigSpace>, Function) {
        let config: Arc<dyn ConfigSpace> = self.pci.clone();
        let function = Function::read(config.as_ref(), address()).unwrap();
        (config, function)
    }

    fn has_line_on(&self) -> bool {
        let command = self.pci.function(address()).unwrap().get(4) as u16;
        !Command::from_bits_retain(command).contains(Command::INTERRUPT_DISABLE)
    }

    /// Writes registers as a card would change them.
    fn set(&self, offset: u64, bytes: &[u8]) {
        let window = self.machine.map_mmio(BAR, BAR_BYTES).unwrap();
        (0..).zip(bytes).for_each(|(number, byte)| window.write8(offset as usize + number, *byte));
    }
}

fn intel(device: u16) -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x8086, device);
    function.set_memory_bar(0, BAR, BAR_BYTES as u64, false);
    function
}

#[test]
fn an_intel_card_tells_the_queue_that_its_causes_name() {
    for device in [0x100e, 0x10d3] {
        let world = World::with(intel(device));
        let (config, function) = world.parts();
        let mut card = Attachment::on_pci(
            world.machine.as_ref(),
            Claim::new(world.machine.as_ref(), &config, &function).unwrap(),
        )
        .unwrap();
        assert_eq!((card.interrupts(), world.has_line_on()), (Interrupts::None, false));
        card.connect(world.told.handlers());
        assert_eq!((card.interrupts(), world.has_line_on()), (Interrupts::Line, true));
        world.set(Offset::Ims as u64, &(1u32 << 7 | 1).to_le_bytes());
        // A change of the link is noted, and causes no interrupt.
        for (icr, is_ours, told) in [
            (0u32, 0, [0, 0]),
            (1 << 7, 1, [1, 0]),
            (1, 1, [0, 1]),
            (1 << 7 | 1, 1, [1, 1]),
            (1 << 2, 0, [0, 0]),
            (u32::MAX, 0, [0, 0]),
        ] {
            world.set(Offset::Icr as u64, &icr.to_le_bytes());
            assert_eq!((world.machine.raise(intb()), world.told.counts()), (is_ours, told), "ICR {icr:#x}");
        }
    }
}

/// A function that sends messages does not assert its line.
#[test]
fn messages_that_somebody_has_left_on_are_switched_off_with_the_line_on() {
    let mut function = intel(0x100e);
    function.push_capability(0x50, 0x05, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    function.set_writable(0x50, 1 << 16);
    let world = World::with(function);
    let (config, function) = world.parts();
    let is_on = || world.pci.function(address()).unwrap().get(0x50) >> 16 & 1 == 1;
    let mut card = Attachment::on_pci(
        world.machine.as_ref(),
        Claim::new(world.machine.as_ref(), &config, &function).unwrap(),
    )
    .unwrap();
    assert!(is_on());
    card.connect(world.told.handlers());
    assert_eq!((card.interrupts(), is_on()), (Interrupts::Line, false));
}

#[test]
fn a_card_without_a_line_goes_on_without() {
    let mut function = intel(0x100e);
    function.set(0x3c, 0);
    let world = World::with(function.clone());
    world.pci.insert(address(), function);
    let (config, function) = world.parts();
    let mut card = Attachment::on_pci(
        world.machine.as_ref(),
        Claim::new(world.machine.as_ref(), &config, &function).unwrap(),
    )
    .unwrap();
    card.connect(world.told.handlers());
    assert_eq!((card.interrupts(), world.has_line_on()), (Interrupts::None, false));
    assert_eq!(world.machine.raise(intb()), 0);
}

/// A transitional card as QEMU shows it with `disable-modern=on`.
fn legacy() -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1000);
    function.set_port_bar(0, PORTS, 32);
    function
}

#[test]
fn reading_its_isr_acknowledges_a_legacy_device() {
    let world = World::with(legacy());
    let device = NetDevice::new(&world.machine, Setup::with_queues(4, 4));
    world.machine.add_ports(PORTS, Arc::new(device.legacy_pci_registers()));
    let (config, function) = world.parts();
    let mut transport = LegacyPciTransport::new(
        world.machine.as_ref(),
        Claim::new(world.machine.as_ref(), &config, &function).unwrap(),
    )
    .unwrap();
    assert!(!transport.has_interrupt(0) && !world.has_line_on());
    transport.connect(world.told.handlers());
    assert!(transport.has_interrupt(0) && transport.has_interrupt(1) && world.has_line_on());
    assert_eq!((world.machine.raise(intb()), world.told.counts()), (0, [0, 0]), "it was another card");
}

#[test]
fn a_modern_device_without_messages_has_its_line() {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
    function.set_memory_bar(4, BAR, BAR_BYTES as u64, true);
    let capability = |kind: u8, offset: u32| {
        let (length, multiplier) = if kind == 2 { (20, &[4, 0, 0, 0][..]) } else { (16, &[][..]) };
        let head = [length, kind, 4, 0, 0, 0];
        [&head[..], &offset.to_le_bytes(), &0x1000u32.to_le_bytes(), multiplier].concat()
    };
    for (at, kind, offset) in [(0x84, 3, 0x1000), (0x70, 4, 0x2000), (0x50, 2, 0x3000), (0x40, 1, 0)] {
        function.push_capability(at, 9, &capability(kind, offset));
    }
    let world = World::with(function);
    let (config, function) = world.parts();
    let mut transport = PciTransport::new(
        world.machine.as_ref(),
        Claim::new(world.machine.as_ref(), &config, &function).unwrap(),
        2,
    )
    .unwrap();
    transport.connect(world.told.handlers());
    assert!(transport.has_interrupt(0) && transport.has_interrupt(1) && world.has_line_on());
    for (isr, is_ours, told) in
        [(0, 0, [0, 0]), (1, 1, [1, 1]), (2, 1, [0, 0]), (3, 1, [1, 1]), (0xff, 0, [0, 0])]
    {
        world.set(0x1000, &[isr]);
        assert_eq!((world.machine.raise(intb()), world.told.counts()), (is_ours, told), "ISR {isr:#x}");
    }
}

/// A device that has something new to say as often as it is acknowledged.
#[derive(Debug)]
struct Restless {
    inner: Arc<dyn IoRegion>,
    times: AtomicU32,
    acknowledged: AtomicU32,
}

impl RegisterModel for Restless {
    fn bytes(&self) -> usize {
        self.inner.bytes()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        match offset {
            0x60 => u32::from(self.times.load(Ordering::Relaxed) > 0),
            _ => self.inner.read(offset, width),
        }
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        if offset == 0x64 && value == 1 {
            self.times.fetch_sub(1, Ordering::Relaxed);
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            self.inner.write(offset, width, value);
        }
    }
}

/// A device with so much to say, on line 5.
fn restless(machine: &Arc<FakeMachine>, at: u64, times: u32) -> (Arc<Restless>, MmioTransport) {
    let device = NetDevice::new(machine, Setup::with_queues(4, 4));
    let bank = Arc::new(Restless {
        inner: device.mmio_registers(MmioVersion::V2),
        times: AtomicU32::new(times),
        acknowledged: AtomicU32::new(0),
    });
    machine.add_model(at, bank.clone());
    let slot = Slot::find(machine.as_ref(), at, 0x200).unwrap().unwrap();
    (bank, MmioTransport::new(slot).with_line(machine.as_ref(), Some(5)))
}

/// Several devices on one line: all are asked, each time.
#[test]
fn devices_share_a_line() {
    let machine = FakeMachine::new();
    machine.add_shared_line(LineSource::Number(5));
    let told: [Told; 2] = Default::default();
    let [(first, mut one), (second, mut other)] =
        [(BAR, 1), (BAR + 0x200, 2)].map(|(at, times)| restless(&machine, at, times));
    one.connect(told[0].handlers());
    other.connect(told[1].handlers());
    assert_eq!(machine.raise(LineSource::Number(5)), 2);
    assert_eq!([told[0].counts(), told[1].counts()], [[1, 1]; 2]);
    let acknowledged = [first, second].map(|bank| bank.acknowledged.load(Ordering::Relaxed));
    assert_eq!((acknowledged, machine.raise(LineSource::Number(5))), ([1, 2], 0));
}

#[test]
fn a_device_on_virtio_mmio_is_acknowledged_until_it_is_quiet_and_not_for_ever() {
    for (times, acknowledged) in [(0, 0), (1, 1), (3, 3), (1000, 16)] {
        let machine = FakeMachine::new();
        machine.add_shared_line(LineSource::Number(5));
        let (bank, mut transport) = restless(&machine, BAR, times);
        let told = Told::default();
        transport.connect(told.handlers());
        assert!(transport.has_interrupt(0) && transport.has_interrupt(1));
        let is_ours = usize::from(times > 0);
        assert_eq!(machine.raise(LineSource::Number(5)), is_ours);
        assert_eq!(told.counts(), [u32::from(times > 0); 2]);
        assert_eq!(bank.acknowledged.load(Ordering::Relaxed), acknowledged);
    }
}

#[test]
fn a_function_says_by_which_pin_it_interrupts() {
    let pci = FakePci::default();
    let place = Address::new(9, 2, 1).unwrap();
    let source = |register: u32| {
        let mut card = FakeFunction::endpoint(0x8086, 0x100e);
        card.set(0x3c, register);
        pci.insert(place, card);
        Function::read(&pci, place).unwrap().line_source(&pci)
    };
    let pin = IntxPin { function: place, pin: 1 };
    assert_eq!(source(2 << 8 | 10), Some(LineSource::Intx { pin, firmware_line: 10 }));
    assert_eq!(pin.to_string(), "INTB of 09:02.1");
    for pin in [0, 5, 0xff] {
        assert_eq!(source(pin << 8), None, "pin {pin}");
    }
}

#[test]
fn behind_bridges_the_pins_are_rotated() {
    let pci = FakePci::default();
    let at = |bus, device| Address::new(bus, device, 0).unwrap();
    pci.insert(at(0, 3), FakeFunction::bridge(1));
    pci.insert(at(1, 6), FakeFunction::bridge(2));
    pci.insert(at(64, 1), FakeFunction::bridge(65));
    pci.insert(at(65, 2), FakeFunction::bridge(66));
    let roots = |buses: &[u8]| buses.iter().copied().collect::<RootBuses>();
    let way = |function, pin, roots: &RootBuses| {
        let way = IntxPin { function, pin }.way_to_root(&pci, roots)?;
        Some(way.into_iter().map(|at| (at.function, at.pin)).collect::<Vec<_>>())
    };
    let both = roots(&[64]);
    assert_eq!(way(at(0, 2), 0, &both), Some(vec![(at(0, 2), 0)]));
    assert_eq!(way(at(1, 7), 0, &both), Some(vec![(at(1, 7), 0), (at(0, 3), 3)]), "INTA of device 7 is INTD");
    let twice = vec![(at(2, 5), 0), (at(1, 6), 1), (at(0, 3), (5 + 6) % 4)];
    assert_eq!(way(at(2, 5), 0, &both), Some(twice));
    let other_root = vec![(at(66, 5), 3), (at(65, 2), 0), (at(64, 1), 2)];
    assert_eq!(way(at(66, 5), 3, &both), Some(other_root), "up to its own root bus");
    assert_eq!(way(at(64, 5), 3, &both), Some(vec![(at(64, 5), 3)]));
    assert_eq!(way(at(66, 5), 3, &roots(&[])), None, "no bridge leads there from bus 0");
    assert_eq!(way(at(9, 1), 0, &both), None, "no bridge leads there");
    pci.insert(at(64, 2), FakeFunction::bridge(4));
    assert_eq!(
        way(at(4, 1), 0, &both),
        None,
        "the number of the bus behind a bridge is above that of its own"
    );
    // A bridge on bus 0 that claims a root bus has no part in it.
    pci.insert(at(0, 4), FakeFunction::bridge(64));
    assert_eq!(way(at(64, 5), 3, &both), Some(vec![(at(64, 5), 3)]));
}

/// The model of the device asserts its line when the driver wants to know, and
/// lets go of it when it was heard.
#[test]
fn a_frame_asserts_the_line_until_its_queue_was_told() {
    let mut bench = Bench::<Plain>::new(Setup::with_queues(4, 4));
    bench.rx.sync();
    assert_eq!(bench.rx.queue.arm(), Armed::Yes);
    assert!(bench.device.receive(&[7; 60], 0) && bench.device.is_line_asserted());
    let bank = bench.device.mmio_registers(MmioVersion::V2);
    assert_eq!(bank.read32(0x60), 1);
    bank.write32(0x64, 1);
    assert!(!bench.device.is_line_asserted());
}
