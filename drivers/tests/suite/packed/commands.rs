//! Commands through a packed ring: a device that is played by hand answers them.

use std::sync::{Arc, Mutex};

use millrace_drivers::testing::FakeMachine;
use millrace_drivers::virtio::queue::{CommandQueue, Events, PackedMemory, Placement, QueueSize, RingMemory};
use millrace_drivers::virtio::transport::Notifier;
use nm_driver::platform::Platform;

use super::device::{Bell, DISABLE, Descriptor, Device, ENABLE, NEXT, WRITE};

/// Three descriptors, as many as a command has.
fn take_command(device: &mut Device) -> [Descriptor; 3] {
    let mut part = |flags: u16| {
        let found = device.take().expect("all of a chain is there once its first is");
        assert_eq!(found.flags & (NEXT | WRITE), flags);
        found
    };
    [part(NEXT), part(NEXT), part(WRITE)]
}

/// Takes a command, checks that it is `count` with `data`, and answers it under `id` or the one that it has.
fn answer(device: &mut Device, count: u16, id: Option<u16>) {
    let [number, data, answer] = take_command(device);
    assert_eq!(device.machine.read(number.address, 2).unwrap(), count.to_le_bytes());
    assert_eq!((number.bytes, answer.bytes), (2, 1));
    let len = usize::from(count % 8) + 1;
    assert_eq!(device.machine.read(data.address, data.bytes as usize).unwrap(), vec![count as u8; len]);
    device.machine.write(answer.address, &[!(count as u8)]).unwrap();
    device.complete(id.unwrap_or(answer.id), 1, 3);
}

/// A device that works when its doorbell rings.
#[derive(Clone)]
struct Rung(Arc<Mutex<State>>);

struct State {
    device: Device,
    count: u16,
    id: Option<u16>,
}

impl std::fmt::Debug for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rung")
    }
}

impl Notifier for Rung {
    fn notify(&self) {
        let State { device, count, id } = &mut *self.0.lock().unwrap();
        assert_eq!(device.driver_wants().0, DISABLE, "no interrupt");
        answer(device, *count, *id);
        assert_eq!(device.take(), None, "one at a time");
        *count = count.wrapping_add(1);
    }
}

fn ask(queue: &mut CommandQueue, machine: &FakeMachine, count: u16) -> Option<u8> {
    let data = [count as u8; 8];
    queue.ask(count.to_le_bytes(), &data[..usize::from(count % 8) + 1], machine)
}

/// A queue, and what the device needs for its side.
fn queue(size: u16, bell: impl FnOnce(Device) -> Box<dyn Notifier>) -> (CommandQueue, Arc<FakeMachine>) {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let ring = PackedMemory::allocate(&platform, QueueSize::within(size).unwrap()).unwrap();
    let command = CommandQueue::memory(&platform).unwrap();
    let bell = bell(Device::new(&machine, ring.place()));
    (CommandQueue::packed(ring, command, bell).unwrap(), machine)
}

fn rung_queue(size: u16) -> (CommandQueue, Arc<FakeMachine>, Rung) {
    let mut rung = None;
    let (queue, machine) = queue(size, |device| {
        let state = State { device, count: 0, id: None };
        Box::new(rung.insert(Rung(Arc::new(Mutex::new(state)))).clone())
    });
    (queue, machine, rung.unwrap())
}

/// No size is a multiple of three: the ring's end comes at each part of a command.
#[test]
fn commands_are_answered_wherever_the_end_of_the_ring_is() {
    for size in [4, 8, 64] {
        let (mut queue, machine, _) = rung_queue(size);
        for count in 0..30_000 {
            assert_eq!(ask(&mut queue, &machine, count), Some(!(count as u8)), "{count} of {size}");
        }
    }
}

#[test]
fn after_what_is_no_answer_none_is_sent() {
    let (mut queue, machine, rung) = rung_queue(4);
    assert_eq!(ask(&mut queue, &machine, 0), Some(!0));
    rung.0.lock().unwrap().id = Some(1);
    assert_eq!(ask(&mut queue, &machine, 1), None, "another was asked for");
    assert_eq!(ask(&mut queue, &machine, 2), None);
    assert_eq!(rung.0.lock().unwrap().count, 2);

    let (mut queue, machine, rung) = rung_queue(4);
    rung.0.lock().unwrap().device.want(DISABLE, 0);
    assert_eq!(ask(&mut queue, &machine, 0), None, "it never looked");
    let state = &mut *rung.0.lock().unwrap();
    state.device.want(ENABLE, 0);
    answer(&mut state.device, 0, None);
    assert_eq!(ask(&mut queue, &machine, 1), None, "its answer is late");
    assert_eq!(state.device.take(), None);
}

#[test]
fn a_ring_that_is_too_short_is_no_queue_for_commands() {
    let platform: Arc<dyn Platform> = FakeMachine::new();
    for size in [1, 2] {
        assert!(!CommandQueue::is_long_enough(size));
        let ring = PackedMemory::allocate(&platform, QueueSize::within(size).unwrap()).unwrap();
        let command = CommandQueue::memory(&platform).unwrap();
        assert!(CommandQueue::packed(ring, command, Box::new(Bell::default())).is_none());
        let size = QueueSize::within(size).unwrap();
        let ring = RingMemory::allocate(&platform, size, Placement::Free).unwrap();
        let command = CommandQueue::memory(&platform).unwrap();
        assert!(CommandQueue::split(ring, command, Events::Flag, Box::new(Bell::default())).is_none());
    }
}
