//! Waiting: blocking and as futures, and everything that ends it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{assert_all_home, frame, netmap, one_card};
use nm_core::events::Irq;
use nm_core::platform::Platform;
use nm_core::poll::{Interest, PollError, Readiness, Ready, Timeout, poll_any};
use nm_core::stats::Direction;
use nm_core::testing::{CardSpec, HeapPlatform, Order, Wire, card};
use nm_core::tunables::Tunables;
use nm_core::{Netmap, Port, SyncError, errno};

/// One card whose interrupts are connected.
fn interrupting(order: Order) -> (Netmap, Port, Wire) {
    let (netmap, port, wire) = one_card(16, order);
    wire.connect(netmap.events("em0").unwrap());
    (netmap, port, wire)
}

fn readable(readable: u32) -> Ready {
    Ready { readable, writable: 0 }
}

/// Waits until somebody sleeps for frames.
fn until_armed(wire: &Wire) {
    while !wire.is_armed().0 {
        thread::yield_now();
    }
}

#[test]
fn a_pass_looks_first_and_syncs_what_is_not_ready() {
    let (_netmap, mut port, wire) = one_card(16, Order::Posted);
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(Ready::default()));
    wire.send(&frame(1, 60));
    wire.send(&frame(2, 60));
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(readable(2)));
    let syncs = |port: &mut Port| port.rx_rings()[0].counters().syncs.get();
    let before = syncs(&mut port);
    assert_eq!(port.poll(Interest::READABLE, Timeout::Never), Ok(readable(2)));
    assert_eq!(syncs(&mut port), before, "what is ready is not synced");
    port.rx_rings()[0].look(2);
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(Ready::default()), "cur is the wake-up point");
    let both = Ready { readable: 0, writable: 15 };
    assert_eq!(port.poll(Interest::READABLE | Interest::WRITABLE, Timeout::Never), Ok(both));
    assert_eq!(port.poll(Interest::empty(), Timeout::Now), Ok(Ready::default()));
}

#[test]
fn what_waits_to_be_sent_is_sent_by_any_poll_unless_the_port_says_otherwise() {
    let (_netmap, mut port, wire) = one_card(16, Order::Posted);
    let submit = |port: &mut Port| {
        port.tx_rings()[0].slots().next().unwrap().copy_from(&frame(1, 60)).unwrap();
        port.tx_rings()[0].advance(1);
    };
    submit(&mut port);
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert_eq!(wire.sent().len(), 1);
    let syncs = port.tx_rings()[0].counters().syncs.get();
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert_eq!(port.tx_rings()[0].counters().syncs.get(), syncs, "nothing waits any more");
    let mut port = port.without_tx_poll();
    submit(&mut port);
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert_eq!(wire.sent().len(), 0);
    port.tx_rings()[0].txsync().unwrap();
    assert_eq!(wire.sent().len(), 1);
}

#[test]
fn a_sleeping_poll_wakes_for_frames_and_for_room() {
    let (netmap, mut port, wire) = interrupting(Order::Shuffled(3));
    for number in 0..20 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let ready = port.poll(Interest::READABLE, Timeout::Never);
                let received = port.rx_rings()[0].slots().next().map(|slot| slot.frame().to_vec());
                port.rx_rings()[0].advance(1);
                (ready, received)
            });
            until_armed(&wire);
            wire.send(&frame(number, 60));
            while !waiting.is_finished() {
                netmap.run_pending();
            }
            assert_eq!(waiting.join().unwrap(), (Ok(readable(1)), Some(frame(number, 60))));
        });
    }
    assert_eq!(wire.is_armed(), (false, false), "who has what it waited for needs no more interrupts");
    wire.hold_completions();
    let tx = &mut port.tx_rings()[0];
    tx.slots().for_each(|mut slot| slot.copy_from(&frame(9, 60)).unwrap());
    tx.advance(15);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tx.poll(Timeout::Never));
        while !wire.is_armed().1 {
            thread::yield_now();
        }
        assert!(!waiting.is_finished());
        // The oldest frame may be reported last.
        wire.complete(15);
        while !waiting.is_finished() {
            netmap.run_pending();
        }
        assert_eq!(waiting.join().unwrap(), Ok(15));
    });
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_poll_ends_when_its_time_is_over() {
    let without_interrupts = one_card(16, Order::Posted);
    for (_netmap, mut port, _wire) in [interrupting(Order::Posted), without_interrupts] {
        let (start, time) = (Instant::now(), Duration::from_millis(20));
        assert_eq!(port.poll(Interest::READABLE, Timeout::After(time)), Ok(Ready::default()));
        assert!(start.elapsed() >= time);
        assert_eq!(port.rx_rings()[0].poll(Timeout::After(Duration::ZERO)), Ok(0));
    }
}

#[test]
fn an_interface_that_disappears_ends_every_wait() {
    let (netmap, port, wire) = interrupting(Order::Posted);
    let (direction, cause, ready) = (Direction::Rx, SyncError::Gone, Ready::default());
    let gone = PollError { port: 0, direction, ring: 0, cause, ready };
    let (_tx, mut rx) = port.split();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rx[0].poll(Timeout::Never));
        until_armed(&wire);
        netmap.detach("em0").unwrap();
        assert_eq!(waiting.join().unwrap(), Err(gone));
    });
    let error = rx[0].poll(Timeout::Never).unwrap_err();
    assert_eq!(
        (error.errno(), error.to_string().as_str()),
        (errno::ENXIO, "rx0: the interface has disappeared")
    );
}

#[test]
fn a_wait_survives_a_reset() {
    let (netmap, mut port, wire) = interrupting(Order::Reversed);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                match port.poll(Interest::READABLE, Timeout::Never) {
                    // It fell into the reset, and says so.
                    Err(PollError { cause: SyncError::Stopped, .. }) => {}
                    other => break other,
                }
            }
        });
        until_armed(&wire);
        netmap.reset("em0").unwrap();
        // The new queues are armed as well, or no interrupt would come.
        until_armed(&wire);
        wire.send(&frame(1, 60));
        netmap.run_pending();
        assert_eq!(waiting.join().unwrap(), Ok(readable(1)));
    });
}

#[test]
fn what_is_wrong_with_one_ring_is_told_with_what_the_others_have() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    let (other, other_wire) = card(CardSpec::new(2, 16, Order::Posted));
    netmap.attach("em1", other).unwrap();
    let mut other = netmap.open("em1").unwrap();
    other_wire.break_down();
    wire.send(&frame(1, 60));
    let error = poll_any(&mut [&mut port, &mut other], Interest::READABLE, Timeout::Never);
    // The fast look finds nothing, so both are synced.
    let expected = PollError {
        port: 1,
        direction: Direction::Rx,
        ring: 0,
        cause: SyncError::DeviceFailed,
        ready: readable(1),
    };
    assert_eq!(error, Err(expected));
}

#[test]
fn several_ports_are_waited_for_at_once() {
    let (netmap, mut first, wire) = interrupting(Order::Posted);
    let (nic, other_wire) = card(CardSpec::new(2, 16, Order::Posted));
    netmap.attach("em1", nic).unwrap();
    other_wire.connect(netmap.events("em1").unwrap());
    let mut second = netmap.open("em1").unwrap();
    for wire in [&other_wire, &wire] {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let ports = &mut [&mut first, &mut second];
                let ready = poll_any(ports, Interest::READABLE, Timeout::Never);
                let windows = ports.each_mut().map(|port| port.rx_rings()[0].window());
                ports.iter_mut().for_each(|port| _ = port.rx_rings()[0].advance(1));
                (ready, windows)
            });
            until_armed(wire);
            wire.send(&frame(1, 60));
            while !waiting.is_finished() {
                netmap.run_pending();
            }
            let (ready, windows) = waiting.join().unwrap();
            assert_eq!((ready, windows.iter().sum()), (Ok(readable(1)), 1));
        });
    }
    drop((first, second));
    assert_all_home(&netmap, &[&wire, &other_wire]);
}

#[test]
fn a_machine_without_sleep_waits_by_looking() {
    let heap = HeapPlatform::without_sleep(common::MEMORY);
    let platform: Arc<dyn Platform> = heap;
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    netmap.knobs().set("no_pendintr", 0).unwrap();
    let mut port = netmap.open("em0").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| port.poll(Interest::READABLE, Timeout::Never));
        thread::sleep(Duration::from_millis(5));
        assert_eq!(wire.is_armed(), (false, false));
        wire.send(&frame(1, 60));
        assert_eq!(waiting.join().unwrap(), Ok(readable(1)));
    });
    port.rx_rings()[0].advance(1);
    let (counter, waker) = counting();
    {
        let mut future = pin!(port.ready(Interest::READABLE));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::Relaxed), 1, "it asks to be polled again");
    }
    assert_eq!(port.poll(Interest::READABLE, Timeout::After(Duration::from_millis(1))), Ok(Ready::default()));
}

#[test]
fn without_an_interrupt_rxsync_looks_only_if_told_to() {
    let (netmap, mut port, wire) = interrupting(Order::Posted);
    netmap.knobs().set("no_pendintr", 0).unwrap();
    let rx = &mut port.rx_rings()[0];
    rx.rxsync().unwrap();
    assert!(wire.is_armed().0, "an empty queue is armed, to announce what comes");
    let events = netmap.events("em0").unwrap();
    wire.send(&frame(1, 60));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 1, "the interrupt has announced it");
    // A full ring leaves frames behind that no interrupt announces.
    (2..40).for_each(|number| wire.send(&frame(number, 60)));
    let mut seen = 1;
    while seen < 39 {
        rx.advance(rx.window());
        rx.rxsync().unwrap();
        seen += rx.window();
        assert_ne!(rx.window(), 0, "{seen}");
    }
    rx.advance(rx.window());
    rx.rxsync().unwrap();
    let syncs_without = |rx: &mut nm_core::RxRing| {
        rx.rxsync().unwrap();
        rx.window()
    };
    assert_eq!(syncs_without(rx), 0);
    assert_eq!(events.rx_interrupt(0), Irq::Resched, "nobody has served the one before");
    netmap.reset("em0").unwrap();
    wire.send(&frame(50, 60));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 1, "a new queue is looked at");
}

#[test]
fn an_interrupt_tells_whose_it_was() {
    let (netmap, port, _wire) = one_card(16, Order::Posted);
    let events = netmap.events("em0").unwrap();
    assert_eq!((events.rx_interrupt(0), events.rx_interrupt(0)), (Irq::Completed, Irq::Resched));
    assert_eq!((events.tx_interrupt(0), events.tx_interrupt(1)), (Irq::Completed, Irq::Pass));
    assert_eq!(netmap.run_pending(), 2);
    assert_eq!(netmap.run_pending(), 0);
    assert_eq!(events.rx_interrupt(0), Irq::Completed);
    drop(port);
    assert_eq!(events.rx_interrupt(0), Irq::Pass, "not in netmap mode");
    let port = netmap.open("em0").unwrap();
    assert_eq!(events.tx_interrupt(0), Irq::Completed);
    netmap.detach("em0").unwrap();
    assert_eq!(events.tx_interrupt(0), Irq::Pass);
    drop((port, netmap));
    assert_eq!(events.rx_interrupt(7), Irq::Pass);
}

#[test]
fn the_mitigation_interval_is_kept_for_whoever_asks() {
    let (_, netmap) = netmap(64);
    assert_eq!(netmap.mitigation(), Duration::ZERO);
    netmap.set_mitigation(Duration::from_micros(100));
    assert_eq!(netmap.mitigation(), Duration::from_micros(100));
}

/// Counts wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let counter = Arc::new(Count::default());
    (counter.clone(), counter.into())
}

#[test]
fn futures_are_woken_once_for_each_reason_and_not_before() {
    let (netmap, port, wire) = interrupting(Order::Posted);
    let (mut tx, mut rx) = port.split();
    let (tx, rx) = (&mut tx[0], &mut rx[0]);
    let (counter, waker) = counting();
    let mut context = Context::from_waker(&waker);
    let woken = || counter.0.load(Ordering::Relaxed);
    {
        let mut future = pin!(rx.ready());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert_eq!((woken(), netmap.run_pending()), (0, 0));
        wire.send(&frame(1, 60));
        assert_eq!(woken(), 0, "a handler calls no waker");
        assert_eq!((netmap.run_pending(), woken()), (1, 1));
        wire.send(&frame(2, 60));
        assert_eq!((netmap.run_pending(), woken()), (0, 1), "armed once, interrupted once");
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(readable(2))));
    }
    rx.advance(2);
    let mut both = (pin!(rx.ready()), pin!(tx.ready()));
    assert!(both.0.as_mut().poll(&mut context).is_pending());
    assert_eq!(both.1.as_mut().poll(&mut context), Poll::Ready(Ok(Ready { readable: 0, writable: 15 })));
    netmap.detach("em0").unwrap();
    assert_eq!(woken(), 2);
    let Poll::Ready(Err(error)) = both.0.as_mut().poll(&mut context) else { unreachable!() };
    assert_eq!(error.cause, SyncError::Gone);
}

#[test]
fn a_future_that_is_dropped_waits_no_more() {
    let (netmap, mut port, wire) = interrupting(Order::Posted);
    let (counter, waker) = counting();
    let poll_once = |future: Readiness<'_>| {
        let mut future = pin!(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(wire.is_armed().0);
    };
    poll_once(port.ready(Interest::READABLE));
    assert_eq!(wire.is_armed(), (false, false));
    assert_eq!(Arc::strong_count(&counter), 2, "the list has let go of the waker");
    wire.send(&frame(1, 60));
    assert_eq!((netmap.run_pending(), counter.0.load(Ordering::Relaxed)), (0, 0));
}
