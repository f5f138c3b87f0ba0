//! Safe code that exchanges whatever it can reach, against the rule that each buffer is in one place.
//!
//! Four interfaces, each with a card of two queue pairs, a stack and host rings: two of the shared region, one of a private
//! region, one of another netmap. A program exchanges rings of any two ports, whole ports, iterators, slots and spare
//! buffers; it takes ports apart, drops them in pieces and opens them again, resets cards, and forwards between cards and
//! stacks all the while.
//!
//! After each operation every slot that can be lent is lent at once, beside all spare buffers, and each is written: no two
//! name the same buffer. Frames carry the number of the interface where they came in; what leaves for a card came from
//! the stack of the same interface, and the other way round.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use nm_core::host::{HostRings, Outgoing};
use nm_core::mem::{Region, Spare};
use nm_core::platform::Platform;
use nm_core::poll::{Interest, Timeout};
use nm_core::ring::{Ring, Side};
use nm_core::testing::{CardSpec, FakeStack, HeapPlatform, Order, Wire, card};
use nm_core::tunables::{Sizes, Tunables};
use nm_core::{Attachment, Netmap, Port, RxRing, Slot, TxRing};

use super::Program;

const INTERFACES: usize = 4;
const SPARES: usize = 6;
const HOST: HostRings = HostRings { tx: 1, rx: 1, slots: 4 };
/// First byte of a frame: where it came in, and behind it the number of the interface.
const FROM_CARD: u8 = 0x10;
const FROM_STACK: u8 = 0x20;
const FROM_APPLICATION: u8 = 0x30;

/// What a program has done.
pub struct Done {
    pub operations: u64,
    pub forwarded: u64,
}

struct Interface {
    netmap: usize,
    name: String,
    wire: Wire,
    stack: Arc<FakeStack>,
}

struct World {
    netmaps: [Netmap; 2],
    interfaces: Vec<Interface>,
    ports: Vec<Port>,
    tx: Vec<TxRing>,
    rx: Vec<RxRing>,
    spares: Vec<Spare>,
    regions: Vec<Arc<Region>>,
    forwarded: u64,
}

/// Runs a program on netmaps of its own.
pub fn run(bytes: &[u8]) -> Done {
    let mut program = Program::new(bytes);
    let mut world = World::new();
    let mut operations = 0;
    while let Some(operation) = program.next() {
        world.apply(operation, &mut program);
        world.check_places();
        world.check_frames();
        operations += 1;
    }
    world.close();
    Done { operations, forwarded: world.forwarded }
}

impl World {
    fn new() -> Self {
        let netmaps = [(); 2].map(|()| {
            let platform: Arc<dyn Platform> = HeapPlatform::new(4 << 20);
            let tunables = Tunables { buf_num: 256, buf_size: 512, ..Tunables::default() };
            Netmap::new(&platform, tunables).unwrap()
        });
        let sizes = Sizes { buf_num: 128, buf_size: 512, ..Sizes::default() };
        let private = netmaps[0].regions().create("private", sizes).unwrap();
        let [first, second] = [0, 1].map(|netmap: usize| netmaps[netmap].regions().shared().clone());
        let homes = [(0, first.clone()), (0, first.clone()), (0, private.clone()), (1, second.clone())];
        let interfaces = (0..).zip(homes).map(|(number, (netmap, region))| {
            let (name, stack) = (format!("em{number}"), FakeStack::new());
            let (nic, wire) = card(CardSpec::new(number, 4, Order::Posted).with_queues(2, 2));
            let parts = Attachment::rings(nic).with_stack(stack.clone(), HOST).in_region(&region);
            netmaps[netmap].attach_as(&name, parts).unwrap();
            Interface { netmap, name, wire, stack }
        });
        let interfaces: Vec<_> = interfaces.collect();
        let regions = vec![first, private, second];
        let mut world = Self {
            netmaps,
            interfaces,
            ports: Vec::new(),
            tx: Vec::new(),
            rx: Vec::new(),
            spares: Vec::new(),
            regions,
            forwarded: 0,
        };
        (0..INTERFACES).for_each(|number| world.open(number, "*"));
        world
    }

    fn open(&mut self, number: usize, rings: &str) {
        let Interface { netmap, name, .. } = &self.interfaces[number];
        self.ports.extend(self.netmaps[*netmap].open(&format!("{name}{rings}")).ok());
    }

    /// All transmit rings, wherever they are.
    fn all_tx(&mut self) -> Vec<&mut TxRing> {
        let of_ports = self.ports.iter_mut().flat_map(|port| {
            let all = port.all_rings();
            all.tx.iter_mut().chain(all.host_tx)
        });
        of_ports.chain(&mut self.tx).collect()
    }

    /// All receive rings, wherever they are.
    fn all_rx(&mut self) -> Vec<&mut RxRing> {
        let of_ports = self.ports.iter_mut().flat_map(|port| {
            let all = port.all_rings();
            all.rx.iter_mut().chain(all.host_rx)
        });
        of_ports.chain(&mut self.rx).collect()
    }

    fn apply(&mut self, operation: u8, program: &mut Program<'_>) {
        match operation % 20 {
            0 | 1 => exchange_two(&mut self.all_tx(), program, |a, b| mem::swap(*a, *b)),
            2 | 3 => exchange_two(&mut self.all_rx(), program, |a, b| mem::swap(*a, *b)),
            4 => exchange_two(&mut self.ports, program, mem::swap),
            5 => exchange_two(&mut self.spares, program, mem::swap),
            6 => exchange_two(&mut self.all_tx(), program, |a, b| exchange_slots(a, b)),
            7 => exchange_two(&mut self.all_rx(), program, |a, b| exchange_slots(a, b)),
            8 => self.exchange_spare(program),
            9 => self.take_spares(program),
            10 | 11 => self.transmit(program),
            12 | 13 => self.arrive(program),
            14 => self.send(program),
            15..=17 => self.forward(program),
            18 => self.open_and_close(program),
            _ => self.reset(program),
        }
    }

    fn exchange_spare(&mut self, program: &mut Program<'_>) {
        let (place, number) = (program.byte(), program.byte());
        let Some(mut spare) = self.spares.pop() else { return };
        let mut rings = self.all_rx();
        let count = rings.len().max(1);
        if let Some(ring) = rings.get_mut(usize::from(place) % count)
            && let Some(mut slot) = ring.slots().nth(usize::from(number) % 4)
        {
            slot.copy_from(&[FROM_APPLICATION; 60]).unwrap();
            // Fails where the regions differ.
            let _ = slot.swap_spare(&mut spare);
        }
        self.spares.push(spare);
    }

    fn take_spares(&mut self, program: &mut Program<'_>) {
        let region = &self.regions[program.below(3)];
        self.spares.extend(region.spares(2));
        self.spares.truncate(if program.one_in(4) { 0 } else { SPARES });
    }

    /// A stack sends a frame.
    fn transmit(&mut self, program: &mut Program<'_>) {
        let number = program.below(INTERFACES);
        let Interface { netmap, name, .. } = &self.interfaces[number];
        let frame = [FROM_STACK | number as u8; 60];
        // Refused while the interface is closed or its queue is full.
        let _ = self.netmaps[*netmap].host(name).unwrap().transmit(Outgoing::new(&frame));
    }

    /// A card receives a frame.
    fn arrive(&mut self, program: &mut Program<'_>) {
        let number = program.below(INTERFACES);
        self.interfaces[number].wire.send_to(program.byte() as u16 % 2, &[FROM_CARD | number as u8; 60]);
    }

    /// The application sends some slots of its own, on a ring of a card or of a stack.
    fn send(&mut self, program: &mut Program<'_>) {
        let (place, way) = (program.byte(), program.byte());
        let (slots, marks) = (u32::from(way % 4), way / 4);
        let mut rings = self.all_tx();
        let count = rings.len().max(1);
        let Some(ring) = rings.get_mut(usize::from(place) % count) else { return };
        // Frames of several slots too, also such that have no end yet.
        let fill = |(n, mut slot): (usize, Slot<'_>)| {
            slot.copy_from(&[FROM_APPLICATION; 60]).unwrap();
            slot.set_more(marks >> n & 1 == 1);
        };
        ring.slots().take(slots as usize).enumerate().for_each(fill);
        ring.advance(slots);
        let _ = ring.txsync();
    }

    /// All that a port has received is marked and released; the port carries it on.
    fn forward(&mut self, program: &mut Program<'_>) {
        let (place, count, way) = (program.byte(), u32::from(program.byte() % 5), program.byte());
        let ports = self.ports.len().max(1);
        let Some(port) = self.ports.get_mut(usize::from(place) % ports) else { return };
        let all = port.all_rings();
        for ring in all.rx.iter_mut().chain(all.host_rx) {
            ring.set_transparent(true);
            ring.slots().for_each(|mut slot| slot.set_forward(true));
            ring.advance(count);
        }
        // A ring may belong to an interface whose card has failed.
        let _ = if way % 2 == 0 { port.forward() } else { Ok(()) };
        let _ = port.poll(Interest::READABLE | Interest::WRITABLE, Timeout::Now);
    }

    fn open_and_close(&mut self, program: &mut Program<'_>) {
        let (way, place) = (program.byte(), program.byte());
        let some = |len: usize| (len > 0).then(|| usize::from(place) % len);
        match way % 6 {
            0 => drop(some(self.ports.len()).map(|at| self.ports.swap_remove(at))),
            1 => drop(some(self.tx.len()).map(|at| self.tx.swap_remove(at))),
            2 => drop(some(self.rx.len()).map(|at| self.rx.swap_remove(at))),
            3 => {
                if let Some(at) = some(self.ports.len()) {
                    let (tx, rx) = self.ports.swap_remove(at).split();
                    self.tx.extend(tx);
                    self.rx.extend(rx);
                }
            }
            4 => {
                (self.tx, self.rx) = (Vec::new(), Vec::new());
                (0..INTERFACES).for_each(|number| self.open(number, "*"));
            }
            _ => {
                let rings = ["*", "", "^", "-0", "-1"][usize::from(place / 8) % 5];
                self.open(usize::from(place) % INTERFACES, rings);
            }
        }
    }

    fn reset(&mut self, program: &mut Program<'_>) {
        let Interface { netmap, name, .. } = &self.interfaces[program.below(INTERFACES)];
        self.netmaps[*netmap].reset(name).unwrap();
    }

    /// Lends all that can be lent at once. No two name the same buffer.
    fn check_places(&mut self) {
        let Self { ports, tx, rx, spares, .. } = self;
        let mut seen = HashSet::new();
        let mut note = |region: usize, buf_idx: u32| {
            assert!(seen.insert((region, buf_idx)), "buffer {buf_idx} is in two places");
        };
        let mut lent: Vec<Slot<'_>> = Vec::new();
        for port in ports {
            let all = port.all_rings();
            all.tx.iter_mut().chain(all.host_tx).for_each(|ring| lend(ring, &mut lent, &mut note));
            all.rx.iter_mut().chain(all.host_rx).for_each(|ring| lend(ring, &mut lent, &mut note));
        }
        tx.iter_mut().for_each(|ring| lend(ring, &mut lent, &mut note));
        rx.iter_mut().for_each(|ring| lend(ring, &mut lent, &mut note));
        for spare in &mut *spares {
            note(address(spare.region()), spare.buf_idx());
        }
        // The first byte of a frame stays, it is what the frame is known by.
        let mut frames: Vec<&mut [u8]> = lent.iter_mut().map(Slot::frame_mut).collect();
        frames.extend(spares.iter_mut().map(|spare| spare.frame_mut()));
        for frame in frames.iter_mut().filter(|frame| !frame.is_empty()) {
            frame[1..].fill(0x55);
        }
    }

    /// What has left an interface came in at the same one.
    fn check_frames(&mut self) {
        for (number, Interface { name, wire, stack, .. }) in (0..).zip(&self.interfaces) {
            for frame in wire.sent() {
                self.forwarded += u64::from(frame[0] != FROM_APPLICATION);
                let expected = [FROM_STACK | number, FROM_APPLICATION];
                assert!(expected.contains(&frame[0]), "{:#x} left by the card of {name}", frame[0]);
            }
            for frame in stack.received() {
                self.forwarded += u64::from(frame[0] != FROM_APPLICATION);
                let expected = [FROM_CARD | number, FROM_APPLICATION];
                assert!(expected.contains(&frame[0]), "{:#x} went to the stack of {name}", frame[0]);
            }
        }
    }

    /// After everything is dropped, every buffer is in its pool.
    fn close(&mut self) {
        (self.ports, self.tx, self.rx, self.spares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for region in &self.regions {
            let report = region.report();
            assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
        }
        for Interface { name, wire, .. } in &self.interfaces {
            assert!(!wire.is_running());
            assert_eq!(wire.breaches(), Vec::<String>::new(), "{name}");
        }
    }
}

fn address(region: &Region) -> usize {
    std::ptr::from_ref(region).addr()
}

/// Lends all slots of the window.
fn lend<'a, D: Side>(ring: &'a mut Ring<D>, lent: &mut Vec<Slot<'a>>, note: &mut impl FnMut(usize, u32)) {
    let region = address(ring.region());
    for slot in ring.slots() {
        note(region, slot.buf_idx());
        lent.push(slot);
    }
}

/// Calls `exchange` with two different elements, if there are two.
fn exchange_two<T>(all: &mut [T], program: &mut Program<'_>, exchange: impl FnOnce(&mut T, &mut T)) {
    let (a, b) = (program.below(all.len()), program.below(all.len()));
    if let Ok([a, b]) = all.get_disjoint_mut([a, b]) {
        exchange(a, b);
    }
}

/// Exchanges the iterators of two rings, then slots of theirs, then the slots' buffers. A frame that the application moves
/// to another interface is its own from then on.
fn exchange_slots<D: Side>(a: &mut Ring<D>, b: &mut Ring<D>) {
    let (mut left, mut right) = (a.slots(), b.slots());
    mem::swap(&mut left, &mut right);
    let (Some(mut x), Some(mut y)) = (left.next(), right.next()) else { return };
    mem::swap(&mut x, &mut y);
    for slot in [&mut x, &mut y] {
        slot.copy_from(&[FROM_APPLICATION; 60]).unwrap();
    }
    // Fails where the regions differ.
    let _ = x.swap(&mut y);
}
