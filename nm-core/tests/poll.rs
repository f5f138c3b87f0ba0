//! Waiting: blocking and as futures, and everything that ends it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Hosted, assert_all_home, frame, one_card, with_stack};
use nm_core::abi::TimeVal;
use nm_core::events::Irq;
use nm_core::host::{HostRings, Outgoing};
use nm_core::platform::{DmaBlock, Platform, Sleeper, Slept};
use nm_core::poll::{Interest, PollError, Polled, Readiness, Ready, Timeout, poll_any};
use nm_core::stats::{Direction, RingKind};
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

/// Waits until a poll sleeps for frames.
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
fn unseen_frames_of_one_ring_keep_neither_others_from_service_nor_buffers_from_the_card() {
    let (_, netmap) = common::netmap(4096);
    let (nic, wire) = card(CardSpec::new(0, 8, Order::Posted).with_queues(1, 2));
    netmap.attach("em0", nic).unwrap();
    let mut port = netmap.open("em0").unwrap();
    (0..20).for_each(|number| wire.send_to(0, &frame(number, 60)));
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(readable(7)));
    // Another ring that is empty is served.
    (0..5).for_each(|number| wire.send_to(1, &frame(number, 60)));
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(readable(12)));
    assert_eq!(port.rx_rings()[1].window(), 5);
    // A ring with one unseen frame and six released slots gets its buffers back to the card, and so more frames.
    port.rx_rings()[0].advance(6);
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(readable(6)), "the slots are posted");
    port.rx_rings()[0].advance(1);
    let total = port.poll(Interest::READABLE, Timeout::Now).unwrap().readable;
    assert_eq!((total, wire.waiting()), (5 + 6, 20 - 7 - 6), "and filled");
}

#[test]
fn a_part_without_rings_waits_for_its_time() {
    let (_netmap, port, _wire) = interrupting(Order::Posted);
    let parts = port.divide(NonZeroUsize::new(2).unwrap());
    let [mut first, mut second] = <[Port; 2]>::try_from(parts).unwrap();
    assert_eq!((second.tx_rings().len(), second.rx_rings().len()), (0, 0));
    let (time, start) = (Duration::from_millis(20), Instant::now());
    assert_eq!(second.poll(Interest::READABLE, Timeout::After(time)), Ok(Ready::default()));
    assert!(start.elapsed() >= time);
    assert!(
        pin!(second.ready(Interest::READABLE)).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    );
    assert_eq!(first.poll(Interest::WRITABLE, Timeout::Now).unwrap().writable, 15);
}

#[test]
fn ports_of_two_netmaps_are_waited_for_at_once() {
    let (netmaps, ports, wires): (Vec<_>, Vec<_>, Vec<_>) = {
        let [a, b] = [(); 2].map(|()| interrupting(Order::Posted));
        (vec![a.0, b.0], vec![a.1, b.1], vec![a.2, b.2])
    };
    let [mut first, mut second] = <[Port; 2]>::try_from(ports).unwrap();
    for (netmap, wire) in netmaps.iter().zip(&wires) {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let ports = &mut [&mut first, &mut second].map(|port| Polled::new(port, Interest::READABLE));
                let ready = poll_any(ports, Timeout::Never);
                ports.iter_mut().for_each(|polled| _ = polled.port.rx_rings()[0].advance(1));
                ready
            });
            wires.iter().for_each(until_armed);
            wire.send(&frame(1, 60));
            netmap.run_pending();
            assert_eq!(waiting.join().unwrap(), Ok(readable(1)));
        });
    }
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
fn a_card_without_interrupts_is_looked_at_again_and_again() {
    let (_netmap, mut port, wire) = one_card(16, Order::Posted);
    let patience = Duration::from_secs(20);
    thread::scope(|scope| {
        let start = Instant::now();
        let waiting = scope.spawn(|| port.poll(Interest::READABLE, Timeout::After(patience)));
        thread::sleep(Duration::from_millis(5));
        wire.send(&frame(1, 60));
        assert_eq!(waiting.join().unwrap(), Ok(readable(1)));
        assert!(start.elapsed() < patience, "it slept, though nothing would have woken it");
    });
}

#[test]
fn an_interface_that_disappears_ends_every_wait() {
    let (netmap, port, wire) = interrupting(Order::Posted);
    let (direction, cause, ready) = (Direction::Rx, SyncError::Gone, Ready::default());
    let gone = PollError { port: 0, direction, kind: RingKind::Hardware, ring: 0, cause, ready };
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
    let [first, second] = [&mut port, &mut other].map(|port| Polled::new(port, Interest::READABLE));
    let error = poll_any(&mut [first, second], Timeout::Never);
    let expected = PollError {
        port: 1,
        direction: Direction::Rx,
        kind: RingKind::Hardware,
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
                let ports = &mut [&mut first, &mut second].map(|port| Polled::new(port, Interest::READABLE));
                let ready = poll_any(ports, Timeout::Never);
                let windows = ports.each_mut().map(|polled| polled.port.rx_rings()[0].window());
                let each = ports.each_ref().map(|polled| polled.ready.readable);
                ports.iter_mut().for_each(|polled| _ = polled.port.rx_rings()[0].advance(1));
                (ready, windows, each)
            });
            until_armed(wire);
            wire.send(&frame(1, 60));
            while !waiting.is_finished() {
                netmap.run_pending();
            }
            let (ready, windows, each) = waiting.join().unwrap();
            assert_eq!((ready, windows.iter().sum()), (Ok(readable(1)), 1));
            assert_eq!(each, windows, "each is told what it has");
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
    assert_eq!(events.rx_interrupt(0), Irq::Resched, "the one before was not served");
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
fn interrupts_are_counted_that_are_netmaps() {
    let (netmap, port, _wire) = one_card(16, Order::Posted);
    let events = netmap.events("em0").unwrap();
    let counted = || {
        let reports = netmap.counters().into_iter();
        reports.map(|report| (report.direction, report.interrupts)).collect::<Vec<_>>()
    };
    assert_eq!(counted(), [(Direction::Tx, 0), (Direction::Rx, 0)]);
    let all =
        [events.rx_interrupt(0), events.rx_interrupt(0), events.tx_interrupt(0), events.rx_interrupt(0)];
    assert!(all.iter().all(|irq| *irq != Irq::Pass));
    netmap.run_pending();
    events.skip(true);
    let _ = (events.rx_interrupt(0), events.rx_interrupt(1));
    drop(port);
    events.skip(false);
    assert_eq!(events.tx_interrupt(0), Irq::Pass);
    assert_eq!(counted(), [(Direction::Tx, 1), (Direction::Rx, 3)]);
    let lines: Vec<String> = netmap.counters().iter().map(ToString::to_string).collect();
    assert!(lines[0].contains(" interrupts=1 ") && lines[1].contains(" interrupts=3 "), "{lines:?}");
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

#[test]
fn a_port_with_all_rings_waits_for_the_card_and_a_port_with_one_for_that_ring() {
    let (_, netmap) = common::netmap(4096);
    let mut spec = CardSpec::new(1, 16, Order::Posted);
    (spec.info.tx_queues, spec.info.rx_queues) = (4, 4);
    let (nic, wire) = card(spec);
    netmap.attach("em0", nic).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    let mut port = netmap.open("em0").unwrap();
    let (counter, waker) = counting();
    let mut context = Context::from_waker(&waker);
    let woken = || counter.0.load(Ordering::Relaxed);
    for queue in [0, 3, 1] {
        let before = woken();
        {
            let mut future = pin!(port.ready(Interest::READABLE));
            assert!(future.as_mut().poll(&mut context).is_pending());
            wire.send_to(queue, &frame(1, 60));
            assert_eq!((netmap.run_pending(), woken() - before), (1, 1), "queue {queue}");
            assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(readable(1))));
        }
        port.rx_rings().iter_mut().for_each(|ring| _ = ring.advance(1));
    }
    drop(port);
    let mut one = netmap.open("em0-1").unwrap();
    let mut other = netmap.open("em0-2").unwrap();
    let before = woken();
    {
        let mut future = pin!(one.ready(Interest::READABLE));
        assert!(future.as_mut().poll(&mut context).is_pending());
        let mut theirs = pin!(other.ready(Interest::READABLE));
        assert!(theirs.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wire.send_to(2, &frame(2, 60));
        assert_eq!((netmap.run_pending(), woken() - before), (1, 0), "it was the other ring's");
        assert!(future.as_mut().poll(&mut context).is_pending());
        wire.send_to(1, &frame(3, 60));
        assert_eq!((netmap.run_pending(), woken() - before), (1, 1));
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(readable(1))));
    }
    drop((one, other));
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn who_waits_for_a_host_ring_sleeps_until_the_stack_sends() {
    let Hosted { netmap, wire, host, .. } = with_stack(16, Order::Posted, HostRings::default());
    wire.connect(netmap.events("em0").unwrap());
    let mut port = netmap.open("em0*").unwrap();
    for number in 0..20 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let ready = port.poll(Interest::READABLE, Timeout::Never);
                let rx = &mut port.host_rx_rings()[0];
                let received: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
                rx.advance(1);
                (ready, received)
            });
            // The card's ring is armed together with the wait for the host ring.
            until_armed(&wire);
            host.transmit(Outgoing::new(&frame(number, 60))).unwrap();
            assert_eq!(waiting.join().unwrap(), (Ok(readable(1)), vec![frame(number, 60)]));
        });
    }
    // As a future: woken by the frame itself, without a call that serves interrupts.
    let (counter, waker) = counting();
    let mut context = Context::from_waker(&waker);
    {
        let mut future = pin!(port.host_rx_rings()[0].ready());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert_eq!(counter.0.load(Ordering::Relaxed), 0, "it sleeps, and does not look again and again");
        host.transmit(Outgoing::new(&frame(30, 60))).unwrap();
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok(readable(1))));
    }
    let ready = port.host_tx_rings()[0].poll(Timeout::Never);
    assert_eq!(ready, Ok(1023), "towards the stack there is always room");
    netmap.detach("em0").unwrap();
    let error = port.host_rx_rings()[0].poll(Timeout::Never).unwrap_err();
    assert_eq!(error.to_string(), "host-rx0: the interface has disappeared");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_poll_carries_on_what_was_released_in_transparent_mode() {
    let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, HostRings::default());
    netmap.knobs().set("fwd", 1).unwrap();
    let mut port = netmap.open("em0*").unwrap();
    host.transmit(Outgoing::new(&frame(1, 60))).unwrap();
    wire.send(&frame(2, 70));
    assert_eq!(port.poll(Interest::READABLE, Timeout::Never), Ok(readable(2)));
    let all = port.all_rings();
    all.rx[0].advance(1);
    all.host_rx[0].advance(1);
    assert_eq!((wire.sent().len(), stack.received().len()), (0, 0));
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(Ready::default()));
    assert_eq!((wire.sent(), stack.received()), (vec![frame(1, 60)], vec![frame(2, 70)]));
    // A port without the card's transmit rings has no way down.
    drop(port);
    let _card = netmap.open("em0").unwrap();
    let mut port = netmap.open("em0^").unwrap();
    host.transmit(Outgoing::new(&frame(3, 60))).unwrap();
    assert_eq!(port.poll(Interest::READABLE, Timeout::Never), Ok(readable(1)));
    port.host_rx_rings()[0].advance(1);
    assert_eq!(port.poll(Interest::READABLE, Timeout::Now), Ok(Ready::default()));
    assert_eq!(wire.sent().len(), 0);
}

#[test]
fn who_waits_for_room_is_woken_when_half_has_left_or_for_a_slot_that_asks() {
    let (netmap, mut port, wire) = interrupting(Order::Posted);
    wire.hold_completions();
    let tx = &mut port.tx_rings()[0];
    let (counter, waker) = counting();
    let mut context = Context::from_waker(&waker);
    let woken = || {
        let served = netmap.run_pending();
        assert_eq!(counter.0.swap(0, Ordering::Relaxed), served);
        served == 1
    };
    // How many of `frames` on their way it takes.
    let mut completions_until_woken = |frames: u32| {
        tx.slots().take(frames as usize).for_each(|mut slot| slot.copy_from(&frame(9, 60)).unwrap());
        tx.advance(frames);
        tx.look(15);
        tx.txsync().unwrap();
        let count = {
            let mut future = pin!(tx.ready());
            assert!(future.as_mut().poll(&mut context).is_pending());
            let count = (1..20).find(|_| {
                wire.complete(1);
                woken()
            });
            assert_eq!(
                future.as_mut().poll(&mut context),
                Poll::Ready(Ok(Ready { readable: 0, writable: count.unwrap() }))
            );
            count
        };
        wire.complete(20);
        tx.txsync().unwrap();
        assert_eq!(tx.pending(), 0);
        wire.hold_completions();
        count
    };
    assert_eq!(completions_until_woken(12), Some(6));
    assert_eq!(completions_until_woken(5), Some(3));
    assert_eq!(completions_until_woken(1), Some(1));
    netmap.knobs().set("mitigate", 0).unwrap();
    assert_eq!(completions_until_woken(12), Some(1));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn half_of_what_is_on_its_way_is_counted_right_when_frames_finish_out_of_order() {
    for seed in 1..40 {
        let (netmap, mut port, wire) = interrupting(Order::Shuffled(seed));
        wire.hold_completions();
        let tx = &mut port.tx_rings()[0];
        tx.slots().for_each(|mut slot| slot.copy_from(&frame(seed, 60)).unwrap());
        tx.advance(15);
        wire.complete(seed as u32 % 13);
        let (_counter, waker) = counting();
        let mut context = Context::from_waker(&waker);
        while tx.window() < 15 {
            tx.look(15);
            let mut future = pin!(tx.ready());
            // No more completions than there are frames: if more were waited for, none of them would wake.
            for _ in 0..15 {
                if future.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                wire.complete(1);
                netmap.run_pending();
            }
            assert!(future.as_mut().poll(&mut context).is_ready(), "{seed}");
        }
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn interrupts_are_the_drivers_own_while_it_asks_for_them() {
    let (netmap, _port, _wire) = one_card(16, Order::Posted);
    let events = netmap.events("em0").unwrap();
    events.skip(true);
    assert_eq!((events.rx_interrupt(0), events.tx_interrupt(0)), (Irq::Pass, Irq::Pass));
    assert_eq!(netmap.run_pending(), 0);
    events.skip(false);
    assert_eq!(events.rx_interrupt(0), Irq::Completed);
}

/// A machine whose sleep is interrupted by a request for something else.
struct Interrupted(Arc<HeapPlatform>);

// SAFETY: the heap's platform is one.
#[expect(unsafe_code, reason = "hands the contract on")]
unsafe impl Platform for Interrupted {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.0.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller's promise.
        unsafe { self.0.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        Some(self)
    }
}

impl Sleeper for Interrupted {
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn sleep(&self, _is_due: &dyn Fn() -> bool, _deadline_ns: Option<u64>) -> Slept {
        Slept::Interrupted
    }
}

#[test]
fn a_sleep_that_is_interrupted_ends_the_poll_with_nothing() {
    let platform: Arc<dyn Platform> = Arc::new(Interrupted(HeapPlatform::new(common::MEMORY)));
    let netmap = Netmap::new(&platform, Tunables::default()).unwrap();
    let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    wire.connect(netmap.events("em0").unwrap());
    let mut port = netmap.open("em0").unwrap();
    assert_eq!(port.poll(Interest::READABLE, Timeout::Never), Ok(Ready::default()));
    assert_eq!(wire.is_armed(), (false, false), "there is no waiter any more");
}

#[test]
fn a_ring_is_given_the_time_of_its_syncs() {
    let (netmap, mut port, _wire) = one_card(16, Order::Posted);
    let zero = TimeVal::default();
    let us = |time: TimeVal| time.sec * 1_000_000 + time.usec;
    let rx = &mut port.rx_rings()[0];
    rx.rxsync().unwrap();
    assert_eq!(rx.timestamp(), zero, "not unless it is asked for");
    rx.set_timestamped(true);
    thread::sleep(Duration::from_millis(2));
    rx.rxsync().unwrap();
    let first = rx.timestamp();
    assert!(us(first) >= 2_000 && first.usec < 1_000_000);
    rx.set_timestamped(false);
    rx.rxsync().unwrap();
    assert_eq!(rx.timestamp(), first);
    thread::sleep(Duration::from_millis(2));
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    let polled = port.rx_rings()[0].timestamp();
    assert!(us(polled) >= us(first) + 2_000, "a poll writes it unasked");
    netmap.knobs().set("no_timestamp", 1).unwrap();
    thread::sleep(Duration::from_millis(2));
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert_eq!(port.rx_rings()[0].timestamp(), polled, "unless the tunable says not to");
    port.rx_rings()[0].set_timestamped(true);
    port.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert!(us(port.rx_rings()[0].timestamp()) >= us(polled) + 2_000, "and the ring does not ask for it");
}
