//! The queue's part in sleeping: interrupts asked for, and the look once more.

use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, PacketBuffers, Setup};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::queue::{
    Direction, Events, FromDevice, PackedMemory, PackedQueue, Placement, QueueSize, RingMemory, SplitQueue,
    ToDevice, Virtqueue,
};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{Transport, activate_queue};
use nm_core::platform::Platform;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// A running device with a transmit queue of four entries, driven without the driver around the queue.
struct Queues {
    device: NetDevice,
    transmit: Box<dyn Virtqueue<Direction = ToDevice>>,
    _receive: Box<dyn Virtqueue<Direction = FromDevice>>,
    buffers: PacketBuffers,
    /// Completions taken so far.
    taken: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Split,
    Packed,
}

/// Each format with each way of asking.
const KINDS: [(Format, Events); 4] = [
    (Format::Split, Events::Index),
    (Format::Split, Events::Flag),
    (Format::Packed, Events::Index),
    (Format::Packed, Events::Flag),
];

/// A queue of four entries, which the device knows of.
fn queue<D: Direction>(
    platform: &Arc<dyn Platform>,
    transport: &mut dyn Transport,
    number: u16,
    format: Format,
    events: Events,
) -> Box<dyn Virtqueue<Direction = D>> {
    let size = QueueSize::within(4).unwrap();
    match format {
        Format::Split => {
            let ring = RingMemory::allocate(platform, size, Placement::Free).unwrap();
            let bell = activate_queue(transport, number, ring.place()).unwrap();
            Box::new(SplitQueue::new(ring, events, bell))
        }
        Format::Packed => {
            let ring = PackedMemory::allocate(platform, size).unwrap();
            let bell = activate_queue(transport, number, ring.place()).unwrap();
            Box::new(PackedQueue::new(ring, events, bell))
        }
    }
}

impl Queues {
    fn new(format: Format, events: Events) -> Self {
        let machine = FakeMachine::new();
        let mut setup = Setup::with_queues(4, 4);
        setup.offered.set(Features::RING_PACKED, format == Format::Packed);
        let device = NetDevice::new(&machine, setup);
        let mut transport = device.transport();
        let mut features = Features::VERSION_1;
        features.set(Features::RING_EVENT_IDX, events == Events::Index);
        features.set(Features::RING_PACKED, format == Format::Packed);
        assert_eq!(Events::from(features), events);
        transport.set_status(Status::ACKNOWLEDGE);
        transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
        transport.accept_features(features);
        transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
        let platform: Arc<dyn Platform> = machine;
        let receive = queue(&platform, &mut transport, RECEIVE, format, events);
        let transmit = queue(&platform, &mut transport, TRANSMIT, format, events);
        let running = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
        transport.set_status(running);
        let buffers = PacketBuffers::new(&platform, 4, 100).unwrap();
        Self { device, transmit, _receive: receive, buffers, taken: 0 }
    }

    /// Posts a packet and rings.
    fn send(&mut self, id: u16) {
        self.post(id);
        assert!(self.transmit.kick());
    }

    fn post(&mut self, id: u16) {
        let address = self.buffers.lend(id.into()).write_header([0; 12]);
        self.transmit.post(id, address, 100).unwrap();
    }

    fn take_all(&mut self) -> u16 {
        let before = self.taken;
        while self.transmit.pop().is_some() {
            self.taken = self.taken.wrapping_add(1);
        }
        self.taken.wrapping_sub(before)
    }
}

#[test]
fn an_interrupt_comes_when_it_was_asked_for_and_not_otherwise() {
    for (format, events) in KINDS {
        let mut queues = Queues::new(format, events);
        for round in 0..100 {
            queues.send(0);
            queues.device.transmit(0).unwrap();
            assert_eq!(queues.device.interrupts(TRANSMIT), round, "interrupts are off");
            assert_eq!(queues.take_all(), 1);

            assert!(queues.transmit.enable_notifications(1), "nothing is there: sleep");
            queues.device.driver_sleeps(TRANSMIT, queues.taken);
            queues.send(1);
            queues.device.transmit(0).unwrap();
            assert_eq!(queues.device.interrupts(TRANSMIT), round + 1);
            queues.transmit.disable_notifications();
            assert_eq!(queues.take_all(), 1);
        }
        assert_eq!(queues.device.violations(), []);
    }
}

/// The completion comes between the last look and the asking.
#[test]
fn a_completion_that_came_before_the_asking_is_not_slept_on() {
    for (format, events) in KINDS {
        let mut queues = Queues::new(format, events);
        queues.send(0);
        assert_eq!(queues.take_all(), 0);
        queues.device.transmit(0).unwrap();
        if queues.transmit.enable_notifications(1) {
            queues.device.driver_sleeps(TRANSMIT, queues.taken);
        }
        assert_eq!(queues.device.violations(), []);
        assert_eq!(queues.take_all(), 1);
        assert!(queues.transmit.enable_notifications(1));
        queues.device.driver_sleeps(TRANSMIT, queues.taken);
        assert_eq!(queues.device.violations(), []);
    }
}

/// A device with event indices is asked for the last of several completions, one without interrupts at the first.
#[test]
fn an_interrupt_can_be_asked_for_after_several_completions() {
    for (format, events) in KINDS {
        let early = u64::from(events == Events::Flag);
        let mut queues = Queues::new(format, events);
        for round in 0..100u64 {
            (0..3).for_each(|id| queues.post(id));
            queues.send(3);
            assert!(queues.transmit.enable_notifications(3));
            let interrupts = |queues: &Queues| queues.device.interrupts(TRANSMIT);
            let before = interrupts(&queues);
            queues.device.transmit(0).unwrap();
            queues.device.transmit(0).unwrap();
            assert_eq!(interrupts(&queues) - before, 2 * early, "round {round}");
            queues.device.transmit(0).unwrap();
            assert_eq!(interrupts(&queues) - before, 1 + 2 * early);
            queues.transmit.disable_notifications();
            assert!(!queues.transmit.enable_notifications(3), "they are there already");
            queues.device.transmit(0).unwrap();
            queues.transmit.disable_notifications();
            assert_eq!(queues.take_all(), 4);
        }
        assert_eq!(queues.device.violations(), []);
    }
}

/// A buffer in two descriptors needs a queue that keeps half of its descriptors for them.
#[test]
fn a_queue_refuses_what_it_was_not_made_for() {
    let mut queues = Queues::new(Format::Split, Events::Flag);
    assert!(queues.transmit.post_in_two(0, 4096, 100, 10).is_err());

    let platform: Arc<dyn Platform> = FakeMachine::new();
    let ring = RingMemory::allocate(&platform, QueueSize::within(4).unwrap(), Placement::Contiguous).unwrap();
    let bell = queues.device.transport().enable_queue(TRANSMIT, ring.place()).unwrap();
    let mut queue = SplitQueue::<ToDevice>::for_buffers(2, ring, Events::Flag, bell);
    assert_eq!(queue.size(), 2);
    assert!(queue.post_in_two(1, 4096, 100, 0).is_err() && queue.post_in_two(2, 4096, 100, 10).is_err());
    assert!(queue.post_in_two(1, 4096, 100, 10).is_ok());
    assert!(queue.post_in_two(1, 4096, 100, 10).is_err(), "it is outstanding");
    assert!(queue.post_in_two(0, 4096, 0, 10).is_err(), "there is nothing in it");
    assert!(queue.post_in_two(0, 4096, 10, 10).is_ok(), "there is nothing behind the header");
}

#[test]
fn a_buffer_without_bytes_is_refused() {
    let mut queues = Queues::new(Format::Split, Events::Flag);
    assert!(queues.transmit.post(0, 4096, 0).is_err());
    assert!(queues.transmit.post(0, 4096, 1).is_ok());
}
