//! Ports: names, memory, what is shared and what is given back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

mod common;

use std::sync::Arc;
use std::thread;

use common::{MEMORY, assert_all_home, frame, netmap, one_card};
use nm_core::host::{HostRings, Outgoing, TransmitError};
use nm_core::mem::{MemId, MemoryError, PoolKind, RegionError};
use nm_core::nic::Link;
use nm_core::platform::Platform;
use nm_core::poll::{Interest, Timeout};
use nm_core::ring::DifferentRegion;
use nm_core::testing::{CardSpec, FakeStack, HeapPlatform, Order, card};
use nm_core::tunables::{Sizes, Tunables};
use nm_core::{AttachError, Attachment, Netmap, OpenError, Port, errno};

#[test]
fn a_port_opens_by_name_and_by_address_and_once() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(7, 256, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    let line = |netmap: &Netmap| netmap.interfaces()[0].to_string();
    assert_eq!(line(&netmap), "em0 mac=52:54:00:00:00:07 link=up mtu=1500 tx=1x256 rx=1x256");
    wire.set_link(Link::Down);
    assert_eq!(line(&netmap), "em0 mac=52:54:00:00:00:07 link=down mtu=1500 tx=1x256 rx=1x256");

    let port = netmap.open("mac-525400000007").unwrap();
    assert_eq!(port.name(), "em0");
    assert!(netmap.interfaces()[0].is_open && wire.is_running());
    let busy = netmap.open("netmap:em0").unwrap_err();
    assert_eq!(
        (busy.to_string().as_str(), busy.errno()),
        ("ring 0 of em0 is in use by another port", errno::EBUSY)
    );
    drop(port);
    assert_all_home(&netmap, &[&wire]);
    netmap.open("em0").unwrap();
}

#[test]
fn names_that_lead_nowhere_are_explained() {
    let (_, netmap) = netmap(4096);
    let unknown = netmap.open("em0").unwrap_err();
    assert_eq!(
        (unknown.to_string().as_str(), unknown.errno()),
        ("no interface \"em0\": none is attached", errno::ENXIO)
    );
    for (name, number) in [("em0", 1), ("em1", 2)] {
        netmap.attach(name, card(CardSpec::new(number, 8, Order::Posted)).0).unwrap();
    }
    assert_eq!(
        netmap.open("netmap:em2").unwrap_err().to_string(),
        "no interface \"netmap:em2\"; there are em0 (52:54:00:00:00:01), em1 (52:54:00:00:00:02)"
    );
    let name = netmap.open("em0{1").unwrap_err();
    assert_eq!(
        (name.to_string().as_str(), name.errno()),
        ("\"em0{1\" asks for a pipe, which is not supported; use IF, IF-N, IF^, IF^N or IF*", errno::EINVAL)
    );
    let again = netmap.attach("em0", card(CardSpec::new(3, 8, Order::Posted)).0).unwrap_err();
    assert_eq!((again.clone(), again.errno()), (AttachError::Exists("em0".into()), errno::EEXIST));
    let no_rings = netmap.attach("em2", card(CardSpec::new(3, 1, Order::Posted)).0).unwrap_err();
    assert_eq!((no_rings.clone(), no_rings.errno()), (AttachError::NoRings("em2".into()), errno::EINVAL));
}

#[test]
fn a_card_that_does_not_start_leaves_nothing_behind() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec { starts: false, ..CardSpec::new(1, 64, Order::Posted) });
    netmap.attach("em0", nic).unwrap();
    let error = netmap.open("em0").unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.errno()),
        ("em0 did not start: the card was told not to start", errno::EIO)
    );
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn rings_shrink_to_a_fair_share_before_an_interface_is_refused() {
    let (_, netmap) = netmap(2 + 600);
    let wires: Vec<_> = (0..2)
        .map(|number| {
            let (nic, wire) = card(CardSpec::new(number, 256, Order::Posted));
            netmap.attach(&format!("em{number}"), nic).unwrap();
            wire
        })
        .collect();
    // 300 buffers for each card: two rings of 128 slots.
    let mut ports: Vec<_> = ["em0", "em1"].iter().map(|name| netmap.open(name).unwrap()).collect();
    for port in &mut ports {
        assert_eq!((port.tx_rings()[0].num_slots(), port.rx_rings()[0].num_slots()), (128, 128));
    }
    assert_eq!(
        netmap.memory().to_string(),
        "buffers total=600 free=88 held=512 lost=0 spare=0 extra=0 resting=0 reclaimed=0 refused=0"
    );
    // The shrunken rings work.
    wires[0].send(&frame(1, 60));
    ports[0].rx_rings()[0].rxsync().unwrap();
    assert_eq!(ports[0].rx_rings()[0].slots().next().unwrap().frame(), frame(1, 60));
    drop(ports);
    assert_all_home(&netmap, &[&wires[0], &wires[1]]);
}

#[test]
fn a_request_that_does_not_fit_says_which_pool_and_how_much() {
    let (_, netmap) = netmap(2 + 20);
    let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
    netmap.attach("em0", nic).unwrap();
    let error = netmap.open("em0").unwrap_err();
    let (region, pool) = (MemId::SHARED, PoolKind::Buffer);
    let expected = MemoryError::Exhausted { region, pool, requested: 32, available: 20 };
    assert!(matches!(error, OpenError::Memory(e) if e == expected), "{error}");
    assert_eq!(error.to_string(), "the buf pool has 20 free objects, 32 are needed (tunable buf_num)");
    assert_eq!(error.errno(), errno::ENOMEM);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_region_that_does_not_fit_is_refused_and_one_that_goes_is_released() {
    let heap = HeapPlatform::new(1 << 20);
    let platform: Arc<dyn Platform> = heap.clone();
    let error = Netmap::new(&platform, Tunables::default()).unwrap_err();
    assert!(matches!(error, RegionError::OutOfMemory(_)), "{error}");
    let bad = Netmap::new(&platform, Tunables { buf_size: 100, ..Tunables::default() }).unwrap_err();
    assert_eq!(bad.to_string(), "netmap.buf_size: must be between 256 and 32768, a multiple of 64");

    let small = Tunables { buf_num: 64, ring_num: 4, if_num: 2, ..Tunables::default() };
    let netmap = Netmap::new(&platform, small).unwrap();
    assert_eq!(heap.blocks_in_use(), 1);
    netmap.attach("em0", card(CardSpec::new(1, 16, Order::Posted)).0).unwrap();
    let port = netmap.open("em0").unwrap();
    drop(netmap);
    assert_eq!(heap.blocks_in_use(), 1, "the port still uses the memory");
    drop(port);
    assert_eq!(heap.blocks_in_use(), 0);
}

#[test]
fn buffers_change_places_only_within_one_region() {
    let (_first, mut a, _a_wire) = one_card(8, Order::Posted);
    let (_second, mut b, _b_wire) = one_card(8, Order::Posted);
    let (a_tx, b_tx) = (&mut a.tx_rings()[0], &mut b.tx_rings()[0]);
    let (mut mine, mut theirs) = (a_tx.slots().next().unwrap(), b_tx.slots().next().unwrap());
    assert_eq!(mine.swap(&mut theirs), Err(DifferentRegion));

    let mut slots = a.tx_rings()[0].slots();
    let (mut first, mut second) = (slots.next().unwrap(), slots.next().unwrap());
    first.copy_from(&frame(1, 60)).unwrap();
    second.copy_from(&frame(2, 70)).unwrap();
    let (one, two) = (first.buf_idx(), second.buf_idx());
    first.swap(&mut second).unwrap();
    assert_eq!((first.buf_idx(), second.buf_idx()), (two, one));
    assert_eq!((first.frame(), second.frame()), (&frame(2, 70)[..], &frame(1, 60)[..]));
}

#[test]
fn rings_of_a_split_port_work_on_their_own_threads_and_close_it_together() {
    const FRAMES: u64 = if cfg!(miri) { 300 } else { 20_000 };
    let (netmap, port, wire) = one_card(64, Order::Shuffled(9));
    let (mut tx, mut rx) = port.split();
    let (mut tx, mut rx) = (tx.remove(0), rx.remove(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while sent < FRAMES {
                let count = tx.window().min((FRAMES - sent) as u32);
                for (number, mut slot) in (sent..).zip(tx.slots().take(count as usize)) {
                    slot.copy_from(&frame(number, 64)).unwrap();
                }
                sent += u64::from(tx.advance(count));
                tx.txsync().unwrap();
            }
        });
        scope.spawn(|| {
            let (mut offered, mut seen) = (0, 0);
            while seen < FRAMES {
                (0..32.min(FRAMES - offered)).for_each(|i| wire.send(&frame(offered + i, 64)));
                offered += 32.min(FRAMES - offered);
                rx.rxsync().unwrap();
                let count = rx.window();
                for (number, slot) in (seen..).zip(rx.slots()) {
                    assert_eq!(slot.frame(), frame(number, 64));
                }
                seen += u64::from(rx.advance(count));
            }
        });
    });
    let sent = wire.sent();
    assert_eq!(sent.len() as u64, FRAMES);
    assert!((0..).zip(&sent).all(|(number, got)| *got == frame(number, 64)));
    drop(tx);
    assert!(wire.is_running(), "one ring is still held");
    assert_eq!(netmap.memory().held, 128);
    drop(rx);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn a_divided_port_deals_its_rings_out_and_closes_with_its_last_part() {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted).with_queues(3, 5));
    let stack = Attachment::rings(nic).with_stack(FakeStack::new(), HostRings::default());
    netmap.attach_as("em0", stack).unwrap();
    let numbers = |port: &mut Port| {
        let all = port.all_rings();
        let tx: Vec<_> = all.tx.iter().map(|ring| ring.number()).collect();
        let rx: Vec<_> = all.rx.iter().map(|ring| ring.number()).collect();
        (tx, rx, all.host_tx.len() + all.host_rx.len())
    };
    let mut parts = netmap.open("em0*").unwrap().divide(2.try_into().unwrap());
    let dealt: Vec<_> = parts.iter_mut().map(numbers).collect();
    assert_eq!(dealt, [(vec![0, 2], vec![0, 2, 4], 2), (vec![1], vec![1, 3], 0)]);
    assert_eq!(parts[1].name(), "em0");

    let mut second = parts.pop().unwrap();
    drop(parts);
    assert!(netmap.open("em0-1").is_err() && netmap.open("em0-0").is_ok(), "the second part holds its rings");
    wire.send_to(3, &frame(7, 60));
    let ready = second.poll(Interest::READABLE, Timeout::Now).unwrap();
    assert_eq!(ready.readable, 1, "a part is polled as a port is");
    drop(second);
    assert_all_home(&netmap, &[&wire]);
    let parts = netmap.open("em0").unwrap().divide(8.try_into().unwrap());
    let dealt: Vec<_> = parts
        .into_iter()
        .map(|mut part| numbers(&mut part))
        .map(|(tx, rx, _)| (tx.len(), rx.len()))
        .collect();
    assert_eq!(dealt[2..7], [(1, 1), (0, 1), (0, 1), (0, 0), (0, 0)]);
}

#[test]
fn ten_netmaps_do_not_meet() {
    let all: Vec<_> = (0..10).map(|_| one_card(16, Order::Posted)).collect();
    assert!(all.iter().all(|(netmap, _, _)| netmap.interfaces().len() == 1 && netmap.memory().held == 32));
    assert_eq!(HeapPlatform::new(MEMORY).blocks_in_use(), 0);
}

#[test]
fn nothing_old_is_in_the_buffers_of_a_new_port() {
    let (netmap, mut port, _wire) = one_card(8, Order::Posted);
    for round in 0..2 {
        for mut slot in port.tx_rings()[0].slots() {
            let len = usize::from(slot.capacity());
            assert!(slot.set_len(len).unwrap().iter().all(|byte| *byte == 0), "round {round}");
            slot.frame_mut().fill(0x77);
        }
        drop(port);
        port = netmap.open("em0").unwrap();
    }
}

#[test]
fn an_interface_can_have_memory_of_its_own() {
    let (_, netmap) = netmap(4096);
    let sizes = netmap.tunables().private.enlarged_for(2, 64, 0);
    let private = netmap.regions().create("em0", sizes).unwrap();
    let (nic, wire) = card(CardSpec::new(1, 64, Order::Posted));
    netmap.attach_as("em0", Attachment::rings(nic).in_region(&private)).unwrap();
    let (other, _other_wire) = card(CardSpec::new(2, 64, Order::Posted));
    netmap.attach("em1", other).unwrap();
    let (mut own, mut shared) = (netmap.open("em0").unwrap(), netmap.open("em1").unwrap());
    assert_eq!((private.report().held, netmap.memory().held), (128, 128));
    let (mut mine, mut theirs) =
        (own.tx_rings()[0].slots().next().unwrap(), shared.tx_rings()[0].slots().next().unwrap());
    assert_eq!(mine.swap(&mut theirs), Err(DifferentRegion));
    drop((own, shared));
    assert_all_home(&netmap, &[&wire]);
    assert_eq!((private.report().held, private.report().lost()), (0, 0));
}

#[test]
fn the_stack_s_frames_fit_the_memory_of_the_interface() {
    let (_, netmap) = netmap(4096);
    let sizes = Sizes { buf_size: 1024, ..netmap.tunables().private };
    let private = netmap.regions().create("em0", sizes).unwrap();
    let (nic, _wire) = card(CardSpec::new(1, 64, Order::Posted));
    let stack = Attachment::rings(nic).with_stack(FakeStack::new(), HostRings::default());
    netmap.attach_as("em0", stack.in_region(&private)).unwrap();
    let (_port, host) = (netmap.open("em0*").unwrap(), netmap.host("em0").unwrap());
    host.transmit(Outgoing::new(&frame(1, 960))).unwrap();
    assert_eq!(host.transmit(Outgoing::new(&frame(1, 961))), Err(TransmitError::TooLong));
}
