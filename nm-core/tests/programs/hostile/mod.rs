//! Raw ports that a program writes anything to.
//!
//! The first byte says whose buffers it writes. A *lawless* program writes any number into any slot and chain; no other
//! program is on its netmap. A *lawful* one keeps the contract of [`raw`](nm_core::raw) about buffer numbers, and nothing
//! else; beside it two safe ports ([`bystander`]) move frames, one in the same region and one in its own.
//!
//! Whatever it does: no panic, no error but those that are documented, every ring in a state to go on from, each write
//! inside the region and outside of the buffers that no slot may name; and when all ports are closed, every buffer is free.

mod bystander;
mod view;

use std::sync::Arc;

use nm_core::abi::{Slot, SlotFlags};
use nm_core::host::{HostInterface, HostRings, Outgoing};
use nm_core::nic::{Link, Mtu};
use nm_core::platform::Platform;
use nm_core::poll::{Interest, Timeout};
use nm_core::raw::{RawOptions, RawPort, Sharing};
use nm_core::testing::{CardSpec, FakeStack, HeapPlatform, Order, Wire, card};
use nm_core::tunables::Tunables;
use nm_core::{Attachment, Netmap, OpenError, SyncError};

use super::Program;
use bystander::Bystander;
use view::Memory;
pub use view::{Field, View};

/// What a buffer holds: small ones, so that a program costs little.
const FRAME_MAX: usize = 448;
const PORTS: usize = 5;
/// Rings of so few slots are not made smaller for want of buffers, so their size is known.
const SLOTS_MAX: u16 = 16;
const HOST_RINGS: HostRings = HostRings { tx: 1, rx: 2, slots: 8 };
const NAMES: [&str; 10] =
    ["em0", "em1", "em0*", "em0^", "em0-0", "em0-1", "em1-0", "em0^1", "em1-1", "em0-3"];

/// What programs did, to see that they did something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    pub operations: u64,
    pub syncs: u64,
    pub refused: u64,
    pub opened: u64,
    /// Frames that left the cards of raw ports, and that their stack got.
    pub frames: u64,
    /// Frames that safe ports forwarded meanwhile.
    pub beside: u64,
}

impl Done {
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.syncs += other.syncs;
        self.refused += other.refused;
        self.opened += other.opened;
        self.frames += other.frames;
        self.beside += other.beside;
    }
}

/// An interface for raw ports.
struct Interface {
    name: &'static str,
    spec: CardSpec,
    wire: Wire,
    stack: Option<(Arc<FakeStack>, HostInterface)>,
}

/// An open raw port.
struct Open {
    port: RawPort,
    tx: Vec<View>,
    rx: Vec<View>,
    /// Its extra buffers.
    chain: Vec<u32>,
    /// The numbers that it may write: those of its rings and its chain.
    own: Vec<u32>,
    /// Whether a number of its chain was written to a slot.
    is_chain_used: bool,
}

struct World {
    netmap: Netmap,
    memory: Memory,
    is_lawful: bool,
    interfaces: Vec<Interface>,
    ports: [Option<Open>; PORTS],
    bystanders: Vec<Bystander>,
    done: Done,
}

/// Runs a program on a netmap of its own, in memory of `heap`.
pub fn run(heap: &Arc<HeapPlatform>, bytes: &[u8]) -> Done {
    let mut program = Program::new(bytes);
    let mut world = World::new(heap, &mut program);
    while let Some(operation) = program.next() {
        world.apply(operation, &mut program);
        world.done.operations += 1;
    }
    let done = world.close(&mut program);
    assert_eq!((heap.blocks_in_use(), heap.trampled()), (0, 0));
    done
}

/// A netmap of small buffers.
pub fn netmap(heap: &Arc<HeapPlatform>) -> Netmap {
    let platform: Arc<dyn Platform> = heap.clone();
    let tunables =
        Tunables { buf_size: 512, buf_num: 1024, ring_size: 512, ring_num: 64, ..Tunables::default() };
    Netmap::new(&platform, tunables).unwrap()
}

impl Interface {
    /// Attaches one. The first has a stack.
    fn attach(netmap: &Netmap, name: &'static str, spec: CardSpec) -> Self {
        let (nic, wire) = card(spec.clone());
        let stack = (name == "em0").then(FakeStack::new);
        let Some(stack) = stack else {
            netmap.attach(name, nic).unwrap();
            return Self { name, spec, wire, stack: None };
        };
        netmap.attach_as(name, Attachment::rings(nic).with_stack(stack.clone(), HOST_RINGS)).unwrap();
        let host = netmap.host(name).unwrap();
        Self { name, spec, wire, stack: Some((stack, host)) }
    }

    /// How many slots a ring of this number has.
    fn slots(&self, is_tx: bool, ring: u16) -> u32 {
        let info = &self.spec.info;
        let (queues, slots) =
            if is_tx { (info.tx_queues, info.tx_slots) } else { (info.rx_queues, info.rx_slots) };
        u32::from(if ring < queues { slots } else { HOST_RINGS.slots })
    }

    /// Takes what has arrived at the other ends, and looks at it.
    fn drain(&self) -> u64 {
        let mut frames = self.wire.sent();
        // Of one slot or several: as long as the MTU allows.
        let longest = usize::from(Mtu::ETHERNET.frame_max());
        assert!(frames.iter().all(|frame| (1..=longest).contains(&frame.len())));
        let up = self.stack.iter().flat_map(|(stack, _)| stack.received());
        frames.extend(up.inspect(|frame| assert!((14..=longest).contains(&frame.len()))));
        frames.len() as u64
    }
}

/// Beginning and end.
impl World {
    fn new(heap: &Arc<HeapPlatform>, program: &mut Program<'_>) -> Self {
        let netmap = netmap(heap);
        let style = program.byte();
        let knobs = netmap.knobs();
        knobs.set("fwd", u32::from(style & 2 != 0)).unwrap();
        knobs.set("no_pendintr", u32::from(style & 4 == 0)).unwrap();
        let is_lawful = style & 1 != 0;
        let bystanders = if is_lawful { Self::bystanders(&netmap) } else { Vec::new() };
        let interfaces = ["em0", "em1"].into_iter().zip(0..).map(|(name, number)| {
            let mut spec = CardSpec::simulated(number, program.seed());
            spec.info.tx_slots = spec.info.tx_slots.min(2 + spec.info.tx_slots % (SLOTS_MAX - 1));
            spec.info.rx_slots = spec.info.rx_slots.min(2 + spec.info.rx_slots % (SLOTS_MAX - 1));
            let interface = Interface::attach(&netmap, name, spec);
            if style & 4 != 0 {
                interface.wire.connect(netmap.events(name).unwrap());
            }
            interface
        });
        let interfaces = interfaces.collect();
        let memory = Memory::new(&netmap);
        let ports = [const { None }; PORTS];
        Self { netmap, memory, is_lawful, interfaces, ports, bystanders, done: Done::default() }
    }

    fn bystanders(netmap: &Netmap) -> Vec<Bystander> {
        let private = nm_core::tunables::Sizes { buf_num: 64, ring_size: 512, ..Default::default() };
        let private = netmap.regions().create("bystander", private).unwrap();
        let [same, own] = [8, 9].map(|number| card(CardSpec::new(number, 8, Order::Shuffled(number.into()))));
        netmap.attach("by0", same.0).unwrap();
        netmap.attach_as("by1", Attachment::rings(own.0).in_region(&private)).unwrap();
        vec![Bystander::new(netmap, "by0", same.1), Bystander::new(netmap, "by1", own.1)]
    }

    fn close(mut self, program: &mut Program<'_>) -> Done {
        for number in 0..PORTS {
            self.close_port(number, program);
        }
        for mut bystander in std::mem::take(&mut self.bystanders) {
            bystander.step(program);
            self.done.beside += bystander.moved;
            bystander.close();
        }
        for interface in &self.interfaces {
            assert!(!interface.wire.is_running());
            self.done.frames += interface.drain();
        }
        assert!(self.memory.are_reserved_untouched());
        let report = self.netmap.memory();
        assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
        assert_eq!((report.extra, report.resting, report.spare), (0, 0, 0), "{report}");
        let usage = self.netmap.region().info().usage;
        assert_eq!((usage.ports, usage.mappings), (0, 1), "the mapping of this test");
        self.done
    }

    fn close_port(&mut self, number: usize, program: &mut Program<'_>) {
        let Some(open) = self.ports[number].take() else { return };
        if self.is_lawful && (open.is_chain_used || program.one_in(4)) {
            // Numbers that are no buffers may be anything.
            let head = [0, 1, 1024, u32::MAX][program.below(4)];
            self.memory.set_bufs_head(&open.port, head);
        }
    }
}

/// One operation.
impl World {
    fn apply(&mut self, operation: u8, program: &mut Program<'_>) {
        match operation % 32 {
            0..=4 => self.sync(true, program),
            5..=9 => self.sync(false, program),
            10 => self.poll(program),
            11..=16 => self.release(program),
            17 => self.write_indices(program),
            18..=20 => self.write_slot(program),
            21 => self.write_header(program),
            22 | 23 => self.arrive(program),
            24 => self.transmit(program),
            25 => self.trouble(program),
            26 | 27 => self.open(program),
            28 => self.close_port(program.below(PORTS), program),
            29 => self.write_chain(program),
            30 => self.restart(program),
            _ => self.bystanders.iter_mut().for_each(|bystander| bystander.step(program)),
        }
    }

    fn open_port_number(&self, program: &mut Program<'_>) -> Option<usize> {
        let from = program.below(PORTS);
        (from..from + PORTS).map(|number| number % PORTS).find(|number| self.ports[*number].is_some())
    }

    fn open_port(&mut self, program: &mut Program<'_>) -> Option<&mut Open> {
        let number = self.open_port_number(program)?;
        self.ports[number].as_mut()
    }

    /// Some ring of an open port.
    fn ring(&mut self, program: &mut Program<'_>) -> Option<View> {
        let open = self.open_port(program)?;
        let at = program.below(open.tx.len() + open.rx.len());
        open.tx.iter().chain(&open.rx).nth(at).copied()
    }

    fn sync(&mut self, is_tx: bool, program: &mut Program<'_>) {
        let Some(number) = self.open_port_number(program) else { return };
        let Some(open) = &self.ports[number] else { return };
        let outcome = if is_tx { open.port.txsync() } else { open.port.rxsync() };
        if outcome != Err(SyncError::Gone) {
            // The way down of transparent mode goes on with transmit rings too, and leaves a ring that it finds wrong.
            let rings = if is_tx { &open.tx } else { &open.rx };
            rings.iter().for_each(|ring| assert_in_step(*ring));
            if let ([ring], true, Err(SyncError::BadIndices { .. })) = (&rings[..], is_tx, outcome) {
                self.assert_cleaned(*ring);
            }
        } else if program.one_in(3) {
            self.close_port(number, program);
        }
        self.note(outcome, is_tx);
    }

    /// Slots of a ring that was initialised again name a buffer or none, with a length that there can be.
    fn assert_cleaned(&self, ring: View) {
        for slot in (0..ring.slots).map(|at| ring.slot(at)) {
            assert!(slot.buf_idx == 0 || self.memory.has(slot.buf_idx), "{slot:?}");
            assert!(usize::from(slot.len) <= FRAME_MAX, "{slot:?}");
        }
    }

    fn note(&mut self, outcome: Result<(), SyncError>, is_tx: bool) {
        use SyncError::{BadBuffer, BadIndices, DeviceFailed, Gone};
        match outcome {
            Ok(()) => self.done.syncs += 1,
            Err(BadIndices { .. } | DeviceFailed | Gone) => self.done.refused += 1,
            Err(BadBuffer { buf_idx }) if !is_tx => {
                assert!(!self.memory.has(buf_idx), "buffer {buf_idx} exists");
                self.done.refused += 1;
            }
            Err(other) => panic!("a sync answers {other:?}"),
        }
    }

    fn poll(&mut self, program: &mut Program<'_>) {
        let interest = Interest::from_bits_truncate(program.byte());
        let Some(open) = self.open_port(program) else { return };
        let outcome = open.port.poll(interest, Timeout::Now);
        self.note(outcome.map(|_| ()).map_err(|error| error.cause), false);
    }

    /// What a decent program does: gives away the first slots of a window, with a frame in each.
    fn release(&mut self, program: &mut Program<'_>) {
        let Some(ring) = self.ring(program) else { return };
        let [head, _, tail] = ring.indices();
        if head < ring.slots && tail < ring.slots {
            let window = ring.distance(head, tail);
            let given = program.below(window as usize + 1) as u32;
            let kept = u32::from(program.byte()) % 3 % (window - given + 1);
            // Some in frames of several slots, the last of which may not have an end.
            let fragments = program.below(4) as u32;
            for ahead in 0..given {
                let at = (head + ahead) % ring.slots;
                let (slot, more) = (ring.slot(at), SlotFlags::MOREFRAG.bits());
                let has_more = fragments > 0 && !ahead.is_multiple_of(fragments + 1);
                let flags = if has_more { slot.flags | more } else { slot.flags & !more };
                ring.set_slot(at, Slot { len: slot.len.max(60), flags, ..slot });
            }
            ring.write(Field::Head, (head + given) % ring.slots);
            ring.write(Field::Cur, (head + given + kept) % ring.slots);
        }
    }

    fn write_indices(&mut self, program: &mut Program<'_>) {
        let Some(ring) = self.ring(program) else { return };
        ring.write(Field::Head, program.number(ring.slots));
        ring.write(Field::Cur, program.number(ring.slots));
    }

    fn write_header(&mut self, program: &mut Program<'_>) {
        let Some(ring) = self.ring(program) else { return };
        let field = Field::ALL[program.below(Field::ALL.len())];
        ring.write(field, program.number(ring.slots));
    }

    fn write_slot(&mut self, program: &mut Program<'_>) {
        let is_lawful = self.is_lawful;
        let Some(open) = self.open_port(program) else { return };
        let at = program.below(open.tx.len() + open.rx.len());
        let Some(ring) = open.tx.iter().chain(&open.rx).nth(at).copied() else { return };
        let at = program.below(ring.slots as usize) as u32;
        let before = ring.slot(at);
        let buf_idx = match program.below(16) {
            0..=3 => before.buf_idx,
            4 => [0, 1, 1024, 1025, u32::MAX, 1 << 31][program.below(6)],
            5..=7 if !is_lawful => program.number(1024),
            _ => {
                let number = program.below(open.own.len().min(256));
                open.own.get(number).copied().unwrap_or(before.buf_idx)
            }
        };
        open.is_chain_used |= open.chain.contains(&buf_idx);
        let len = program.number(FRAME_MAX as u32) as u16;
        let (flags, ptr) = (u16::from(program.byte()), u64::from(program.byte()) << 56);
        ring.set_slot(at, Slot { buf_idx, len, flags, ptr });
    }

    fn arrive(&mut self, program: &mut Program<'_>) {
        let interface = &self.interfaces[program.below(2)];
        let (count, len) = (program.below(6), program.below(256) * 2);
        for queue in 0..count {
            interface.wire.send_to(queue as u16, &[0x11; 512][..len]);
        }
        self.done.frames += interface.drain();
    }

    fn transmit(&mut self, program: &mut Program<'_>) {
        let Some((stack, host)) = &self.interfaces[0].stack else { return };
        stack.set_room(program.one_in(4).then_some(3));
        let (count, len) = (program.below(6) as u16, program.below(256) * 2);
        for queue in 0..count {
            let _ = host.transmit(Outgoing { queue, ..Outgoing::new(&[0x22; 512][..len]) });
        }
    }

    /// What cards do to the unlucky.
    fn trouble(&mut self, program: &mut Program<'_>) {
        let Interface { wire, .. } = &self.interfaces[program.below(2)];
        match program.below(8) {
            0 => wire.set_link(Link::Down),
            1..=3 => wire.set_link(Link::Up),
            4 => wire.limit_queue(1 + program.below(9)),
            5 => wire.limit_queue(usize::MAX),
            6 if program.one_in(4) => wire.hold_completions(),
            _ => wire.complete(u32::from(program.byte()) * 16),
        }
        if program.one_in(32) {
            wire.break_down();
        }
    }

    fn open(&mut self, program: &mut Program<'_>) {
        let (place, name) = (program.below(PORTS), NAMES[program.below(NAMES.len())]);
        let sharing = if program.one_in(4) { Sharing::Exclusive } else { Sharing::Shared };
        let extra_buffers = program.below(12) as u32;
        if self.ports[place].is_some() {
            return;
        }
        let options = RawOptions { sharing, extra_buffers, ..RawOptions::default() };
        let port = match self.netmap.open_raw(name, options) {
            Ok(port) => port,
            Err(
                OpenError::Busy { .. }
                | OpenError::NoRing { .. }
                | OpenError::Gone(_)
                | OpenError::Unknown { .. }
                | OpenError::Memory(_)
                | OpenError::Device { .. },
            ) => return,
            Err(other) => panic!("{name}: {other}"),
        };
        self.done.opened += 1;
        self.ports[place] = Some(self.look_around(port));
    }

    fn look_around(&self, port: RawPort) -> Open {
        let interface = self.interfaces.iter().find(|interface| interface.name == port.name()).unwrap();
        let view = |is_tx, number| {
            let ring = if is_tx { port.tx_ring(number) } else { port.rx_ring(number) };
            Some(View::new(ring?, interface.slots(is_tx, number)))
        };
        let [tx, rx] =
            [true, false].map(|is_tx| (0..8).filter_map(|number| view(is_tx, number)).collect::<Vec<_>>());
        let chain = self.memory.chain(&port);
        assert_eq!(chain.len(), port.extra_buffers() as usize);
        let held = tx.iter().chain(&rx).flat_map(|ring| (0..ring.slots).map(|at| ring.slot(at).buf_idx));
        let held = held.filter(|buffer| self.memory.has(*buffer));
        let own = chain.iter().copied().chain(held).collect();
        Open { port, tx, rx, chain, own, is_chain_used: false }
    }

    /// A lawless program writes to its chain what it likes.
    fn write_chain(&mut self, program: &mut Program<'_>) {
        if self.is_lawful {
            return;
        }
        let from = program.below(PORTS);
        let Some(open) = self.ports[from].as_ref() else { return };
        let at = program.below(open.chain.len());
        let to = match program.below(3) {
            0 => program.number(1024),
            1 => open.chain.get(program.below(open.chain.len())).copied().unwrap_or_default(),
            _ => open.own.get(program.below(open.own.len())).copied().unwrap_or_default(),
        };
        match open.chain.get(at) {
            Some(&buffer) if program.one_in(2) => self.memory.set_link(buffer, to),
            _ => self.memory.set_bufs_head(&open.port, to),
        }
    }

    /// Resets a card, lets it fail to start, or has it come and go.
    fn restart(&mut self, program: &mut Program<'_>) {
        let number = program.below(2);
        let Interface { name, spec, wire, .. } = &self.interfaces[number];
        match program.below(8) {
            0..=5 => {
                let outcome = self.netmap.reset(name);
                // A card is not started with slots that name no buffers.
                assert!(matches!(outcome, Ok(()) | Err(OpenError::Device { .. } | OpenError::Gone(_))));
            }
            6 => wire.set_starts(program.one_in(2)),
            _ => {
                self.netmap.detach(name).unwrap();
                let _ = wire.sent();
                assert!(!wire.is_running());
                // Ports of the old one have its shape: the new one is alike.
                self.interfaces[number] = Interface::attach(&self.netmap, name, spec.clone());
            }
        }
    }
}

/// A ring that was synced can be gone on from.
fn assert_in_step(ring: View) {
    let [head, cur, tail] = ring.indices();
    assert!(head < ring.slots && cur < ring.slots && tail < ring.slots, "{head} {cur} {tail}");
    assert!(ring.distance(head, cur) <= ring.distance(head, tail), "{head} {cur} {tail} of {}", ring.slots);
}
