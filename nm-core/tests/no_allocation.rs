//! What a packet passes through takes nothing from the heap.
//!
//! 1. Warm a bench up, so that everything that grows has grown.
//! 2. Go on as before, and count what the allocator is asked for on this thread, inside each call of the core.
//! 3. The count is 0.
#![allow(unsafe_code, reason = "stands in front of the allocator")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;
mod programs;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{frame, netmap};
use nm_core::abi::Slot;
use nm_core::generic::{FrameDevice, ReceiveError, TransmitError};
use nm_core::host::{HostRings, HostStack, Outgoing, StackRefused};
use nm_core::nic::{
    Link, Nic, NicInfo, QueueStatus, Queues, RxQueue, StartParams, StartResult, Stopped, TxQueue,
};
use nm_core::poll::{Interest, Polled, Timeout, poll_any};
use nm_core::raw::{RawOptions, RawPort};
use nm_core::testing::CardError;
use nm_core::{Attachment, Netmap, Port};
use nm_driver::burst::{RxBurst, TxBurst};
use programs::hostile::{Field, View};

struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more.
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the allocator is asked for something, or given something back, in `work`.
fn asked<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = ASKED.get();
    let result = work();
    (ASKED.get() - before, result)
}

/// Rounds until everything has grown, and rounds that are counted.
const WARM: u32 = if cfg!(miri) { 10 } else { 200 };
const COUNTED: u32 = if cfg!(miri) { 6 } else { 1000 };

/// Makes rounds, of which the later ones ask for nothing.
fn assert_silent(mut round: impl FnMut(u32) -> u64) {
    (0..WARM).for_each(|number| _ = round(number));
    let rounds = (WARM..WARM + COUNTED).map(|number| (number, round(number)));
    let loud = rounds.filter(|(_, asked)| *asked > 0).collect::<Vec<_>>();
    let first = loud.first();
    assert_eq!(loud.len(), 0, "rounds asked the allocator, the first of them (number, how often): {first:?}");
}

/// A card that takes nothing from the heap itself: what it is given to send is sent, and frames arrive all the time.
struct Endless {
    queues: u16,
}

const SLOTS: u16 = 32;

struct Tx {
    outstanding: Ids,
}

struct Rx {
    outstanding: Ids,
    /// Frames that a sync is given at most.
    left: usize,
}

/// Ids, the youngest last.
#[derive(Clone, Copy, Default)]
struct Ids {
    ids: [u16; SLOTS as usize],
    count: usize,
}

impl Ids {
    fn push(&mut self, id: u16) {
        self.ids[self.count] = id;
        self.count += 1;
    }

    fn pop(&mut self) -> Option<u16> {
        self.count = self.count.checked_sub(1)?;
        Some(self.ids[self.count])
    }
}

// SAFETY: buffers are never touched.
unsafe impl Nic for Endless {
    type Error = CardError;

    fn info(&self) -> NicInfo {
        let (mac, queues) = ([2, 0, 0, 0, 0, 1], self.queues);
        NicInfo {
            mac,
            tx_queues: queues,
            rx_queues: queues,
            tx_slots: SLOTS,
            rx_slots: SLOTS,
            mtu: None,
            scatter_min: None,
        }
    }

    fn link(&self) -> Link {
        Link::Up
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        let outstanding = Ids::default();
        Ok(Queues {
            tx: (0..self.queues).map(|_| Box::new(Tx { outstanding }) as _).collect(),
            rx: (0..self.queues).map(|_| Box::new(Rx { outstanding, left: 0 }) as _).collect(),
            receive_len: params.buffer_len,
        })
    }

    fn stop(&mut self) -> Stopped {
        Stopped::Yes
    }
}

impl TxQueue for Tx {
    fn capacity(&self) -> u16 {
        SLOTS
    }

    /// Completes the youngest first: the track has to remember the others.
    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        while let Some(id) = self.outstanding.pop() {
            assert_eq!(burst.complete(id.into()), Some(1));
        }
        while let Some(frame) = burst.next_frame(1) {
            self.outstanding.push(frame.first_id());
            frame.commit();
        }
        QueueStatus::default()
    }
}

impl RxQueue for Rx {
    fn capacity(&self) -> u16 {
        SLOTS
    }

    /// Reports the youngest first. Now and then a frame is damaged.
    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        while self.left > 0
            && let Some(id) = self.outstanding.pop()
        {
            self.left -= 1;
            let is_known = if id.is_multiple_of(7) {
                burst.damaged(id.into(), false)
            } else {
                burst.fragment(id.into(), 0, 60, false)
            };
            assert!(is_known);
        }
        let outstanding = &mut self.outstanding;
        while burst.has_free() && burst.post_run(&[(); 8], |(), id, _| outstanding.push(id as u16)) > 0 {
            self.left = outstanding.count.min(9);
        }
        QueueStatus::default()
    }
}

fn endless(queues: u16) -> Netmap {
    let (_, netmap) = netmap(1024);
    ["em0", "em1"].iter().for_each(|name| netmap.attach(name, Endless { queues }).unwrap());
    netmap
}

fn open(netmap: &Netmap, name: &str) -> Port {
    netmap.open(name).unwrap()
}

#[test]
fn the_allocator_is_seen_at_work() {
    assert_eq!(asked(|| drop(std::hint::black_box(Box::new(1)))).0, 2);
    assert_eq!(asked(|| 1), (0, 1));
}

#[test]
fn forwarding_by_exchange_asks_for_nothing() {
    let netmap = endless(1);
    let (mut from, mut to) = (open(&netmap, "em0"), open(&netmap, "em1"));
    let mut spare = netmap.region().spare().unwrap();
    let mut moved = 0;
    assert_silent(|_| {
        let (asked, count) = asked(|| {
            let (rx, tx) = (&mut from.rx_rings()[0], &mut to.tx_rings()[0]);
            rx.rxsync().unwrap();
            for mut slot in rx.slots().take(1) {
                slot.swap_spare(&mut spare).unwrap();
            }
            let count = rx.window().min(tx.window());
            for (mut from, mut to) in rx.slots().zip(tx.slots()) {
                from.swap(&mut to).unwrap();
            }
            rx.advance(count);
            tx.advance(count);
            tx.txsync().unwrap();
            count
        });
        moved += count;
        asked
    });
    assert!(moved > COUNTED, "{moved}");
}

#[test]
fn copying_and_writing_ask_for_nothing() {
    let netmap = endless(2);
    let mut port = open(&netmap, "em0");
    let bytes = frame(1, 60);
    assert_silent(|_| {
        asked(|| {
            for tx in port.tx_rings() {
                for mut slot in tx.slots().take(5) {
                    slot.copy_from(&bytes).unwrap();
                    slot.set_len(50).unwrap()[0] = 1;
                }
                tx.advance(5);
                tx.look(1);
                tx.txsync().unwrap();
            }
            for rx in port.rx_rings() {
                rx.look(3);
                rx.advance(4);
                rx.rxsync().unwrap();
            }
        })
        .0
    });
}

#[test]
fn a_poll_that_does_not_wait_asks_for_nothing() {
    let netmap = endless(2);
    let (mut port, mut other) = (open(&netmap, "em0"), open(&netmap, "em1"));
    let (mut is_ready, mut is_not) = (0, 0);
    assert_silent(|number| {
        let (asked, ready) = asked(|| {
            let ready = port.poll(Interest::all(), Timeout::Now).unwrap();
            let ring = port.rx_rings()[0].poll(Timeout::Now).unwrap();
            let ports = &mut [&mut port, &mut other].map(|port| Polled::new(port, Interest::READABLE));
            let both = poll_any(ports, Timeout::Now).unwrap();
            port.rx_rings().iter_mut().for_each(|rx| _ = rx.advance(number % 3 * 10));
            port.tx_rings().iter_mut().for_each(|tx| _ = tx.advance(number % 2));
            ready.readable + ring + both.readable
        });
        *(if ready > 0 { &mut is_ready } else { &mut is_not }) += 1;
        asked
    });
    assert!(is_ready > COUNTED / 2, "{is_ready} {is_not}");
}

/// Gives the whole window of a ring away, with a frame in each slot.
fn release(ring: View) {
    let [mut at, _, tail] = ring.indices();
    while at != tail {
        ring.set_slot(at, Slot { len: 60, ..ring.slot(at) });
        at = (at + 1) % ring.slots;
    }
    ring.write(Field::Head, tail);
    ring.write(Field::Cur, tail);
}

fn open_raw(netmap: &Netmap, name: &str) -> RawPort {
    netmap.open_raw(name, RawOptions::default()).unwrap()
}

#[test]
fn the_syncs_of_a_raw_port_ask_for_nothing() {
    let netmap = endless(2);
    let port = open_raw(&netmap, "em0");
    let rings = [port.tx_ring(0), port.tx_ring(1), port.rx_ring(0), port.rx_ring(1)];
    let rings = rings.map(|ring| View::new(ring.unwrap(), SLOTS.into()));
    assert_silent(|_| {
        rings.iter().for_each(|ring| release(*ring));
        let (tx, rx) = (asked(|| port.txsync().unwrap()).0, asked(|| port.rxsync().unwrap()).0);
        tx + rx + asked(|| port.poll(Interest::all(), Timeout::Now).unwrap()).0
    });
    let packets: u64 = netmap.counters().iter().map(|report| report.counters.packets.get()).sum();
    assert!(packets > u64::from(COUNTED), "{packets}");
}

/// A stack that only counts.
struct Sink;

impl HostStack for Sink {
    fn deliver(&self, _interface: &str, frame: &[u8]) -> Result<(), StackRefused> {
        if frame.len().is_multiple_of(2) { Ok(()) } else { Err(StackRefused) }
    }
}

#[test]
fn the_syncs_of_host_rings_ask_for_nothing() {
    let (_, netmap) = netmap(1024);
    let rings = HostRings { tx: 1, rx: 1, slots: 16 };
    let attachment = Attachment::rings(Endless { queues: 1 }).with_stack(Arc::new(Sink), rings);
    netmap.attach_as("em0", attachment).unwrap();
    let host = netmap.host("em0").unwrap();
    let mut port = open(&netmap, "em0*");
    let frame = frame(1, 60);
    let mut received = 0;
    assert_silent(|number| {
        // Which of the queue's buffers a frame gets changes from round to round, so they have all grown to the same size.
        let sent =
            asked(|| (0..4 + number % 3).filter(|_| host.transmit(Outgoing::new(&frame)).is_ok()).count()).0;
        let rings = port.all_rings();
        let (tx, rx) = (&mut rings.host_tx[0], &mut rings.host_rx[0]);
        for mut slot in tx.slots().take(4) {
            slot.copy_from(&frame).unwrap();
        }
        let up = asked(|| {
            tx.advance(4);
            tx.txsync().unwrap();
        });
        let down = asked(|| rx.rxsync().unwrap());
        received += rx.window();
        rx.advance(rx.window());
        sent + up.0 + down.0
    });
    assert!(received > COUNTED, "{received}");
}

#[test]
fn transparent_mode_asks_for_nothing() {
    let (_, netmap) = netmap(1024);
    let rings = HostRings { tx: 1, rx: 1, slots: 16 };
    let attachment = Attachment::rings(Endless { queues: 2 }).with_stack(Arc::new(Sink), rings);
    netmap.attach_as("em0", attachment).unwrap();
    let host = netmap.host("em0").unwrap();
    netmap.knobs().set("fwd", 1).unwrap();
    let frame = frame(1, 60);
    let transmit = || (0..3).for_each(|_| host.transmit(Outgoing::new(&frame)).unwrap_or_default());
    let moved = |netmap: &Netmap| -> u64 {
        netmap.counters().iter().map(|report| report.counters.forwarded.get()).sum()
    };
    let mut port = open(&netmap, "em0*");
    assert_silent(|_| {
        transmit();
        let rings = port.all_rings();
        rings.rx.iter_mut().chain(rings.host_rx).for_each(|rx| _ = rx.advance(rx.window()));
        asked(|| port.forward().unwrap()).0
    });
    let by_safe_port = moved(&netmap);
    assert!(by_safe_port > u64::from(COUNTED), "{by_safe_port}");
    drop(port);
    let port = open_raw(&netmap, "em0*");
    let slots = [SLOTS, SLOTS, 16].map(u32::from);
    let rings = [0, 1, 2].map(|ring| View::new(port.rx_ring(ring).unwrap(), slots[usize::from(ring)]));
    assert_silent(|_| {
        transmit();
        rings.iter().for_each(|ring| release(*ring));
        asked(|| port.rxsync().unwrap()).0
    });
    assert!(moved(&netmap) - by_safe_port > u64::from(COUNTED));
}

/// A device that has a frame every other time.
struct Every(std::sync::atomic::AtomicU32);

impl FrameDevice for Every {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 9]
    }

    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        if frame.len().is_multiple_of(2) { Ok(()) } else { Err(TransmitError::NoRoom) }
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        into[..60].fill(1);
        (!count.is_multiple_of(5)).then_some(Ok(60))
    }
}

#[test]
fn the_syncs_of_a_generic_adapter_ask_for_nothing() {
    let (_, netmap) = netmap(1024);
    netmap.knobs().set("generic_ringsize", 16).unwrap();
    netmap.attach_frames("gen0", Every(0.into())).unwrap();
    let mut port = open(&netmap, "gen0");
    let frame = frame(1, 60);
    assert_silent(|_| {
        let (tx, rx) = port.rings();
        for mut slot in tx[0].slots().take(6) {
            slot.copy_from(&frame).unwrap();
        }
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        let sent = asked(|| {
            tx.advance(6);
            tx.txsync().unwrap();
        });
        let received = asked(|| {
            rx.rxsync().unwrap();
            rx.advance(rx.window())
        });
        sent.0 + received.0
    });
    let counters = netmap.counters();
    let packets = [&counters[0], &counters[1]].map(|report| report.counters.packets.get());
    assert!(packets.iter().all(|packets| *packets > u64::from(COUNTED)), "{packets:?}");
}
