//! A device that does not stop keeps what it can write to: no safe code gets that memory. A device has one driver at a time.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use millrace_drivers::claims::{AlreadyClaimed, DevicePlace};
use millrace_drivers::e1000::Attachment;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{Address, Claim, Command, ConfigSpace, Function};
use millrace_drivers::registers::IoRegion;
use millrace_drivers::testing::{
    FakeFunction, FakeMachine, FakePci, MmioVersion, NetDevice, RegisterModel, Setup,
};
use millrace_drivers::virtio::mmio::{MmioTransport, Slot, SlotError};
use millrace_drivers::virtio::net::VirtioNet;
use millrace_drivers::virtio::pci::PciTransport;
use millrace_drivers::{Options, ProbeError, probe, probe_mmio};
use nm_core::mem::Region;
use nm_core::nic::Mtu;
use nm_core::tunables::Tunables;
use nm_core::{Attachment as Interface, Netmap};
use nm_driver::nic::{Nic, StartParams};
use nm_driver::platform::Platform;

/// Where the registers are on virtio-mmio.
const REGISTERS: u64 = 0xfeb0_0000;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn options() -> Options {
    Options { queue_pairs: 1.try_into().unwrap(), allows_packed: false, iommu: None }
}

fn netmap(machine: &Arc<FakeMachine>) -> Netmap {
    let platform: Arc<dyn Platform> = machine.clone();
    Netmap::new(
        &platform,
        Tunables {
            if_num: 2,
            ring_num: 4,
            ring_size: 512,
            buf_size: 256,
            buf_num: 40,
            ..Tunables::default()
        },
    )
    .unwrap()
}

/// Takes all buffers of the region, looks at them while the device receives a frame, and says whether one has changed
/// under a shared reference.
fn a_spare_changes(region: &Region, receive: impl FnOnce() -> bool) -> bool {
    let mut spares = region.spares(u32::MAX);
    spares.iter_mut().for_each(|spare| spare.set_len(64).unwrap().fill(0));
    let frames: Vec<&[u8]> = spares.iter().map(|spare| spare.frame()).collect();
    let is_received = receive();
    is_received && frames.iter().any(|frame| frame.iter().any(|byte| *byte != 0))
}

/// A device that hears no reset, as hardware can be: its registers on virtio-mmio.
#[derive(Debug)]
struct Deaf(Arc<dyn IoRegion>, Arc<AtomicBool>);

impl RegisterModel for Deaf {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        self.0.read(offset, width)
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        // 0x70 is the status register (virtio 1.2, section 4.2.2).
        if offset != 0x70 || value != 0 || !self.1.load(SeqCst) {
            self.0.write(offset, width, value);
        }
    }
}

/// A card on virtio-mmio, and what makes it deaf.
fn deaf(machine: &Arc<FakeMachine>) -> (NetDevice, VirtioNet, Arc<AtomicBool>) {
    let device = NetDevice::new(machine, Setup::with_queues(16, 16));
    let is_deaf = Arc::new(AtomicBool::new(false));
    let registers = Deaf(device.mmio_registers(MmioVersion::V2), is_deaf.clone());
    machine.add_model(REGISTERS, Arc::new(registers));
    let slot = Slot::find(machine.as_ref(), REGISTERS, 0x200).unwrap().unwrap();
    let transport = Box::new(MmioTransport::new(slot));
    let nic = VirtioNet::new(transport, machine.clone(), MAC, options()).unwrap();
    (device, nic, is_deaf)
}

/// A virtio-mmio device that does not confirm its reset. Nothing can cut it off from memory.
#[test]
fn the_buffers_of_a_closed_port_stay_with_a_device_that_does_not_stop() {
    let machine = FakeMachine::new();
    let (device, nic, is_deaf) = deaf(&machine);
    let netmap = netmap(&machine);
    netmap.attach_as("vtnet0", Interface::rings(nic).with_mtu(Mtu::MIN)).unwrap();
    let port = netmap.open("vtnet0").unwrap();
    device.fetch();
    is_deaf.store(true, SeqCst);
    drop(port);
    println!("running {}, cut off {}, {}", device.is_running(), device.is_cut_off(), netmap.memory());
    let changed = a_spare_changes(netmap.region(), || device.receive(&[0x66; 60], 0));
    assert!(!changed, "the device has written a buffer that safe code borrows");
}

/// The same, and then everything is dropped: the region's memory goes back to the platform.
#[test]
fn a_region_is_not_released_under_a_device_that_does_not_stop() {
    let machine = FakeMachine::new();
    let (device, nic, is_deaf) = deaf(&machine);
    let netmap = netmap(&machine);
    netmap.attach_as("vtnet0", Interface::rings(nic).with_mtu(Mtu::MIN)).unwrap();
    let port = netmap.open("vtnet0").unwrap();
    device.fetch();
    is_deaf.store(true, SeqCst);
    drop((port, netmap));
    let _ = device.receive(&[0x66; 60], 0);
    assert_eq!(device.violations(), [], "what the device writes to");
}

/// A machine with an Intel card on PCI.
fn machine_with_function() -> (Arc<FakeMachine>, Arc<FakePci>, Arc<dyn ConfigSpace>, Function) {
    let (machine, pci) = (FakeMachine::new(), Arc::new(FakePci::default()));
    let mut function = FakeFunction::endpoint(0x8086, 0x100e);
    function.set_memory_bar(0, REGISTERS, 0x2_0000, false);
    machine.add_registers(REGISTERS, &[0; 0x2_0000]);
    let address = Address::new(0, 4, 0).unwrap();
    pci.insert(address, function);
    let config: Arc<dyn ConfigSpace> = pci.clone();
    let function = Function::read(config.as_ref(), address).unwrap();
    (machine, pci, config, function)
}

#[test]
fn a_pci_function_has_one_driver_at_a_time() {
    let (machine, pci, config, function) = machine_with_function();
    let hal: Arc<dyn Hal> = machine.clone();
    let place = DevicePlace::Pci(function.address);
    let first =
        Attachment::on_pci(hal.as_ref(), Claim::new(hal.as_ref(), &config, &function).unwrap()).unwrap();
    let writes = pci.writes();

    let claimed = AlreadyClaimed(place);
    assert_eq!(Claim::new(hal.as_ref(), &config, &function).map(drop), Err(claimed));
    let Some(Err(error)) = probe(&hal, &config, &function, options()) else { panic!("it is refused") };
    assert_eq!(error, ProbeError::Claimed(claimed));
    assert_eq!(error.to_string(), "the device at PCI 00:04.0 already has a driver");
    assert_eq!(pci.writes(), writes, "a function that has a driver is not touched");

    drop(first);
    assert!(Attachment::on_pci(hal.as_ref(), Claim::new(hal.as_ref(), &config, &function).unwrap()).is_ok());
    // Nor does a failure to drive it keep the claim.
    assert!(
        PciTransport::new(hal.as_ref(), Claim::new(hal.as_ref(), &config, &function).unwrap(), 2).is_err()
    );
    assert!(Attachment::on_pci(hal.as_ref(), Claim::new(hal.as_ref(), &config, &function).unwrap()).is_ok());
}

/// A device that was cut off may still hold addresses of buffers that were allocated again since: safe code cannot make it a bus
/// master again.
#[test]
fn a_device_that_was_cut_off_gets_no_driver_again() {
    let (machine, pci, config, function) = machine_with_function();
    let mut card =
        Attachment::on_pci(machine.as_ref(), Claim::new(machine.as_ref(), &config, &function).unwrap())
            .unwrap();
    assert!(card.cut_off());
    drop(card);
    let again = Claim::new(machine.as_ref(), &config, &function).map(drop);
    assert_eq!(again, Err(AlreadyClaimed(DevicePlace::Pci(function.address))));
    let command = Command::from_bits_retain(pci.function(function.address).unwrap().get(4) as u16);
    assert!(!command.contains(Command::BUS_MASTER));
}

#[test]
fn a_device_on_virtio_mmio_has_one_driver_at_a_time() {
    let machine = FakeMachine::new();
    let (_device, nic, _) = deaf(&machine);
    let hal: Arc<dyn Hal> = machine.clone();
    let claimed = SlotError::Claimed(AlreadyClaimed(DevicePlace::Mmio(REGISTERS)));
    assert_eq!(Slot::find(hal.as_ref(), REGISTERS, 0x200).map(drop), Err(claimed));
    let found = probe_mmio(&hal, REGISTERS, 0x200, None, options()).unwrap();
    assert_eq!(found.map(drop), Err(ProbeError::Slot(claimed)));
    drop(nic);
    assert!(Slot::find(hal.as_ref(), REGISTERS, 0x200).unwrap().is_some());
    assert!(probe_mmio(&hal, REGISTERS, 0x200, None, options()).unwrap().is_ok());
}

std::thread_local! {
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// A log in safe code that panics at errors.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        assert!(record.level() != log::Level::Error || !PANICS.get(), "the log panics");
    }
    fn flush(&self) {}
}

/// Also if reporting it panics.
#[test]
fn the_queues_stay_with_a_device_that_does_not_stop_and_a_log_that_panics() {
    let _ = log::set_logger(&Log);
    log::set_max_level(log::LevelFilter::Error);
    let machine = FakeMachine::new();
    let (device, mut nic, is_deaf) = deaf(&machine);
    let params = StartParams { buffer_len: 192, tx_slots: 16, rx_slots: 16, mtu: Mtu::MIN };
    let queues = nic.start(&params).unwrap();
    is_deaf.store(true, SeqCst);
    let blocks = machine.blocks();
    PANICS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| nic.stop()));
    PANICS.set(false);
    drop((nic, queues));
    assert!(outcome.is_err() && device.is_running());
    assert_eq!(machine.blocks(), blocks, "the device still uses its queues");
}
