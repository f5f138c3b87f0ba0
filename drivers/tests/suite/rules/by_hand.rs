//! A driver that does what it is told, by hand: writes registers and queue memory.

use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, Setup, Violation};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::transport::QueuePlace;
use nm_driver::platform::{DmaMemory, Platform};

pub const SIZE: u16 = 8;
pub const RX: u16 = 0;
pub const TX: u16 = 1;
/// The control queue of a device with two queue pairs.
pub const CONTROL: u16 = 4;

pub const ACKNOWLEDGE: u8 = 1;
pub const DRIVER: u8 = 2;
pub const DRIVER_OK: u8 = 4;
pub const FEATURES_OK: u8 = 8;
pub const VERSION_1: u64 = 1 << 32;
pub const EVENT_IDX: u64 = 1 << 29;
pub const IN_ORDER: u64 = 1 << 35;
pub const ANY_LAYOUT: u64 = 1 << 27;
pub const CTRL_VQ: u64 = 1 << 17;
pub const CTRL_RX: u64 = 1 << 18;
pub const MQ: u64 = 1 << 22;

pub const FLAG_NEXT: u16 = 1;
pub const FLAG_WRITE: u16 = 2;
pub const FLAG_INDIRECT: u16 = 4;

/// A driver that does what it is told.
pub struct ByHand {
    pub machine: Arc<FakeMachine>,
    pub device: NetDevice,
    /// The memory of the queues, a page each.
    pub queues: DmaMemory,
    /// Packet buffers of 256 bytes.
    pub buffers: DmaMemory,
}

impl ByHand {
    /// At a device after reset.
    pub fn new() -> Self {
        Self::at(Setup::with_queues(SIZE, SIZE))
    }

    fn at(setup: Setup) -> Self {
        let machine = FakeMachine::new();
        let device = NetDevice::new(&machine, setup);
        let platform: Arc<dyn Platform> = machine.clone();
        let queues = DmaMemory::allocate(&platform, 5 * 4096, 4096).unwrap();
        let buffers = DmaMemory::allocate(&platform, 16 * 256, 4096).unwrap();
        Self { machine, device, queues, buffers }
    }

    /// At a device that has agreed on these features besides VERSION_1.
    pub fn negotiated(features: u64) -> Self {
        Self::new().agree(features)
    }

    fn agree(self, features: u64) -> Self {
        self.device.write_status(ACKNOWLEDGE);
        self.device.write_status(ACKNOWLEDGE | DRIVER);
        self.device.write_features(VERSION_1 | features);
        self.device.write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        self
    }

    /// At a legacy device that has been given these features.
    pub fn negotiated_legacy(features: u64) -> Self {
        let driver = Self::new();
        driver.device.change_setup(|setup| {
            *setup = setup.clone().legacy();
            setup.offered |= Features::ANY_LAYOUT;
        });
        driver.device.write_status(ACKNOWLEDGE);
        driver.device.write_status(ACKNOWLEDGE | DRIVER);
        driver.device.write_features(features);
        driver
    }

    /// At a running device.
    pub fn running(features: u64) -> Self {
        Self::negotiated(features).start(FEATURES_OK, &[RX, TX])
    }

    /// At a running device that has promised to use buffers in order.
    pub fn running_in_order() -> Self {
        let driver = Self::new();
        driver.device.change_setup(|setup| setup.offered |= Features::from_bits_retain(IN_ORDER));
        driver.agree(IN_ORDER).start(FEATURES_OK, &[RX, TX])
    }

    /// At a running device with two queue pairs, of which these `queues` are enabled.
    pub fn with_pairs(features: u64, queues: &[u16]) -> Self {
        let setup = Setup { queue_sizes: vec![SIZE; 4], control_size: SIZE, ..Setup::with_pairs(2) };
        Self::at(setup).agree(MQ | CTRL_VQ | features).start(FEATURES_OK, queues)
    }

    /// At a running legacy device.
    pub fn running_legacy(features: u64) -> Self {
        Self::negotiated_legacy(features).start(0, &[RX, TX])
    }

    /// Sets the device running that has agreed with `agreed` on features.
    fn start(self, agreed: u8, queues: &[u16]) -> Self {
        let driver = self;
        for &queue in queues {
            driver.set_up(queue, driver.place(queue));
            driver.device.enable_queue(queue);
        }
        driver.device.write_status(ACKNOWLEDGE | DRIVER | agreed | DRIVER_OK);
        assert_eq!(driver.device.violations(), []);
        driver
    }

    pub fn place(&self, queue: u16) -> QueuePlace {
        let page = self.queues.phys() + 4096 * u64::from(queue);
        QueuePlace { size: SIZE, descriptors: page, available: page + 1024, used: page + 2048 }
    }

    /// Writes a queue's size and addresses, and does not enable it.
    pub fn set_up(&self, queue: u16, place: QueuePlace) {
        self.device.write_queue_size(queue, place.size);
        self.device.write_queue_addresses(queue, place);
    }

    pub fn buffer(&self, number: u64) -> u64 {
        self.buffers.phys() + 256 * number
    }

    pub fn descriptor(&self, queue: u16, id: u16, address: u64, bytes: u32, flags: u16) {
        let fields = [&address.to_le_bytes()[..], &bytes.to_le_bytes(), &flags.to_le_bytes(), &[0, 0]];
        self.machine.write(self.place(queue).descriptors + 16 * u64::from(id), &fields.concat()).unwrap();
    }

    /// Makes descriptor `id`, whose flags say that it continues, continue in `next`.
    pub fn link(&self, queue: u16, id: u16, next: u16) {
        let at = self.place(queue).descriptors + 16 * u64::from(id) + 14;
        self.machine.write(at, &next.to_le_bytes()).unwrap();
    }

    /// Puts `id` into the available ring as entry number `index`, and publishes it.
    pub fn publish(&self, queue: u16, index: u16, id: u16) {
        let available = self.place(queue).available;
        self.machine.store16(available + 4 + 2 * u64::from(index % SIZE), id).unwrap();
        self.machine.store16(available + 2, index.wrapping_add(1)).unwrap();
    }

    /// Posts a buffer of the queue's own under `id` as entry `index`, as it should be done.
    pub fn post(&self, queue: u16, index: u16, id: u16) {
        let (first, flags) = if queue == RX { (8, FLAG_WRITE) } else { (0, 0) };
        self.descriptor(queue, id, self.buffer(first + u64::from(id)), 100, flags);
        self.publish(queue, index, id);
        self.device.ring_doorbell(queue);
    }

    /// Sends `command`, number and data in one descriptor, as entry `index` of the control queue. Returns the answer.
    pub fn command(&self, index: u16, command: &[u8]) -> u8 {
        let (at, answer) = (self.buffer(15), self.buffer(15) + 128);
        self.machine.write(at, command).unwrap();
        self.machine.write(answer, &[0x55]).unwrap();
        self.descriptor(CONTROL, 0, at, command.len().try_into().unwrap(), FLAG_NEXT);
        self.link(CONTROL, 0, 1);
        self.descriptor(CONTROL, 1, answer, 1, FLAG_WRITE);
        self.publish(CONTROL, index, 0);
        self.device.ring_doorbell(CONTROL);
        self.machine.read(answer, 1).unwrap()[0]
    }

    pub fn set_interrupt_flag(&self, queue: u16, flag: u16) {
        self.machine.store16(self.place(queue).available, flag).unwrap();
    }

    pub fn set_used_event(&self, queue: u16, event: u16) {
        self.machine.store16(self.place(queue).available + 4 + 2 * u64::from(SIZE), event).unwrap();
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
