//! Interfaces with rings and with frames: which adapter a port gets, and what stays when it is another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]
#![allow(unsafe_code, reason = "raw ports tell the size of their rings")]

mod common;

use std::sync::Arc;
use std::thread;

use common::{Meeting, assert_all_home, frame, netmap};
use nm_core::generic::Choice;
use nm_core::host::{HostRings, Outgoing};
use nm_core::raw::RawOptions;
use nm_core::testing::{CardSpec, FakeStack, Line, Order, Wire, card, frame_device};
use nm_core::{Attachment, Netmap, Port, SyncError, errno};

/// An interface with two rings of 16 slots each way and a device for frames, whose rings have 32 slots; with a stack.
fn both() -> (Netmap, Wire, Line, Arc<FakeStack>) {
    let (_, netmap) = netmap(8192);
    netmap.knobs().set("generic_ringsize", 32).unwrap();
    let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted).with_queues(2, 2));
    let (device, line) = frame_device(1);
    let stack = FakeStack::new();
    let attachment = Attachment::both(nic, device)
        .with_stack(stack.clone(), HostRings { slots: 8, ..HostRings::default() });
    netmap.attach_as("em0", attachment).unwrap();
    (netmap, wire, line, stack)
}

fn set_admode(netmap: &Netmap, mode: u32) {
    netmap.knobs().set("admode", mode).unwrap();
}

/// Number and size of the transmit rings, which tell the adapters apart.
fn rings(port: &mut Port) -> (usize, u32) {
    (port.tx_rings().len(), port.tx_rings()[0].num_slots())
}

const NATIVE: (usize, u32) = (2, 16);
const GENERIC: (usize, u32) = (1, 32);

#[test]
fn each_open_of_an_idle_interface_gets_what_admode_says() {
    let (netmap, wire, ..) = both();
    for (mode, expected, choice) in [
        (0, NATIVE, Choice::Native),
        (2, GENERIC, Choice::Generic),
        (1, NATIVE, Choice::Native),
        (2, GENERIC, Choice::Generic),
    ] {
        set_admode(&netmap, mode);
        assert_eq!(netmap.interfaces()[0].adapter, choice, "it says so before");
        let mut port = netmap.open("em0").unwrap();
        assert_eq!((rings(&mut port), wire.is_running()), (expected, choice == Choice::Native));
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn an_interface_in_use_keeps_its_adapter_whatever_admode_says() {
    let (netmap, wire, ..) = both();
    for (mode, expected, first, second) in [(0, NATIVE, "em0-0", "em0-1"), (2, GENERIC, "em0", "em0^")] {
        set_admode(&netmap, mode);
        let mut port = netmap.open(first).unwrap();
        for other in [0, 1, 2] {
            set_admode(&netmap, other);
            let mut port = netmap.open(second).unwrap();
            assert_eq!(port.tx_rings().len() + port.host_tx_rings().len(), 1);
            assert_eq!(port.tx_rings().first().map_or(expected.1, |ring| ring.num_slots()), expected.1);
            assert_eq!(netmap.interfaces()[0].adapter == Choice::Native, expected == NATIVE);
        }
        assert_eq!(rings(&mut port).1, expected.1);
        set_admode(&netmap, 2 - mode);
        drop(port);
        assert_ne!(rings(&mut netmap.open("em0").unwrap()), expected, "the choice is made anew");
    }
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn what_is_not_there_is_refused_at_open() {
    let (_, netmap) = netmap(4096);
    netmap.attach_frames("tap0", frame_device(1).0).unwrap();
    netmap.attach("em0", card(CardSpec::new(1, 16, Order::Posted)).0).unwrap();
    set_admode(&netmap, 1);
    let error = netmap.open("tap0").unwrap_err();
    let expected = "tap0: netmap.admode=1 requires native mode, which the driver does not support";
    assert_eq!((error.to_string().as_str(), error.errno()), (expected, errno::EINVAL));
    netmap.open("em0").unwrap();
    set_admode(&netmap, 2);
    let error = netmap.open("em0").unwrap_err();
    let expected = "em0: netmap.admode=2 requires generic mode, which the driver does not support";
    assert_eq!((error.to_string().as_str(), error.errno()), (expected, errno::EINVAL));
    assert_eq!(
        netmap.interfaces()[1].to_string(),
        "em0 mac=52:54:00:00:00:01 link=up mtu=1500 tx=1x16 rx=1x16"
    );
    let port = netmap.open("tap0").unwrap();
    set_admode(&netmap, 1);
    assert_eq!(netmap.open("tap0").unwrap_err().errno(), errno::EBUSY, "one that is open stays what it is");
    drop(port);
}

#[test]
fn the_stack_and_the_counters_are_the_interface_s_and_not_the_adapter_s() {
    let (netmap, wire, line, stack) = both();
    let host = netmap.host("em0").unwrap();
    for mode in [0, 2] {
        set_admode(&netmap, mode);
        let mut port = netmap.open("em0*").unwrap();
        host.transmit(Outgoing::new(&frame(1, 60))).unwrap();
        let all = port.all_rings();
        all.host_rx[0].rxsync().unwrap();
        assert_eq!(all.host_rx[0].slots().next().unwrap().frame(), frame(1, 60));
        all.host_tx[0].slots().next().unwrap().copy_from(&frame(2, 60)).unwrap();
        all.host_tx[0].advance(1);
        all.host_tx[0].txsync().unwrap();
        assert_eq!(stack.received(), [frame(2, 60)]);
        // In transparent mode a frame of the line goes up, one of the stack goes down.
        netmap.knobs().set("fwd", 1).unwrap();
        if mode == 0 {
            wire.send_to(0, &frame(3, 60))
        } else {
            line.send(&frame(3, 60))
        }
        port.rx_rings()[0].rxsync().unwrap();
        port.rx_rings()[0].advance(1);
        port.host_rx_rings()[0].advance(1);
        port.forward().unwrap();
        assert_eq!(stack.received(), [frame(3, 60)]);
        let sent = if mode == 0 { wire.sent() } else { line.sent() };
        assert_eq!(sent, [frame(1, 60)]);
        netmap.knobs().set("fwd", 0).unwrap();
        if mode == 0 {
            // A frame too short for Ethernet, on the ring that the generic adapter does not have.
            wire.send_to(1, &frame(4, 13));
            port.rx_rings()[1].rxsync().unwrap();
            assert_eq!(port.rx_rings()[1].counters().drop_short.get(), 1);
        }
    }
    set_admode(&netmap, 2);
    let lines: Vec<_> = netmap.counters().iter().map(ToString::to_string).collect();
    let find = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).collect::<Vec<_>>();
    assert_eq!(find("em0 rx1 ").len(), 1);
    assert!(find("em0 rx1 packets=0")[0].contains("drop_short=1"), "{lines:?}");
    assert!(find("em0 rx0 packets=2").len() == 1 && find("em0 host-rx0 packets=2").len() == 1, "{lines:?}");
    assert!(netmap.generic_counters("em0").unwrap().looks.get() > 0);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_reset_and_a_detach_reach_the_adapter_in_use() {
    for mode in [0, 2] {
        let (netmap, wire, line, _) = both();
        set_admode(&netmap, mode);
        let mut port = netmap.open("em0").unwrap();
        set_admode(&netmap, 2 - mode);
        wire.set_starts(false);
        assert_eq!(netmap.reset("em0").is_err(), mode == 0, "only the card is reset");
        wire.set_starts(true);
        line.send(&frame(1, 60));
        let synced = port.rx_rings()[0].rxsync();
        assert_eq!(synced, if mode == 0 { Err(SyncError::Gone) } else { Ok(()) });
        netmap.detach("em0").unwrap();
        assert_eq!(port.rx_rings()[0].rxsync(), Err(SyncError::Gone));
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn the_card_s_handler_is_the_same_after_the_generic_adapter() {
    let (netmap, wire, ..) = both();
    set_admode(&netmap, 2);
    wire.connect(netmap.events("em0").unwrap());
    netmap.open("em0").unwrap();
    set_admode(&netmap, 0);
    let mut port = netmap.open("em0").unwrap();
    let mut ready = std::pin::pin!(port.rx_rings()[1].ready());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    wire.send_to(1, &frame(1, 60));
    assert_eq!(netmap.run_pending(), 1);
    assert!(ready.as_mut().poll(&mut context).is_ready());
}

/// Two open an idle interface at the same moment, and each has just set `admode` to something else.
#[test]
fn two_ports_at_once_never_have_two_adapters() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 5000 };
    let (netmap, wire, ..) = both();
    let meeting = Meeting::default();
    let slots = |mode| {
        let rounds = (0..ROUNDS).map(|_| {
            meeting.wait();
            set_admode(&netmap, mode);
            let port = netmap.open_raw("em0", RawOptions::default()).unwrap();
            // SAFETY: the ring is the port's.
            let slots = unsafe { port.tx_ring(0).unwrap().as_ref() }.num_slots;
            meeting.wait();
            slots
        });
        rounds.collect::<Vec<_>>()
    };
    let (first, second) = thread::scope(|scope| {
        let (first, second) = (scope.spawn(|| slots(0)), scope.spawn(|| slots(2)));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(first, second);
    assert_all_home(&netmap, &[&wire]);
}
