//! Host rings: frames between ports and the machine's own stack, and all that can keep them from it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use common::{Hosted, assert_all_home, frame, netmap, with_stack};
use nm_core::host::{HostRings, Offload, Outgoing, TransmitError};
use nm_core::testing::{CardSpec, FakeStack, Order, card};
use nm_core::{AttachError, Attachment, OpenError, SyncError, TxRing, errno};
use proptest::prelude::*;

const ONE: HostRings = HostRings { tx: 1, rx: 1, slots: 8 };

fn send(ring: &mut TxRing, frames: &[Vec<u8>]) {
    for (mut slot, frame) in ring.slots().zip(frames) {
        slot.copy_from(frame).unwrap();
    }
    assert_eq!(ring.advance(frames.len() as u32), frames.len() as u32);
    ring.txsync().unwrap();
}

#[test]
fn names_choose_between_the_rings_of_card_and_stack() {
    let two = HostRings { tx: 1, rx: 2, slots: 16 };
    let Hosted { netmap, wire, .. } = with_stack(32, Order::Posted, two);
    let mut host = netmap.open("netmap:em0^").unwrap();
    let shape: Vec<_> =
        host.host_rx_rings().iter().map(|r| (r.is_host(), r.number(), r.num_slots())).collect();
    assert_eq!(shape, [(true, 0, 16), (true, 1, 16)]);
    assert_eq!((host.host_tx_rings().len(), host.tx_rings().len(), host.rx_rings().len()), (1, 0, 0));
    // The card's rings are another port's to take, the host's are not.
    let card = netmap.open("netmap:em0").unwrap();
    let busy = netmap.open("netmap:em0^1").unwrap_err();
    assert_eq!(
        (busy.to_string().as_str(), busy.errno()),
        ("host ring 1 of em0 is in use by another port", errno::EBUSY)
    );
    assert_eq!(netmap.open("em0*").unwrap_err().to_string(), "ring 0 of em0 is in use by another port");
    drop(card);
    assert_eq!(netmap.open("em0*").unwrap_err().errno(), errno::EBUSY);
    drop(host);
    let mut one = netmap.open("em0^1").unwrap();
    assert_eq!((one.host_tx_rings().len(), one.host_rx_rings()[0].number()), (0, 1));
    drop(one);
    let none = netmap.open("em0^2").unwrap_err();
    assert_eq!(
        none.to_string(),
        "em0 has no host ring 2; it has 1 host transmit and 2 host receive rings, from 0"
    );
    let (tx, rx) = netmap.open("netmap:em0*").unwrap().split();
    let kinds = |rings: Vec<bool>| rings;
    assert_eq!(kinds(tx.iter().map(|r| r.is_host()).collect()), [false, true]);
    assert_eq!(kinds(rx.iter().map(|r| r.is_host()).collect()), [false, true, true]);
    drop((tx, rx));
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn host_rings_need_a_stack_and_sensible_numbers() {
    let (_, netmap) = netmap(4096);
    netmap.attach("em0", card(CardSpec::new(1, 8, Order::Posted)).0).unwrap();
    for name in ["em0^", "em0*", "em0^0"] {
        let error = netmap.open(name).unwrap_err();
        assert!(matches!(&error, OpenError::NoHostRings(name) if name == "em0"), "{name}");
        assert_eq!(error.to_string(), "em0 has no host rings: it was attached without a stack");
        assert_eq!(error.errno(), errno::EINVAL);
    }
    assert!(netmap.host("em0").is_none());
    let none = HostRings { rx: 0, ..HostRings::default() };
    let (nic, _) = card(CardSpec::new(2, 8, Order::Posted));
    let error =
        netmap.attach_as("em1", Attachment::rings(nic).with_stack(FakeStack::new(), none)).unwrap_err();
    assert_eq!((&error, error.errno()), (&AttachError::HostRings("em1".into()), errno::EINVAL));
    assert_eq!(error.to_string(), "em1 needs 1 to 64 host rings each way, of 2 to 1024 slots");
    for (tx, rx) in [(65535, 1), (1, 65535)] {
        let (nic, _) = card(CardSpec::new(2, 8, Order::Posted).with_queues(tx, rx));
        let error =
            netmap.attach_as("em1", Attachment::rings(nic).with_stack(FakeStack::new(), ONE)).unwrap_err();
        assert_eq!((&error, error.errno()), (&AttachError::TooManyRings("em1".into()), errno::EINVAL));
        assert_eq!(error.to_string(), "em1 has more than 65535 rings of the card and the host one way");
    }
    let (nic, _) = card(CardSpec::new(2, 8, Order::Posted).with_queues(65534, 1));
    netmap.attach_as("em1", Attachment::rings(nic).with_stack(FakeStack::new(), ONE)).unwrap();
    let error = netmap.open("em1*").unwrap_err().to_string();
    assert_eq!(error, "the if pool has objects of 1024 bytes, 524352 are needed (tunable if_size)");
    let (nic, _) = card(CardSpec::new(3, 8, Order::Posted));
    netmap.attach_as("em2", Attachment::rings(nic).with_stack(FakeStack::new(), ONE)).unwrap();
    assert_eq!(netmap.host("em2").unwrap().name(), "em2");
}

#[test]
fn frames_of_a_port_go_up_whole_and_in_order() {
    let Hosted { netmap, wire, stack, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0^").unwrap();
    let tx = &mut port.host_tx_rings()[0];
    let lengths = [14, 15, 60, 1514, 1984, 0, 13];
    for round in 0..5 {
        let frames: Vec<_> = lengths.iter().map(|len| frame(round, *len)).collect();
        send(tx, &frames);
        assert_eq!(stack.last_interface().as_deref(), Some("em0"));
        assert_eq!(stack.received(), frames[..5], "what is no frame is dropped");
        assert_eq!((tx.pending(), tx.window()), (0, 7), "a host ring is empty after each sync");
    }
    stack.set_room(Some(2));
    send(tx, &[frame(1, 60), frame(2, 60), frame(3, 60)]);
    assert_eq!(stack.received(), [frame(1, 60), frame(2, 60)]);
    assert_eq!(
        netmap.counters()[2].to_string(),
        "em0 host-tx0 packets=27 bytes=18055 syncs=6 drop_invalid=10 drop_refused=1"
    );
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn the_stacks_frames_are_netmaps_only_while_a_port_has_the_cards_ring() {
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let first = frame(1, 60);
    let transmit = || host.transmit(Outgoing::new(&first));
    assert_eq!(transmit(), Err(TransmitError::NotOurs));
    let mut port = netmap.open("em0^").unwrap();
    assert_eq!(transmit(), Err(TransmitError::NotOurs), "the host ring alone takes nothing from the stack");
    assert_eq!(TransmitError::NotOurs.errno(), None);
    let card = netmap.open("em0").unwrap();
    assert_eq!(transmit(), Ok(()));
    port.host_rx_rings()[0].rxsync().unwrap();
    assert_eq!(port.host_rx_rings()[0].slots().next().unwrap().frame(), first);
    drop(port);
    assert_eq!(transmit(), Err(TransmitError::Unread));
    drop(card);
    assert_eq!(transmit(), Err(TransmitError::NotOurs));
    assert_eq!(
        netmap.counters()[3].to_string(),
        "em0 host-rx0 packets=1 bytes=60 syncs=1 drop_short=0 drop_long=0 drop_full=0 drop_offload=0 drop_unread=1 \
         drop_unbound=0 drop_refused=0 forwarded=0"
    );
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn every_frame_that_is_refused_has_its_cause_counted() {
    let Hosted { netmap, host, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    let (short, long, fits) = (frame(1, 13), frame(2, 1985), frame(3, 1984));
    let refused = |frame, offload| host.transmit(Outgoing { frame, queue: 0, offload }).unwrap_err();
    assert_eq!(refused(&short, Offload::None), TransmitError::TooShort);
    assert_eq!(refused(&long, Offload::None), TransmitError::TooLong);
    assert_eq!(refused(&fits, Offload::Checksum), TransmitError::Offload(Offload::Checksum));
    let large = vec![0; 60_000];
    assert_eq!(refused(&large, Offload::Segmentation), TransmitError::Offload(Offload::Segmentation));
    (0..7).for_each(|_| host.transmit(Outgoing::new(&fits)).unwrap());
    assert_eq!(refused(&fits, Offload::None), TransmitError::Full);
    let rx = &mut port.host_rx_rings()[0];
    rx.rxsync().unwrap();
    assert_eq!(refused(&fits, Offload::None), TransmitError::Full, "frames in the ring take room");
    assert_eq!(TransmitError::Full.errno(), Some(errno::EBUSY));
    let c = rx.counters();
    let drops = [&c.drop_short, &c.drop_long, &c.drop_offload, &c.drop_full, &c.drop_unread].map(|d| d.get());
    assert_eq!(drops, [1, 1, 2, 2, 0]);
    assert_eq!((c.packets.get(), c.bytes.get()), (7, 7 * 1984));
    assert!(rx.slots().all(|slot| slot.frame() == fits));
    // A released slot makes room once the ring has taken it back.
    rx.advance(3);
    rx.rxsync().unwrap();
    (0..3).for_each(|_| host.transmit(Outgoing::new(&fits)).unwrap());
    assert_eq!(refused(&fits, Offload::None), TransmitError::Full);
}

#[test]
fn queues_are_spread_over_host_rings() {
    let Hosted { netmap, host, .. } = with_stack(8, Order::Posted, HostRings { rx: 3, ..ONE });
    let mut port = netmap.open("em0*").unwrap();
    for queue in [0, 1, 2, 3, 4, 65535] {
        host.transmit(Outgoing { queue, ..Outgoing::new(&frame(queue.into(), 60)) }).unwrap();
    }
    let seen = port.host_rx_rings().iter_mut().map(|rx| {
        rx.rxsync().unwrap();
        rx.slots().map(|slot| slot.frame().to_vec()).collect::<Vec<_>>()
    });
    let seen: Vec<_> = seen.collect();
    let expected = [vec![0, 3, 65535], vec![1, 4], vec![2]];
    assert_eq!(seen, expected.map(|numbers| numbers.into_iter().map(|n| frame(n, 60)).collect::<Vec<_>>()));
}

#[test]
fn a_host_ring_that_is_opened_again_is_as_new() {
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let _card = netmap.open("em0").unwrap();
    let mut port = netmap.open("em0^").unwrap();
    port.host_rx_rings()[0].set_transparent(true);
    for number in 0..5 {
        host.transmit(Outgoing::new(&frame(number, 60))).unwrap();
        if number == 2 {
            port.host_rx_rings()[0].rxsync().unwrap();
        }
    }
    drop(port);
    let mut port = netmap.open("em0^").unwrap();
    let rx = &mut port.host_rx_rings()[0];
    rx.rxsync().unwrap();
    assert_eq!((rx.window(), rx.counters().drop_unbound.get()), (0, 2));
    (0..7).for_each(|number| host.transmit(Outgoing::new(&frame(number, 60))).unwrap());
    rx.rxsync().unwrap();
    assert_eq!(rx.window(), 7, "all of the room is there again");
    drop((port, _card));
    // What waits when netmap mode ends is dropped too.
    let port = netmap.open("em0*").unwrap();
    host.transmit(Outgoing::new(&frame(9, 60))).unwrap();
    drop(port);
    let mut port = netmap.open("em0*").unwrap();
    let rx = &mut port.host_rx_rings()[0];
    rx.rxsync().unwrap();
    assert_eq!((rx.window(), rx.counters().drop_unbound.get()), (0, 3));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn host_rings_survive_a_reset_and_end_with_the_interface() {
    let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    host.transmit(Outgoing::new(&frame(1, 60))).unwrap();
    port.host_rx_rings()[0].rxsync().unwrap();
    host.transmit(Outgoing::new(&frame(2, 60))).unwrap();
    netmap.reset("em0").unwrap();
    let rx = &mut port.host_rx_rings()[0];
    rx.rxsync().unwrap();
    let seen: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
    assert_eq!(seen, [frame(1, 60), frame(2, 60)]);
    send(&mut port.host_tx_rings()[0], &[frame(3, 60)]);
    assert_eq!(stack.received(), [frame(3, 60)]);

    netmap.detach("em0").unwrap();
    assert_eq!(host.transmit(Outgoing::new(&frame(4, 60))), Err(TransmitError::Gone));
    assert_eq!(TransmitError::Gone.errno(), Some(errno::ENXIO));
    assert_eq!(port.host_rx_rings()[0].rxsync(), Err(SyncError::Gone));
    assert_eq!(port.host_tx_rings()[0].txsync(), Err(SyncError::Gone));
    assert_eq!(port.forward(), Err(SyncError::Gone));
    assert_eq!(port.host_rx_rings()[0].slots().count(), 2, "what was received stays readable");
    drop(port);
    assert_all_home(&netmap, &[&wire]);
    assert_eq!(host.transmit(Outgoing::new(&frame(5, 60))), Err(TransmitError::Gone));
    assert_eq!(Arc::strong_count(&stack), 1, "the stack has no other owner any more");
}

#[test]
fn a_failed_reset_is_gone_until_the_interface_is_opened_anew() {
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let port = netmap.open("em0*").unwrap();
    wire.set_starts(false);
    netmap.reset("em0").unwrap_err();
    let first = frame(1, 60);
    assert_eq!(host.transmit(Outgoing::new(&first)), Err(TransmitError::Gone));
    drop(port);
    wire.set_starts(true);
    let _port = netmap.open("em0*").unwrap();
    host.transmit(Outgoing::new(&first)).unwrap();
}

#[test]
fn a_stack_may_answer_while_it_is_given_a_frame() {
    let Hosted { netmap, stack, host, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    stack.answer(host);
    let frames: Vec<_> = (0..7).map(|number| frame(number, 60)).collect();
    send(&mut port.host_tx_rings()[0], &frames);
    assert_eq!(stack.answered(), [Ok(()); 7]);
    let rx = &mut port.host_rx_rings()[0];
    rx.rxsync().unwrap();
    assert!(rx.slots().map(|slot| slot.frame().to_vec()).eq(frames));
}

#[test]
fn host_rings_shrink_before_the_cards_and_all_before_a_refusal() {
    let (_, netmap) = netmap(2 + 600);
    let (nic, wire) = card(CardSpec::new(1, 128, Order::Posted));
    let attachment = Attachment::rings(nic).with_stack(FakeStack::new(), HostRings::default());
    netmap.attach_as("em0", attachment).unwrap();
    let mut port = netmap.open("em0*").unwrap();
    assert_eq!((port.tx_rings()[0].num_slots(), port.host_rx_rings()[0].num_slots()), (128, 128));
    assert_eq!(
        netmap.memory().to_string(),
        "buffers total=600 free=88 held=512 lost=0 spare=0 extra=0 resting=0 reclaimed=0 refused=0"
    );
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn the_stack_sends_while_the_ring_is_read() {
    const FRAMES: u64 = if cfg!(miri) { 100 } else { 20_000 };
    let Hosted { netmap, wire, host, .. } = with_stack(8, Order::Posted, ONE);
    let mut port = netmap.open("em0*").unwrap();
    let rx = &mut port.host_rx_rings()[0];
    let mut seen = 0;
    let full = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut full = 0;
            for number in 0..FRAMES {
                let bytes = frame(number, 60 + number as usize % 100);
                while let Err(error) = host.transmit(Outgoing::new(&bytes)) {
                    assert_eq!(error, TransmitError::Full);
                    full += 1;
                    thread::yield_now();
                }
            }
            full
        });
        while seen < FRAMES {
            rx.rxsync().unwrap();
            let count = rx.window();
            for slot in rx.slots() {
                assert_eq!(slot.frame(), frame(seen, 60 + seen as usize % 100));
                seen += 1;
            }
            rx.advance(count);
        }
        sender.join().unwrap()
    });
    assert_eq!((rx.counters().packets.get(), rx.counters().drop_full.get()), (FRAMES, full));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

#[derive(Debug, Clone)]
enum Op {
    Transmit { len: usize, queue: u16 },
    Read { ring: usize, release: u32 },
    Send { lengths: Vec<usize>, room: Option<usize> },
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![4 => 14usize..200, 1 => 0usize..20, 1 => 1980usize..1990];
    prop_oneof![
        5 => (len(), 0u16..5).prop_map(|(len, queue)| Op::Transmit { len, queue }),
        3 => (0usize..2, 0u32..9).prop_map(|(ring, release)| Op::Read { ring, release }),
        2 => (prop::collection::vec(len().prop_map(|len| len.min(1984)), 0..8), prop::option::of(0usize..6))
            .prop_map(|(lengths, room)| Op::Send { lengths, room }),
        1 => Just(Op::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    /// Against two lists: what the stack sent and was not released yet, and what it must have received.
    #[test]
    fn nothing_is_lost_changed_or_out_of_turn(ops in prop::collection::vec(op(), 1..80)) {
        let Hosted { netmap, wire, stack, host } = with_stack(8, Order::Posted, HostRings { rx: 2, ..ONE });
        let mut port = netmap.open("em0*").unwrap();
        let mut held = [VecDeque::new(), VecDeque::new()];
        let mut visible = [0u32; 2];
        let mut drops = [0u64; 3];
        for (number, op) in (0u64..).zip(ops) {
            match op {
                Op::Transmit { len, queue } => {
                    let (bytes, held) = (frame(number, len), &mut held[usize::from(queue % 2)]);
                    let expected = match len {
                        ..14 => Err(TransmitError::TooShort),
                        1985.. => Err(TransmitError::TooLong),
                        _ if held.len() == 7 => Err(TransmitError::Full),
                        _ => {
                            held.push_back(bytes.clone());
                            Ok(())
                        }
                    };
                    let causes = [TransmitError::TooShort, TransmitError::TooLong, TransmitError::Full];
                    drops.iter_mut().zip(causes).for_each(|(d, cause)| *d += u64::from(expected == Err(cause)));
                    prop_assert_eq!(host.transmit(Outgoing { queue, ..Outgoing::new(&bytes) }), expected);
                }
                Op::Read { ring, release } => {
                    let rx = &mut port.host_rx_rings()[ring];
                    let released = rx.advance(release);
                    prop_assert_eq!(released, release.min(visible[ring]));
                    rx.rxsync().unwrap();
                    held[ring].drain(..released as usize);
                    visible[ring] = held[ring].len() as u32;
                    prop_assert!(rx.slots().map(|slot| slot.frame().to_vec()).eq(held[ring].iter().cloned()));
                }
                Op::Send { lengths, room } => {
                    stack.set_room(room);
                    let frames: Vec<_> = lengths.iter().map(|len| frame(number, *len)).collect();
                    send(&mut port.host_tx_rings()[0], &frames);
                    let whole = frames.into_iter().filter(|frame| frame.len() >= 14);
                    prop_assert_eq!(stack.received(), whole.take(room.unwrap_or(9)).collect::<Vec<_>>());
                }
                Op::Reset => netmap.reset("em0").unwrap(),
            }
        }
        let sum = |counter: fn(&nm_core::stats::RingCounters) -> u64, port: &mut nm_core::Port| -> u64 {
            port.host_rx_rings().iter().map(|rx| counter(rx.counters())).sum()
        };
        prop_assert_eq!(sum(|c| c.drop_short.get(), &mut port), drops[0]);
        prop_assert_eq!(sum(|c| c.drop_long.get(), &mut port), drops[1]);
        prop_assert_eq!(sum(|c| c.drop_full.get(), &mut port), drops[2]);
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}
