//! A driver of packed queues by hand, written from section 2.8: it does as it should unless it is told otherwise.

use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, Setup, Violation};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::transport::QueuePlace;
use nm_driver::platform::{DmaMemory, Platform};

use crate::rules::by_hand::{ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FLAG_WRITE, RX, TX, VERSION_1};

pub const RING_PACKED: u64 = 1 << 34;
/// The control queue of a device with one queue pair.
pub const CONTROL: u16 = 2;

pub const AVAIL: u16 = 1 << 7;
pub const USED: u16 = 1 << 15;

pub const ENABLE: u16 = 0;
pub const DISABLE: u16 = 1;
pub const DESC: u16 = 2;
/// The wrap counter in an event.
pub const WRAP: u16 = 1 << 15;

/// Bytes of each packet buffer.
pub const BUFFER: u32 = 128;

/// A place of the ring, and the wrap counter of who is there.
#[derive(Clone, Copy)]
pub struct Cursor {
    pub place: u16,
    pub wrap: bool,
}

impl Cursor {
    pub const START: Self = Self { place: 0, wrap: true };

    fn step(&mut self, size: u16) {
        self.place += 1;
        if self.place == size {
            *self = Self { place: 0, wrap: !self.wrap };
        }
    }

    /// The flags of what is made available here.
    pub fn available(self) -> u16 {
        if self.wrap { AVAIL } else { USED }
    }

    pub fn event(self) -> u16 {
        self.place | if self.wrap { WRAP } else { 0 }
    }
}

/// A descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub address: u64,
    pub len: u32,
    pub id: u16,
    pub flags: u16,
}

/// The driver's side of one queue.
#[derive(Clone, Copy)]
pub struct Side {
    /// Where the next buffer goes.
    pub next: Cursor,
    /// Where the next used descriptor comes.
    pub used: Cursor,
    /// Places filled since the driver thought of a doorbell last, and where the first of them is.
    batch: (u16, Cursor),
}

pub struct ByHand {
    pub machine: Arc<FakeMachine>,
    pub device: NetDevice,
    pub rings: DmaMemory,
    pub buffers: DmaMemory,
    pub size: u16,
    pub sides: [Side; 3],
}

impl ByHand {
    /// At a device whose queues have room for `size`, and which has agreed on these features besides VERSION_1.
    pub fn negotiated(features: u64, size: u16) -> Self {
        Self::at(Setup::with_queues(size, size), features, size)
    }

    fn at(setup: Setup, features: u64, size: u16) -> Self {
        let machine = FakeMachine::new();
        let setup = Setup { control_size: size, ..setup.packed() };
        let device = NetDevice::new(&machine, setup);
        let platform: Arc<dyn Platform> = machine.clone();
        let count = usize::from(size);
        let rings = DmaMemory::allocate(&platform, 3 * (16 * count + 16), 4096).unwrap();
        let buffers = DmaMemory::allocate(&platform, 2 * count * BUFFER as usize, 4096).unwrap();
        device.write_status(ACKNOWLEDGE);
        device.write_status(ACKNOWLEDGE | DRIVER);
        device.write_features(VERSION_1 | features);
        device.write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        let side = Side { next: Cursor::START, used: Cursor::START, batch: (0, Cursor::START) };
        Self { machine, device, rings, buffers, size, sides: [side; 3] }
    }

    /// At a running device with packed queues of `size`.
    pub fn running(features: u64, size: u16) -> Self {
        Self::running_at(Setup::with_queues(size, size), features, size)
    }

    /// At one with this setup.
    pub fn running_at(setup: Setup, features: u64, size: u16) -> Self {
        let driver = Self::at(setup, RING_PACKED | features, size);
        assert!(
            Features::from_bits_retain(driver.device.accepted_features()).contains(Features::RING_PACKED)
        );
        for queue in [RX, TX, CONTROL] {
            driver.device.write_queue_size(queue, size);
            driver.device.write_queue_addresses(queue, driver.place(queue));
            driver.device.enable_queue(queue);
        }
        driver.device.write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        assert_eq!(driver.device.violations(), []);
        driver
    }

    /// Descriptors, and behind them what driver and device say about events.
    pub fn place(&self, queue: u16) -> QueuePlace {
        let ring = 16 * u64::from(self.size);
        let descriptors = self.rings.phys() + u64::from(queue) * (ring + 16);
        let available = descriptors + ring;
        QueuePlace { size: self.size, descriptors, available, used: available + 4 }
    }

    /// The buffer of `queue` that goes by `id`.
    pub fn buffer(&self, queue: u16, id: u16) -> u64 {
        let number = u64::from(queue) * u64::from(self.size) + u64::from(id);
        self.buffers.phys() + u64::from(BUFFER) * number
    }

    pub fn side(&mut self, queue: u16) -> &mut Side {
        &mut self.sides[usize::from(queue)]
    }

    fn entry_address(&self, queue: u16, place: u16) -> u64 {
        self.place(queue).descriptors + 16 * u64::from(place)
    }

    pub fn read(&self, queue: u16, place: u16) -> Entry {
        let bytes: [u8; 16] = self.machine.read_array(self.entry_address(queue, place)).unwrap();
        Entry {
            address: u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            len: u32::from_le_bytes(bytes[8..12].try_into().unwrap()),
            id: u16::from_le_bytes([bytes[12], bytes[13]]),
            flags: u16::from_le_bytes([bytes[14], bytes[15]]),
        }
    }

    pub fn write(&self, queue: u16, place: u16, entry: Entry) {
        let Entry { address, len, id, flags } = entry;
        let bytes = [&address.to_le_bytes()[..], &len.to_le_bytes(), &id.to_le_bytes(), &flags.to_le_bytes()];
        self.machine.write(self.entry_address(queue, place), &bytes.concat()).unwrap();
    }

    /// What is right for the buffer `id`, but for who owns it.
    pub fn good(&self, queue: u16, id: u16) -> Entry {
        let flags = if queue == RX { FLAG_WRITE } else { 0 };
        Entry { address: self.buffer(queue, id), len: BUFFER, id, flags }
    }

    /// Fills the next place and makes it available.
    pub fn make_available(&mut self, queue: u16, entry: Entry) {
        let (size, next) = (self.size, self.side(queue).next);
        self.write(queue, next.place, Entry { flags: entry.flags | next.available(), ..entry });
        let side = self.side(queue);
        side.next.step(size);
        side.batch.0 += 1;
    }

    /// Rings if the device wants it for what was made available since the last call.
    pub fn kick(&mut self, queue: u16) {
        let size = self.size;
        let next = self.side(queue).next;
        let (count, mut cursor) = std::mem::replace(&mut self.side(queue).batch, (0, next));
        let [event, flags] = self.device_events(queue);
        let is_wanted = (0..count).any(|_| {
            let is_here = cursor.event() == event;
            cursor.step(size);
            flags == ENABLE || flags == DESC && is_here
        });
        if is_wanted {
            self.device.ring_doorbell(queue);
        }
    }

    /// Makes one buffer available as it should be done.
    pub fn post(&mut self, queue: u16, id: u16) {
        self.make_available(queue, self.good(queue, id));
        self.kick(queue);
    }

    /// The next used descriptor, if there is one: the buffer has one descriptor.
    pub fn take(&mut self, queue: u16) -> Option<Entry> {
        let (size, used) = (self.size, self.side(queue).used);
        let entry = self.read(queue, used.place);
        let is_used = entry.flags & (AVAIL | USED) == if used.wrap { AVAIL | USED } else { 0 };
        is_used.then(|| {
            self.side(queue).used.step(size);
            entry
        })
    }

    pub fn device_events(&self, queue: u16) -> [u16; 2] {
        let at = self.place(queue).used;
        [self.machine.load16(at).unwrap(), self.machine.load16(at + 2).unwrap()]
    }

    pub fn set_events(&self, queue: u16, event: u16, flags: u16) {
        let at = self.place(queue).available;
        self.machine.store16(at, event).unwrap();
        self.machine.store16(at + 2, flags).unwrap();
    }

    /// The device complains of this and of nothing else.
    #[track_caller]
    pub fn expect(&self, violation: Violation) {
        self.device.fetch();
        assert_eq!(self.device.violations(), [violation]);
    }

    #[track_caller]
    pub fn expect_none(&self) {
        self.device.fetch();
        assert_eq!(self.device.violations(), []);
    }
}
