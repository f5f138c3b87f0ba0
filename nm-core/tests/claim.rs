//! Interfaces that have an owner: who can open them, and what happens when they come, go and are given back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::thread;

use common::{Hosted, Meeting, assert_all_home, frame, netmap, with_stack};
use nm_core::host::HostRings;
use nm_core::name::RingSelection;
use nm_core::raw::RawOptions;
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::{Netmap, OpenError, SyncError, errno};

/// A netmap with one card of two rings each way.
fn one(name: &str) -> (Netmap, Wire) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(2, 2));
    netmap.attach(name, nic).unwrap();
    (netmap, wire)
}

fn said<T: std::fmt::Debug>(outcome: Result<T, OpenError>) -> (String, i32) {
    let error = outcome.unwrap_err();
    (error.to_string(), error.errno())
}

fn open_raw(netmap: &Netmap, name: &str) -> Result<nm_core::raw::RawPort, OpenError> {
    netmap.open_raw(name, RawOptions::default())
}

fn belongs() -> (String, i32) {
    ("em0 is owned by vale0".to_string(), errno::EBUSY)
}

#[test]
fn what_is_claimed_opens_for_its_owner_alone() {
    let (netmap, wire) = one("em0");
    netmap.attach("em1", card(CardSpec::new(2, 8, Order::Posted)).0).unwrap();
    let claim = netmap.claim("em0", "vale0").unwrap();
    assert_eq!((claim.name(), claim.owner()), ("em0", "vale0"));
    assert!(netmap.interfaces()[0].to_string().ends_with(" tx=2x8 rx=2x8 owner=vale0"));
    for name in ["em0", "netmap:em0-1", "mac-525400000001", "em0^"] {
        assert_eq!(said(netmap.open(name)), belongs(), "{name}");
        assert_eq!(said(open_raw(&netmap, name)), belongs(), "{name}");
    }
    assert_eq!(said(netmap.claim("em0", "vale1")), belongs());
    netmap.open("em1").unwrap();

    let mut port = claim.open(RingSelection::One(0)).unwrap();
    assert_eq!(said(claim.open(RingSelection::AllHardware)).0, "ring 0 of em0 is in use by another port");
    let mut other = claim.open(RingSelection::One(1)).unwrap();
    assert_eq!(said(claim.open(RingSelection::One(2))).1, errno::EINVAL);
    for (ring, port) in [(0, &mut port), (1, &mut other)] {
        wire.send_to(ring, &frame(ring.into(), 60));
        port.rx_rings()[0].rxsync().unwrap();
        assert_eq!(port.rx_rings()[0].slots().next().unwrap().frame(), frame(ring.into(), 60));
    }
    assert_eq!(said(netmap.open("em0")), belongs());
    drop(other);

    // Given back with a port still open: its rings are in use like any other's.
    drop(claim);
    assert_eq!(netmap.interfaces()[0].owner, None);
    assert_eq!(said(netmap.open("em0")).0, "ring 0 of em0 is in use by another port");
    netmap.open("em0-1").unwrap();
    port.rx_rings()[0].rxsync().unwrap();
    drop(port);
    netmap.open("em0").unwrap();
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn what_is_open_cannot_be_claimed() {
    let (netmap, wire) = one("em0");
    let in_use = ("em0 cannot be claimed while a port is open on it".to_string(), errno::EBUSY);
    let port = netmap.open("em0-1").unwrap();
    assert_eq!(said(netmap.claim("em0", "vale0")), in_use);
    let (tx, rx) = port.split();
    drop(tx);
    assert_eq!(said(netmap.claim("em0", "vale0")), in_use, "one ring is enough");
    drop(rx);
    let raw = open_raw(&netmap, "em0").unwrap();
    assert_eq!(said(netmap.claim("em0", "vale0")), in_use);
    drop(raw);
    drop(netmap.claim("em0", "vale0").unwrap());
    // One whose port was opened through an earlier claim.
    let claim = netmap.claim("em0", "vale0").unwrap();
    let port = claim.open(RingSelection::AllHardware).unwrap();
    drop(claim);
    assert_eq!(said(netmap.claim("em0", "vale1")), in_use);
    drop(port);
    assert_eq!(netmap.claim("em0", "vale1").unwrap().owner(), "vale1");
    let unknown = said(netmap.claim("em7", "vale0"));
    assert_eq!(
        unknown,
        ("no interface \"em7\"; there are em0 (52:54:00:00:00:01)".to_string(), errno::ENXIO)
    );
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_claim_outlives_its_interface_and_its_netmap() {
    let (netmap, wire) = one("em0");
    let claim = netmap.claim("em0", "vale0").unwrap();
    let mut port = claim.open(RingSelection::AllHardware).unwrap();
    netmap.detach("em0").unwrap();
    assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::Gone));
    let gone = ("em0 has disappeared".to_string(), errno::ENXIO);
    assert_eq!(said(claim.open(RingSelection::AllHardware)), gone);
    drop(port);
    assert_eq!(said(claim.open(RingSelection::AllHardware)), gone);
    assert!(!wire.is_running());
    // An interface that is attached as `em0` later is another.
    netmap.attach("em0", card(CardSpec::new(3, 8, Order::Posted)).0).unwrap();
    let second = netmap.claim("em0", "vale1").unwrap();
    drop(claim);
    assert_eq!(said(netmap.open("em0")).0, "em0 is owned by vale1");
    drop(netmap);
    second.open(RingSelection::AllHardware).unwrap().rx_rings()[0].rxsync().unwrap();
}

#[test]
fn host_rings_reset_and_admode_work_under_a_claim() {
    let Hosted { netmap, wire, stack, .. } = with_stack(8, Order::Posted, HostRings::default());
    let claim = netmap.claim("em0", "vale0").unwrap();
    let mut port = claim.open(RingSelection::HardwareAndHost).unwrap();
    netmap.reset("em0").unwrap();
    let tx = &mut port.host_tx_rings()[0];
    tx.slots().next().unwrap().copy_from(&frame(1, 60)).unwrap();
    tx.advance(1);
    tx.txsync().unwrap();
    assert_eq!(stack.received(), [frame(1, 60)]);
    drop(port);
    netmap.knobs().set("admode", 2).unwrap();
    let none = said(claim.open(RingSelection::AllHardware));
    let expected = "em0: netmap.admode=2 requires generic mode, which the driver does not support";
    assert_eq!(none, (expected.to_string(), errno::EINVAL));
    drop(claim);
    assert_all_home(&netmap, &[&wire]);
}

/// Two want the same interface at the same moment: one gets it, the other is told why not.
#[test]
fn of_two_that_meet_one_wins() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 20_000 };
    let (netmap, wire) = one("em0");
    let meeting = Meeting::default();
    // What was won is kept until both have tried.
    fn meet<T>(
        meeting: &Meeting,
        late: usize,
        attempt: impl Fn() -> Result<T, OpenError>,
    ) -> Vec<Option<i32>> {
        let rounds = (0..ROUNDS).map(|round| {
            meeting.wait();
            // One of the two is late, by a little more each time.
            (0..round % late.max(1)).for_each(|_| std::hint::spin_loop());
            let outcome = attempt();
            meeting.wait();
            outcome.err().map(|error| error.errno())
        });
        rounds.collect()
    }
    let claim = || meet(&meeting, 60, || netmap.claim("em0", "vale0"));
    let open = || meet(&meeting, 0, || netmap.open("em0-1"));
    let second = || meet(&meeting, 0, || netmap.claim("em0", "vale1"));
    for other in [&open as &(dyn Fn() -> Vec<Option<i32>> + Sync), &second] {
        let (first, second) = thread::scope(|scope| {
            let (first, second) = (scope.spawn(claim), scope.spawn(other));
            (first.join().unwrap(), second.join().unwrap())
        });
        for outcome in first.into_iter().zip(second) {
            assert!(
                matches!(outcome, (None, Some(errno::EBUSY)) | (Some(errno::EBUSY), None)),
                "{outcome:?}"
            );
        }
    }
    assert_all_home(&netmap, &[&wire]);
}
