//! Interfaces that come, go and are reset while ports are open on them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::thread;

use common::{assert_all_home, frame, netmap, one_card};
use nm_core::testing::{CardSpec, Order, card};
use nm_core::{OpenError, SyncError, errno};

#[test]
fn a_single_ring_is_bound_by_its_number() {
    let (netmap, wires) = {
        let (_, netmap) = netmap(4096);
        let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
        netmap.attach("em0", nic).unwrap();
        (netmap, wire)
    };
    let mut port = netmap.open("netmap:em0-0").unwrap();
    assert_eq!((port.tx_rings().len(), port.rx_rings().len()), (1, 1));
    assert_eq!(port.rx_rings()[0].number(), 0);
    let none = netmap.open("em0-1").unwrap_err();
    assert_eq!(none.to_string(), "em0 has no ring 1; it has 1 transmit and 1 receive rings, from 0");
    assert_eq!(none.errno(), errno::EINVAL);
    let busy = netmap.open("em0").unwrap_err();
    assert_eq!(
        (busy.to_string().as_str(), busy.errno()),
        ("ring 0 of em0 is in use by another port", errno::EBUSY)
    );
    drop(port);
    assert_all_home(&netmap, &[&wires]);
}

#[test]
fn an_interface_that_disappears_turns_every_call_into_gone() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    wire.send(&frame(1, 60));
    port.rx_rings()[0].rxsync().unwrap();
    netmap.detach("em0").unwrap();
    assert!(!wire.is_running());
    // What was received stays readable, and nothing moves any more.
    assert_eq!(port.rx_rings()[0].slots().next().unwrap().frame(), frame(1, 60));
    port.tx_rings()[0].advance(1);
    assert_eq!(port.tx_rings()[0].txsync(), Err(SyncError::Gone));
    assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::Gone));
    assert_eq!(SyncError::Gone.errno(), errno::ENXIO);
    assert_eq!(netmap.open("em0").unwrap_err().to_string(), "no interface \"em0\": none is attached");
    assert!(matches!(netmap.detach("em0"), Err(OpenError::Unknown { .. })));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
    // The name is free again.
    netmap.attach("em0", card(CardSpec::new(2, 16, Order::Posted)).0).unwrap();
    netmap.open("em0").unwrap();
}

#[test]
fn a_reset_keeps_the_applications_slots_and_goes_on() {
    for order in [Order::Posted, Order::Reversed, Order::Shuffled(3)] {
        let (netmap, mut port, wire) = one_card(16, order);
        (0..5).for_each(|number| wire.send(&frame(number, 60)));
        let (tx, rx) = port.rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        rx.rxsync().unwrap();
        rx.advance(2);
        wire.hold_completions();
        for (number, mut slot) in tx.slots().take(6).enumerate() {
            slot.copy_from(&frame(100 + number as u64, 60)).unwrap();
        }
        tx.advance(4);
        tx.txsync().unwrap();
        assert_eq!((rx.window(), tx.pending()), (3, 4));
        let (head, tail) = (rx.head(), rx.tail());

        netmap.reset("em0").unwrap();

        assert_eq!((rx.head(), rx.tail()), (head, tail), "{order:?}: the window is as it was");
        let kept: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
        assert_eq!(kept, [frame(2, 60), frame(3, 60), frame(4, 60)]);
        assert_eq!(tx.pending(), 4, "only a sync moves the tail");
        tx.txsync().unwrap();
        assert_eq!(tx.pending(), 0, "what the card held counts as sent");
        // Both directions go on, around the ring more than once.
        wire.complete(1000);
        wire.sent();
        rx.advance(3);
        for number in 200..240 {
            wire.send(&frame(number, 60));
            rx.rxsync().unwrap();
            assert_eq!(rx.slots().next().unwrap().frame(), frame(number, 60));
            rx.advance(1);
            tx.slots().next().unwrap().copy_from(&frame(number, 70)).unwrap();
            tx.advance(1);
            tx.txsync().unwrap();
            assert_eq!(wire.sent(), [frame(number, 70)]);
        }
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn a_card_that_does_not_come_back_from_a_reset_is_gone_until_it_is_closed() {
    let (netmap, mut port, wire) = one_card(16, Order::Posted);
    wire.set_starts(false);
    assert_eq!(
        netmap.reset("em0").unwrap_err().to_string(),
        "em0 did not start: the card was told not to start"
    );
    assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::Gone));
    wire.set_starts(true);
    assert_eq!(netmap.reset("em0").unwrap_err().to_string(), "em0 has disappeared");
    assert!(!wire.is_running(), "nothing would stop the card");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
    netmap.open("em0").unwrap().rx_rings()[0].rxsync().unwrap();
}

#[test]
fn a_ring_that_is_opened_again_is_as_new() {
    let (netmap, port, wire) = one_card(16, Order::Posted);
    let (tx, mut rx) = port.split();
    let mut rx = rx.remove(0);
    wire.send(&frame(1, 60));
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 1);
    // The receive ring goes, the transmit ring keeps the interface open; a frame arrives that no ring takes.
    drop(rx);
    wire.send(&frame(2, 60));
    drop(tx);
    let mut port = netmap.open("em0").unwrap();
    let rx = &mut port.rx_rings()[0];
    assert_eq!(rx.window(), 0);
    wire.send(&frame(3, 60));
    rx.rxsync().unwrap();
    let seen: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
    assert_eq!(seen.last(), Some(&frame(3, 60)));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

/// Control and traffic at once: resets and a detach while two threads sync without a pause.
#[test]
fn control_waits_for_syncs_and_syncs_never_wait() {
    const RESETS: usize = if cfg!(miri) { 5 } else { 200 };
    let (netmap, port, wire) = one_card(32, Order::Shuffled(11));
    let (mut tx, mut rx) = port.split();
    let (mut tx, mut rx) = (tx.remove(0), rx.remove(0));
    thread::scope(|scope| {
        let control = scope.spawn(|| {
            (0..RESETS).for_each(|_| netmap.reset("em0").unwrap());
            netmap.detach("em0").unwrap();
        });
        scope.spawn(|| {
            while tx.txsync() != Err(SyncError::Gone) {
                if let Some(mut slot) = tx.slots().next() {
                    slot.copy_from(&frame(7, 64)).unwrap();
                    tx.advance(1);
                }
            }
        });
        scope.spawn(|| {
            while rx.rxsync() != Err(SyncError::Gone) {
                wire.send(&frame(9, 64));
                assert!(rx.slots().all(|slot| slot.frame() == frame(9, 64)));
                let window = rx.window();
                rx.advance(window);
            }
        });
        control.join().unwrap();
    });
    drop((tx, rx));
    assert_all_home(&netmap, &[&wire]);
}
