//! Resets and losses: who may ask for what meanwhile, and what is counted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]
#![allow(unsafe_code, reason = "implements the contract of cards, by way of the fake one")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use common::{assert_all_home, frame, netmap, one_card, with_stack};
use nm_core::generic::{FrameDevice, ReceiveError, TransmitError};
use nm_core::host::{HostRings, HostStack, Outgoing, StackRefused};
use nm_core::nic::{
    Link, Nic, NicInfo, QueueStatus, Queues, RxQueue, StartParams, StartResult, Stopped, TxQueue,
};
use nm_core::testing::{CardSpec, FakeCard, FakeStack, Order, card, frame_device};
use nm_core::tunables::Sizes;
use nm_core::{Attachment, Netmap, Port, SyncError};
use nm_driver::burst::{RxBurst, TxBurst};

const HOST: HostRings = HostRings { tx: 1, rx: 1, slots: 16 };
/// Resets in a test of deadlocks.
const RESETS: u32 = if cfg!(miri) { 20 } else { 3000 };
/// How long anything may take: a deadlock takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// A stack and a device that look at the netmap whenever they are given a frame.
#[derive(Default)]
struct Curious {
    netmap: OnceLock<Netmap>,
    looks: AtomicU64,
}

impl Curious {
    fn new(netmap: &Netmap) -> Arc<Self> {
        let curious = Self::default();
        assert!(curious.netmap.set(netmap.clone()).is_ok());
        Arc::new(curious)
    }

    fn look(&self) {
        let Some(netmap) = self.netmap.get() else { return };
        assert_eq!((netmap.interfaces().len(), netmap.counters().is_empty()), (1, false));
        self.looks.fetch_add(1, SeqCst);
    }
}

impl HostStack for Curious {
    fn deliver(&self, _: &str, _: &[u8]) -> Result<(), StackRefused> {
        self.look();
        Ok(())
    }
}

impl FrameDevice for Curious {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }

    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, _: &[u8]) -> Result<(), TransmitError> {
        self.look();
        Ok(())
    }

    fn receive(&self, _: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        None
    }
}

/// Resets the interface again and again while `send` sends, until each was done often enough.
fn reset_while_sending(
    netmap: Netmap,
    curious: Arc<Curious>,
    mut port: Port,
    mut send: impl FnMut(&mut Port) + Send + 'static,
) {
    let (done, wait) = mpsc::channel();
    let sent = done.clone();
    let other = curious.clone();
    thread::spawn(move || {
        for _ in 0..RESETS {
            netmap.reset("em0").unwrap();
        }
        while other.looks.load(SeqCst) < u64::from(RESETS) {
            thread::yield_now();
        }
        done.send(()).unwrap();
    });
    thread::spawn(move || {
        while curious.looks.load(SeqCst) < u64::from(RESETS) {
            send(&mut port);
        }
        sent.send(()).unwrap();
    });
    for _ in 0..2 {
        assert!(wait.recv_timeout(LIMIT).is_ok(), "a reset and a sync wait for each other");
    }
}

#[test]
fn a_stack_may_look_at_the_netmap_while_a_card_is_reset() {
    let (_, netmap) = netmap(4096);
    let curious = Curious::new(&netmap);
    let (nic, _wire) = card(CardSpec::new(0, 16, Order::Posted));
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(curious.clone(), HOST)).unwrap();
    let port = netmap.open("em0*").unwrap();
    reset_while_sending(netmap, curious, port, |port| {
        let tx = &mut port.host_tx_rings()[0];
        tx.slots().for_each(|mut slot| slot.copy_from(&[1; 60]).unwrap());
        tx.advance(15);
        let _ = tx.txsync();
    });
}

#[test]
fn a_device_may_look_at_the_netmap_while_it_is_reset() {
    let (_, netmap) = netmap(4096);
    let curious = Curious::new(&netmap);
    netmap.attach_frames("em0", curious.clone()).unwrap();
    let port = netmap.open("em0").unwrap();
    reset_while_sending(netmap, curious, port, |port| {
        let tx = &mut port.tx_rings()[0];
        tx.slots().take(20).for_each(|mut slot| slot.copy_from(&[1; 60]).unwrap());
        tx.advance(20);
        let _ = tx.txsync();
    });
}

/// Frames that the card had when it was reset may not have left. They are counted, and so the sum is right.
#[test]
fn frames_that_a_reset_loses_are_counted() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    let send = |port: &mut Port, count: u32| {
        let tx = &mut port.tx_rings()[0];
        tx.slots().take(count as usize).for_each(|mut slot| slot.copy_from(&[1; 60]).unwrap());
        tx.advance(count);
        tx.txsync().unwrap();
    };
    send(&mut port, 3);
    port.tx_rings()[0].txsync().unwrap();
    wire.set_link(Link::Down);
    send(&mut port, 5);
    netmap.reset("em0").unwrap();
    wire.set_link(Link::Up);
    send(&mut port, 2);
    let tx = port.tx_rings()[0].counters();
    assert_eq!((tx.packets.get(), tx.drop_reset.get()), (10, 5));
    assert_eq!(wire.sent().len(), 5);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn frames_that_a_device_without_rings_refuses_do_not_count_as_sent() {
    let (_, netmap) = netmap(4096);
    let (device, line) = frame_device(1);
    netmap.attach_frames("em0", device).unwrap();
    line.refuse_from(1000);
    let mut port = netmap.open("em0").unwrap();
    let tx = &mut port.tx_rings()[0];
    for (mut slot, len) in tx.slots().zip([60, 1000, 61]) {
        slot.copy_from(&vec![1; len]).unwrap();
    }
    tx.advance(3);
    tx.txsync().unwrap();
    let counters = tx.counters();
    assert_eq!((counters.packets.get(), counters.bytes.get(), counters.drop_refused.get()), (2, 121, 1));
    assert_eq!(line.sent().len(), 2);
}

#[test]
fn an_exhausted_pool_says_how_much_is_wanted_and_free() {
    let (_, netmap) = netmap(2 + 120);
    let (nic, _wire) = card(CardSpec::new(0, 256, Order::Posted).with_queues(4, 4));
    netmap.attach("em0", nic).unwrap();
    let error = netmap.open("em0").unwrap_err().to_string();
    assert!(error.contains("120") && error.contains("128"), "{error}");
    assert_eq!(netmap.memory().free, 120);
}

/// A device that panics as it is given the frame with a certain number.
#[derive(Default)]
struct Fragile {
    taken: AtomicU32,
    panics_at: AtomicU32,
}

impl FrameDevice for Fragile {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }

    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, _: &[u8]) -> Result<(), TransmitError> {
        let number = self.taken.fetch_add(1, SeqCst) + 1;
        assert_ne!(number, self.panics_at.load(SeqCst), "the device panics, as it is to");
        Ok(())
    }

    fn receive(&self, _: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        None
    }
}

/// Frames pass such a device one at a time: after a panic those before are not sent again, and the others go on.
#[test]
fn a_ring_goes_on_after_its_device_without_queues_panicked() {
    let (_, netmap) = netmap(4096);
    let device = Arc::new(Fragile::default());
    netmap.attach_frames("em0", device.clone()).unwrap();
    let mut port = netmap.open("em0").unwrap();
    device.panics_at.store(3, SeqCst);
    let tx = &mut port.tx_rings()[0];
    tx.slots().take(5).for_each(|mut slot| slot.copy_from(&[1; 60]).unwrap());
    tx.advance(5);
    assert!(catch_unwind(AssertUnwindSafe(|| tx.txsync())).is_err());
    assert_eq!(tx.counters().packets.get(), 2);
    tx.txsync().unwrap();
    assert_eq!(device.taken.load(SeqCst), 6, "the third is offered again, then the other two");
    assert_eq!(tx.counters().packets.get(), 5);
    assert_eq!(tx.window(), tx.num_slots() - 1, "all slots come back");
    drop(port);
    assert_all_home(&netmap, &[]);
}

/// A card whose queues panic when they are told to, after they have done their work.
struct FragileCard(FakeCard, Arc<AtomicBool>);

struct FragileQueue<Q: ?Sized>(Box<Q>, Arc<AtomicBool>);

impl<Q: ?Sized> FragileQueue<Q> {
    fn panic_if_told(&self) {
        assert!(!self.1.swap(false, SeqCst), "the driver panics, as it is to");
    }
}

impl TxQueue for FragileQueue<dyn TxQueue> {
    fn capacity(&self) -> u16 {
        self.0.capacity()
    }

    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        let status = self.0.sync(burst);
        self.panic_if_told();
        status
    }
}

impl RxQueue for FragileQueue<dyn RxQueue> {
    fn capacity(&self) -> u16 {
        self.0.capacity()
    }

    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        let status = self.0.sync(burst);
        self.panic_if_told();
        status
    }
}

// SAFETY: the fake card's.
unsafe impl Nic for FragileCard {
    type Error = <FakeCard as Nic>::Error;

    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        let Queues { tx, rx, receive_len } = self.0.start(params)?;
        Ok(Queues {
            tx: tx.into_iter().map(|queue| Box::new(FragileQueue(queue, self.1.clone())) as _).collect(),
            rx: rx.into_iter().map(|queue| Box::new(FragileQueue(queue, self.1.clone())) as _).collect(),
            receive_len,
        })
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}

/// What a card was told of a batch in which its driver panicked is not known: the ring fails until it is reset. No buffer is lost.
#[test]
fn a_ring_whose_driver_panicked_fails_until_it_is_reset() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(0, 16, Order::Posted));
    let panics = Arc::new(AtomicBool::new(false));
    netmap.attach("em0", FragileCard(nic, panics.clone())).unwrap();
    let mut port = netmap.open("em0").unwrap();
    let fails = |sync: &mut dyn FnMut() -> Result<(), SyncError>| {
        panics.store(true, SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(&mut *sync)).is_err());
        (0..3).for_each(|_| assert_eq!(sync(), Err(SyncError::DeviceFailed)));
    };
    let (tx, rx) = port.rings();
    tx[0].slots().take(5).for_each(|mut slot| slot.copy_from(&[1; 60]).unwrap());
    tx[0].advance(5);
    fails(&mut || tx[0].txsync());
    wire.send(&[2; 60]);
    fails(&mut || rx[0].rxsync());
    netmap.reset("em0").unwrap();
    let (tx, rx) = port.rings();
    (0..2).for_each(|_| tx[0].txsync().unwrap());
    assert_eq!(tx[0].window(), 15, "all slots come back");
    wire.send(&[3; 60]);
    rx[0].rxsync().unwrap();
    assert!(rx[0].slots().any(|slot| slot.frame() == [3; 60]), "it goes on");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

/// The rings of a port that was closed tell the next one nothing of what they sent and received, also when another port has kept
/// the card running.
#[test]
fn a_ring_that_is_opened_again_holds_nothing_of_the_port_before() {
    const SECRET: [u8; 100] = [0x5e; 100];
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(0, 16, Order::Posted).with_queues(2, 2));
    netmap.attach("em0", nic).unwrap();
    let keeper = netmap.open("em0-1").unwrap();
    let mut port = netmap.open("em0-0").unwrap();
    let tx = &mut port.tx_rings()[0];
    for _ in 0..2 {
        tx.slots().for_each(|mut slot| slot.copy_from(&SECRET).unwrap());
        tx.advance(15);
        tx.txsync().unwrap();
        while tx.window() < 15 {
            tx.txsync().unwrap();
        }
    }
    (0..15).for_each(|_| wire.send_to(0, &SECRET));
    let rx = &mut port.rx_rings()[0];
    while rx.window() < 15 {
        rx.rxsync().unwrap();
    }
    // Some are released and not posted yet, some are not released.
    rx.advance(1);
    rx.rxsync().unwrap();
    drop(port);
    wire.send_to(0, &SECRET);

    let mut port = netmap.open("em0-0").unwrap();
    assert_eq!((port.tx_rings()[0].window(), port.rx_rings()[0].window()), (15, 0));
    assert_eq!(port.rx_rings()[0].counters().drop_unbound.get(), 1);
    for mut slot in port.tx_rings()[0].slots() {
        assert_eq!(slot.len(), 0);
        slot.set_len(100).unwrap();
        assert_eq!(slot.frame(), [0; 100]);
    }
    let mut received = Vec::new();
    (0..15).for_each(|number| wire.send_to(0, &frame(number, 60)));
    while received.len() < 15 {
        let rx = &mut port.rx_rings()[0];
        rx.rxsync().unwrap();
        for mut slot in rx.slots() {
            received.push(slot.frame().to_vec());
            slot.set_len(100).unwrap();
            assert_eq!(slot.frame()[60..], [0; 40], "behind the frame");
        }
        rx.advance(rx.window());
    }
    assert!((0..15).map(|number| frame(number, 60)).eq(received));
    drop((port, keeper));
    assert_all_home(&netmap, &[&wire]);
}

/// Producers of the stack's side, and resets, at once: each frame that was accepted comes, in its producer's order.
#[test]
fn frames_of_the_stack_survive_resets_in_order() {
    const FRAMES: u32 = if cfg!(miri) { 20 } else { 5000 };
    let hosted = with_stack(16, Order::Posted, HOST);
    let (netmap, wire) = (&hosted.netmap, &hosted.wire);
    let mut port = netmap.open("em0*").unwrap();
    let (accepted, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut last, mut seen) = ([None; 3], 0);
    thread::scope(|scope| {
        let produce = |producer: u8| {
            for number in 0..FRAMES {
                let mut bytes = [producer; 60];
                bytes[20..24].copy_from_slice(&number.to_be_bytes());
                accepted.fetch_add(hosted.host.transmit(Outgoing::new(&bytes)).is_ok().into(), SeqCst);
            }
        };
        let producers: Vec<_> = (0..3).map(|producer| scope.spawn(move || produce(producer))).collect();
        let resets = scope.spawn(|| {
            while !is_done.load(SeqCst) {
                netmap.reset("em0").unwrap();
                thread::yield_now();
            }
        });
        loop {
            let is_over = producers.iter().all(|producer| producer.is_finished());
            let rx = &mut port.host_rx_rings()[0];
            let _ = rx.rxsync();
            let window = rx.window();
            for slot in rx.slots() {
                let bytes = slot.frame();
                let number = u32::from_be_bytes(bytes[20..24].try_into().unwrap());
                let last: &mut Option<u32> = &mut last[usize::from(bytes[0])];
                assert!(last.is_none_or(|last| last < number), "the order of producer {}", bytes[0]);
                *last = Some(number);
                seen += 1;
            }
            rx.advance(window);
            if is_over && window == 0 && seen == accepted.load(SeqCst) {
                break;
            }
        }
        is_done.store(true, SeqCst);
        resets.join().unwrap();
    });
    drop(port);
    assert_all_home(netmap, &[wire]);
}

/// Host rings of two regions with buffers of other sizes, swapped: no buffer comes to the other region.
#[test]
fn host_rings_of_other_regions_that_were_swapped() {
    let (_, netmap) = netmap(4096);
    let stack = FakeStack::new();
    let [(one, _one), (two, _two)] = [0, 1].map(|number| card(CardSpec::new(number, 16, Order::Posted)));
    let private = netmap.regions().create("small", Sizes { buf_size: 256, ..Sizes::default() }).unwrap();
    netmap.attach_as("em0", Attachment::rings(one).with_stack(stack.clone(), HOST)).unwrap();
    netmap.attach_as("em1", Attachment::rings(two).with_stack(stack, HOST).in_region(&private)).unwrap();
    let (mut one, mut two) = (netmap.open("em0*").unwrap(), netmap.open("em1*").unwrap());
    std::mem::swap(&mut one.host_rx_rings()[0], &mut two.host_rx_rings()[0]);
    netmap.knobs().set("fwd", 1).unwrap();
    for name in ["em0", "em1"] {
        netmap.host(name).unwrap().transmit(Outgoing::new(&frame(1, 60))).unwrap();
    }
    for port in [&mut one, &mut two] {
        for _ in 0..3 {
            port.poll(nm_core::poll::Interest::all(), nm_core::poll::Timeout::Now).unwrap();
            port.forward().unwrap();
            port.host_rx_rings()[0].advance(1);
        }
    }
    drop((one, two));
    assert_eq!((netmap.memory().refused, private.report().refused), (0, 0), "buffer numbers crossed regions");
    assert_all_home(&netmap, &[]);
}
