//! Waiting, run in every order.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;

use loom::cell::UnsafeCell;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;

use super::Timeout;
use crate::Netmap;
use crate::events::Events;
use crate::events::hub::Hub;
use crate::events::mitigation::Mitigation;
use crate::events::signals::Signals;
use crate::nic::NicInfo;
use crate::platform::{DmaBlock, Platform, Sleeper, Slept};
use crate::ring::memory::{TAIL_PUBLISHED, TAIL_SEEN};
use crate::stats::{Direction, RingKind};
use crate::testing::{CardSpec, HeapPlatform, Order, card};
use crate::tunables::{Knobs, Tunables};

/// Wakes who waits for it.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// The protocol alone, while `runners` more threads turn words into wake-ups whenever it suits them. The publication
/// itself orders nothing (it is relaxed), so a waiter that is woken and does not see it waits for ever, which loom reports.
fn a_wait_ends(interrupts: u32, runners: u32) {
    let platform: Arc<dyn Platform> = HeapPlatform::new(0);
    let hub = Hub::new(platform, Arc::default());
    let nic = NicInfo {
        mac: [0; 6],
        tx_queues: 1,
        rx_queues: 1,
        tx_slots: 8,
        rx_slots: 8,
        mtu: None,
        scatter_min: None,
    };
    let signals = Signals::new(&hub, &nic, Default::default(), Mitigation::Off);
    signals.set_on(true);
    let published = Arc::new(AtomicU32::new(0));
    let handlers = (0..interrupts).map(|_| {
        let (published, events, hub) = (published.clone(), Events::new(signals.clone()), hub.clone());
        thread::spawn(move || {
            published.fetch_add(1, Relaxed);
            let _ = events.rx_interrupt(0);
            hub.run_pending();
        })
    });
    let runners = (0..runners).map(|_| {
        let hub = hub.clone();
        thread::spawn(move || _ = hub.run_pending())
    });
    let threads: alloc::vec::Vec<_> = handlers.chain(runners).collect();
    let bell = Arc::new(Bell(Notify::new()));
    let (ticket, waker) = (hub.ticket(), Waker::from(bell.clone()));
    let waiters = signals.ring(RingKind::Hardware, Direction::Rx, 0).unwrap().waiters();
    loop {
        waiters.register(ticket, &waker);
        if published.load(Relaxed) == interrupts {
            break;
        }
        bell.0.wait();
    }
    waiters.cancel(ticket);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_wake_up_is_lost() {
    loom::model(|| a_wait_ends(1, 0));
}

/// The word is there before the flag: or else a run could take the flag, find no word, and leave the word for good.
#[test]
fn no_wake_up_is_lost_to_a_run_that_comes_early() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| a_wait_ends(1, 1));
}

#[test]
fn no_wake_up_is_lost_between_two_interrupts() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| a_wait_ends(2, 0));
}

/// The memory of the heap, and a time that a test sets.
struct Clocked(Arc<HeapPlatform>, Arc<Time>);

/// Not loom's: who reads it does not count on what it was written after.
type Time = core::sync::atomic::AtomicU64;

// SAFETY: the heap's platform is one.
#[expect(unsafe_code, reason = "hands the contract on")]
unsafe impl Platform for Clocked {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.0.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller's promise.
        unsafe { self.0.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        self.1.load(core::sync::atomic::Ordering::Relaxed)
    }
}

/// Two rings whose words wait for the end of their intervals. One run comes when the first has ended, while another
/// leaves the second's word alone: whichever is first, a run at the end of the second wakes.
#[test]
fn no_word_is_lost_that_waits_for_its_interval() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let time = Arc::new(Time::new(0));
        let platform: Arc<dyn Platform> = Arc::new(Clocked(HeapPlatform::new(0), time.clone()));
        let knobs = Arc::new(Knobs::default());
        knobs.set("generic_mit", 60).unwrap();
        let hub = Hub::new(platform, knobs);
        let nic = NicInfo {
            mac: [0; 6],
            tx_queues: 1,
            rx_queues: 2,
            tx_slots: 8,
            rx_slots: 8,
            mtu: None,
            scatter_min: None,
        };
        let signals = Signals::new(&hub, &nic, Default::default(), Mitigation::Generic);
        signals.set_on(true);
        let (events, wakes) = (Events::new(signals.clone()), hub.wakes().get());
        let run_at = |hub: &Hub, now_ns| {
            time.store(now_ns, core::sync::atomic::Ordering::Relaxed);
            hub.run_pending();
        };
        let wait_for_both = || {
            for queue in [0, 1] {
                let ring = signals.ring(RingKind::Hardware, Direction::Rx, queue).unwrap();
                ring.waiters().register(hub.ticket(), Waker::noop());
            }
        };
        wait_for_both();
        // The intervals of the rings end at 60 and at 100; the first ring has interrupted again.
        let _ = events.rx_interrupt(0);
        run_at(&hub, 0);
        let _ = events.rx_interrupt(1);
        run_at(&hub, 40);
        assert_eq!(hub.wakes().get(), wakes + 2);
        wait_for_both();
        let _ = events.rx_interrupt(0);
        run_at(&hub, 50);
        let other = hub.clone();
        let interrupting = thread::spawn(move || {
            let _ = events.rx_interrupt(1);
            other.run_pending();
        });
        run_at(&hub, 70);
        interrupting.join().unwrap();
        run_at(&hub, 100);
        assert_eq!(hub.wakes().get(), wakes + 4);
    });
}

/// How a machine sleeps: until a waker is called, or until there is something to do, whether or not a waker is called.
enum Sleep {
    /// Not by parking: loom forgets that a thread was unparked when the thread waits for a lock before it parks.
    Waker(Arc<Bell>),
    Condition,
}

/// The memory of the heap, and loom's threads.
struct Machine(Arc<HeapPlatform>, Sleep);

impl Sleep {
    fn until_woken() -> Self {
        Self::Waker(Arc::new(Bell(Notify::new())))
    }

    fn until_due() -> Self {
        Self::Condition
    }
}

// SAFETY: the heap's platform is one.
#[expect(unsafe_code, reason = "hands the contract on")]
unsafe impl Platform for Machine {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.0.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller's promise.
        unsafe { self.0.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        0
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        Some(self)
    }
}

impl Sleeper for Machine {
    fn waker(&self) -> Waker {
        match &self.1 {
            Sleep::Waker(bell) => bell.clone().into(),
            Sleep::Condition => Waker::noop().clone(),
        }
    }

    fn sleep(&self, is_due: &dyn Fn() -> bool, _deadline_ns: Option<u64>) -> Slept {
        match &self.1 {
            Sleep::Waker(bell) => bell.0.wait(),
            Sleep::Condition => {
                while !is_due() {
                    thread::yield_now();
                }
            }
        }
        Slept::On
    }
}

/// All of it: ring, card, interrupt and a blocking poll, which is ended by the last of these frames.
fn a_frame_ends_a_poll(sleep: fn() -> Sleep, frames: &'static [&'static [u8]]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let platform: Arc<dyn Platform> = Arc::new(Machine(HeapPlatform::new(1 << 20), sleep()));
        let tunables = Tunables { if_num: 1, ring_num: 2, buf_num: 32, ..Tunables::default() };
        let netmap = Netmap::new(&platform, tunables).unwrap();
        let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
        netmap.attach("em0", nic).unwrap();
        wire.connect(netmap.events("em0").unwrap());
        let (tx, mut rx) = netmap.open("em0").unwrap().split();
        let other = netmap.clone();
        let sender = thread::spawn(move || {
            for frame in frames {
                wire.send(frame);
                other.run_pending();
            }
        });
        assert_eq!(rx[0].poll(Timeout::Never), Ok(1));
        sender.join().unwrap();
        drop((tx, rx, netmap));
    });
}

#[test]
fn a_frame_ends_a_poll_through_its_waker() {
    a_frame_ends_a_poll(Sleep::until_woken, &[&[7; 60]]);
}

#[test]
fn a_frame_ends_a_poll_that_only_looks_whether_it_is_due() {
    a_frame_ends_a_poll(Sleep::until_due, &[&[7; 60]]);
}

/// A frame that is dropped when it is looked at can keep a queue from being armed. Who is told so does not sleep before
/// it has tried again.
#[test]
fn a_frame_behind_one_that_is_dropped_ends_a_poll() {
    a_frame_ends_a_poll(Sleep::until_woken, &[&[7; 13], &[7; 60]]);
}

/// A ring's tail as several raw ports see it: who sees the new tail sees the slot before it.
#[test]
fn a_tail_hands_over_the_slots_before_it() {
    loom::model(|| {
        let ring = Arc::new((UnsafeCell::new(0u32), AtomicU32::new(0)));
        let syncing = ring.clone();
        let sync = thread::spawn(move || {
            // SAFETY: checked by loom.
            #[expect(unsafe_code, reason = "loom's cell hands out pointers")]
            syncing.0.with_mut(|slot| unsafe { *slot = 60 });
            syncing.1.store(1, TAIL_PUBLISHED);
        });
        if ring.1.load(TAIL_SEEN) == 1 {
            // SAFETY: checked by loom.
            #[expect(unsafe_code, reason = "loom's cell hands out pointers")]
            ring.0.with(|slot| assert_eq!(unsafe { *slot }, 60));
        }
        sync.join().unwrap();
    });
}
