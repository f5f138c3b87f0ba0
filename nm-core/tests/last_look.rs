//! The last port of an interface is closed while another thread looks at the interface. The next port finds neither the
//! rings of the one before nor a card that is stopped for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "implements the contract of cards, by way of the fake one")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use common::{assert_all_home, frame, netmap};
use nm_core::generic::Choice;
use nm_core::host::{HostRings, Outgoing};
use nm_core::nic::{Link, Nic, NicInfo, StartParams, StartResult, Stopped};
use nm_core::testing::{CardSpec, FakeCard, FakeStack, Order, Wire, card, frame_device};
use nm_core::{Attachment, Netmap};

const ROUNDS: usize = if cfg!(miri) { 10 } else { 500 };

/// How far the look at the card has come that is to be held up.
#[derive(Debug, Default)]
struct Look(AtomicU32);

const FREE: u32 = 0;
/// The next look is to be held up.
const AWAITED: u32 = 1;
const HELD: u32 = 2;

impl Look {
    fn pass(&self) {
        if self.0.compare_exchange(AWAITED, HELD, SeqCst, SeqCst).is_ok() {
            self.wait_until(FREE);
        }
    }

    fn wait_until(&self, state: u32) {
        while self.0.load(SeqCst) != state {
            thread::yield_now();
        }
    }
}

/// A fake card at which a look can be held up.
struct Watched(FakeCard, Arc<Look>);

// SAFETY: the fake card's.
unsafe impl Nic for Watched {
    type Error = <FakeCard as Nic>::Error;

    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn link(&self) -> Link {
        self.1.pass();
        self.0.link()
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        self.0.start(params)
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}

/// An interface with rings and frames, and a stack.
fn both() -> (Netmap, Wire, Arc<Look>) {
    let (_, netmap) = netmap(8192);
    let (nic, wire) = card(CardSpec::new(1, 16, Order::Posted));
    let look = Arc::<Look>::default();
    let attachment = Attachment::both(Watched(nic, look.clone()), frame_device(1).0);
    let rings = HostRings { slots: 8, ..HostRings::default() };
    netmap.attach_as("em0", attachment.with_stack(FakeStack::new(), rings)).unwrap();
    netmap.knobs().set("generic_ringsize", 16).unwrap();
    (netmap, wire, look)
}

/// Does `close` while another thread looks at the interface, and `open` at the moment when both are done.
fn while_looked_at<T>(
    netmap: &Netmap,
    look: &Look,
    close: impl FnOnce() + Send,
    open: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        look.0.store(AWAITED, SeqCst);
        scope.spawn(|| assert_eq!(netmap.interfaces().len(), 1));
        look.wait_until(HELD);
        let closing = scope.spawn(close);
        // Closing may wait for the look, or be done before it.
        (0..2).for_each(|_| thread::yield_now());
        look.0.store(FREE, SeqCst);
        closing.join().unwrap();
        open()
    })
}

#[test]
fn the_adapter_is_chosen_anew_and_has_the_stack_for_itself() {
    let (netmap, wire, look) = both();
    let host = netmap.host("em0").unwrap();
    for _ in 0..ROUNDS {
        netmap.knobs().set("admode", 0).unwrap();
        let port = netmap.open("em0*").unwrap();
        netmap.knobs().set("admode", 2).unwrap();
        let mut port = while_looked_at(&netmap, &look, || drop(port), || netmap.open("em0*").unwrap());
        assert_eq!((netmap.interfaces()[0].adapter, wire.is_running()), (Choice::Generic, false));
        host.transmit(Outgoing::new(&frame(1, 60))).unwrap();
        port.host_rx_rings()[0].rxsync().unwrap();
        assert_eq!(port.host_rx_rings()[0].window(), 1);
    }
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn the_end_of_a_session_is_not_the_end_of_the_next() {
    let (netmap, wire, look) = both();
    for round in 0..ROUNDS {
        let port = netmap.open("em0").unwrap();
        if round % 2 == 0 {
            wire.set_starts(false);
            assert!(netmap.reset("em0").is_err());
            wire.set_starts(true);
        }
        let mut port = while_looked_at(&netmap, &look, || drop(port), || netmap.open("em0").unwrap());
        wire.send(&frame(1, 60));
        port.rx_rings()[0].rxsync().unwrap();
        assert_eq!((port.rx_rings()[0].window(), wire.is_running()), (1, true));
    }
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn what_is_not_open_any_more_can_be_claimed() {
    let (netmap, wire, look) = both();
    for _ in 0..ROUNDS {
        let port = netmap.open("em0").unwrap();
        drop(while_looked_at(&netmap, &look, || drop(port), || netmap.claim("em0", "vale0").unwrap()));
    }
    assert_all_home(&netmap, &[&wire]);
}

/// Two threads open and close a ring each, so that now the one and now the other ends the session.
#[test]
fn ports_that_come_and_go_at_once_find_a_card_that_runs() {
    let (netmap, wire, _) = both();
    let work = |name: &str| {
        for round in 0..10 * ROUNDS {
            netmap.knobs().set("admode", 2 * (round as u32 / 100 % 2)).unwrap();
            let port = netmap.open(name).unwrap();
            let adapter = netmap.interfaces().remove(0).adapter;
            assert_eq!(wire.is_running(), adapter == Choice::Native);
            drop(port);
        }
    };
    thread::scope(|scope| ["em0", "em0^"].map(|name| scope.spawn(move || work(name))).map(drop));
    assert_all_home(&netmap, &[&wire]);
}
