//! Cards that become others: what is adopted when, and what stays.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "implements the contract of cards, by way of the fake one")]

mod common;

use std::pin::pin;
use std::string::ToString;
use std::task::{Context, Poll, Waker};

use common::{assert_all_home, frame, lines, netmap};
use log::Level;
use nm_core::host::{HostRings, Outgoing, TransmitError};
use nm_core::nic::NicInfo;
use nm_core::testing::{CardSpec, FakeStack, Order, Wire, card};
use nm_core::{Attachment, Netmap, SyncError, errno};

/// A netmap with a card of `queues` queues of 8 slots, four of them at most.
fn interface(name: &str, queues: (u16, u16)) -> (Netmap, Wire) {
    lines::install();
    let (_, netmap) = netmap(4096);
    let spec = CardSpec::new(1, 8, Order::Posted).with_queues(queues.0, queues.1).with_queues_max(4, 4);
    let (nic, wire) = card(spec);
    netmap.attach(name, nic).unwrap();
    (netmap, wire)
}

fn set_queues(wire: &Wire, tx: u16, rx: u16) {
    wire.reconfigure(|info| (info.tx_queues, info.rx_queues) = (tx, rx));
}

#[test]
fn a_card_that_nobody_has_open_is_adopted_as_it_is() {
    let (netmap, wire) = interface("idle", (1, 1));
    wire.send(&frame(1, 60));
    netmap.open("idle").unwrap().rx_rings()[0].rxsync().unwrap();
    let changed = NicInfo {
        mac: [2; 6],
        tx_queues: 2,
        rx_queues: 3,
        tx_slots: 16,
        rx_slots: 32,
        mtu: None,
        scatter_min: None,
    };
    wire.reconfigure(|info| *info = changed.clone());

    let mut port = netmap.open("mac-020202020202").unwrap();
    let line = "idle: configuration changed from mac=52:54:00:00:00:01 tx=1x8 rx=1x8 to mac=02:02:02:02:02:02 tx=2x16 rx=3x32";
    assert_eq!(lines::about("idle"), [(Level::Info, line.to_string())]);
    assert_eq!(
        netmap.interfaces()[0].to_string(),
        "idle mac=02:02:02:02:02:02 link=up mtu=1500 tx=2x16 rx=3x32"
    );
    let (tx, rx) = port.rings();
    assert_eq!((tx.len(), rx.len()), (2, 3));
    assert_eq!((tx[1].num_slots(), rx[2].num_slots()), (16, 32));
    (0..31).for_each(|number| wire.send_to(2, &frame(number, 60)));
    rx[2].rxsync().unwrap();
    assert_eq!(rx[2].window(), 31);
    tx[1].slots().next().unwrap().copy_from(&frame(2, 70)).unwrap();
    tx[1].advance(1);
    tx[1].txsync().unwrap();
    assert_eq!(wire.sent_with_queue(), [(1, frame(2, 70))]);
    rx[0].rxsync().unwrap();
    let packets = |netmap: &Netmap| -> Vec<String> {
        let line = |report: &nm_core::stats::RingReport| {
            let (direction, ring) = (report.direction, report.ring);
            format!("{direction}{ring}={}", report.counters.packets.get())
        };
        netmap.counters().iter().map(line).collect()
    };
    assert_eq!(packets(&netmap), ["tx0=0", "tx1=1", "rx0=1", "rx1=0", "rx2=31"], "ring 0 counts on");
    assert_eq!(rx[0].counters().syncs.get(), 2);
    drop(port);
    assert_all_home(&netmap, &[&wire]);

    // Back to one ring: what the others have counted is still there.
    set_queues(&wire, 1, 1);
    netmap.open("idle").unwrap();
    assert_eq!(packets(&netmap), ["tx0=0", "tx1=1", "rx0=1", "rx2=31"]);
    netmap.open("idle").unwrap();
    assert_eq!(lines::about("idle").len(), 1, "a change is told once");
}

#[test]
fn while_a_port_is_open_everything_stays_and_each_change_is_told_once() {
    let (netmap, wire) = interface("used", (2, 2));
    let first = netmap.open("used-0").unwrap();
    set_queues(&wire, 4, 4);
    for _ in 0..3 {
        let mut second = netmap.open("used-1").unwrap();
        assert_eq!(second.rx_rings()[0].number(), 1);
        wire.send_to(1, &frame(7, 60));
        second.rx_rings()[0].rxsync().unwrap();
        assert_eq!(second.rx_rings()[0].window(), 1);
    }
    let none = netmap.open("used-2").unwrap_err().to_string();
    assert_eq!(none, "used has no ring 2; it has 2 transmit and 2 receive rings, from 0");
    let stays = |found| {
        let stays = "mac=52:54:00:00:00:01 tx=2x8 rx=2x8 stays in use until the last port is closed";
        (Level::Warn, format!("used: configuration changed to mac=52:54:00:00:00:01 {found}; {stays}"))
    };
    assert_eq!(lines::about("used"), [stays("tx=4x8 rx=4x8")]);
    // Another change, even an impossible one, is told too; and the same again after it was undone.
    for (queues, told) in [((0, 9), Some("tx=0x8 rx=9x8")), ((2, 2), None), ((0, 9), Some("tx=0x8 rx=9x8"))] {
        set_queues(&wire, queues.0, queues.1);
        netmap.open("used-1").unwrap();
        assert_eq!(lines::about("used"), told.map(stays).as_slice());
    }
    assert!(netmap.interfaces()[0].to_string().ends_with("tx=2x8 rx=2x8"));
    set_queues(&wire, 4, 4);
    drop(first);
    assert_eq!(netmap.open("used").unwrap().tx_rings().len(), 4);
    assert_eq!(lines::about("used").len(), 1);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_configuration_that_no_port_can_have_is_refused_until_it_has_changed() {
    let (netmap, wire) = interface("odd", (1, 1));
    for (tx, rx, slots) in [(5, 1, 8), (1, 5, 8), (0, 1, 8), (1, 0, 8), (1, 1, 1)] {
        wire.reconfigure(|info| (info.tx_queues, info.rx_queues, info.tx_slots) = (tx, rx, slots));
        let error = netmap.open("odd").unwrap_err();
        let expected = format!(
            "odd reports tx={tx}x{slots} rx={rx}x8; at least one queue of two slots is needed each way, and at most 4 transmit and 4 receive queues are supported"
        );
        assert_eq!((error.to_string(), error.errno()), (expected, errno::EINVAL));
        assert!(netmap.interfaces()[0].to_string().ends_with("tx=1x8 rx=1x8"));
    }
    assert_all_home(&netmap, &[&wire]);
    wire.reconfigure(|info| info.tx_slots = 2);
    assert_eq!(netmap.open("odd").unwrap().tx_rings()[0].num_slots(), 2);
}

#[test]
fn a_card_that_comes_back_from_a_reset_as_another_is_gone_until_it_is_closed() {
    type Change = fn(&mut NicInfo);
    let cases: [(Change, &str); 4] = [
        (|info| info.tx_queues = 1, "it has 1 transmit and 2 receive queues, and rings for 2 and 2"),
        (|info| info.rx_queues = 3, "it has 2 transmit and 3 receive queues, and rings for 2 and 2"),
        (|info| info.tx_slots = 7, "a queue has room for 7 buffers, and its ring 8 slots"),
        (|info| info.rx_slots = 4, "a queue has room for 4 buffers, and its ring 8 slots"),
    ];
    for (change, why) in cases {
        let (netmap, wire) = interface("reset", (2, 2));
        let mut port = netmap.open("reset").unwrap();
        wire.send_to(1, &frame(1, 60));
        port.rx_rings()[1].rxsync().unwrap();
        wire.reconfigure(change);
        let error = netmap.reset("reset").unwrap_err();
        assert_eq!((error.to_string(), error.errno()), (format!("reset did not start: {why}"), errno::EIO));
        assert!(!wire.is_running());
        let (tx, rx) = port.rings();
        assert!(tx.iter_mut().all(|ring| ring.txsync() == Err(SyncError::Gone)));
        assert!(rx.iter_mut().all(|ring| ring.rxsync() == Err(SyncError::Gone)));
        assert_eq!(rx[1].slots().next().unwrap().frame(), frame(1, 60), "what was received stays readable");
        assert_eq!(netmap.open("reset").unwrap_err().to_string(), "reset has disappeared");
        drop(port);
        assert_all_home(&netmap, &[&wire]);
        let mut info = netmap.interfaces().remove(0).nic;
        change(&mut info);
        let mut port = netmap.open("reset").unwrap();
        let (tx, rx) = port.rings();
        assert_eq!((tx.len(), rx.len()), (info.tx_queues.into(), info.rx_queues.into()));
        let slots = (tx[0].num_slots(), rx[0].num_slots());
        assert_eq!(slots, (info.tx_slots.into(), info.rx_slots.into()));
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn a_reset_goes_on_with_larger_queues_and_keeps_the_rings() {
    let (netmap, wire) = interface("larger", (1, 1));
    let mut port = netmap.open("larger").unwrap();
    wire.reconfigure(|info| (info.tx_slots, info.rx_slots) = (64, 64));
    netmap.reset("larger").unwrap();
    (0..20).for_each(|number| wire.send(&frame(number, 60)));
    let rx = &mut port.rx_rings()[0];
    let mut seen = Vec::new();
    for _ in 0..10 {
        rx.rxsync().unwrap();
        seen.extend(rx.slots().map(|slot| slot.frame().to_vec()));
        rx.advance(rx.window());
    }
    assert_eq!((rx.num_slots(), seen), (8, (0..20).map(|number| frame(number, 60)).collect()));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_handler_that_was_given_its_events_at_first_reaches_queues_that_come_later() {
    let (netmap, wire) = interface("events", (1, 1));
    wire.connect(netmap.events("events").unwrap());
    netmap.open("events").unwrap();
    set_queues(&wire, 1, 4);
    let mut port = netmap.open("events").unwrap();
    let mut ready = pin!(port.rx_rings()[3].ready());
    let mut context = Context::from_waker(Waker::noop());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    wire.send_to(3, &frame(1, 60));
    assert_eq!(netmap.run_pending(), 1);
    assert!(matches!(ready.as_mut().poll(&mut context), Poll::Ready(Ok(ready)) if ready.readable == 1));
}

#[test]
fn the_stack_s_queues_follow_the_card() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues_max(2, 2));
    let attachment = Attachment::rings(nic).with_stack(FakeStack::new(), HostRings::default());
    netmap.attach_as("hosted", attachment).unwrap();
    let host = netmap.host("hosted").unwrap();
    let bytes = frame(1, 60);
    let send = |queue| host.transmit(Outgoing { queue, ..Outgoing::new(&bytes) });
    assert_eq!(send(0), Err(TransmitError::NotOurs));
    let port = netmap.open("hosted").unwrap();
    assert_eq!([send(0), send(1)], [Err(TransmitError::Unread); 2], "both are ring 0");
    drop(port);
    set_queues(&wire, 2, 2);
    let (_stack, mut card) = (netmap.open("hosted^").unwrap(), netmap.open("hosted-1").unwrap());
    assert_eq!(
        (send(0), send(1), send(2)),
        (Err(TransmitError::NotOurs), Ok(()), Err(TransmitError::NotOurs))
    );
    assert_eq!(card.tx_rings()[0].number(), 1);
}
