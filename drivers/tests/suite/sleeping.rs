//! The queue's part in sleeping: interrupts asked for, and the look once more.

use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, Setup};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::queue::{
    Direction, Events, FromDevice, PackedMemory, PackedQueue, Placement, QueueSize, RingMemory, SplitQueue,
    ToDevice, Virtqueue,
};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{Transport, activate_queue};
use nm_driver::platform::{DmaMemory, Platform};

use crate::virtqueue::{pop, pop_run, post};

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// Bytes from one buffer to the next.
const STRIDE: u64 = 128;

/// A kind of queue.
trait Format {
    const IS_PACKED: bool;
    type Queue<D: Direction>: Virtqueue<Direction = D>;

    /// A queue of four entries, which the device knows of.
    fn queue<D: Direction>(
        platform: &Arc<dyn Platform>,
        transport: &mut dyn Transport,
        number: u16,
        events: Events,
    ) -> Self::Queue<D>;
}

fn four() -> QueueSize {
    QueueSize::within(4).unwrap()
}

enum Split {}

impl Format for Split {
    const IS_PACKED: bool = false;
    type Queue<D: Direction> = SplitQueue<D>;

    fn queue<D: Direction>(
        platform: &Arc<dyn Platform>,
        transport: &mut dyn Transport,
        number: u16,
        events: Events,
    ) -> SplitQueue<D> {
        let ring = RingMemory::allocate(platform, four(), Placement::Free).unwrap();
        let bell = activate_queue(transport, number, ring.place()).unwrap();
        SplitQueue::new(ring, events, bell)
    }
}

enum Packed {}

impl Format for Packed {
    const IS_PACKED: bool = true;
    type Queue<D: Direction> = PackedQueue<D>;

    fn queue<D: Direction>(
        platform: &Arc<dyn Platform>,
        transport: &mut dyn Transport,
        number: u16,
        events: Events,
    ) -> PackedQueue<D> {
        let ring = PackedMemory::allocate(platform, four()).unwrap();
        let bell = activate_queue(transport, number, ring.place()).unwrap();
        PackedQueue::new(ring, events, bell)
    }
}

/// A running device with a transmit queue of four entries, driven without the driver around the queue.
struct Queues<F: Format> {
    device: NetDevice,
    transmit: F::Queue<ToDevice>,
    _receive: F::Queue<FromDevice>,
    buffers: DmaMemory,
    /// Completions taken so far.
    taken: u16,
}

impl<F: Format> Queues<F> {
    fn new(events: Events) -> Self {
        let machine = FakeMachine::new();
        let mut setup = Setup::with_queues(4, 4);
        setup.offered.set(Features::RING_PACKED, F::IS_PACKED);
        let device = NetDevice::new(&machine, setup);
        let mut transport = device.transport();
        let mut features = Features::VERSION_1;
        features.set(Features::RING_EVENT_IDX, events == Events::Index);
        features.set(Features::RING_PACKED, F::IS_PACKED);
        assert_eq!(Events::from(features), events);
        transport.set_status(Status::ACKNOWLEDGE);
        transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
        transport.accept_features(features);
        transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
        let platform: Arc<dyn Platform> = machine;
        let receive = F::queue(&platform, &mut transport, RECEIVE, events);
        let transmit = F::queue(&platform, &mut transport, TRANSMIT, events);
        let running = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
        transport.set_status(running);
        let buffers = DmaMemory::allocate(&platform, 4 * STRIDE as usize, 64).unwrap();
        Self { device, transmit, _receive: receive, buffers, taken: 0 }
    }

    /// Posts a packet and rings.
    fn send(&mut self, id: u16) {
        self.post(id);
        assert!(self.transmit.kick());
    }

    /// Posts a packet, which is zeros.
    fn post(&mut self, id: u16) {
        post(&mut self.transmit, id, self.buffers.phys() + STRIDE * u64::from(id), 100);
    }

    fn take_all(&mut self) -> u16 {
        let before = self.taken;
        while pop(&mut self.transmit).is_some() {
            self.taken = self.taken.wrapping_add(1);
        }
        self.taken.wrapping_sub(before)
    }
}

/// Calls a test for each format with each way of asking.
macro_rules! for_each_kind {
    ($test:ident) => {
        for events in [Events::Index, Events::Flag] {
            $test::<Split>(events);
            $test::<Packed>(events);
        }
    };
}

#[test]
fn an_interrupt_comes_when_it_was_asked_for_and_not_otherwise() {
    fn test<F: Format>(events: Events) {
        let mut queues = Queues::<F>::new(events);
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
    for_each_kind!(test);
}

/// The completion comes between the last look and the asking.
#[test]
fn a_completion_that_came_before_the_asking_is_not_slept_on() {
    fn test<F: Format>(events: Events) {
        let mut queues = Queues::<F>::new(events);
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
    for_each_kind!(test);
}

/// A device with event indices is asked for the last of several completions, one without interrupts at the first.
#[test]
fn an_interrupt_can_be_asked_for_after_several_completions() {
    fn test<F: Format>(events: Events) {
        let early = u64::from(events == Events::Flag);
        let mut queues = Queues::<F>::new(events);
        for round in 0..100u64 {
            (0..3).for_each(|id| queues.post(id));
            queues.send(3);
            assert!(queues.transmit.enable_notifications(3));
            let interrupts = |queues: &Queues<F>| queues.device.interrupts(TRANSMIT);
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
    for_each_kind!(test);
}

/// What was posted and not published is not the device's: an index that goes there is no index.
#[test]
fn an_index_beyond_what_is_published_breaks_a_split_queue() {
    for events in [Events::Index, Events::Flag] {
        let mut queues = Queues::<Split>::new(events);
        queues.post(0);
        queues.send(1);
        queues.post(2);
        queues.device.jump(TRANSMIT, 3);
        assert_eq!((queues.transmit.peek(), pop_run(&mut queues.transmit, 0, 4, |_| true)), (None, 0));
        assert_eq!(queues.transmit.health(), (0, true));
        assert!(!queues.transmit.kick(), "a broken queue is left alone");
    }
}

/// A batch that is longer than what the device has done breaks the queue, which is left alone from then on: also by a device
/// that goes on as if nothing had happened.
#[test]
fn a_queue_that_is_broken_takes_nothing_more() {
    fn test<F: Format>(events: Events) {
        for is_batch_too_long in [false, true] {
            let mut queues = Queues::<F>::new(events);
            queues.post(0);
            queues.send(1);
            queues.device.complete_falsely(TRANSMIT, 0, 0);
            assert!(queues.transmit.peek().is_some());
            if is_batch_too_long {
                assert!(!queues.transmit.advance(3, 3));
            } else {
                queues.transmit.break_down();
            }
            for _ in 0..3 {
                assert_eq!(
                    (queues.transmit.peek(), pop_run(&mut queues.transmit, 0, 4, |_| true)),
                    (None, 0)
                );
                assert_eq!(queues.transmit.health(), (0, true));
                queues.device.complete_falsely(TRANSMIT, 1, 0);
            }
            queues.post(2);
            assert!(!queues.transmit.kick());
        }
    }
    for_each_kind!(test);
}
