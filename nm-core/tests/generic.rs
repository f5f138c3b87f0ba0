//! The generic adapter: an interface without rings as a netmap port.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]
#![allow(unsafe_code, reason = "a machine promises what its memory is")]

mod common;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{frame, netmap};
use nm_core::generic::{Clock, FrameDevice, GenericCounters, PhyFrames, TransmitError};
use nm_core::nic::{Link, Mtu};
use nm_core::platform::{DmaBlock, Platform};
use nm_core::poll::{Interest, Ready, Timeout};
use nm_core::testing::{FakeDevice, HeapPlatform, Line, frame_device};
use nm_core::tunables::{Sizes, Tunables};
use nm_core::{Attachment, Netmap, Port, SyncError, errno};
use proptest::prelude::*;
use smoltcp::phy::{Loopback, Medium};

/// A clock that stands still.
fn stopped() -> Clock {
    Arc::new(|| 0)
}

/// A netmap whose generic adapters have rings of `slots` slots, and a device known as `gen0`.
fn one_device(slots: u16) -> (Netmap, Line) {
    let (device, line) = frame_device(1);
    (netmap_with(slots, device), line)
}

fn netmap_with(slots: u16, device: FakeDevice) -> Netmap {
    let (_, netmap) = netmap(4096);
    netmap.knobs().set("generic_ringsize", slots.into()).unwrap();
    netmap.attach_frames("gen0", device).unwrap();
    netmap
}

struct Bench {
    netmap: Netmap,
    port: Port,
    line: Line,
    counters: Arc<GenericCounters>,
}

/// A port of `slots` slots each way on a device without rings.
fn bench(slots: u16) -> Bench {
    let (netmap, line) = one_device(slots);
    open(netmap, line)
}

fn open(netmap: Netmap, line: Line) -> Bench {
    let counters = netmap.generic_counters("gen0").unwrap();
    let port = netmap.open("gen0").unwrap();
    Bench { netmap, port, line, counters }
}

impl Bench {
    fn submit(&mut self, frames: &[Vec<u8>]) {
        let tx = &mut self.port.tx_rings()[0];
        for (mut slot, frame) in tx.slots().zip(frames) {
            slot.copy_from(frame).unwrap();
        }
        assert_eq!(tx.advance(frames.len() as u32), frames.len() as u32);
        tx.txsync().unwrap();
    }

    /// Everything that the receive ring shows, released.
    fn received(&mut self) -> Vec<Vec<u8>> {
        let rx = &mut self.port.rx_rings()[0];
        rx.rxsync().unwrap();
        let frames = rx.slots().map(|slot| slot.frame().to_vec()).collect::<Vec<_>>();
        rx.advance(frames.len() as u32);
        frames
    }

    fn pending(&mut self) -> u32 {
        self.port.tx_rings()[0].pending()
    }

    fn close(self) {
        drop(self.port);
        let report = self.netmap.memory();
        assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
    }
}

fn frames(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(|number| frame(number, 60 + number as usize % 1400)).collect()
}

#[test]
fn the_ring_size_is_the_tunables_and_the_interface_says_what_it_is() {
    let (netmap, line) = one_device(1024);
    line.set_link(Link::Down);
    for slots in [1024, 512] {
        netmap.knobs().set("generic_ringsize", slots).unwrap();
        let info = netmap.interfaces().pop().unwrap();
        assert_eq!(
            info.to_string(),
            format!(
                "gen0 mac=52:54:00:00:01:01 link=down mtu=1500 tx=1x{slots} rx=1x{slots} adapter=generic"
            )
        );
        let mut port = netmap.open("mac-525400000101").unwrap();
        assert_eq!((port.tx_rings()[0].num_slots(), port.rx_rings()[0].num_slots()), (slots, slots));
    }
}

#[test]
fn an_open_ring_keeps_its_size_and_a_reset_takes_nothing_from_it() {
    let mut bench = bench(16);
    for slots in [4, 64] {
        bench.netmap.knobs().set("generic_ringsize", slots).unwrap();
        (0..15).for_each(|number| bench.line.send(&frame(number, 60)));
        bench.netmap.reset("gen0").unwrap();
        assert_eq!(bench.received(), (0..15).map(|number| frame(number, 60)).collect::<Vec<_>>());
        bench.submit(&frames(0..15));
        assert_eq!((bench.line.sent(), bench.pending()), (frames(0..15), 0));
        assert_eq!(bench.port.rx_rings()[0].num_slots(), 16);
        bench.received();
    }
    let Bench { netmap, port, line, counters } = bench;
    drop(port);
    let port = netmap.open("gen0").unwrap();
    let mut bench = Bench { netmap, port, line, counters };
    assert_eq!(bench.port.rx_rings()[0].num_slots(), 64);
    bench.close();
}

#[test]
fn what_the_device_has_no_room_for_stays_pending_and_goes_first_later() {
    let mut bench = bench(16);
    bench.line.set_room(3);
    bench.submit(&frames(0..8));
    assert_eq!((bench.line.sent(), bench.pending()), (frames(0..3), 5));
    bench.submit(&frames(8..10));
    assert_eq!((bench.line.sent(), bench.pending()), (vec![], 7), "nothing overtakes");
    bench.line.set_room(2);
    bench.port.tx_rings()[0].txsync().unwrap();
    assert_eq!((bench.line.sent(), bench.pending()), (frames(3..5), 5));
    bench.line.set_room(usize::MAX);
    bench.port.tx_rings()[0].txsync().unwrap();
    assert_eq!((bench.line.sent(), bench.pending()), (frames(5..10), 0));
    assert_eq!(bench.counters.no_room.get(), 3);
    assert_eq!(bench.port.tx_rings()[0].counters().packets.get(), 10);
    bench.close();
}

#[test]
fn frames_that_cannot_be_carried_are_counted_by_cause() {
    let mut bench = bench(16);
    bench.line.send(&frame(1, 1522));
    bench.line.send(&frame(2, 1523));
    bench.line.send(&frame(3, 9000));
    bench.line.send_damaged();
    bench.line.send(&frame(4, 13));
    bench.line.send(&frame(5, 14));
    assert_eq!(bench.received(), [frame(1, 1522), frame(5, 14)]);
    bench.line.refuse_from(1515);
    bench.submit(&[frame(6, 1514), frame(7, 1515), frame(8, 60)]);
    assert_eq!((bench.line.sent(), bench.pending()), (vec![frame(6, 1514), frame(8, 60)], 0));
    assert_eq!(bench.counters.to_string(), "no_room=0 refused=1 too_long=2 damaged=1 looks=7");
    let counters = bench.port.rx_rings()[0].counters().clone();
    assert_eq!((counters.drop_error.get(), counters.drop_short.get()), (3, 1));
    bench.close();
}

#[test]
fn a_frame_longer_than_the_mtu_allows_is_dropped_not_cut() {
    // A region of its own, whose buffers hold 960 bytes: with a header and two tags.
    let (_, netmap) = netmap(4096);
    let region = netmap.regions().create("gen0", Sizes { buf_size: 1024, ..Sizes::default() }).unwrap();
    let (device, line) = frame_device(1);
    netmap
        .attach_as("gen0", Attachment::frames(device).in_region(&region).with_mtu(Mtu::new(938).unwrap()))
        .unwrap();
    let counters = netmap.generic_counters("gen0").unwrap();
    let port = netmap.open("gen0").unwrap();
    let mut bench = Bench { netmap, port, line, counters };
    [961, 960].iter().for_each(|&len| bench.line.send(&frame(3, len)));
    assert_eq!(bench.received(), [frame(3, 960)]);
    bench.submit(&[frame(2, 960)]);
    assert_eq!((bench.line.sent(), bench.pending()), (vec![frame(2, 960)], 0));
    assert_eq!((bench.counters.refused.get(), bench.counters.too_long.get()), (0, 1));
    bench.close();
    assert_eq!(region.report().free, region.report().total);
}

/// IEEE 802.1Q: the tag stands between the source address and the type; 802.1ad puts another in front of it.
fn tagged(tags: &[[u8; 4]]) -> Vec<u8> {
    let addresses = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    [&addresses[..], &tags.concat(), &[0x08, 0x00], &[0x45; 46]].concat()
}

#[test]
fn vlan_tags_survive_both_ways() {
    let customer = [0x81, 0x00, 0x60, 0x2a]; // priority 3, VLAN 42
    let service = [0x88, 0xa8, 0x0f, 0xff]; // VLAN 4095
    let all = [tagged(&[]), tagged(&[customer]), tagged(&[service, customer]), tagged(&[customer, customer])];
    let mut bench = bench(16);
    all.iter().for_each(|frame| bench.line.send(frame));
    assert_eq!(bench.received(), all);
    bench.submit(&all);
    assert_eq!(bench.line.sent(), all);
    bench.close();
}

#[test]
fn a_device_that_goes_is_an_error_and_a_new_port_finds_it_again() {
    let mut bench = bench(16);
    bench.line.set_gone(true);
    let tx = &mut bench.port.tx_rings()[0];
    tx.slots().next().unwrap().copy_from(&frame(1, 60)).unwrap();
    tx.advance(1);
    assert_eq!(tx.txsync(), Err(SyncError::DeviceFailed));
    assert_eq!(bench.port.rx_rings()[0].rxsync(), Err(SyncError::DeviceFailed));
    assert_eq!(SyncError::DeviceFailed.errno(), errno::EIO);
    bench.line.set_gone(false);
    assert_eq!(bench.port.rx_rings()[0].rxsync(), Err(SyncError::DeviceFailed), "until it is opened again");
    let Bench { netmap, port, line, counters } = bench;
    drop(port);
    let port = netmap.open("gen0").unwrap();
    let mut bench = Bench { netmap, port, line, counters };
    bench.line.send(&frame(2, 60));
    assert_eq!(bench.received(), [frame(2, 60)]);
    bench.close();
}

/// A machine whose clock a test sets.
struct SetClock {
    heap: Arc<HeapPlatform>,
    now_ns: AtomicU64,
}

// SAFETY: the memory is the heap's.
unsafe impl Platform for SetClock {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.heap.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller promises the same.
        unsafe { self.heap.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        self.now_ns.load(Relaxed)
    }
}

#[test]
fn a_device_that_had_nothing_is_left_alone_for_the_mitigation_interval() {
    let clock = Arc::new(SetClock { heap: HeapPlatform::new(64 << 20), now_ns: AtomicU64::new(0) });
    let platform: Arc<dyn Platform> = clock.clone();
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let (device, line) = frame_device(1);
    netmap.attach_frames("gen0", device.silent()).unwrap();
    let counters = netmap.generic_counters("gen0").unwrap();
    let mut port = netmap.open("gen0").unwrap();
    let mut look_at = |at_ns| {
        clock.now_ns.store(at_ns, Relaxed);
        let before = counters.looks.get();
        let ready = port.poll(Interest::READABLE, Timeout::Now).unwrap().readable;
        let rx = &mut port.rx_rings()[0];
        rx.advance(rx.window());
        (counters.looks.get() - before, ready)
    };
    assert_eq!(look_at(0), (1, 0), "never looked at");
    for (at_ns, looks) in [(0, 0), (99_999, 0), (100_000, 1), (150_000, 0), (5_000_000, 1), (5_000_001, 0)] {
        assert_eq!(look_at(at_ns), (looks, 0), "{at_ns} ns");
    }
    line.send(&frame(1, 60));
    assert_eq!(look_at(5_099_999), (0, 0), "what has not been looked at is not known");
    netmap.knobs().set("generic_mit", 99_999).unwrap();
    assert_eq!(look_at(5_099_999), (2, 1), "a tunable that changes counts at once; there may be more");
    line.send(&frame(2, 60));
    assert_eq!(look_at(5_100_000), (0, 0));
    port.rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.rx_rings()[0].window(), 1, "a forced sync looks all the same");
}

/// The same through a port: poll leaves the device alone, rxsync does not. What a device tells ends that at once.
#[test]
fn poll_looks_at_a_device_no_more_often_than_the_mitigation_interval() {
    let (device, line) = frame_device(1);
    let Bench { netmap, mut port, line, counters } = open(netmap_with(8, device.silent()), line);
    netmap.knobs().set("generic_mit", 1_000_000_000).unwrap();
    let mut poll = || port.poll(Interest::READABLE, Timeout::Now).unwrap().readable;
    assert_eq!((poll(), counters.looks.get()), (0, 1));
    line.send(&frame(1, 60));
    assert_eq!((poll(), poll(), counters.looks.get()), (0, 0, 1), "for a second");
    netmap.knobs().set("generic_mit", 0).unwrap();
    assert_eq!(poll(), 1);
    port.rx_rings()[0].rxsync().unwrap();
    assert!(counters.looks.get() > 1);
    let Bench { netmap, mut port, line, counters } = bench(8);
    netmap.knobs().set("generic_mit", 1_000_000_000).unwrap();
    let mut poll = || port.poll(Interest::READABLE, Timeout::Now).unwrap().readable;
    assert_eq!((poll(), poll(), counters.looks.get()), (0, 0, 1));
    line.send(&frame(1, 60));
    assert_eq!(poll(), 1);
}

struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn who_waits_is_woken_by_a_device_that_tells() {
    let Bench { netmap, mut port, line, .. } = bench(16);
    let count = Arc::new(Count(AtomicU64::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let woken = || count.0.swap(0, Relaxed);
    let (tx, rx) = port.rings();
    {
        let mut arrival = pin!(rx[0].ready());
        assert!(arrival.as_mut().poll(&mut context).is_pending());
        assert_eq!(woken(), 0, "it sleeps");
        line.send(&frame(1, 60));
        assert_eq!(woken(), 1, "interrupts need not be served");
        assert_eq!(arrival.as_mut().poll(&mut context), Poll::Ready(Ok(Ready { readable: 1, writable: 0 })));
    }
    line.set_room(0);
    tx[0].slots().for_each(|mut slot| slot.copy_from(&frame(2, 60)).unwrap());
    tx[0].advance(15);
    {
        let mut room = pin!(tx[0].ready());
        assert!(room.as_mut().poll(&mut context).is_pending());
        line.set_room(4);
        assert_eq!(woken(), 1);
        assert_eq!(room.as_mut().poll(&mut context), Poll::Ready(Ok(Ready { readable: 0, writable: 4 })));
    }
    line.set_room(100);
    tx[0].txsync().unwrap();
    rx[0].advance(1);
    Bench { netmap, port, line, counters: Arc::default() }.close();
}

#[test]
fn arrivals_wake_once_in_the_mitigation_interval() {
    let Bench { netmap, mut port, line, .. } = bench(16);
    netmap.knobs().set("generic_mit", 1_000_000_000).unwrap();
    let count = Arc::new(Count(AtomicU64::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let woken = || count.0.swap(0, Relaxed);
    let rx = &mut port.rx_rings()[0];
    assert_eq!(netmap.next_due_ns(), None);
    for number in 0..2 {
        let readable = {
            let mut arrival = pin!(rx.ready());
            assert!(arrival.as_mut().poll(&mut context).is_pending());
            line.send(&frame(number, 60));
            line.send(&frame(number, 60));
            if number == 0 {
                assert_eq!(woken(), 1, "the first at once");
            } else {
                assert_eq!((netmap.run_pending(), woken()), (0, 0), "others when the interval is over");
                assert!(netmap.next_due_ns().is_some());
                // An interval that becomes shorter ends at once.
                netmap.knobs().set("generic_mit", 1).unwrap();
                line.send(&frame(number, 60));
                assert_eq!(woken(), 1);
            }
            let Poll::Ready(Ok(ready)) = arrival.as_mut().poll(&mut context) else { panic!("it was woken") };
            ready.readable
        };
        assert_eq!(u64::from(readable), 2 + number);
        rx.advance(readable);
    }
}

#[test]
fn a_blocking_poll_keeps_to_the_interval_and_misses_nothing() {
    let Bench { netmap, mut port, line, .. } = bench(64);
    netmap.knobs().set("generic_mit", 3_000_000).unwrap();
    let rx = &mut port.rx_rings()[0];
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let (mut seen, mut polls) = (0, 0);
            while seen < 200 {
                seen += rx.poll(Timeout::Never).unwrap();
                polls += 1;
                rx.advance(rx.window());
            }
            (seen, polls)
        });
        // Frames that come one by one, some while the reader is busy and some while it sleeps.
        for number in 0..200 {
            line.send(&frame(number, 60));
            if number % 20 == 0 {
                thread::sleep(Duration::from_micros(number * 20));
            }
        }
        let (seen, polls) = waiting.join().unwrap();
        assert_eq!(seen, 200);
        assert!(polls <= 200);
    });
}

#[test]
fn a_smoltcp_device_becomes_a_port() {
    assert!(PhyFrames::new(Loopback::new(Medium::Ip), [2; 6], stopped()).is_none());
    let device = PhyFrames::new(Loopback::new(Medium::Ethernet), [2, 0, 0, 0, 0, 9], stopped()).unwrap();
    let too_long = vec![0; 65536];
    assert_eq!(device.transmit(&too_long), Err(TransmitError::Refused));
    let (_, netmap) = netmap(4096);
    netmap.attach_frames("lo0", device).unwrap();
    let mut port = netmap.open("netmap:lo0").unwrap();
    let (tx, rx) = port.rings();
    for (number, mut slot) in tx[0].slots().take(10).enumerate() {
        slot.copy_from(&frame(number as u64, 60)).unwrap();
    }
    tx[0].advance(10);
    tx[0].txsync().unwrap();
    rx[0].rxsync().unwrap();
    let back = rx[0].slots().map(|slot| slot.frame().to_vec()).collect::<Vec<_>>();
    assert_eq!(back, (0..10).map(|number| frame(number, 60)).collect::<Vec<_>>());
}

#[test]
fn a_device_of_any_type_is_attached_through_one() {
    let (device, line): (FakeDevice, Line) = frame_device(1);
    let device: Arc<dyn FrameDevice> = Arc::new(device);
    let (_, netmap) = netmap(4096);
    netmap.attach_frames("gen0", device).unwrap();
    let mut port = netmap.open("gen0").unwrap();
    line.send(&frame(1, 60));
    port.rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.rx_rings()[0].window(), 1);
}

#[derive(Debug, Clone)]
enum Op {
    Arrive(u8),
    Rxsync,
    Release(u8),
    Submit(u8),
    Txsync,
    Room(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0u8..30;
    prop_oneof![
        n.clone().prop_map(Op::Arrive),
        Just(Op::Rxsync),
        n.clone().prop_map(Op::Release),
        n.clone().prop_map(Op::Submit),
        Just(Op::Txsync),
        n.prop_map(Op::Room),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

    /// Against two queues: what goes in comes out, in order, whole.
    #[test]
    fn frames_stay_whole_and_in_order(slots in 2u16..40, ops in prop::collection::vec(op(), 1..120)) {
        let Bench { netmap, mut port, line, .. } = bench(slots);
        let (tx, rx) = port.rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        let (mut arrived, mut submitted, mut number) = (VecDeque::new(), VecDeque::new(), 0);
        let mut next = || { number += 1; frame(number, 14 + (number * 37 % 1500) as usize) };
        let end = [Op::Room(u8::MAX), Op::Txsync, Op::Rxsync, Op::Release(u8::MAX)];
        for (step, op) in ops.iter().chain(end.iter().cycle().take(4 * 2000)).enumerate() {
            if step >= ops.len() && arrived.is_empty() && submitted.is_empty() && tx.pending() == 0 { break }
            match *op {
                Op::Arrive(n) => for _ in 0..n {
                    let frame = next();
                    line.send(&frame);
                    arrived.push_back(frame);
                },
                Op::Rxsync => rx.rxsync().unwrap(),
                Op::Release(n) => {
                    let count = rx.window().min(n.into());
                    for slot in rx.slots().take(count as usize) {
                        let expected = arrived.pop_front();
                        prop_assert_eq!(Some(slot.frame()), expected.as_deref());
                    }
                    rx.advance(count);
                }
                Op::Submit(n) => {
                    let count = tx.window().min(n.into());
                    for mut slot in tx.slots().take(count as usize) {
                        let frame = next();
                        slot.copy_from(&frame).unwrap();
                        submitted.push_back(frame);
                    }
                    tx.advance(count);
                }
                Op::Txsync => tx.txsync().unwrap(),
                Op::Room(n) => line.set_room(n.into()),
            }
            for sent in line.sent() {
                prop_assert_eq!(Some(sent), submitted.pop_front());
            }
        }
        prop_assert!(arrived.is_empty() && submitted.is_empty() && tx.pending() == 0);
        drop(port);
        prop_assert_eq!(netmap.memory().free, netmap.memory().total);
    }
}
