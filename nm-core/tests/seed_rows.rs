//! What single rows of docs/seed-map.md claim, where no other test proves it. `breaks.txt` has the breaks that they find.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(
    unsafe_code,
    reason = "raw ports are used through memory; wraps the fake card and the heap's platform"
)]

mod common;

use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use common::{Hosted, assert_all_home, frame, netmap, one_card, with_stack};
use nm_core::abi::{RingFlags, RingHeader, SLOTS_OFFSET, Slot, SlotFlags, TimeVal};
use nm_core::events::{Events, Irq};
use nm_core::generic::Choice;
use nm_core::host::{HostRings, HostStack, Outgoing, StackRefused, TransmitError};
use nm_core::mem::{MapError, MemId};
use nm_core::nic::{Link, Nic, NicInfo, StartParams, StartResult, Stopped};
use nm_core::platform::{DmaBlock, Platform, Sleeper, Slept};
use nm_core::poll::{Interest, PollError, Readiness, Ready, Timeout};
use nm_core::raw::{RawOptions, RawPort};
use nm_core::stats::{Direction, RingKind};
use nm_core::testing::{CardSpec, FakeCard, HeapPlatform, Order, Wire, card, frame_device};
use nm_core::tunables::Tunables;
use nm_core::{AttachError, Attachment, Netmap, RxRing, SyncError, TxRing, errno};

const ONE: HostRings = HostRings { tx: 1, rx: 1, slots: 8 };

type Action = Box<dyn FnOnce() + Send>;

/// Something that runs once, at a moment that a fake chooses.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Option<Action>>>);

impl Hook {
    fn set(&self, hook: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(hook));
    }

    fn run(&self) {
        let hook = self.0.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

/// A fake card with hooks, which may come up with too few transmit queues.
struct HookedCard {
    card: FakeCard,
    at_start: Hook,
    at_connect: Hook,
    lacks_queue: bool,
}

impl HookedCard {
    fn new(spec: CardSpec) -> (Self, Wire) {
        let (card, wire) = card(spec);
        (Self { card, at_start: Hook::default(), at_connect: Hook::default(), lacks_queue: false }, wire)
    }
}

// SAFETY: the fake card's. A queue that is dropped has no buffers.
unsafe impl Nic for HookedCard {
    type Error = <FakeCard as Nic>::Error;

    fn info(&self) -> NicInfo {
        self.card.info()
    }

    fn connect(&mut self, _: Events) {
        self.at_connect.run();
    }

    fn link(&self) -> Link {
        self.card.link()
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        self.at_start.run();
        let mut queues = self.card.start(params)?;
        if self.lacks_queue {
            queues.tx.pop();
        }
        Ok(queues)
    }

    fn stop(&mut self) -> Stopped {
        self.card.stop()
    }
}

/// A stack that keeps what it is given, and then runs a hook, still inside of the sync.
#[derive(Default)]
struct HookedStack {
    received: Mutex<Vec<Vec<u8>>>,
    hook: Hook,
}

impl HostStack for HookedStack {
    fn deliver(&self, _: &str, frame: &[u8]) -> Result<(), StackRefused> {
        self.received.lock().unwrap().push(frame.to_vec());
        self.hook.run();
        Ok(())
    }
}

/// Counts wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let counter = Arc::new(Count::default());
    (counter.clone(), counter.into())
}

/// A netmap with `em0`, which has this many queues of 8 slots each way.
fn queues(tx: u16, rx: u16) -> (Netmap, Wire) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(tx, rx));
    netmap.attach("em0", nic).unwrap();
    (netmap, wire)
}

fn raw(netmap: &Netmap, name: &str) -> RawPort {
    netmap.open_raw(name, RawOptions::default()).unwrap()
}

/// A ring as a C program sees it.
#[derive(Clone, Copy)]
struct View(NonNull<RingHeader>);

impl View {
    fn tx(port: &RawPort, ring: u16) -> Self {
        Self(port.tx_ring(ring).unwrap())
    }

    fn rx(port: &RawPort, ring: u16) -> Self {
        Self(port.rx_ring(ring).unwrap())
    }

    fn header(self) -> RingHeader {
        // SAFETY: the port that the ring belongs to is open in every test.
        unsafe { self.0.read_volatile() }
    }

    fn set(self, head: u32, cur: u32) {
        // SAFETY: as above.
        unsafe {
            (&raw mut (*self.0.as_ptr()).head).write_volatile(head);
            (&raw mut (*self.0.as_ptr()).cur).write_volatile(cur);
        }
    }

    fn set_flags(self, flags: RingFlags) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0.as_ptr()).flags).write_volatile(flags.bits()) };
    }

    fn slot(self, at: u32) -> NonNull<Slot> {
        // SAFETY: `at` is below the ring's number of slots.
        unsafe { self.0.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(at as usize) }
    }

    fn mark(self, at: u32) {
        // SAFETY: as for `slot`.
        unsafe { (&raw mut (*self.slot(at).as_ptr()).flags).write_volatile(SlotFlags::FORWARD.bits()) };
    }

    /// NETMAP_BUF.
    fn buffer(self, at: u32) -> NonNull<u8> {
        let header = self.header();
        // SAFETY: the slots of the tests name buffers of the region.
        unsafe {
            let slot = self.slot(at).read_volatile();
            let base = self.0.cast::<u8>().offset(header.buf_ofs as isize);
            base.add((slot.buf_idx * header.nr_buf_size) as usize)
        }
    }

    fn frame(self, at: u32) -> Vec<u8> {
        // SAFETY: as for `buffer`, and the slot is the application's.
        unsafe {
            let len = self.slot(at).read_volatile().len;
            std::slice::from_raw_parts(self.buffer(at).as_ptr(), len.into()).to_vec()
        }
    }

    /// Submits a frame, and looks no further than at its slot.
    fn submit(self, bytes: &[u8]) {
        let RingHeader { head: at, num_slots, .. } = self.header();
        // SAFETY: as for `frame`.
        unsafe {
            self.buffer(at).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            (&raw mut (*self.slot(at).as_ptr()).len).write_volatile(bytes.len() as u16);
        }
        self.set((at + 1) % num_slots, (at + 1) % num_slots);
    }
}

fn frames(ring: &mut RxRing) -> Vec<Vec<u8>> {
    ring.slots().map(|slot| slot.frame().to_vec()).collect()
}

/// Submits this many frames on a transmit ring.
fn submit(ring: &mut TxRing, count: u32) {
    ring.slots().take(count as usize).for_each(|mut slot| slot.copy_from(&frame(7, 60)).unwrap());
    assert_eq!(ring.advance(count), count);
}

fn readable(readable: u32) -> Ready {
    Ready { readable, writable: 0 }
}

// Requests.

#[test]
fn a_programs_txsync_serves_all_of_its_rings() {
    let (netmap, wire) = queues(3, 3);
    let port = raw(&netmap, "em0");
    let sent = || {
        let mut sent = wire.sent_with_queue();
        sent.sort_unstable();
        sent
    };
    (0..3).for_each(|ring| View::tx(&port, ring).submit(&frame(ring.into(), 60)));
    port.txsync().unwrap();
    assert_eq!(sent(), [0, 1, 2].map(|ring| (ring, frame(ring.into(), 60))));
    // A ring that fails keeps no other from its sync, wherever it is.
    for bad in 0..3 {
        let good: Vec<u16> = (0..3).filter(|ring| *ring != bad).collect();
        View::tx(&port, bad).set(99, 98);
        good.iter().for_each(|ring| View::tx(&port, *ring).submit(&frame((*ring).into(), 70)));
        assert_eq!(port.txsync(), Err(SyncError::BadIndices { head: 99, cur: 98 }));
        let expected: Vec<_> = good.iter().map(|ring| (*ring, frame((*ring).into(), 70))).collect();
        assert_eq!(sent(), expected);
    }
}

#[test]
fn a_programs_rxsync_serves_and_stamps_all_of_its_rings() {
    let (netmap, wire) = queues(3, 3);
    let port = raw(&netmap, "em0");
    let views = [0, 1, 2].map(|ring| View::rx(&port, ring));
    let stamps = || views.map(|view| view.header().ts.sec * 1_000_000 + view.header().ts.usec);
    assert_eq!(views.map(|view| view.header().ts), [TimeVal::default(); 3]);
    let mut before = 0;
    for round in 0..2 {
        // Until the next microsecond, so that the time of this sync is another than that of the last.
        while netmap.now_ns() / 1000 <= before as u64 {}
        let from = netmap.now_ns() / 1000;
        (0..3).for_each(|queue| wire.send_to(queue, &frame(queue.into(), 60)));
        port.rxsync().unwrap();
        for (queue, view) in (0..).zip(views) {
            assert_eq!((view.header().head, view.header().tail), (0, round + 1));
            assert_eq!(view.frame(round), frame(queue, 60));
        }
        assert!(stamps().iter().all(|us| *us as u64 >= from), "{:?} {from}", stamps());
        before = stamps().into_iter().max().unwrap();
    }
    // A ring that fails keeps no other from its sync.
    views[0].set(99, 98);
    (0..3).for_each(|queue| wire.send_to(queue, &frame(9, 60)));
    assert_eq!(port.rxsync(), Err(SyncError::BadIndices { head: 99, cur: 98 }));
    assert_eq!(views.map(|view| view.header().tail), [2, 3, 3]);
}

// Readiness.

#[test]
fn frames_are_reported_while_there_is_no_room() {
    let (_netmap, mut port, wire) = one_card(16, Order::Posted);
    wire.hold_completions();
    submit(&mut port.tx_rings()[0], 15);
    wire.send(&frame(1, 60));
    wire.send(&frame(2, 60));
    for timeout in [Timeout::Now, Timeout::Never] {
        assert_eq!(port.poll(Interest::READABLE | Interest::WRITABLE, timeout), Ok(readable(2)));
    }
    assert_eq!(frames(&mut port.rx_rings()[0]), [frame(1, 60), frame(2, 60)]);
    assert_eq!(port.tx_rings()[0].window(), 0);
}

/// A machine that runs a hook when a poll asks how to sleep: that is after its first pass, and before it registers.
struct Machine {
    heap: Arc<HeapPlatform>,
    hook: Hook,
    sleeps: AtomicUsize,
}

// SAFETY: the heap's platform is one.
unsafe impl Platform for Machine {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.heap.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller's promise.
        unsafe { self.heap.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        self.heap.now_ns()
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        self.hook.run();
        Some(self)
    }
}

impl Sleeper for Machine {
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    /// The sleep ends, and with it the poll, so that a test that waits in vain ends too.
    fn sleep(&self, _is_due: &dyn Fn() -> bool, _deadline_ns: Option<u64>) -> Slept {
        self.sleeps.fetch_add(1, SeqCst);
        Slept::Interrupted
    }
}

#[test]
fn what_happens_between_the_first_look_and_the_registration_is_found_by_the_second_look() {
    let (heap, hook) = (HeapPlatform::new(common::MEMORY), Hook::default());
    let machine = Arc::new(Machine { heap, hook: hook.clone(), sleeps: AtomicUsize::new(0) });
    let platform: Arc<dyn Platform> = machine.clone();
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, ONE)).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    let host = netmap.host("em0").unwrap();
    let mut port = netmap.open("em0*").unwrap();

    // Transmit: room that comes then. There is no waiter yet, so that no interrupt tells of it.
    wire.hold_completions();
    let tx = &mut port.tx_rings()[0];
    submit(tx, 15);
    tx.txsync().unwrap();
    let completing = wire.clone();
    hook.set(move || completing.complete(15));
    let (count, waker) = counting();
    let ready = pin!(tx.ready()).poll(&mut Context::from_waker(&waker));
    assert_eq!(ready, Poll::Ready(Ok(Ready { readable: 0, writable: 15 })));
    assert_eq!((hook.is_set(), count.get()), (false, 0));

    // Receive: a frame of the stack that comes then.
    hook.set(move || host.transmit(Outgoing::new(&frame(1, 60))).unwrap());
    assert_eq!(port.host_rx_rings()[0].poll(Timeout::Never), Ok(1));
    assert_eq!((hook.is_set(), machine.sleeps.load(SeqCst)), (false, 0));
}

#[test]
fn an_interface_that_is_gone_ends_a_poll_though_frames_are_there() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    wire.send(&frame(1, 60));
    let both = Interest::READABLE | Interest::WRITABLE;
    assert_eq!(port.poll(both, Timeout::Now), Ok(Ready { readable: 1, writable: 15 }));
    netmap.detach("em0").unwrap();
    for interest in [Interest::READABLE, Interest::WRITABLE, both, Interest::empty()] {
        let error = port.poll(interest, Timeout::Never).unwrap_err();
        assert_eq!(
            (error.cause, error.errno(), error.ready),
            (SyncError::Gone, errno::ENXIO, Ready::default())
        );
    }
}

/// A card with three queues each way that are in transparent mode, and a stack with a hook: for polls on rings that another
/// thread is in.
fn transparent() -> (Netmap, Wire, Arc<HookedStack>, Arc<RawPort>) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(3, 3));
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack.clone(), ONE)).unwrap();
    let port = raw(&netmap, "em0");
    // One marked frame of each ring, released.
    (0..3).for_each(|queue| wire.send_to(queue, &frame(queue.into(), 60)));
    port.rxsync().unwrap();
    for ring in 0..3 {
        let view = View::rx(&port, ring);
        view.set_flags(RingFlags::FORWARD);
        view.mark(0);
        view.set(1, 1);
    }
    (netmap, wire, stack, Arc::new(port))
}

#[test]
fn a_ring_that_is_busy_is_an_error_of_the_poll_and_keeps_no_frame_of_the_others() {
    for busy in 0..3 {
        let (netmap, _wire, stack, port) = transparent();
        let syncing = raw(&netmap, &format!("em0-{busy}"));
        let outcome = Arc::new(Mutex::new(None));
        let (polling, polled) = (port.clone(), outcome.clone());
        // The other port's sync of this ring is under way while the poll looks at all of them.
        stack.hook.set(move || {
            *polled.lock().unwrap() = Some(polling.poll(Interest::READABLE, Timeout::Now));
        });
        syncing.rxsync().unwrap();
        let (direction, kind, cause) = (Direction::Rx, RingKind::Hardware, SyncError::Busy);
        let error = PollError { port: 0, direction, kind, ring: busy, cause, ready: Ready::default() };
        assert_eq!(outcome.lock().unwrap().take(), Some(Err(error)));
        assert_eq!(error.errno(), errno::EBUSY);
        let mut expected = vec![frame(busy.into(), 60)];
        expected.extend((0..3).filter(|ring| *ring != busy).map(|ring| frame(ring.into(), 60)));
        assert_eq!(*stack.received.lock().unwrap(), expected);
    }
}

// Rings.

#[test]
fn reserved_slots_stay_as_they_are_until_they_are_released() {
    let (netmap, mut port, wire) = one_card(8, Order::Posted);
    let rx = &mut port.rx_rings()[0];
    let mut next = 0;
    let mut send = |count: u64| {
        (next..next + count).for_each(|number| wire.send(&frame(number, 60)));
        next += count;
    };
    send(5);
    rx.rxsync().unwrap();
    assert_eq!((rx.look(3), rx.reserved(), rx.avail(), rx.window()), (3, 3, 2, 5));
    // Around the ring more than once, with three slots reserved all the time.
    for oldest in 0..30 {
        send(1);
        rx.rxsync().unwrap();
        assert_eq!(rx.reserved(), 3);
        let kept: Vec<_> = frames(rx).into_iter().take(3).collect();
        assert_eq!(kept, [0, 1, 2].map(|place| frame(oldest + place, 60)));
        assert_eq!((rx.look(1), rx.reserved()), (1, 4));
        assert_eq!((rx.advance(1), rx.reserved()), (1, 3));
    }
    // A ring whose slots are all looked at and kept takes nothing more.
    send(20);
    // The slot that was released last is posted in one sync, and filled in the next.
    (0..2).for_each(|_| rx.rxsync().unwrap());
    rx.look(7);
    assert_eq!((rx.reserved(), rx.avail(), rx.window()), (7, 0, 7));
    let waiting = wire.waiting();
    rx.rxsync().unwrap();
    assert_eq!((rx.reserved(), rx.avail(), wire.waiting()), (7, 0, waiting));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn netmap_mode_lasts_from_the_first_port_to_the_last() {
    let (netmap, wire) = queues(2, 2);
    let events = netmap.events("em0").unwrap();
    let is_on = || {
        let is_taken = events.rx_interrupt(0) != Irq::Pass;
        assert_eq!(is_taken, wire.is_running());
        is_taken
    };
    assert!(!is_on());
    // Two ports of the same ring, one of another.
    let ports = ["em0-0", "em0-0", "em0-1"];
    for last in 0..ports.len() {
        let mut open: Vec<_> = ports.iter().map(|name| Some(raw(&netmap, name))).collect();
        assert!(is_on());
        for at in (0..ports.len()).filter(|at| *at != last) {
            open[at] = None;
            assert!(is_on(), "{last} {at}");
            wire.send_to(u16::from(last == 2), &frame(1, 60));
            let port = open[last].as_ref().unwrap();
            let tail = View::rx(port, u16::from(last == 2)).header().tail;
            port.rxsync().unwrap();
            assert_eq!(View::rx(port, u16::from(last == 2)).header().tail, tail + 1);
        }
        open[last] = None;
        assert!(!is_on());
    }
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn buffers_lie_as_far_apart_as_buf_size_says() {
    for buf_size in [2048, 4096, 2112] {
        let heap = HeapPlatform::new(common::MEMORY);
        let platform: Arc<dyn Platform> = heap;
        let netmap = Netmap::new(&platform, Tunables { buf_size, ..Tunables::default() }).unwrap();
        let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
        netmap.attach("em0", nic).unwrap();
        let mut port = netmap.open("em0").unwrap();
        // No buffer reaches into another.
        let tx = &mut port.tx_rings()[0];
        for (number, mut slot) in tx.slots().enumerate() {
            let capacity = usize::from(slot.capacity());
            assert_eq!(capacity, buf_size as usize - 64);
            slot.copy_from(&frame(number as u64, capacity)).unwrap();
        }
        let all = tx.slots().enumerate();
        assert!(
            all.into_iter().all(|(number, slot)| slot.frame() == frame(number as u64, slot.len().into()))
        );
        drop(port);
        // A program finds each by its number.
        let port = raw(&netmap, "em0");
        let rx = View::rx(&port, 0);
        assert_eq!(rx.header().nr_buf_size, buf_size);
        (0..15).for_each(|number| wire.send(&frame(number, 1514)));
        port.rxsync().unwrap();
        assert!((0..15).all(|at| rx.frame(at) == frame(at.into(), 1514)));
    }
}

#[test]
fn a_port_gives_back_its_objects_while_others_are_open() {
    let (_, netmap) = netmap(4096);
    for name in ["em0", "em1"] {
        netmap.attach(name, card(CardSpec::new(1, 8, Order::Posted)).0).unwrap();
    }
    let free = || netmap.region().info().pools.map(|pool| pool.free);
    let _other = netmap.open("em0").unwrap();
    let before = free();
    for _ in 0..3 {
        let port = netmap.open("em1").unwrap();
        let during = free();
        assert_eq!([0, 1, 2].map(|pool| before[pool] - during[pool]), [1, 2, 16]);
        drop(port);
        assert_eq!(free(), before);
    }
    assert_eq!((netmap.memory().reclaimed, netmap.memory().refused), (0, 0));
}

#[test]
fn a_port_has_the_rings_that_its_name_says() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(2, 3));
    let rings = HostRings { tx: 1, rx: 2, slots: 8 };
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, rings)).unwrap();
    // Numbers of the transmit and receive rings; those of the host come behind the card's.
    let cases: [(&str, &[u16], &[u16]); 8] = [
        ("em0", &[0, 1], &[0, 1, 2]),
        ("em0-0", &[0], &[0]),
        ("em0-1", &[1], &[1]),
        ("em0-2", &[], &[2]),
        ("em0^", &[2], &[3, 4]),
        ("em0^0", &[2], &[3]),
        ("em0^1", &[], &[4]),
        ("em0*", &[0, 1, 2], &[0, 1, 2, 3, 4]),
    ];
    for (name, tx, rx) in cases {
        let port = raw(&netmap, name);
        let has = |of: &dyn Fn(u16) -> bool| (0..9).filter(|ring| of(*ring)).collect::<Vec<u16>>();
        assert_eq!(has(&|ring| port.tx_ring(ring).is_some()), tx, "{name}");
        assert_eq!(has(&|ring| port.rx_ring(ring).is_some()), rx, "{name}");
        rx.iter().for_each(|ring| assert_eq!(View::rx(&port, *ring).header().ringid, *ring));
        // The port gets what arrives there.
        for queue in rx.iter().copied().filter(|ring| *ring < 3) {
            wire.send_to(queue, &frame(queue.into(), 60));
            port.rxsync().unwrap();
            assert_eq!(View::rx(&port, queue).frame(0), frame(queue.into(), 60), "{name}");
        }
    }
    for name in ["em0-3", "em0^2"] {
        assert_eq!(netmap.open(name).unwrap_err().errno(), errno::EINVAL, "{name}");
    }
}

// The host stack.

#[test]
fn a_marked_slot_that_holds_no_whole_header_is_not_given_to_the_stack() {
    let Hosted { netmap, wire, stack, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    let rx = &mut port.rx_rings()[0];
    rx.set_transparent(true);
    for (len, is_frame) in [(0, false), (1, false), (13, false), (14, true), (60, true), (13, false)] {
        wire.send(&frame(1, 60));
        rx.rxsync().unwrap();
        let refused = rx.counters().drop_refused.get();
        let mut slot = rx.slots().next().unwrap();
        // The application shortens what arrived.
        slot.set_len(len).unwrap();
        slot.set_forward(true);
        rx.advance(1);
        rx.rxsync().unwrap();
        let expected = if is_frame { vec![frame(1, 60)[..len].to_vec()] } else { vec![] };
        assert_eq!(stack.received(), expected, "{len}");
        assert_eq!(rx.counters().drop_refused.get() - refused, u64::from(!is_frame), "{len}");
    }
}

#[test]
fn frames_of_a_host_ring_leave_by_the_cards_ring_of_its_number_and_by_the_others_if_it_is_full() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(3, 3));
    let rings = HostRings { tx: 1, rx: 3, slots: 32 };
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, rings)).unwrap();
    let host = netmap.host("em0").unwrap();
    let mut port = netmap.open("em0*").unwrap();
    port.host_rx_rings().iter_mut().for_each(|ring| ring.set_transparent(true));
    let queue_of = |frames: u64, ring: u16| {
        let transmit = |number| host.transmit(Outgoing { queue: ring, ..Outgoing::new(&frame(number, 60)) });
        (0..frames).for_each(|number| transmit(number).unwrap());
        port.forward().unwrap();
        let rx = &mut port.host_rx_rings()[usize::from(ring)];
        rx.slots().for_each(|mut slot| slot.set_forward(true));
        rx.advance(u32::MAX);
        port.forward().unwrap();
        let sent = wire.sent_with_queue();
        let numbers: Vec<_> = sent.iter().map(|(_, frame)| frame.clone()).collect();
        assert_eq!(numbers, (0..frames).map(|number| frame(number, 60)).collect::<Vec<_>>());
        sent.into_iter().map(|(queue, _)| queue).collect::<Vec<_>>()
    };
    let mut queue_of = queue_of;
    for ring in 0..3 {
        assert_eq!(queue_of(2, ring), [ring, ring]);
    }
    // A ring has room for seven frames. What does not fit goes on to the next, around the card.
    wire.hold_completions();
    let expected: Vec<_> = [[2; 7], [0; 7], [1; 7]].concat();
    assert_eq!(queue_of(20, 2), expected[..20]);
}

#[test]
fn a_frame_of_the_stack_is_taken_in_netmap_mode_only_and_wakes_the_rings_waiters() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(2, 2));
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, HostRings { rx: 2, ..ONE })).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    let host = netmap.host("em0").unwrap();
    let transmit = |queue| host.transmit(Outgoing { queue, ..Outgoing::new(&frame(queue.into(), 60)) });
    assert_eq!([0, 1].map(transmit), [Err(TransmitError::NotOurs); 2]);
    let mut port = netmap.open("em0^").unwrap();
    let card = netmap.open("em0-1").unwrap();
    assert_eq!(transmit(0), Err(TransmitError::NotOurs), "the card's ring 0 is the stack's own");
    let [first, second] = port.host_rx_rings() else { unreachable!() };
    let ((first_count, first_waker), (second_count, second_waker)) = (counting(), counting());
    {
        let (mut of_first, mut of_second) = (pin!(first.ready()), pin!(second.ready()));
        assert!(of_first.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(of_second.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        assert_eq!(transmit(1), Ok(()));
        // Interrupts are not served: the call itself wakes the waiters.
        assert_eq!((first_count.get(), second_count.get()), (0, 1));
        let ready = of_second.as_mut().poll(&mut Context::from_waker(&second_waker));
        assert_eq!(ready, Poll::Ready(Ok(readable(1))));
    }
    assert_eq!(frames(second), [frame(1, 60)]);
    drop(card);
    assert_eq!(transmit(1), Err(TransmitError::NotOurs));
    drop(port);
    assert_eq!(transmit(1), Err(TransmitError::NotOurs));
}

#[test]
fn frames_of_the_stack_arrive_in_the_order_in_which_it_sent_them() {
    let Hosted { netmap, host, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    let (mut sent, mut seen) = (0, 0);
    // Queue and ring are filled and emptied by different amounts, around both more than once.
    for round in 0..50 {
        for _ in 0..(round % 7) + 1 {
            sent += u64::from(host.transmit(Outgoing::new(&frame(sent, 60))).is_ok());
        }
        let rx = &mut port.host_rx_rings()[0];
        rx.rxsync().unwrap();
        let expected: Vec<_> =
            (seen..seen + u64::from(rx.window())).map(|number| frame(number, 60)).collect();
        assert_eq!(frames(rx), expected);
        seen += u64::from(rx.advance(1 + round % 5));
    }
    assert!(seen > 50);
}

// Adapters.

#[test]
fn a_name_or_an_address_leads_to_its_interface_and_no_other() {
    let (_, netmap) = netmap(4096);
    let names = ["em10", "em1", "em", "em11"];
    let wires: Vec<_> = (1..)
        .zip(names)
        .map(|(number, name)| {
            let (nic, wire) = card(CardSpec::new(number, 8, Order::Posted));
            netmap.attach(name, nic).unwrap();
            wire
        })
        .collect();
    let macs = netmap.interfaces().into_iter().map(|interface| interface.nic.mac);
    let macs: Vec<_> =
        macs.map(|mac| format!("mac-{}", mac.map(|byte| format!("{byte:02x}")).concat())).collect();
    for (at, name) in names.iter().enumerate() {
        for asked in [*name, &format!("netmap:{name}"), &macs[at]] {
            let mut port = netmap.open(asked).unwrap();
            assert_eq!(port.name(), *name);
            let tx = &mut port.tx_rings()[0];
            submit(tx, 1);
            tx.txsync().unwrap();
            let sent: Vec<_> = wires.iter().map(|wire| wire.sent().len()).collect();
            assert_eq!((sent[at], sent.iter().sum::<usize>()), (1, 1), "{asked}");
        }
    }
    for unknown in ["em2", "em1x", "e"] {
        assert_eq!(netmap.open(unknown).unwrap_err().errno(), errno::ENXIO, "{unknown}");
    }
}

#[test]
fn a_card_without_rings_is_refused_and_one_that_says_no_more_gets_the_shared_region() {
    let (_, netmap) = netmap(4096);
    for (tx, rx, slots) in [(0, 1, 8), (1, 0, 8), (0, 0, 8), (1, 1, 1), (1, 1, 0)] {
        let (nic, _wire) = card(CardSpec::new(1, slots, Order::Posted).with_queues(tx, rx));
        let error = netmap.attach("em0", nic).unwrap_err();
        assert_eq!((&error, error.errno()), (&AttachError::NoRings("em0".into()), errno::EINVAL));
        assert!(netmap.interfaces().is_empty());
    }
    let (nic, wire) = card(CardSpec::new(1, 2, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    let free = netmap.memory().free;
    let mut port = netmap.open("em0").unwrap();
    assert_eq!(free - netmap.memory().free, 4, "two buffers for each of its rings");
    submit(&mut port.tx_rings()[0], 1);
    port.tx_rings()[0].txsync().unwrap();
    assert_eq!(wire.sent().len(), 1);
}

#[test]
fn a_second_interface_of_a_name_is_refused_and_the_first_goes_on() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    let mut port = netmap.open("em0").unwrap();
    let exists = || Err(AttachError::Exists("em0".into()));
    let (other, other_wire) = HookedCard::new(CardSpec::new(2, 8, Order::Posted));
    let connected = other.at_connect.clone();
    connected.set(|| {});
    assert_eq!(netmap.attach("em0", other), exists());
    assert!(connected.is_set(), "the card that is refused is not told where its interrupts go");
    assert_eq!(AttachError::Exists("em0".into()).errno(), errno::EEXIST);
    wire.send(&frame(1, 60));
    port.rx_rings()[0].rxsync().unwrap();
    assert_eq!(frames(&mut port.rx_rings()[0]), [frame(1, 60)]);
    assert_eq!((netmap.interfaces().len(), other_wire.is_running()), (1, false));
    // One that comes while the name is still free, and is too late.
    let (late, _wire) = HookedCard::new(CardSpec::new(3, 8, Order::Posted));
    let attaching = netmap.clone();
    late.at_connect.set(move || attaching.attach("em1", card(CardSpec::new(4, 8, Order::Posted)).0).unwrap());
    assert_eq!(netmap.attach("em1", late), Err(AttachError::Exists("em1".into())));
    assert_eq!(netmap.interfaces().len(), 2);
}

#[test]
fn a_card_that_does_not_start_is_not_in_netmap_mode() {
    for lacks_queue in [false, true] {
        let (_, netmap) = netmap(4096);
        let (mut nic, wire) = HookedCard::new(CardSpec::new(1, 8, Order::Posted));
        nic.lacks_queue = lacks_queue;
        let stack = Arc::new(HookedStack::default());
        netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, ONE)).unwrap();
        wire.set_starts(lacks_queue);
        assert_eq!(netmap.open("em0").unwrap_err().errno(), errno::EIO);
        assert_eq!(netmap.events("em0").unwrap().rx_interrupt(0), Irq::Pass);
        let transmitted = netmap.host("em0").unwrap().transmit(Outgoing::new(&frame(1, 60)));
        assert_eq!(transmitted, Err(TransmitError::NotOurs));
        assert!(!netmap.interfaces()[0].is_open);
        assert_all_home(&netmap, &[&wire]);
        if !lacks_queue {
            wire.set_starts(true);
            let mut port = netmap.open("em0").unwrap();
            wire.send(&frame(1, 60));
            port.rx_rings()[0].rxsync().unwrap();
            assert_eq!(frames(&mut port.rx_rings()[0]), [frame(1, 60)]);
        }
    }
}

// Interrupts and reset.

#[test]
fn a_reset_and_a_detach_wake_the_waiters_of_every_ring() {
    for what in ["reset", "detach"] {
        let (_, netmap) = netmap(4096);
        let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(2, 2));
        let stack = Arc::new(HookedStack::default());
        netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack, ONE)).unwrap();
        wire.connect(netmap.events("em0").unwrap());
        wire.hold_completions();
        // One that waits for all rings of the card, one for a single ring, one for the host's.
        let ports = ["em0", "em0-1", "em0^"].map(|name| raw(&netmap, name));
        for ring in 0..2 {
            let tx = View::tx(&ports[0], ring);
            (0..7).for_each(|_| tx.submit(&frame(1, 60)));
        }
        let waits = [(0, Interest::READABLE), (0, Interest::WRITABLE), (1, Interest::READABLE)];
        let waits = waits.into_iter().chain([(1, Interest::WRITABLE), (2, Interest::READABLE)]);
        let mut waiting: Vec<(Pin<Box<Readiness<'_>>>, Arc<Count>)> = waits
            .map(|(port, interest)| {
                let (count, waker) = counting();
                let mut future = Box::pin(ports[port].ready(interest));
                assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                (future, count)
            })
            .collect();
        netmap.run_pending();
        let counts =
            |waiting: &[(_, Arc<Count>)]| waiting.iter().map(|(_, count)| count.get()).collect::<Vec<_>>();
        assert_eq!(counts(&waiting), [0; 5]);
        match what {
            "reset" => netmap.reset("em0").unwrap(),
            _ => netmap.detach("em0").unwrap(),
        }
        assert_eq!(counts(&waiting), [1; 5], "{what}");
        waiting.clear();
    }
}

#[test]
fn all_rings_are_stopped_during_a_reset_and_go_on_after_it() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = HookedCard::new(CardSpec::new(1, 8, Order::Posted).with_queues(2, 2));
    let at_start = nic.at_start.clone();
    let stack = Arc::new(HookedStack::default());
    netmap
        .attach_as("em0", Attachment::rings(nic).with_stack(stack, HostRings { tx: 2, rx: 2, slots: 8 }))
        .unwrap();
    let names = ["em0-0", "em0-1", "em0^0", "em0^1"];
    let ports = Arc::new(names.map(|name| raw(&netmap, name)));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let (during, noted) = (ports.clone(), outcomes.clone());
    let sync =
        |ports: &[RawPort]| ports.iter().map(|port| (port.txsync(), port.rxsync())).collect::<Vec<_>>();
    at_start.set(move || {
        let polled = during[0].poll(Interest::READABLE, Timeout::Now).unwrap_err();
        assert_eq!((polled.cause, polled.errno()), (SyncError::Stopped, errno::EIO));
        noted.lock().unwrap().extend(sync(&*during));
    });
    netmap.reset("em0").unwrap();
    assert_eq!(*outcomes.lock().unwrap(), [(Err(SyncError::Stopped), Err(SyncError::Stopped)); 4]);
    assert_eq!(sync(&*ports), [(Ok(()), Ok(())); 4]);
    for ring in 0..2 {
        View::tx(&ports[usize::from(ring)], ring).submit(&frame(ring.into(), 60));
        wire.send_to(ring, &frame(ring.into(), 70));
    }
    assert_eq!(sync(&*ports), [(Ok(()), Ok(())); 4]);
    assert_eq!(wire.sent_with_queue(), [0, 1].map(|ring| (ring, frame(ring.into(), 60))));
    assert_eq!(
        [0, 1].map(|ring| View::rx(&ports[usize::from(ring)], ring).frame(0)),
        [frame(0, 70), frame(1, 70)]
    );
}

#[test]
fn a_reset_waits_for_a_sync_that_is_under_way() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
    let stack = Arc::new(HookedStack::default());
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack.clone(), ONE)).unwrap();
    let (port, syncing) = (raw(&netmap, "em0"), raw(&netmap, "em0^"));
    let (is_reset, control) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
    let (noted, resetting, started) = (is_reset.clone(), netmap.clone(), control.clone());
    // Inside of the sync of the host transmit ring.
    stack.hook.set(move || {
        let done = noted.clone();
        *started.lock().unwrap() = Some(thread::spawn(move || {
            resetting.reset("em0").unwrap();
            done.store(true, SeqCst);
        }));
        // The reset stops the rings in their order, and comes no further than to this one.
        while port.txsync() != Err(SyncError::Stopped) {
            thread::yield_now();
        }
        (0..1000).for_each(|_| thread::yield_now());
        assert!(!noted.load(SeqCst) && wire.is_running());
    });
    View::tx(&syncing, 1).submit(&frame(1, 60));
    syncing.txsync().unwrap();
    control.lock().unwrap().take().unwrap().join().unwrap();
    assert!(is_reset.load(SeqCst));
    assert_eq!(syncing.txsync(), Ok(()));
}

#[test]
fn an_index_means_the_same_slot_after_a_reset_as_before() {
    for before in 0..20 {
        let (netmap, mut port, wire) = one_card(8, Order::Posted);
        let (tx, rx) = port.rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        // The ring's index and the new queue's, which begins at 0, are this far apart.
        for number in 0..before {
            wire.send(&frame(number, 60));
            rx.rxsync().unwrap();
            submit(tx, 1);
            tx.txsync().unwrap();
            tx.txsync().unwrap();
            rx.advance(1);
        }
        assert_eq!((u64::from(tx.head()), u64::from(rx.head())), (before % 8, before % 8));
        wire.sent();
        // Five frames that the card has, two of which are reclaimed; two more that it has not seen yet.
        wire.hold_completions();
        submit(tx, 5);
        tx.txsync().unwrap();
        wire.complete(2);
        assert_eq!(wire.sent().len(), 5);
        tx.txsync().unwrap();
        assert_eq!(tx.window(), 4);
        submit(tx, 2);
        (100..103).for_each(|number| wire.send(&frame(number, 60)));
        rx.rxsync().unwrap();
        let (head, tail, tx_head) = (rx.head(), rx.tail(), tx.head());
        netmap.reset("em0").unwrap();
        assert_eq!(tx.counters().drop_reset.get(), 3, "{before}: what was reclaimed is not lost");
        wire.sent();
        wire.complete(1000);
        assert_eq!((rx.head(), rx.tail(), tx.head()), (head, tail, tx_head));
        wire.send(&frame(103, 60));
        rx.rxsync().unwrap();
        assert_eq!(frames(rx), [100, 101, 102, 103].map(|number| frame(number, 60)));
        tx.txsync().unwrap();
        assert_eq!(wire.sent().len(), 2, "{before}: what the card had not seen is sent once");
        tx.txsync().unwrap();
        assert_eq!(tx.window(), 7);
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn a_receive_sync_looks_at_the_card_after_an_interrupt_or_if_no_pendintr_says_so() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    let events = netmap.events("em0").unwrap();
    wire.connect(events.clone());
    netmap.knobs().set("no_pendintr", 0).unwrap();
    let rx = &mut port.rx_rings()[0];
    rx.rxsync().unwrap();
    // The interrupt of this frame is lost.
    events.skip(true);
    wire.send(&frame(1, 60));
    events.skip(false);
    for _ in 0..3 {
        rx.rxsync().unwrap();
        assert_eq!(rx.window(), 0, "no interrupt has come");
    }
    // The next interrupt is delivered.
    assert_eq!(events.rx_interrupt(0), Irq::Completed);
    rx.rxsync().unwrap();
    assert_eq!(frames(rx), [frame(1, 60)]);
    // The next is lost as well, and the tunable says to look.
    events.skip(true);
    wire.send(&frame(2, 60));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 1);
    netmap.knobs().set("no_pendintr", 1).unwrap();
    rx.rxsync().unwrap();
    assert_eq!(frames(rx), [frame(1, 60), frame(2, 60)]);
    // Also in a sync that other tunables have do more.
    netmap.knobs().set("fwd", 1).unwrap();
    wire.send(&frame(3, 60));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 3);
}

#[test]
fn an_interrupt_has_its_own_ring_look_and_no_other() {
    let (netmap, wire) = queues(2, 2);
    let events = netmap.events("em0").unwrap();
    wire.connect(events.clone());
    netmap.knobs().set("no_pendintr", 0).unwrap();
    let mut port = netmap.open("em0").unwrap();
    port.rx_rings().iter_mut().for_each(|rx| rx.rxsync().unwrap());
    events.skip(true);
    (0..2).for_each(|queue| wire.send_to(queue, &frame(1, 60)));
    events.skip(false);
    for (queue, windows) in [(1, [0, 1]), (0, [1, 1])] {
        assert_eq!(events.tx_interrupt(1 - queue), Irq::Completed);
        assert_eq!(events.rx_interrupt(queue), Irq::Completed);
        port.rx_rings().iter_mut().for_each(|rx| rx.rxsync().unwrap());
        assert_eq!([port.rx_rings()[0].window(), port.rx_rings()[1].window()], windows);
    }
}

#[test]
fn a_programs_rxsync_looks_at_a_device_before_its_interval_is_over_and_a_poll_does_not() {
    let (_, netmap) = netmap(4096);
    let (device, line) = frame_device(1);
    netmap.attach_frames("tap0", device.silent()).unwrap();
    netmap.knobs().set("generic_mit", 1_000_000_000).unwrap();
    let port = raw(&netmap, "tap0");
    let rx = View::rx(&port, 0);
    for number in 0..5 {
        port.rxsync().unwrap();
        line.send(&frame(number.into(), 60));
        assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(Ready::default()));
        assert_eq!((rx.header().head, rx.header().tail), (number, number));
        port.rxsync().unwrap();
        assert_eq!((rx.header().tail, rx.frame(number)), (number + 1, frame(number.into(), 60)));
        rx.set(number + 1, number + 1);
    }
}

#[test]
fn an_interface_says_whether_it_is_in_netmap_mode_and_by_which_adapter() {
    let (_, netmap) = netmap(8192);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
    netmap.attach_as("em0", Attachment::both(nic, frame_device(1).0)).unwrap();
    let state = || {
        let interface = netmap.interfaces().remove(0);
        (interface.adapter, interface.is_open)
    };
    for (admode, adapter) in [(0, Choice::Native), (2, Choice::Generic), (1, Choice::Native)] {
        netmap.knobs().set("admode", admode).unwrap();
        assert_eq!((state(), wire.is_running()), ((adapter, false), false));
        let port = netmap.open("em0").unwrap();
        // What is chosen for the next port changes nothing for this one.
        for other in 0..3 {
            netmap.knobs().set("admode", other).unwrap();
            assert_eq!((state(), wire.is_running()), ((adapter, true), adapter == Choice::Native));
        }
        netmap.knobs().set("admode", admode).unwrap();
        drop(port);
        assert_eq!((state(), wire.is_running()), ((adapter, false), false));
    }
    // A card that did not come back from a reset is open until its port is closed.
    let port = netmap.open("em0").unwrap();
    wire.set_starts(false);
    assert!(netmap.reset("em0").is_err());
    assert_eq!((state(), wire.is_running()), ((Choice::Native, true), false));
    drop(port);
    assert_eq!(state(), (Choice::Native, false));
}

// Tunables.

#[test]
fn memory_is_mapped_without_a_port_only_while_mmap_unreg_is_set() {
    let (_, netmap) = netmap(4096);
    for _ in 0..2 {
        assert_eq!(netmap.map(MemId::SHARED).map(|_| ()), Err(MapError::Unbound));
        netmap.knobs().set("mmap_unreg", 1).unwrap();
        let mappings = || netmap.region().info().usage.mappings;
        let mapped = netmap.map(MemId::SHARED).unwrap();
        assert_eq!(mappings(), 1);
        drop(mapped);
        assert_eq!(mappings(), 0);
        netmap.knobs().set("mmap_unreg", 0).unwrap();
    }
}
