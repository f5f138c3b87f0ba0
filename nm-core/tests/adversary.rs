//! Attempts to break memory safety with safe code alone, each of which must fail: exchanged rings, handles that are forgotten
//! or moved, panics and calls back into the netmap from devices, stacks and wakers, control from other threads.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

use std::collections::HashSet;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use nm_core::generic::{FrameDevice, ReceiveError, TransmitError};
use nm_core::host::{HostRings, HostStack, Outgoing, StackRefused};
use nm_core::mem::Region;
use nm_core::nic::Link;
use nm_core::platform::Platform;
use nm_core::poll::{Interest, Polled, Timeout, poll_any};
use nm_core::testing::{CardSpec, FakeStack, HeapPlatform, Order, Wire, card};
use nm_core::tunables::{Sizes, Tunables};
use nm_core::{Attachment, Netmap, Port, SyncError, TxRing};

const SLOTS: u16 = 8;
const HOST: HostRings = HostRings { tx: 1, rx: 1, slots: 8 };
const SIZES: Sizes =
    Sizes { if_size: 256, if_num: 8, ring_size: 512, ring_num: 16, buf_size: 256, buf_num: 98 };

fn tunables() -> Tunables {
    Tunables {
        if_size: 256,
        if_num: 8,
        ring_size: 512,
        ring_num: 32,
        buf_size: 256,
        buf_num: 130,
        ..Tunables::default()
    }
}

fn netmap() -> (Arc<HeapPlatform>, Netmap) {
    let heap = HeapPlatform::new(1 << 20);
    let platform: Arc<dyn Platform> = heap.clone();
    let netmap = Netmap::new(&platform, tunables()).unwrap();
    (heap, netmap)
}

fn attach(netmap: &Netmap, name: &str, region: Option<&Arc<Region>>) -> (Arc<FakeStack>, Wire) {
    let stack = FakeStack::new();
    let (nic, wire) = card(CardSpec::new(name.as_bytes()[2], SLOTS, Order::Posted));
    let attachment = Attachment::rings(nic).with_stack(stack.clone(), HOST);
    let attachment = match region {
        Some(region) => attachment.in_region(region),
        None => attachment,
    };
    netmap.attach_as(name, attachment).unwrap();
    (stack, wire)
}

/// Every buffer of a region that safe code can name: those of windows and of all spares that there are.
fn assert_no_aliases(region: &Region, ports: &mut [&mut Port]) {
    let mut seen = HashSet::new();
    let spares = region.spares(u32::MAX);
    let free = spares.iter().map(|spare| spare.buf_idx()).collect::<Vec<_>>();
    let mut check = |number| assert!(seen.insert(number), "buffer {number} is in two places");
    free.into_iter().for_each(&mut check);
    for port in ports.iter_mut() {
        let all = port.all_rings();
        for ring in all.tx.iter_mut().chain(all.host_tx) {
            if std::ptr::eq(ring.region(), region) {
                ring.slots().for_each(|slot| check(slot.buf_idx()));
            }
        }
        for ring in all.rx.iter_mut().chain(all.host_rx) {
            if std::ptr::eq(ring.region(), region) {
                ring.slots().for_each(|slot| check(slot.buf_idx()));
            }
        }
    }
}

fn assert_books(region: &Region) {
    let report = region.report();
    assert_eq!((report.free, report.refused, report.reclaimed), (report.total, 0, 0), "{report}");
}

/// Rounds of a transmit ring until all its slots have been in the window.
fn turn(ring: &mut TxRing) {
    for _ in 0..2 {
        let window = ring.window();
        for mut slot in ring.slots() {
            slot.set_len(0).unwrap();
        }
        ring.advance(window);
        let _ = ring.txsync();
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Rings that change ports, and then Port::forward.

#[derive(Clone, Copy, PartialEq)]
enum Where {
    SameRegion,
    OtherRegion,
    OtherNetmap,
}

#[derive(Clone, Copy)]
enum Go {
    Forward,
    Poll,
    PollAny,
    Ready,
}

/// Exchanges something between the ports of em0 and em1, and then sends a frame from each stack, marked, through each port.
fn exchanged(place: Where, go: Go, exchange: impl Fn(&mut Port, &mut Port)) {
    // One stack at a time: what both do at once may make up for each other.
    exchanged_for(place, go, 0, &exchange);
    exchanged_for(place, go, 1, &exchange);
}

fn exchanged_for(place: Where, go: Go, sender: u32, exchange: &impl Fn(&mut Port, &mut Port)) {
    let (_heap, netmap) = netmap();
    let (_other_heap, other_netmap) = self::netmap();
    let private = netmap.regions().create("p", SIZES).unwrap();
    let (stack0, wire0) = attach(&netmap, "em0", None);
    let (second, name, region) = match place {
        Where::SameRegion => (&netmap, "em1", None),
        Where::OtherRegion => (&netmap, "em1", Some(&private)),
        Where::OtherNetmap => (&other_netmap, "em0", None),
    };
    let (stack1, wire1) = attach(second, name, region);
    let mut a = netmap.open("em0*").unwrap();
    let mut b = second.open(&format!("{name}*")).unwrap();
    exchange(&mut a, &mut b);

    if sender == 0 {
        netmap.host("em0").unwrap().transmit(Outgoing::new(&[0xa0; 60])).unwrap();
    } else {
        second.host(name).unwrap().transmit(Outgoing::new(&[0xb1; 60])).unwrap();
    }
    for port in [&mut a, &mut b] {
        for ring in port.host_rx_rings() {
            ring.set_transparent(true);
            ring.rxsync().unwrap();
            let seen = ring.window();
            ring.slots().for_each(|mut slot| slot.set_forward(true));
            ring.advance(seen);
        }
        match go {
            Go::Forward => _ = port.forward(),
            Go::Poll => _ = port.poll(Interest::READABLE, Timeout::Now),
            Go::PollAny => _ = poll_any(&mut [Polled::new(port, Interest::READABLE)], Timeout::Now),
            Go::Ready => {
                _ = Pin::new(&mut port.ready(Interest::READABLE))
                    .poll(&mut Context::from_waker(Waker::noop()))
            }
        }
    }
    for port in [&mut a, &mut b] {
        port.tx_rings().iter_mut().for_each(turn);
        port.host_tx_rings().iter_mut().for_each(turn);
        port.host_rx_rings().iter_mut().for_each(|ring| _ = ring.rxsync());
    }
    let regions =
        [netmap.regions().shared().clone(), private.clone(), other_netmap.regions().shared().clone()];
    let mut problems = Vec::new();
    for region in &regions {
        let aliases = catch_unwind(AssertUnwindSafe(|| assert_no_aliases(region, &mut [&mut a, &mut b])));
        if aliases.is_err() {
            problems.push(format!("a buffer of region {} is in two places", region.id()));
        }
    }
    let (sent0, sent1) = (wire0.sent(), wire1.sent());
    if sent0.iter().any(|frame| frame[0] == 0xb1) || sent1.iter().any(|frame| frame[0] == 0xa0) {
        problems.push("a frame of one interface left by another".into());
    }
    if !stack0.received().is_empty() || !stack1.received().is_empty() {
        problems.push("a frame of a stack went up to a stack".into());
    }
    drop((a, b));
    for region in &regions {
        let report = region.report();
        if (report.refused, report.reclaimed) != (0, 0) {
            problems.push(format!("region {}: {report}", region.id()));
        }
    }
    for wire in [wire0, wire1] {
        problems.extend(wire.breaches());
    }
    assert!(problems.is_empty(), "stack {sender} sends: {problems:#?}");
}

fn tx(a: &mut Port, b: &mut Port) {
    mem::swap(&mut a.tx_rings()[0], &mut b.tx_rings()[0]);
}

fn host_rx(a: &mut Port, b: &mut Port) {
    mem::swap(&mut a.host_rx_rings()[0], &mut b.host_rx_rings()[0]);
}

#[test]
fn tx_rings_of_other_regions() {
    exchanged(Where::OtherRegion, Go::Forward, tx);
}

#[test]
fn tx_rings_of_one_region() {
    exchanged(Where::SameRegion, Go::Forward, tx);
}

/// What an alias is worth: two exclusive references, one by a slot, one by a spare.
#[test]
fn host_rx_rings_of_other_regions_and_what_comes_of_it() {
    let (_heap, netmap) = netmap();
    let private = netmap.regions().create("p", SIZES).unwrap();
    let (_s0, _w0) = attach(&netmap, "em0", None);
    let (_s1, _w1) = attach(&netmap, "em1", Some(&private));
    // Numbers that em1's rings have in their region, and the pool in the other.
    let _kept = private.spares(40);
    let (mut a, mut b) = (netmap.open("em0*").unwrap(), netmap.open("em1*").unwrap());
    host_rx(&mut a, &mut b);
    netmap.host("em1").unwrap().transmit(Outgoing::new(&[0xb1; 60])).unwrap();
    netmap.knobs().set("fwd", 1).unwrap();
    a.host_rx_rings()[0].rxsync().unwrap();
    a.host_rx_rings()[0].advance(1);
    let _ = a.forward();
    turn(&mut a.tx_rings()[0]);
    drop(b);
    let mut spares = netmap.region().spares(u32::MAX);
    let tx = a.tx_rings()[0].slots().map(|mut slot| {
        let number = slot.buf_idx();
        let mine = slot.set_len(60).unwrap();
        if let Some(spare) = spares.iter_mut().find(|spare| spare.buf_idx() == number) {
            let theirs = spare.set_len(60).unwrap();
            mine.fill(1);
            theirs.fill(2);
            assert_eq!(mine[0], 1, "buffer {number} has two owners");
        }
    });
    tx.for_each(drop);
}

/// Both interfaces have the same name, and both regions the same number.
#[test]
fn tx_rings_of_other_netmaps() {
    exchanged(Where::OtherNetmap, Go::Forward, tx);
}

#[test]
fn host_rx_rings_of_other_regions() {
    exchanged(Where::OtherRegion, Go::Forward, host_rx);
}

#[test]
fn host_rx_rings_of_one_region() {
    exchanged(Where::SameRegion, Go::Forward, host_rx);
}

#[test]
fn host_rx_rings_of_other_netmaps() {
    exchanged(Where::OtherNetmap, Go::Forward, host_rx);
}

#[test]
fn tx_rings_and_a_poll() {
    exchanged(Where::OtherRegion, Go::Poll, |a, b| a.tx_rings().swap_with_slice(b.tx_rings()));
}

#[test]
fn tx_rings_and_a_poll_of_several() {
    exchanged(Where::OtherRegion, Go::PollAny, |a, b| {
        mem::swap(&mut a.all_rings().tx[0], &mut b.rings().0[0])
    });
}

#[test]
fn tx_rings_and_a_future() {
    exchanged(Where::OtherRegion, Go::Ready, tx);
}

/// A card's transmit ring in the place of a host transmit ring: the stack's frame goes up to the stack again.
#[test]
fn tx_ring_and_host_tx_ring_of_one_port() {
    exchanged(Where::SameRegion, Go::Forward, |a, _| {
        let all = a.all_rings();
        mem::swap(&mut all.tx[0], &mut all.host_tx[0]);
    });
}

/// The card's receive ring and the host's: each still is what it is.
#[test]
fn rx_ring_and_host_rx_ring_of_one_port() {
    exchanged(Where::SameRegion, Go::Forward, |a, _| {
        let all = a.all_rings();
        mem::swap(&mut all.rx[0], &mut all.host_rx[0]);
    });
}

#[test]
fn rx_ring_and_host_rx_ring_of_other_ports() {
    exchanged(Where::OtherRegion, Go::Forward, |a, b| {
        mem::swap(&mut a.rx_rings()[0], &mut b.host_rx_rings()[0])
    });
}

#[test]
fn whole_ports() {
    exchanged(Where::OtherRegion, Go::Forward, mem::swap);
}

/// A ring of a port that was split, in a port that was not.
#[test]
fn a_ring_of_a_split_port() {
    let (_heap, netmap) = netmap();
    let private = netmap.regions().create("p", SIZES).unwrap();
    let (_stack0, wire0) = attach(&netmap, "em0", None);
    let (_stack1, wire1) = attach(&netmap, "em1", Some(&private));
    let mut a = netmap.open("em0*").unwrap();
    let (mut split, _rx) = netmap.open("em1").unwrap().split();
    mem::swap(&mut a.tx_rings()[0], &mut split[0]);
    netmap.host("em0").unwrap().transmit(Outgoing::new(&[0xa0; 60])).unwrap();
    netmap.knobs().set("fwd", 1).unwrap();
    a.host_rx_rings()[0].rxsync().unwrap();
    a.host_rx_rings()[0].advance(1);
    let _ = a.forward();
    let _ = a.tx_rings()[0].txsync();
    let left = wire1.sent();
    drop((a, split, _rx));
    let (shared, private) = (netmap.memory(), private.report());
    assert_eq!(
        (left, shared.refused, private.refused),
        (vec![], 0, 0),
        "{shared} {private} {:?}",
        wire0.sent()
    );
}

/// A part of a port with rings of another part, and both forward at the same time.
#[test]
fn parts_of_one_port() {
    let (_heap, netmap) = netmap();
    let stack = FakeStack::new();
    let (nic, wire) = card(CardSpec::new(0, SLOTS, Order::Posted).with_queues(2, 2));
    netmap
        .attach_as("em0", Attachment::rings(nic).with_stack(stack, HostRings { tx: 1, rx: 2, slots: 8 }))
        .unwrap();
    netmap.knobs().set("fwd", 1).unwrap();
    let mut parts = netmap.open("em0*").unwrap().divide(2.try_into().unwrap());
    let mut b = parts.pop().unwrap();
    let mut a = parts.pop().unwrap();
    mem::swap(&mut a.tx_rings()[0], &mut b.tx_rings()[0]);
    mem::swap(&mut a.host_rx_rings()[1], &mut b.rx_rings()[0]);
    let host = netmap.host("em0").unwrap();
    let run = |mut port: Port, count: u32| {
        for _ in 0..count {
            let all = port.all_rings();
            for ring in all.rx.iter_mut().chain(all.host_rx) {
                ring.rxsync().unwrap();
                let seen = ring.window();
                ring.advance(seen);
            }
            port.forward().unwrap();
        }
        port
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| run(a, 20));
        let second = scope.spawn(|| run(b, 20));
        for number in 0..20 {
            let _ = host.transmit(Outgoing { queue: number, ..Outgoing::new(&[number as u8; 60]) });
            wire.send(&[number as u8; 60]);
        }
        let mut ports = [first.join().unwrap(), second.join().unwrap()];
        let [a, b] = &mut ports;
        assert_no_aliases(netmap.region(), &mut [a, b]);
    });
    assert_books(netmap.region());
    assert_eq!(wire.breaches(), Vec::<String>::new());
}

// ---------------------------------------------------------------------------------------------------------------------
// Devices and stacks that panic.

#[derive(Default)]
struct Device {
    /// Calls until one panics; 0 for never.
    panics_in: AtomicU32,
    room: AtomicU32,
    sent: Mutex<Vec<Vec<u8>>>,
    arrived: Mutex<Vec<Vec<u8>>>,
    lies: AtomicBool,
}

impl Device {
    fn tick(&self) {
        let before = self.panics_in.load(SeqCst);
        if before > 0 {
            self.panics_in.store(before - 1, SeqCst);
            assert_ne!(before, 1, "the device panics");
        }
    }
}

impl FrameDevice for Device {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 9]
    }

    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        self.tick();
        let room = self.room.load(SeqCst);
        if room == 0 {
            return Err(TransmitError::NoRoom);
        }
        self.room.store(room - 1, SeqCst);
        self.sent.lock().unwrap().push(frame.to_vec());
        Ok(())
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        self.tick();
        let frame = self.arrived.lock().unwrap().pop()?;
        if self.lies.load(SeqCst) {
            return Some(Ok(usize::MAX - usize::from(frame[0])));
        }
        into[..frame.len()].copy_from_slice(&frame);
        Some(Ok(frame.len()))
    }
}

fn quiet<R>(work: impl FnOnce() -> R) -> thread::Result<R> {
    catch_unwind(AssertUnwindSafe(work))
}

/// Ids that are posted twice, completions that come twice, a tail that runs over frames that wait: still each buffer is in
/// one place.
#[test]
fn a_device_that_panics_in_the_middle_of_a_batch() {
    for panics_in in if cfg!(miri) { 3..5 } else { 1..9 } {
        for room in if cfg!(miri) { vec![1] } else { vec![0, 1, 3, 100] } {
            let (_heap, netmap) = netmap();
            let device = Arc::new(Device::default());
            netmap.knobs().set("generic_ringsize", 8).unwrap();
            netmap.attach_frames("em0", device.clone()).unwrap();
            let mut port = netmap.open("em0").unwrap();
            let mut spare = netmap.region().spare().unwrap();
            for round in 0..12u32 {
                device.panics_in.store(if round % 3 == 0 { panics_in } else { 0 }, SeqCst);
                device.room.store(if round % 4 == 3 { room } else { 100 }, SeqCst);
                device.arrived.lock().unwrap().extend((0..5).map(|n| vec![n; 20]));
                let ring = &mut port.tx_rings()[0];
                for (number, mut slot) in ring.slots().enumerate() {
                    slot.swap_spare(&mut spare).unwrap();
                    slot.copy_from(&[round as u8; 60][..if number == 3 { 0 } else { 60 }]).unwrap();
                }
                ring.advance(1 + round % 7);
                let _ = quiet(|| ring.txsync());
                if round == 7 {
                    let _ = netmap.reset("em0");
                }
                let rx = &mut port.rx_rings()[0];
                let _ = quiet(|| rx.rxsync());
                rx.slots().for_each(|mut slot| slot.swap_spare(&mut spare).unwrap());
                rx.advance(round % 4);
                let _ = quiet(|| port.poll(Interest::all(), Timeout::Now));
                drop(mem::replace(&mut spare, netmap.region().spare().unwrap()));
                assert_no_aliases(netmap.region(), &mut [&mut port]);
            }
            drop((port, spare));
            assert_books(netmap.region());
        }
    }
}

struct PanickingStack(AtomicU32);

impl HostStack for PanickingStack {
    fn deliver(&self, _interface: &str, _frame: &[u8]) -> Result<(), StackRefused> {
        let before = self.0.fetch_add(1, SeqCst);
        assert_ne!(before % 3, 1, "the stack panics");
        Ok(())
    }
}

/// On the way up from a card and from a host ring, and on the way down through a device that panics.
#[test]
fn a_stack_that_panics_and_a_device_that_panics_on_the_way_down() {
    let (_heap, netmap) = netmap();
    let device = Arc::new(Device::default());
    netmap.knobs().set("generic_ringsize", 8).unwrap();
    netmap.knobs().set("fwd", 1).unwrap();
    let stack = Arc::new(PanickingStack(AtomicU32::new(0)));
    netmap.attach_as("em0", Attachment::frames(device.clone()).with_stack(stack, HOST)).unwrap();
    let mut port = netmap.open("em0*").unwrap();
    let host = netmap.host("em0").unwrap();
    for round in 0..24u32 {
        for _ in 0..4 {
            let _ = host.transmit(Outgoing::new(&[7; 60]));
        }
        device.arrived.lock().unwrap().extend((0..3).map(|n| vec![n; 20]));
        device.room.store(round % 5, SeqCst);
        let all = port.all_rings();
        for ring in all.rx.iter_mut().chain(all.host_rx) {
            let seen = ring.window();
            ring.advance(seen);
        }
        device.panics_in.store(round % 6, SeqCst);
        let _ = quiet(|| port.forward());
        let ring = &mut port.host_tx_rings()[0];
        for mut slot in ring.slots() {
            slot.copy_from(&[1; 60]).unwrap();
        }
        ring.advance(3);
        let _ = quiet(|| ring.txsync());
        device.panics_in.store(0, SeqCst);
        assert_no_aliases(netmap.region(), &mut [&mut port]);
    }
    drop(port);
    assert_books(netmap.region());
}

/// Lengths beyond everything, while the number of slots that the tunables ask for changes.
#[test]
fn a_device_that_lies_about_lengths() {
    for (lies, len) in [(false, 0), (true, 0), (false, 20), (true, 20), (false, 5000), (true, 5000)] {
        let (_heap, netmap) = netmap();
        let device = Arc::new(Device::default());
        device.lies.store(lies, SeqCst);
        device.room.store(100, SeqCst);
        netmap.knobs().set("generic_ringsize", 8).unwrap();
        netmap.attach_frames("em0", device.clone()).unwrap();
        netmap.knobs().set("generic_ringsize", 4).unwrap();
        let mut port = netmap.open("em0").unwrap();
        netmap.knobs().set("generic_ringsize", 16).unwrap();
        netmap.reset("em0").unwrap();
        device.arrived.lock().unwrap().extend((0..4).map(|n| vec![n; len]));
        let _ = quiet(|| port.rx_rings()[0].rxsync());
        port.rx_rings()[0].slots().for_each(|slot| assert!(slot.frame().len() <= 192));
        let ring = &mut port.tx_rings()[0];
        ring.slots().for_each(|mut slot| slot.set_len(192).unwrap().fill(1));
        let given = ring.window();
        ring.advance(given);
        ring.txsync().unwrap();
        drop(port);
        assert_books(netmap.region());
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Slots and spares.

#[test]
fn handles_of_slots_and_spares_change_places() {
    let (_heap, netmap) = netmap();
    let private = netmap.regions().create("p", SIZES).unwrap();
    let (_s0, w0) = attach(&netmap, "em0", None);
    let (_s1, w1) = attach(&netmap, "em1", Some(&private));
    let (mut a, mut b) = (netmap.open("em0*").unwrap(), netmap.open("em1*").unwrap());
    w0.send(&[1; 60]);
    w1.send(&[2; 60]);
    a.rx_rings()[0].rxsync().unwrap();
    b.rx_rings()[0].rxsync().unwrap();
    {
        let (tx, rx) = a.rings();
        let (mut tx, mut rx) = (tx[0].slots(), rx[0].slots());
        mem::swap(&mut tx, &mut rx);
        let (mut x, mut y) = (tx.next().unwrap(), rx.next().unwrap());
        assert!(tx.next().is_none());
        mem::swap(&mut x, &mut y);
        x.swap(&mut y).unwrap();
        let _ = mem::replace(&mut x, rx.next().unwrap());
        let mut other = b.tx_rings()[0].slots().next().unwrap();
        assert!(x.swap(&mut other).is_err());
        let (mut own, mut foreign) = (netmap.region().spare().unwrap(), private.spare().unwrap());
        assert!(x.swap_spare(&mut foreign).is_err());
        mem::swap(&mut own, &mut foreign);
        assert!(x.swap_spare(&mut own).is_err());
        x.swap_spare(&mut foreign).unwrap();
        let (mine, theirs) = (x.set_len(100).unwrap(), foreign.set_len(100).unwrap());
        mine.fill(1);
        theirs.fill(2);
        assert_eq!((mine[0], theirs[0]), (1, 2));
    }
    // A slot is lent again after the iterator has gone, not twice before.
    let ring = &mut a.tx_rings()[0];
    let numbers: Vec<_> = ring.slots().map(|slot| slot.buf_idx()).collect();
    ring.advance(3);
    assert_eq!(ring.slots().map(|slot| slot.buf_idx()).collect::<Vec<_>>(), numbers[3..]);
    assert_eq!((ring.advance(u32::MAX), ring.look(u32::MAX), ring.advance(u32::MAX)), (4, 0, 0));
    assert_no_aliases(netmap.region(), &mut [&mut a, &mut b]);
    assert_no_aliases(&private, &mut [&mut a, &mut b]);
    drop((a, b));
    assert_books(netmap.region());
    assert_books(&private);
}

/// Interfaces go and come back with other cards, other regions and other sizes while ports of before are still there.
#[test]
fn interfaces_that_come_back_under_ports_and_spares() {
    let (heap, netmap) = netmap();
    let mut old = Vec::new();
    let mut spares = Vec::new();
    let mut regions = Vec::new();
    for round in 0..4u16 {
        let region = netmap.regions().create("p", SIZES).unwrap();
        let (_stack, wire) = attach(&netmap, "em0", Some(&region).filter(|_| round % 2 == 0));
        let mut port = netmap.open("em0*").unwrap();
        wire.send(&[1; 60]);
        port.rx_rings()[0].rxsync().unwrap();
        let mut spare = region.spare().unwrap();
        let mut shared = netmap.region().spare().unwrap();
        for mut slot in port.rx_rings()[0].slots() {
            netmap.reset("em0").unwrap();
            netmap.detach("em0").unwrap();
            let _ = slot.swap_spare(&mut spare);
            let _ = slot.swap_spare(&mut shared);
            slot.set_len(100).unwrap().fill(3);
        }
        for port in &mut old {
            let port: &mut Port = port;
            assert_eq!(port.forward(), Err(SyncError::Gone));
            port.tx_rings()[0].slots().for_each(|mut slot| slot.set_len(100).unwrap().fill(4));
        }
        old.push(port);
        spares.extend([spare, shared]);
        regions.push(Arc::downgrade(&region));
    }
    drop(netmap.clone());
    let shared = netmap.regions().shared().clone();
    drop(netmap);
    assert_no_aliases(&shared, &mut old.iter_mut().collect::<Vec<_>>());
    old.reverse();
    drop(old);
    spares.iter_mut().for_each(|spare| spare.set_len(192).unwrap().fill(5));
    drop(spares);
    assert!(regions.iter().all(|region| region.upgrade().is_none()));
    assert_books(&shared);
    drop(shared);
    assert_eq!(heap.blocks_in_use(), 0);
}

/// Resets, a detach, opens and closes on other threads while slots are lent here.
#[test]
fn control_from_other_threads_while_slots_are_lent() {
    let (_heap, netmap) = netmap();
    let (_stack, wire) = attach(&netmap, "em0", None);
    let mut port = netmap.open("em0").unwrap();
    let rounds = if cfg!(miri) { 10 } else { 300 };
    thread::scope(|scope| {
        let (other, theirs) = (netmap.clone(), &wire);
        let control = scope.spawn(move || {
            for round in 0..rounds {
                let _ = other.reset("em0");
                drop(other.open("em0^"));
                theirs.send(&[9; 60]);
                drop(other.region().spares(3));
                let _ = (other.counters(), other.interfaces(), other.memory());
                if round == rounds - 3 {
                    other.detach("em0").unwrap();
                }
            }
        });
        let mut spare = netmap.region().spare().unwrap();
        while !control.is_finished() {
            let (tx, rx) = port.rings();
            let (_, _) = (rx[0].rxsync(), tx[0].txsync());
            for (mut from, mut to) in rx[0].slots().zip(tx[0].slots()) {
                from.swap(&mut to).unwrap();
                to.swap_spare(&mut spare).unwrap();
                from.set_len(100).unwrap().fill(1);
                to.set_len(60).unwrap().fill(2);
            }
            let seen = rx[0].window();
            rx[0].advance(seen);
            tx[0].advance(1);
        }
    });
    assert_no_aliases(netmap.region(), &mut [&mut port]);
    drop(port);
    assert_books(netmap.region());
    assert_eq!(wire.breaches(), Vec::<String>::new());
}

// ---------------------------------------------------------------------------------------------------------------------
// Futures and wakers.

/// A waker that does everything to the netmap when it is called, cloned and dropped.
struct Meddler(Netmap, AtomicU32);

impl Meddler {
    fn meddle(&self) {
        if self.1.fetch_add(1, SeqCst) < 40 {
            drop(self.0.open("em0^"));
            let _ = (self.0.counters(), self.0.interfaces(), self.0.run_pending());
            let _ = self.0.reset("em0");
            drop(self.0.region().spares(2));
        }
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.meddle();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.meddle();
    }
}

#[test]
fn futures_that_are_forgotten_moved_and_polled_with_wakers_that_meddle() {
    let (heap, netmap) = netmap();
    let (_stack, wire) = attach(&netmap, "em0", None);
    wire.connect(netmap.events("em0").unwrap());
    let mut port = netmap.open("em0").unwrap();
    let waker = |netmap: &Netmap| Waker::from(Arc::new(Meddler(netmap.clone(), AtomicU32::new(0))));
    for round in 0..4 {
        let mut ready = port.ready(Interest::READABLE);
        assert!(Pin::new(&mut ready).poll(&mut Context::from_waker(&waker(&netmap))).is_pending());
        let mut moved = Box::new(ready);
        assert!(Pin::new(&mut *moved).poll(&mut Context::from_waker(&waker(&netmap))).is_pending());
        if round % 2 == 0 {
            mem::forget(moved);
        } else {
            drop(moved);
        }
        // The port is there again, and the forgotten wait is only a waker.
        port.tx_rings()[0].slots().for_each(|mut slot| slot.set_len(100).unwrap().fill(round));
        wire.send(&[1; 60]);
        let _ = netmap.events("em0").unwrap().rx_interrupt(0);
        netmap.run_pending();
        let _ = port.rx_rings()[0].rxsync();
        let seen = port.rx_rings()[0].window();
        port.rx_rings()[0].advance(seen);
        let _ = port.rx_rings()[0].rxsync();
    }
    netmap.detach("em0").unwrap();
    assert_no_aliases(netmap.region(), &mut [&mut port]);
    drop(port);
    assert_books(netmap.region());
    drop((netmap, wire));
    assert_eq!(heap.blocks_in_use(), 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// Hangs (not memory safety).

/// A device panics while a ring is made fresh for a new port: the rings that are bound already are released during the
/// unwinding, under the lock of the users that the binding holds.
#[test]
fn a_device_that_panics_while_a_port_is_opened() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let (_heap, netmap) = netmap();
        let device = Arc::new(Device::default());
        netmap.knobs().set("generic_ringsize", 8).unwrap();
        netmap
            .attach_as("em0", Attachment::frames(device.clone()).with_stack(FakeStack::new(), HOST))
            .unwrap();
        let host_rings = netmap.open("em0^").unwrap();
        device.panics_in.store(1, SeqCst);
        assert!(quiet(|| netmap.open("em0")).is_err());
        device.panics_in.store(0, SeqCst);
        drop(host_rings);
        drop(netmap.open("em0").unwrap());
        assert_books(netmap.region());
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(20)).expect("the open does not return");
}
