//! A device's side of a packed queue, played by hand: it reads and writes memory by the rules of section 2.8, or against them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_drivers::testing::FakeMachine;
use millrace_drivers::virtio::queue::{Direction, Events, PackedMemory, PackedQueue, QueueSize};
use millrace_drivers::virtio::transport::{Notifier, QueuePlace};
use nm_driver::platform::Platform;

pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const AVAIL: u16 = 1 << 7;
pub const USED: u16 = 1 << 15;

pub const ENABLE: u16 = 0;
pub const DISABLE: u16 = 1;
pub const DESC: u16 = 2;

/// A doorbell that counts.
#[derive(Debug, Default, Clone)]
pub struct Bell(Arc<AtomicU64>);

impl Notifier for Bell {
    fn notify(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    pub fn rings(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A place in the ring, and the wrap counter that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub position: u16,
    pub is_wrap_set: bool,
}

impl Turn {
    pub const START: Self = Self { position: 0, is_wrap_set: true };

    pub fn after(self, places: u16, size: u16) -> Self {
        let mut turn = self;
        for _ in 0..places {
            turn.position += 1;
            if turn.position == size {
                turn = Self { position: 0, is_wrap_set: !turn.is_wrap_set };
            }
        }
        turn
    }

    /// How it is named in an event suppression structure.
    pub fn event(self) -> u16 {
        self.position | u16::from(self.is_wrap_set) << 15
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    pub address: u64,
    pub bytes: u32,
    pub id: u16,
    pub flags: u16,
}

pub struct Device {
    pub machine: Arc<FakeMachine>,
    pub place: QueuePlace,
    /// Where the next available descriptor is looked for.
    pub next: Turn,
    /// Where the next used descriptor is written.
    pub done: Turn,
}

impl Device {
    pub fn new(machine: &Arc<FakeMachine>, place: QueuePlace) -> Self {
        Self { machine: machine.clone(), place, next: Turn::START, done: Turn::START }
    }

    pub fn read(&self, position: u16) -> Descriptor {
        let at = self.place.descriptors + 16 * u64::from(position);
        let bytes: [u8; 16] = self.machine.read_array(at).unwrap();
        let word = u128::from_le_bytes(bytes);
        Descriptor {
            address: word as u64,
            bytes: (word >> 64) as u32,
            id: (word >> 96) as u16,
            flags: (word >> 112) as u16,
        }
    }

    /// Writes what a used descriptor has, the flags last.
    pub fn write(&self, position: u16, id: u16, written: u32, flags: u16) {
        let at = self.place.descriptors + 16 * u64::from(position);
        self.machine.write(at + 8, &written.to_le_bytes()).unwrap();
        self.machine.store16(at + 12, id).unwrap();
        self.machine.store16(at + 14, flags).unwrap();
    }

    /// Takes the next descriptor, if it is available.
    pub fn take(&mut self) -> Option<Descriptor> {
        let found = self.read(self.next.position);
        let is_avail = found.flags & AVAIL != 0;
        let is_used = found.flags & USED != 0;
        if is_avail != self.next.is_wrap_set || is_used == self.next.is_wrap_set {
            return None;
        }
        self.next = self.next.after(1, self.place.size);
        Some(found)
    }

    /// Says that the buffer `id` is used, which was `places` descriptors.
    pub fn complete(&mut self, id: u16, written: u32, places: u16) {
        let flags = if self.done.is_wrap_set { AVAIL | USED } else { 0 };
        self.write(self.done.position, id, written, flags);
        self.done = self.done.after(places, self.place.size);
    }

    /// Says when it wants a doorbell.
    pub fn want(&self, flags: u16, place: u16) {
        self.machine.store16(self.place.used, place).unwrap();
        self.machine.store16(self.place.used + 2, flags).unwrap();
    }

    /// When the driver wants an interrupt: flags, and the place for them.
    pub fn driver_wants(&self) -> (u16, u16) {
        let [place, flags] = [0, 2].map(|offset| self.machine.load16(self.place.available + offset).unwrap());
        (flags, place)
    }

    /// Whether it interrupts for what it used from `from` on.
    pub fn is_interrupt_due(&self, from: Turn) -> bool {
        let (flags, place) = self.driver_wants();
        let mut turn = from;
        let mut is_passed = false;
        while turn != self.done {
            is_passed |= turn.event() == place;
            turn = turn.after(1, self.place.size);
        }
        match flags {
            ENABLE => from != self.done,
            DISABLE => false,
            DESC => is_passed,
            other => panic!("{other} is reserved"),
        }
    }
}

/// A queue of ours, and the device at its other end.
pub fn pair<D: Direction>(size: u16, events: Events) -> (PackedQueue<D>, Device, Bell) {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let ring = PackedMemory::allocate(&platform, QueueSize::within(size).unwrap()).unwrap();
    let device = Device::new(&machine, ring.place());
    let bell = Bell::default();
    (PackedQueue::new(ring, events, Box::new(bell.clone())), device, bell)
}
