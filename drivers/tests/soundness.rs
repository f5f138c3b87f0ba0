//! A device that does not stop keeps what it can write to: no safe code gets that memory.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use millrace_drivers::Options;
use millrace_drivers::bank::RegisterBank;
use millrace_drivers::testing::{FakeMachine, MmioBank, MmioVersion, NetDevice, Setup};
use millrace_drivers::virtio::mmio::{MmioTransport, Slot, V2};
use millrace_drivers::virtio::net::VirtioNet;
use nm_core::Netmap;
use nm_core::mem::Region;
use nm_core::nic::Nic;
use nm_core::platform::Platform;
use nm_core::tunables::Tunables;

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
struct Deaf(MmioBank, Arc<AtomicBool>);

impl RegisterBank for Deaf {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.0.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.0.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        self.0.read32(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.0.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.0.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        // 0x70 is the status register (virtio 1.2, section 4.2.2).
        if offset != 0x70 || value != 0 || !self.1.load(SeqCst) {
            self.0.write32(offset, value);
        }
    }
}

/// A card on virtio-mmio, and what makes it deaf.
fn deaf(machine: &Arc<FakeMachine>) -> (NetDevice, VirtioNet, Arc<AtomicBool>) {
    let device = NetDevice::new(machine, Setup::with_queues(16, 16));
    let is_deaf = Arc::new(AtomicBool::new(false));
    let bank = Deaf(device.mmio_bank(MmioVersion::V2), is_deaf.clone());
    let slot = Slot::find(Arc::new(bank)).unwrap().unwrap();
    let transport = Box::new(MmioTransport::<V2>::new(slot));
    let nic = VirtioNet::new(transport, machine.clone(), MAC, options()).unwrap();
    (device, nic, is_deaf)
}

/// A virtio-mmio device that does not confirm its reset. Nothing can cut it off from memory.
#[test]
fn the_buffers_of_a_closed_port_stay_with_a_device_that_does_not_stop() {
    let machine = FakeMachine::new();
    let (device, nic, is_deaf) = deaf(&machine);
    let netmap = netmap(&machine);
    netmap.attach("vtnet0", nic).unwrap();
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
    netmap.attach("vtnet0", nic).unwrap();
    let port = netmap.open("vtnet0").unwrap();
    device.fetch();
    is_deaf.store(true, SeqCst);
    drop((port, netmap));
    let _ = device.receive(&[0x66; 60], 0);
    assert_eq!(device.violations(), [], "what the device writes to");
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
    let queues = nic.start().unwrap();
    is_deaf.store(true, SeqCst);
    let blocks = machine.blocks();
    PANICS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| nic.stop()));
    PANICS.set(false);
    drop((nic, queues));
    assert!(outcome.is_err() && device.is_running());
    assert_eq!(machine.blocks(), blocks, "the device still uses its queues");
}
