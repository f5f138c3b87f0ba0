//! Safe ports against a naive model.
//!
//! Three interfaces: two of one region, the first with two pairs of rings, and one of its own region. A program writes
//! slots, advances, looks, syncs, polls, forwards, exchanges buffers across ports and with spare ones, and makes cards
//! hold frames, lose their link, run full, break down and be reset; ports are opened, split, closed ring by ring and
//! opened again. After each operation the real rings and the naive ones show the same windows, frames and counters, what
//! left the cards is the same, and no buffer is lost.

mod check;
mod handle;
mod rings;

use std::sync::Arc;

use nm_core::mem::{Region, Spare};
use nm_core::nic::{Link, Mtu};
use nm_core::poll::{Interest, Timeout};
use nm_core::testing::{CardSpec, HeapPlatform, Order, Wire, card};
use nm_core::{Attachment, Netmap, OpenError, RxRing, TxRing};

use super::naive::Card;
use super::{Program, hostile};
use handle::Handle;
use rings::{advance, look, poll, poll_rx, poll_tx, rxsync, txsync};

const FRAME_MAX: usize = 448;
/// The ports that can be open, and the interface of each.
const PLACES: [(&str, usize); 5] = [("em0", 0), ("em0-0", 0), ("em0-1", 0), ("em1", 1), ("em2", 2)];
const SPARES: usize = 2;

/// A real interface and the naive one.
struct Interface {
    name: &'static str,
    wire: Wire,
    region: Arc<Region>,
    card: Card,
    /// Which rings have a user.
    tx_users: Vec<bool>,
    rx_users: Vec<bool>,
}

struct World {
    netmap: Netmap,
    interfaces: Vec<Interface>,
    places: [Option<Handle>; PLACES.len()],
    spares: Vec<(Spare, Vec<u8>)>,
    number: u64,
    moved: u64,
}

/// Runs a program on a netmap of its own, in memory of `heap`. Returns how many operations it did and how many frames
/// were moved.
pub fn run(heap: &Arc<HeapPlatform>, bytes: &[u8]) -> (u64, u64) {
    let mut program = Program::new(bytes);
    let mut world = World::new(heap, &mut program);
    let mut operations = 0;
    while let Some(operation) = program.next() {
        world.apply(operation, &mut program);
        world.check();
        operations += 1;
    }
    let moved = world.close();
    assert_eq!((heap.blocks_in_use(), heap.trampled()), (0, 0));
    (operations, moved)
}

impl Interface {
    fn attach(netmap: &Netmap, number: usize, program: &mut Program<'_>) -> Self {
        let (name, queues) = [("em0", 2), ("em1", 1), ("em2", 1)][number];
        let is_reversed = program.byte() % 2 == 1;
        let order = if is_reversed { Order::Reversed } else { Order::Posted };
        let [tx, rx] = [(); 2].map(|()| 2 + program.below(8));
        let mut spec = CardSpec::new(number as u8, tx as u16, order).with_queues(queues, queues);
        (spec.info.rx_slots, spec.info.scatter_min) = (rx as u16, None);
        let (nic, wire) = card(spec);
        let shared = netmap.regions().shared().clone();
        let region = if number == 2 {
            let sizes = nm_core::tunables::Sizes { buf_size: 512, buf_num: 64, ..Default::default() };
            netmap.regions().create("own", sizes).unwrap()
        } else {
            shared
        };
        let mtu = Mtu::of_frames(FRAME_MAX as u16).unwrap();
        netmap.attach_as(name, Attachment::rings(nic).in_region(&region).with_mtu(mtu)).unwrap();
        let card = Card::new(queues.into(), tx, rx, is_reversed, FRAME_MAX);
        let [tx_users, rx_users] = [(); 2].map(|()| vec![false; queues.into()]);
        Self { name, wire, region, card, tx_users, rx_users }
    }

    fn is_open(&self) -> bool {
        self.tx_users.iter().chain(&self.rx_users).any(|is_used| *is_used)
    }

    /// Takes the rings of a port, or finds one of them taken.
    fn take(&mut self, numbers: &[usize]) -> bool {
        if numbers.iter().any(|number| self.tx_users[*number] || self.rx_users[*number]) {
            return false;
        }
        let was_open = self.is_open();
        if !was_open {
            self.card.start();
        }
        for &number in numbers {
            (self.tx_users[number], self.rx_users[number]) = (true, true);
        }
        if was_open {
            numbers.iter().for_each(|number| self.card.freshen_tx(*number));
            numbers.iter().for_each(|number| self.card.freshen_rx(*number));
        }
        true
    }

    fn release(&mut self, is_tx: bool, number: usize) {
        *(if is_tx { &mut self.tx_users[number] } else { &mut self.rx_users[number] }) = false;
        if !self.is_open() {
            self.card.stop();
        }
    }
}

/// Beginning and end.
impl World {
    fn new(heap: &Arc<HeapPlatform>, program: &mut Program<'_>) -> Self {
        let netmap = hostile::netmap(heap);
        let interfaces = (0..3).map(|number| Interface::attach(&netmap, number, program)).collect();
        let spares =
            netmap.region().spares(SPARES as u32).into_iter().map(|spare| (spare, Vec::new())).collect();
        let places = [const { None }; PLACES.len()];
        Self { netmap, interfaces, places, spares, number: 0, moved: 0 }
    }

    fn close(mut self) -> u64 {
        (0..PLACES.len()).for_each(|place| self.close_place(place));
        self.check();
        drop(std::mem::take(&mut self.spares));
        for Interface { region, wire, .. } in &self.interfaces {
            let report = region.report();
            assert_eq!((report.free, report.held), (report.total, 0), "{report}");
            assert!(!wire.is_running());
        }
        self.moved
    }

    fn close_place(&mut self, place: usize) {
        let Some(mut handle) = self.places[place].take() else { return };
        let interface = &mut self.interfaces[PLACES[place].1];
        let (tx, rx) = handle.rings();
        tx.iter().for_each(|ring| interface.release(true, ring.number().into()));
        rx.iter().for_each(|ring| interface.release(false, ring.number().into()));
    }

    fn next_frame(&mut self, len: usize) -> Vec<u8> {
        self.number += 1;
        let seed = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..len).map(|at| (seed >> (at % 8 * 8)) as u8 ^ at as u8).collect()
    }
}

/// One operation.
impl World {
    fn apply(&mut self, operation: u8, program: &mut Program<'_>) {
        match operation % 32 {
            0..=3 => self.on_tx(program, txsync),
            4..=7 => self.on_rx(program, rxsync),
            8..=10 => self.write(program),
            11 | 12 => self.on_tx(program, advance),
            13..=15 => self.on_rx(program, advance),
            16 => self.on_tx(program, look),
            17 => self.on_rx(program, look),
            18..=20 => self.exchange(program),
            21 => self.exchange_spare(program),
            22 => self.forward_or_poll(program),
            23 => self.on_tx(program, poll_tx),
            24 => self.on_rx(program, poll_rx),
            25..=27 => self.arrive(program),
            28 => self.trouble(program),
            29 => self.open(program),
            30 => self.let_go(program),
            _ => self.reset(program),
        }
    }

    /// An open place, from the one that the program names on.
    fn place(&self, program: &mut Program<'_>) -> Option<usize> {
        let from = program.below(PLACES.len());
        (from..from + PLACES.len())
            .map(|place| place % PLACES.len())
            .find(|place| self.places[*place].is_some())
    }

    fn on_tx(&mut self, program: &mut Program<'_>, work: fn(&mut TxRing, &mut Card, &mut Program<'_>)) {
        let Some(place) = self.place(program) else { return };
        let Some(handle) = &mut self.places[place] else { return };
        let (tx, _) = handle.rings();
        let at = program.below(tx.len());
        if let Some(ring) = tx.get_mut(at) {
            work(ring, &mut self.interfaces[PLACES[place].1].card, program);
        }
    }

    fn on_rx(&mut self, program: &mut Program<'_>, work: fn(&mut RxRing, &mut Card, &mut Program<'_>)) {
        let Some(place) = self.place(program) else { return };
        let Some(handle) = &mut self.places[place] else { return };
        let (_, rx) = handle.rings();
        let at = program.below(rx.len());
        if let Some(ring) = rx.get_mut(at) {
            work(ring, &mut self.interfaces[PLACES[place].1].card, program);
        }
    }

    /// Fills the first slots of a transmit window.
    fn write(&mut self, program: &mut Program<'_>) {
        let Some(place) = self.place(program) else { return };
        let (count, len) = (1 + program.below(6), 1 + program.below(256) * 447 / 255);
        let frames = (0..count).map(|_| self.next_frame(len)).collect::<Vec<_>>();
        let Some(handle) = &mut self.places[place] else { return };
        let (tx, _) = handle.rings();
        let at = program.below(tx.len());
        let Some(ring) = tx.get_mut(at) else { return };
        let naive = &mut self.interfaces[PLACES[place].1].card.tx[usize::from(ring.number())];
        for ((mut slot, frame), at) in ring.slots().zip(frames).zip(naive.window()) {
            slot.copy_from(&frame).unwrap();
            naive.slots[at] = frame;
        }
    }

    /// Exchanges slots of a receive window with slots of a transmit window, of the same port or another. Between
    /// different regions the frames are copied.
    fn exchange(&mut self, program: &mut Program<'_>) {
        let Some((from, to)) = self.place(program).zip(self.place(program)) else { return };
        let count = 1 + program.below(6);
        let (mut first, mut second) = (self.places[from].take(), self.places[to].take());
        if let Some(source) = &mut first {
            let (tx, rx) = source.rings();
            let tx = second.as_mut().map_or(tx, |target| target.rings().0);
            let (at, rx_at) = (program.below(tx.len()), program.below(rx.len()));
            if let (Some(tx), Some(rx)) = (tx.get_mut(at), rx.get_mut(rx_at)) {
                self.exchange_slots((rx, PLACES[from].1), (tx, PLACES[to].1), count);
            }
        }
        self.places[from] = first;
        if to != from {
            self.places[to] = second;
        }
    }

    fn exchange_slots(
        &mut self,
        (rx, from): (&mut RxRing, usize),
        (tx, to): (&mut TxRing, usize),
        count: usize,
    ) {
        let is_same = Arc::ptr_eq(&self.interfaces[from].region, &self.interfaces[to].region);
        let (rx_number, tx_number) = (usize::from(rx.number()), usize::from(tx.number()));
        let rx_window = self.interfaces[from].card.rx[rx_number].window();
        let tx_window = self.interfaces[to].card.tx[tx_number].window();
        let slots = rx.slots().zip(tx.slots()).zip(rx_window.into_iter().zip(tx_window));
        for ((mut source, mut target), (rx_at, tx_at)) in slots.take(count) {
            assert_eq!(source.swap(&mut target).is_ok(), is_same);
            let arrived = self.interfaces[from].card.rx[rx_number].slots[rx_at].clone();
            if !is_same {
                target.copy_from(source.frame()).unwrap();
            }
            let old =
                std::mem::replace(&mut self.interfaces[to].card.tx[tx_number].slots[tx_at], arrived.clone());
            let left = if is_same { old } else { arrived };
            self.interfaces[from].card.rx[rx_number].slots[rx_at] = left;
        }
    }

    /// Keeps a received frame, and gives what was kept before in exchange.
    fn exchange_spare(&mut self, program: &mut Program<'_>) {
        let Some(place) = self.place(program) else { return };
        let (spare, kept) = &mut self.spares[program.below(SPARES)];
        let Some(handle) = &mut self.places[place] else { return };
        let (_, rx) = handle.rings();
        let at = program.below(rx.len());
        let Some(ring) = rx.get_mut(at) else { return };
        let interface = &mut self.interfaces[PLACES[place].1];
        let naive = &mut interface.card.rx[usize::from(ring.number())];
        let window = naive.window();
        let nth = program.below(window.len());
        let Some(mut slot) = ring.slots().nth(nth) else { return };
        let is_same = std::ptr::eq(&raw const *interface.region, spare.region());
        assert_eq!(slot.swap_spare(spare).is_ok(), is_same);
        if is_same {
            std::mem::swap(kept, &mut naive.slots[window[nth]]);
        }
    }

    /// Syncs all receive rings of a port, or polls it.
    fn forward_or_poll(&mut self, program: &mut Program<'_>) {
        let Some(place) = self.place(program) else { return };
        let interest = Interest::from_bits_truncate(program.byte());
        let card = &mut self.interfaces[PLACES[place].1].card;
        let Some(Handle::Whole(port)) = &mut self.places[place] else { return };
        let tx = port.tx_rings().iter().map(|ring| ring.number().into()).collect::<Vec<_>>();
        let rx = port.rx_rings().iter().map(|ring| ring.number().into()).collect::<Vec<_>>();
        if program.one_in(2) {
            let synced = rx.iter().map(|number| card.rxsync(*number)).collect::<Vec<_>>();
            assert_eq!(port.forward(), synced.into_iter().collect());
        } else {
            let polled = port.poll(interest, Timeout::Now);
            assert_eq!(polled, poll(card, &tx, &rx, interest, true));
        }
    }

    fn arrive(&mut self, program: &mut Program<'_>) {
        let number = program.below(3);
        let (queue, count) = (program.below(2), program.below(5));
        let len = match program.byte() {
            len @ 0..=200 => 14 + usize::from(len) * 2,
            201..=210 => program.below(14),
            211..=220 => FRAME_MAX + 1 + program.below(256),
            _ => FRAME_MAX,
        };
        for _ in 0..count {
            let frame = self.next_frame(len);
            let Interface { wire, card, .. } = &mut self.interfaces[number];
            let queue = queue % card.rx.len();
            wire.send_to(queue as u16, &frame);
            card.arrive(queue, frame);
        }
    }

    fn trouble(&mut self, program: &mut Program<'_>) {
        let Interface { wire, card, .. } = &mut self.interfaces[program.below(3)];
        let count = program.byte() % 8;
        match program.below(8) {
            0 => (card.is_linked, _) = (false, wire.set_link(Link::Down)),
            1 | 2 => (card.is_linked, _) = (true, wire.set_link(Link::Up)),
            3 if program.one_in(2) => (card.room, _) = (count.into(), wire.limit_queue(count.into())),
            4 => (card.room, _) = (usize::MAX, wire.limit_queue(usize::MAX)),
            5 if program.one_in(3) => (card.allowed, _) = (Some(0), wire.hold_completions()),
            6 if program.one_in(4) => (card.is_broken, _) = (true, wire.break_down()),
            _ => {
                card.allowed = card.allowed.map(|allowed| allowed + usize::from(count));
                wire.complete(count.into());
            }
        }
    }

    fn open(&mut self, program: &mut Program<'_>) {
        let place = program.below(PLACES.len());
        if self.places[place].is_some() {
            return;
        }
        let (name, number) = PLACES[place];
        let interface = &mut self.interfaces[number];
        let numbers = match name {
            "em0" => vec![0, 1],
            "em0-1" => vec![1],
            _ => vec![0],
        };
        match self.netmap.open(name) {
            Ok(port) => {
                assert!(interface.take(&numbers));
                self.places[place] = Some(Handle::Whole(port));
            }
            Err(error) => {
                assert!(matches!(error, OpenError::Busy { .. }), "{error}");
                assert!(!interface.take(&numbers));
            }
        }
    }

    /// Closes a port, takes it apart, or lets go of one of its rings.
    fn let_go(&mut self, program: &mut Program<'_>) {
        let Some(place) = self.place(program) else { return };
        if program.one_in(3) {
            return self.close_place(place);
        }
        let Some(mut handle) = self.places[place].take().map(Handle::split) else { return };
        if program.one_in(2)
            && let Some((is_tx, number)) = handle.drop_one(program.below(4))
        {
            self.interfaces[PLACES[place].1].release(is_tx, number);
        }
        if !handle.is_empty() {
            self.places[place] = Some(handle);
        }
    }

    fn reset(&mut self, program: &mut Program<'_>) {
        let interface = &mut self.interfaces[program.below(3)];
        self.netmap.reset(interface.name).unwrap();
        if interface.is_open() {
            interface.card.reset();
        }
    }
}
