//! Raw ports: rings through memory, shared by several, with anything written to them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "raw ports are used through memory")]

mod common;

use std::pin::pin;
use std::ptr::NonNull;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use common::{assert_all_home, frame, netmap};
use nm_core::abi::{
    API, DIR_RX, InterfaceHeader, RING_OFS_OFFSET, RingHeader, SLOTS_OFFSET, Slot, SlotFlags,
};
use nm_core::poll::{Interest, Timeout};
use nm_core::raw::{RawOptions, RawPort, Sharing};
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::{Netmap, OpenError, SyncError, errno};
use proptest::prelude::*;

fn interface(slots: u16, order: Order) -> (Netmap, Wire) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, slots, order));
    netmap.attach("em0", nic).unwrap();
    (netmap, wire)
}

fn open(netmap: &Netmap, sharing: Sharing) -> Result<RawPort, OpenError> {
    netmap.open_raw("netmap:em0", RawOptions { sharing, ..RawOptions::default() })
}

/// A ring as a C program sees it.
#[derive(Clone, Copy)]
struct View(NonNull<RingHeader>);

impl View {
    fn header(self) -> RingHeader {
        // SAFETY: the port that the ring belongs to is open in every test.
        unsafe { self.0.read_volatile() }
    }

    fn set_head(self, head: u32, cur: u32) {
        // SAFETY: as above.
        unsafe {
            (&raw mut (*self.0.as_ptr()).head).write_volatile(head);
            (&raw mut (*self.0.as_ptr()).cur).write_volatile(cur);
        }
    }

    fn slot(self, at: u32) -> NonNull<Slot> {
        // SAFETY: `at` is below the ring's number of slots.
        unsafe { self.0.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(at as usize) }
    }

    /// NETMAP_BUF, and the length of the frame in it.
    fn frame(self, at: u32) -> Vec<u8> {
        let header = self.header();
        // SAFETY: a released slot of the application's window names a buffer of the region.
        unsafe {
            let slot = self.slot(at).read_volatile();
            let payload = self
                .0
                .cast::<u8>()
                .offset(header.buf_ofs as isize)
                .add((slot.buf_idx * header.nr_buf_size) as usize);
            std::slice::from_raw_parts(payload.as_ptr(), slot.len.into()).to_vec()
        }
    }

    fn put(self, at: u32, bytes: &[u8]) {
        let header = self.header();
        // SAFETY: as for `frame`, and nothing else writes the slot.
        unsafe {
            let slot = self.slot(at);
            let payload = self
                .0
                .cast::<u8>()
                .offset(header.buf_ofs as isize)
                .add((slot.read().buf_idx * header.nr_buf_size) as usize);
            payload.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            (&raw mut (*slot.as_ptr()).len).write_volatile(bytes.len() as u16);
        }
    }
}

#[test]
fn a_program_for_netmap_finds_its_way() {
    let (netmap, wire) = interface(8, Order::Shuffled(2));
    let port = open(&netmap, Sharing::Exclusive).unwrap();
    let (tx, rx) = (View(port.tx_ring(0).unwrap()), View(port.rx_ring(0).unwrap()));
    assert_eq!((rx.header().num_slots, rx.header().dir, rx.header().ringid), (8, DIR_RX, 0));
    assert!(port.rx_ring(1).is_none());
    for number in 0..50 {
        wire.send(&frame(number, 60 + number as usize));
        port.rxsync().unwrap();
        let (head, tail) = (rx.header().head, rx.header().tail);
        assert_eq!((head + 1) % 8, tail);
        assert_eq!(rx.frame(head), frame(number, 60 + number as usize));
        rx.set_head(tail, tail);
        let at = tx.header().head;
        tx.put(at, &frame(number, 99));
        tx.set_head((at + 1) % 8, (at + 1) % 8);
        port.txsync().unwrap();
        assert_eq!(wire.sent(), [frame(number, 99)]);
    }
    drop(port);
    assert_eq!(wire.breaches(), Vec::<String>::new());
}

#[test]
fn a_slot_that_asks_is_reported_first_and_its_flags_are_taken_once() {
    let (netmap, wire) = interface(16, Order::Posted);
    wire.connect(netmap.events("em0").unwrap());
    wire.hold_completions();
    let port = open(&netmap, Sharing::Exclusive).unwrap();
    let tx = View(port.tx_ring(0).unwrap());
    let flags = |at: u32| {
        // SAFETY: the port is open, and the slot is one of the ring's.
        unsafe { tx.slot(at).read_volatile().flags }
    };
    let set_flags = |at: u32, flags: SlotFlags| {
        // SAFETY: as above.
        unsafe { (&raw mut (*tx.slot(at).as_ptr()).flags).write_volatile(flags.bits()) };
    };
    let mut sent = 0;
    // Twelve frames on their way; who waits for room is woken after this many.
    let mut completions_until_woken = |asks: Option<u32>| {
        let first = sent % 16;
        (0..12).for_each(|n| tx.put((first + n) % 16, &frame(1, 60)));
        (0..12).for_each(|n| set_flags((first + n) % 16, SlotFlags::BUF_CHANGED | SlotFlags::NO_LEARN));
        if let Some(n) = asks {
            set_flags((first + n) % 16, SlotFlags::REPORT);
        }
        sent += 12;
        tx.set_head(sent % 16, tx.header().tail);
        port.txsync().unwrap();
        for n in 0..12 {
            let kept = if asks == Some(n) { SlotFlags::empty() } else { SlotFlags::NO_LEARN };
            assert_eq!(
                flags((first + n) % 16),
                kept.bits(),
                "what is said of one submission is taken with it"
            );
        }
        let count = {
            let mut future = pin!(port.ready(Interest::WRITABLE));
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            (1..20).find(|_| {
                wire.complete(1);
                netmap.run_pending() > 0
            })
        };
        wire.complete(20);
        port.txsync().unwrap();
        wire.hold_completions();
        count
    };
    assert_eq!(completions_until_woken(None), Some(6));
    assert_eq!(completions_until_woken(Some(9)), Some(1), "the next, as netmap reports no single slot");
    assert_eq!(completions_until_woken(None), Some(6), "it asked once");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_programs_rxsync_and_poll_write_the_time() {
    let (netmap, _wire) = interface(8, Order::Posted);
    let port = open(&netmap, Sharing::Exclusive).unwrap();
    let rx = View(port.rx_ring(0).unwrap());
    let us = || rx.header().ts.sec * 1_000_000 + rx.header().ts.usec;
    assert_eq!(us(), 0);
    thread::sleep(Duration::from_millis(2));
    port.rxsync().unwrap();
    let synced = us();
    assert!(synced >= 2_000);
    thread::sleep(Duration::from_millis(2));
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert!(us() >= synced + 2_000);
}

#[test]
fn a_program_finds_its_rings_and_extra_buffers_from_the_interface_object() {
    let (netmap, wire) = interface(8, Order::Posted);
    let options = RawOptions { sharing: Sharing::Exclusive, extra_buffers: 5, ..RawOptions::default() };
    let port = netmap.open_raw("em0", options).unwrap();
    assert_eq!(port.extra_buffers(), 5);
    // SAFETY: the interface object is where the port says, with a table of two rings behind it.
    let (object, offsets) = unsafe {
        let at = port.mapping().base().add(port.offset());
        let table = at.add(RING_OFS_OFFSET).cast::<i64>();
        (at, [table.read(), table.add(1).read()])
    };
    // SAFETY: as above.
    let header = unsafe { object.cast::<InterfaceHeader>().read() };
    assert_eq!((header.version, header.tx_rings, header.rx_rings), (API, 1, 1));
    assert_eq!(&header.name[..4], b"em0\0");
    // SAFETY: the offsets lead to ring objects of the same region.
    let rings = offsets.map(|offset| unsafe { object.offset(offset as isize) });
    assert_eq!(rings, [port.tx_ring(0).unwrap().cast(), port.rx_ring(0).unwrap().cast()]);
    // The chain: five different buffers, linked through their first four bytes, ended by 0.
    let ring = View(port.tx_ring(0).unwrap());
    let (mut next, mut chain) = (header.bufs_head, Vec::new());
    while next != 0 {
        chain.push(next);
        // SAFETY: the numbers in the chain are buffers of the region.
        next = unsafe {
            let payload = ring.0.cast::<u8>().offset(ring.header().buf_ofs as isize);
            payload.add((next * ring.header().nr_buf_size) as usize).cast::<u32>().read()
        };
    }
    chain.sort_unstable();
    chain.dedup();
    assert_eq!(chain.len(), 5);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn several_share_a_ring_unless_one_wants_it_alone() {
    let (netmap, wire) = interface(8, Order::Posted);
    let (first, second) = (open(&netmap, Sharing::Shared).unwrap(), open(&netmap, Sharing::Shared).unwrap());
    assert_eq!(first.rx_ring(0), second.rx_ring(0));
    assert_eq!(open(&netmap, Sharing::Exclusive).unwrap_err().errno(), errno::EBUSY);
    wire.send(&frame(1, 60));
    first.rxsync().unwrap();
    assert_eq!(View(second.rx_ring(0).unwrap()).frame(0), frame(1, 60));
    drop(first);
    second.rxsync().unwrap();
    drop(second);
    open(&netmap, Sharing::Exclusive).unwrap();
}

#[test]
fn a_safe_port_is_not_given_rings_that_were_in_raw_hands() {
    let (netmap, wire) = interface(8, Order::Posted);
    let raw = open(&netmap, Sharing::Shared).unwrap();
    assert_eq!(netmap.open("em0").unwrap_err().errno(), errno::EBUSY);
    drop(raw);
    let safe = netmap.open("em0").unwrap();
    drop(safe);
    assert!(!wire.is_running());
}

#[test]
fn indices_out_of_the_window_are_named_and_put_back() {
    let (netmap, _wire) = interface(8, Order::Posted);
    let port = open(&netmap, Sharing::Exclusive).unwrap();
    let tx = View(port.tx_ring(0).unwrap());
    tx.set_head(3, 2);
    assert_eq!(port.txsync(), Err(SyncError::BadIndices { head: 3, cur: 2 }));
    assert_eq!((tx.header().head, tx.header().cur, tx.header().tail), (0, 0, 7));
    port.txsync().unwrap();
}

#[derive(Debug, Clone)]
enum Hostile {
    Indices { is_tx: bool, head: u32, cur: u32 },
    Slot { is_tx: bool, at: u32, slot: (u32, u16, u16, u64) },
    Header { is_tx: bool, tail: u32, num_slots: u32, buf_size: u32 },
    Arrive(u8),
    Sync { is_tx: bool },
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let index = || prop_oneof![4 => 0u32..12, 1 => any::<u32>()];
    let buffer = prop_oneof![4 => 0u32..40, 1 => 4090u32..4100, 1 => any::<u32>()];
    let len = prop_oneof![3 => 0u16..2100, 1 => any::<u16>()];
    prop_oneof![
        3 => (any::<bool>(), index(), index()).prop_map(|(is_tx, head, cur)| Hostile::Indices { is_tx, head, cur }),
        3 => (any::<bool>(), 0u32..8, (buffer, len, any::<u16>(), any::<u64>()))
            .prop_map(|(is_tx, at, slot)| Hostile::Slot { is_tx, at, slot }),
        1 => (any::<bool>(), index(), any::<u32>(), any::<u32>())
            .prop_map(|(is_tx, tail, num_slots, buf_size)| Hostile::Header { is_tx, tail, num_slots, buf_size }),
        1 => (0u8..9).prop_map(Hostile::Arrive),
        4 => any::<bool>().prop_map(|is_tx| Hostile::Sync { is_tx }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Whatever a program writes to its rings: no panic, no access out of bounds (this file runs under Miri too), an
    /// error that a later sync recovers from, and at the end every buffer back.
    #[test]
    fn anything_may_be_written_to_a_ring(
        order in prop_oneof![Just(Order::Posted), Just(Order::Reversed), any::<u64>().prop_map(Order::Shuffled)],
        ops in prop::collection::vec(hostile(), 1..200),
    ) {
        let (netmap, wire) = interface(8, order);
        let ports = [open(&netmap, Sharing::Shared).unwrap(), open(&netmap, Sharing::Shared).unwrap()];
        let view = |is_tx| View(if is_tx { ports[0].tx_ring(0) } else { ports[1].rx_ring(0) }.unwrap());
        for op in ops {
            match op {
                Hostile::Indices { is_tx, head, cur } => view(is_tx).set_head(head, cur),
                Hostile::Slot { is_tx, at, slot: (buf_idx, len, flags, ptr) } => {
                    // SAFETY: the slot is in the ring, and any value may be written to it.
                    unsafe { view(is_tx).slot(at).write_volatile(Slot { buf_idx, len, flags, ptr }) }
                }
                // SAFETY: the header is valid, and any value may be written to it.
                Hostile::Header { is_tx, tail, num_slots, buf_size } => unsafe {
                    let header = view(is_tx).0.as_ptr();
                    (&raw mut (*header).tail).write_volatile(tail);
                    (&raw mut (*header).num_slots).write_volatile(num_slots);
                    (&raw mut (*header).nr_buf_size).write_volatile(buf_size);
                },
                Hostile::Arrive(frames) => (0..frames).for_each(|number| wire.send(&frame(number.into(), 60))),
                Hostile::Sync { is_tx } => {
                    let outcome = if is_tx { ports[0].txsync() } else { ports[1].rxsync() };
                    let is_expected = matches!(
                        outcome,
                        Ok(()) | Err(SyncError::BadIndices { .. } | SyncError::BadBuffer { .. } | SyncError::DeviceFailed)
                    );
                    prop_assert!(is_expected, "{outcome:?}");
                }
            }
        }
        drop(ports);
        prop_assert!(!wire.is_running());
        let report = netmap.memory();
        prop_assert_eq!((report.free, report.held), (report.total, 0), "{}", report);
    }
}

#[test]
fn buffers_come_home_after_well_behaved_raw_ports() {
    let (netmap, wire) = interface(8, Order::Posted);
    drop(open(&netmap, Sharing::Shared).unwrap());
    assert_all_home(&netmap, &[&wire]);
}

/// Three cards of one region: `em0` with a raw port that stays, `em1` whose raw ports come and go, `em2` with a safe one.
fn three(slots: u16) -> (Netmap, [Wire; 3]) {
    let (_, netmap) = netmap(4096);
    let wires = [0, 1, 2].map(|number| {
        let (nic, wire) = card(CardSpec::new(number, slots, Order::Posted));
        netmap.attach(&format!("em{number}"), nic).unwrap();
        wire
    });
    (netmap, wires)
}

fn open_on(netmap: &Netmap, name: &str, extra_buffers: u32) -> RawPort {
    netmap.open_raw(name, RawOptions { extra_buffers, ..RawOptions::default() }).unwrap()
}

#[test]
fn raw_ports_come_and_go_beside_another_for_ever() {
    const ROUNDS: u32 = if cfg!(miri) { 10 } else { 1000 };
    let (netmap, wires) = three(64);
    let stays = open_on(&netmap, "em0", 0);
    // What is left is enough for `em1` and as much for `em2`, which is closed, but not twice for `em1`.
    let spares = netmap.region().spares(netmap.memory().free - 300);
    let mut after = None;
    for round in 0..ROUNDS {
        let port = open_on(&netmap, "em1", 7);
        assert_eq!((View(port.tx_ring(0).unwrap()).header().num_slots, port.extra_buffers()), (64, 7));
        wires[1].send(&frame(round.into(), 60));
        port.rxsync().unwrap();
        assert_eq!(View(port.rx_ring(0).unwrap()).frame(0), frame(round.into(), 60));
        drop(port);
        let report = netmap.memory();
        assert_eq!(*after.get_or_insert(report), report, "round {round}");
    }
    let report = netmap.memory();
    assert_eq!((report.free, report.resting, report.held, report.lost()), (165, 135, 128, 0), "{report}");
    drop((stays, spares));
    assert_all_home(&netmap, &[&wires[0], &wires[1]]);
    assert_eq!((netmap.memory().reclaimed, netmap.memory().refused), (0, 0));
}

/// A program writes numbers that it had into rings of another card, which fills those buffers while they rest and while
/// the next raw port has them. No frame of a safe port changes.
#[test]
fn numbers_that_a_program_keeps_reach_no_safe_port() {
    let (netmap, wires) = three(16);
    let stays = open_on(&netmap, "em0", 0);
    let (mut safe, mut spare) = (netmap.open("em2").unwrap(), netmap.region().spare().unwrap());
    spare.copy_from(&frame(77, 1984)).unwrap();
    for mut slot in safe.tx_rings()[0].slots() {
        slot.copy_from(&frame(slot.buf_idx().into(), 1984)).unwrap();
    }
    let numbers = |ring: View| (0..16).map(|at| slot_of(ring, at).buf_idx).collect::<Vec<_>>();
    for round in 0..20 {
        let comes = open_on(&netmap, "em1", 0);
        let kept = numbers(View(comes.rx_ring(0).unwrap()));
        drop(comes);
        // The staying port's receive ring: the card gets the kept numbers with the slots that are released.
        let rx = View(stays.rx_ring(0).unwrap());
        (0..5).for_each(|number| wires[0].send(&frame(number, 1984)));
        stays.rxsync().unwrap();
        let (head, tail) = (rx.header().head, rx.header().tail);
        for at in (0..16).map(|step| (head + step) % 16).take_while(|at| *at != tail) {
            let slot = Slot { buf_idx: kept[(at as usize + round) % 16], ..slot_of(rx, at) };
            // SAFETY: the slot is in the ring.
            unsafe { rx.slot(at).write_volatile(slot) }
        }
        rx.set_head(tail, tail);
        stays.rxsync().unwrap();
        let again = open_on(&netmap, "em1", 0);
        (0..15).for_each(|number| wires[0].send(&frame(round as u64 + number, 1984)));
        stays.rxsync().unwrap();
        let safe_numbers: Vec<_> = safe.tx_rings()[0].slots().map(|slot| slot.buf_idx()).collect();
        for ring in [rx, View(again.rx_ring(0).unwrap()), View(again.tx_ring(0).unwrap())] {
            assert!(numbers(ring).iter().all(|number| !safe_numbers.contains(number)));
            assert!(!numbers(ring).contains(&spare.buf_idx()));
        }
    }
    for slot in safe.tx_rings()[0].slots() {
        assert_eq!(slot.len(), 1984);
        assert_eq!(slot.frame(), frame(slot.buf_idx().into(), 1984));
    }
    assert_eq!(spare.frame(), frame(77, 1984));
    drop((stays, safe, spare));
    let report = netmap.memory();
    assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
}

fn slot_of(ring: View, at: u32) -> Slot {
    // SAFETY: the port that the ring belongs to is open, and `at` is below its number of slots.
    unsafe { ring.slot(at).read_volatile() }
}
