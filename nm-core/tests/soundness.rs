//! Safe code exchanges, moves, forgets and drops ports, rings, slots and spare buffers as it likes. No buffer comes to be in
//! two places, and no frame of one interface leaves by another.
//!
//! The types cannot forbid the exchange of two rings: a port lends its rings as `&mut [TxRing]`, and `mem::swap` is safe. So
//! the core must not rely on the rings of a port belonging together.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;
mod programs;

use std::mem;
use std::sync::Arc;

use common::{assert_all_home, netmap};
use nm_core::host::{HostRings, Outgoing};
use nm_core::mem::Region;
use nm_core::poll::{Interest, Timeout};
use nm_core::testing::{CardSpec, FakeStack, Order, Wire, card};
use nm_core::tunables::Sizes;
use nm_core::{Attachment, Netmap, Port, SyncError};
use programs::{SplitMix, exchange, named};

const SLOTS: u16 = 8;
const HOST: HostRings = HostRings { tx: 1, rx: 1, slots: 8 };

/// An interface with a card, a stack and host rings, opened with all its rings.
struct Interface {
    wire: Wire,
    stack: Arc<FakeStack>,
    port: Port,
}

impl Interface {
    fn open(netmap: &Netmap, name: &str, region: &Arc<Region>) -> Self {
        let (nic, wire) = card(CardSpec::new(name.as_bytes()[2], SLOTS, Order::Posted));
        let stack = FakeStack::new();
        let parts = Attachment::rings(nic).with_stack(stack.clone(), HOST).in_region(region);
        netmap.attach_as(name, parts).unwrap();
        Self { wire, stack, port: netmap.open(&format!("{name}*")).unwrap() }
    }

    /// Frames of the stack are in the host receive ring, marked to go down to the card and released.
    fn release_marked(&mut self, netmap: &Netmap, frames: usize) {
        let host = netmap.host(self.port.name()).unwrap();
        (0..frames).for_each(|_| host.transmit(Outgoing::new(&[0x42; 60])).unwrap());
        let ring = &mut self.port.host_rx_rings()[0];
        ring.set_transparent(true);
        ring.rxsync().unwrap();
        ring.slots().for_each(|mut slot| slot.set_forward(true));
        assert_eq!(ring.advance(u32::MAX) as usize, frames);
    }

    /// How many frames the host receive ring has forwarded and dropped.
    fn forwarded_and_dropped(&mut self) -> (u64, u64) {
        let counters = self.port.host_rx_rings()[0].counters();
        (counters.forwarded.get(), counters.drop_refused.get())
    }

    fn sends_and_receives_nothing(&self) {
        assert_eq!((self.wire.sent().len(), self.stack.received().len()), (0, 0));
    }
}

fn private(netmap: &Netmap) -> Arc<Region> {
    netmap.regions().create("private", Sizes { buf_num: 128, ..Sizes::default() }).unwrap()
}

#[test]
fn a_frame_of_the_stack_does_not_go_to_a_card_with_another_region() {
    let (_, netmap) = netmap(256);
    let private = private(&netmap);
    let mut a = Interface::open(&netmap, "em0", netmap.regions().shared());
    let mut b = Interface::open(&netmap, "em1", &private);
    mem::swap(&mut a.port.tx_rings()[0], &mut b.port.tx_rings()[0]);
    a.release_marked(&netmap, 3);
    a.port.forward().unwrap();
    a.port.tx_rings()[0].txsync().unwrap();
    a.sends_and_receives_nothing();
    b.sends_and_receives_nothing();
    assert_eq!(a.forwarded_and_dropped(), (0, 3));

    // Every slot of the foreign ring once, beside all spare buffers of its region.
    let mut spares = private.spares(u32::MAX);
    let ring = &mut a.port.tx_rings()[0];
    for _ in 0..u32::from(SLOTS) {
        for mut slot in ring.slots() {
            assert!(spares.iter().all(|spare| spare.buf_idx() != slot.buf_idx()));
            slot.set_len(60).unwrap().fill(1);
        }
        ring.advance(1);
        ring.txsync().unwrap();
    }
    spares.iter_mut().for_each(|spare| spare.set_len(60).unwrap().fill(2));
    drop((spares, a.port, b.port));
    assert_all_home(&netmap, &[&a.wire, &b.wire]);
    let report = private.report();
    assert_eq!((report.free, report.held), (report.total, 0));
}

#[test]
fn a_frame_of_the_stack_does_not_leave_by_the_card_of_another_interface() {
    let (_, netmap) = netmap(256);
    let shared = netmap.regions().shared();
    let (mut a, mut b) = (Interface::open(&netmap, "em0", shared), Interface::open(&netmap, "em1", shared));
    mem::swap(&mut a.port.tx_rings()[0], &mut b.port.tx_rings()[0]);
    for from in [&mut a, &mut b] {
        from.release_marked(&netmap, 2);
        from.port.forward().unwrap();
        from.port.poll(Interest::READABLE, Timeout::Now).unwrap();
        assert_eq!(from.forwarded_and_dropped(), (0, 2));
    }
    a.sends_and_receives_nothing();
    b.sends_and_receives_nothing();
    // In their places again, the rings carry frames down as before.
    mem::swap(&mut a.port.tx_rings()[0], &mut b.port.tx_rings()[0]);
    a.release_marked(&netmap, 2);
    a.port.forward().unwrap();
    assert_eq!((a.wire.sent().len(), b.wire.sent().len()), (2, 0));
    drop((a.port, b.port));
    assert_all_home(&netmap, &[&a.wire, &b.wire]);
}

#[test]
fn a_frame_of_the_stack_does_not_return_to_the_stack() {
    let (_, netmap) = netmap(256);
    let mut a = Interface::open(&netmap, "em0", netmap.regions().shared());
    let all = a.port.all_rings();
    mem::swap(&mut all.tx[0], &mut all.host_tx[0]);
    a.release_marked(&netmap, 2);
    a.port.forward().unwrap();
    a.sends_and_receives_nothing();
    assert_eq!(a.forwarded_and_dropped(), (0, 2));
    drop(a.port);
    assert_all_home(&netmap, &[&a.wire]);
}

#[test]
fn a_ring_of_the_interface_that_is_left_carries_its_frames() {
    let (_, netmap) = netmap(256);
    let (nic, wire) = card(CardSpec::new(0, SLOTS, Order::Posted).with_queues(2, 2));
    let stack = FakeStack::new();
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack.clone(), HOST)).unwrap();
    let port = netmap.open("em0*").unwrap();
    let mut a = Interface { wire, stack, port };
    let mut b = Interface::open(&netmap, "em1", netmap.regions().shared());
    // Host ring 0 asks transmit ring 0 first, and that is foreign now.
    mem::swap(&mut a.port.tx_rings()[0], &mut b.port.tx_rings()[0]);
    a.release_marked(&netmap, 3);
    a.port.forward().unwrap();
    let queues: Vec<_> = a.wire.sent_with_queue().into_iter().map(|(queue, _)| queue).collect();
    assert_eq!((queues, b.wire.sent().len()), (vec![1, 1, 1], 0));
    assert_eq!(a.forwarded_and_dropped(), (3, 0));
    drop((a.port, b.port));
    assert_all_home(&netmap, &[&a.wire, &b.wire]);
}

#[test]
fn a_frame_of_the_card_goes_to_its_own_stack() {
    let (_, netmap) = netmap(256);
    let shared = netmap.regions().shared();
    let (mut a, mut b) = (Interface::open(&netmap, "em0", shared), Interface::open(&netmap, "em1", shared));
    mem::swap(&mut a.port.rx_rings()[0], &mut b.port.rx_rings()[0]);
    mem::swap(&mut a.port.host_rx_rings()[0], &mut b.port.host_rx_rings()[0]);
    a.wire.send(&[0x42; 60]);
    let ring = &mut b.port.rx_rings()[0];
    ring.set_transparent(true);
    ring.rxsync().unwrap();
    ring.slots().for_each(|mut slot| slot.set_forward(true));
    assert_eq!(ring.advance(9), 1);
    b.port.forward().unwrap();
    assert_eq!(a.stack.received(), [[0x42; 60]]);
    b.sends_and_receives_nothing();
    drop((a.port, b.port));
    assert_all_home(&netmap, &[&a.wire, &b.wire]);
}

#[test]
fn exchanged_views_lead_to_the_same_slots_as_before() {
    let (_, netmap) = netmap(256);
    let private = private(&netmap);
    let mut a = Interface::open(&netmap, "em0", netmap.regions().shared());
    let mut b = Interface::open(&netmap, "em1", &private);
    let (mut left, mut right) = (a.port.tx_rings()[0].slots(), b.port.tx_rings()[0].slots());
    let (first_left, first_right) = (left.next().unwrap().buf_idx(), right.next().unwrap().buf_idx());
    mem::swap(&mut left, &mut right);
    let (mut of_right, mut of_left) = (left.next().unwrap(), right.next().unwrap());
    mem::swap(&mut of_right, &mut of_left);
    assert!(of_left.swap(&mut of_right).is_err(), "two regions");
    let mut spare = private.spare().unwrap();
    assert!(of_right.swap_spare(&mut spare).is_err() || of_left.swap_spare(&mut spare).is_err());
    let mut other = netmap.regions().shared().spare().unwrap();
    mem::swap(&mut spare, &mut other);
    of_left.set_len(60).unwrap().fill(1);
    of_right.set_len(60).unwrap().fill(2);
    spare.set_len(60).unwrap().fill(3);
    other.set_len(60).unwrap().fill(4);
    assert_eq!((of_left.frame()[0], of_right.frame()[0], spare.frame()[0], other.frame()[0]), (1, 2, 3, 4));
    assert!(first_left >= 2 && first_right >= 2);
    drop((spare, other));
    drop((a.port, b.port));
    assert_all_home(&netmap, &[&a.wire, &b.wire]);
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn what_is_forgotten_stays_taken() {
    let (_, netmap) = netmap(256);
    let mut a = Interface::open(&netmap, "em0", netmap.regions().shared());
    mem::forget(a.port.ready(Interest::READABLE));
    let spare = netmap.regions().shared().spare().unwrap();
    let kept = spare.buf_idx();
    mem::forget(spare);
    drop(a.port);
    let report = netmap.memory();
    assert_eq!((report.free, report.spare, report.lost()), (report.total - 1, 1, 0), "{report}");
    assert!(netmap.regions().shared().spares(u32::MAX).iter().all(|spare| spare.buf_idx() != kept));

    // A port that is forgotten keeps its rings; so does one forgotten ring of it.
    let port = netmap.open("em0").unwrap();
    let (mut tx, _rx) = port.split();
    mem::forget(tx.pop());
    drop((tx, _rx));
    assert!(netmap.open("em0-0").is_err() && netmap.open("em0^").is_ok());
    assert!(a.wire.is_running(), "the forgotten ring may have frames on their way");
    assert_eq!(a.wire.breaches(), Vec::<String>::new());
}

#[test]
fn the_buffers_of_a_card_that_does_not_stop_are_nobodys() {
    for way in ["close", "reset", "detach"] {
        let (heap, netmap) = netmap(256);
        let Interface { wire, mut port, .. } = Interface::open(&netmap, "em0", netmap.regions().shared());
        let held = netmap.memory().held;
        wire.set_stops(false);
        match way {
            "reset" => {
                netmap.reset("em0").unwrap_err();
                assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::Gone));
            }
            "detach" => netmap.detach("em0").unwrap(),
            _ => {}
        }
        drop(port);
        assert!(wire.is_running());
        let report = netmap.memory();
        assert_eq!((report.held, report.lost(), report.free), (held, 0, report.total - held), "{way}");
        if way != "detach" {
            netmap.open("em0").unwrap_err();
        }
        // Frames go into buffers that no safe code can reach.
        let mut spares = netmap.regions().shared().spares(u32::MAX);
        spares.iter_mut().for_each(|spare| spare.set_len(60).unwrap().fill(1));
        (0..SLOTS).for_each(|_| wire.send(&[0x66; 60]));
        assert!(spares.iter().all(|spare| spare.frame() == [1; 60]), "{way}");
        drop((spares, netmap));
        wire.send(&[0x66; 60]);
        assert_eq!((heap.trampled(), heap.blocks_in_use()), (0, 1), "{way}: the region does not go back");
    }
}

const PROGRAMS: u64 = if cfg!(miri) { 2 } else { 60 };
const LENGTH: usize = if cfg!(miri) { 100 } else { 2000 };

#[test]
fn any_sequence_of_exchanges_keeps_each_buffer_in_one_place() {
    let seed = 0x5a3e;
    let (mut operations, mut forwarded) = (0, 0);
    for number in 0..PROGRAMS {
        let mut program = vec![0; LENGTH];
        SplitMix(seed ^ number << 20).write(&mut program);
        let done = named(seed, number, || exchange::run(&program));
        (operations, forwarded) = (operations + done.operations, forwarded + done.forwarded);
    }
    println!("{operations} operations, {forwarded} frames forwarded");
    assert!(cfg!(miri) || forwarded > operations / 100, "{operations} operations forwarded {forwarded}");
}
