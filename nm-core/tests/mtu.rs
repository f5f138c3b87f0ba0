//! The MTU of an interface: where it comes from, what it refuses at open, which frames it lets pass.
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]

mod common;

use common::{assert_all_home, frame, netmap};
use nm_core::nic::Mtu;
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::tunables::Sizes;
use nm_core::{Attachment, MtuError, Netmap, OpenError, errno};

fn mtu(bytes: u16) -> Mtu {
    Mtu::new(bytes).unwrap()
}

/// A netmap with the interface `em0`: the MTU that its card reports, how its card spreads frames, its own MTU.
fn interface(reported: Option<u16>, scatter_min: Option<u16>, wanted: Option<u16>) -> (Netmap, Wire) {
    let (_, netmap) = netmap(4096);
    let mut spec = CardSpec::new(1, 32, Order::Posted);
    (spec.info.mtu, spec.info.scatter_min) = (reported.map(mtu), scatter_min);
    let (nic, wire) = card(spec);
    let attachment = Attachment::rings(nic);
    let attachment = match wanted {
        Some(bytes) => attachment.with_mtu(mtu(bytes)),
        None => attachment,
    };
    netmap.attach_as("em0", attachment).unwrap();
    (netmap, wire)
}

#[test]
fn it_is_the_configured_one_else_the_card_s_else_1500() {
    for (reported, wanted, expected) in [
        (None, None, 1500),
        (Some(1280), None, 1280),
        (Some(9000), None, 9000),
        (None, Some(9000), 9000),
        (Some(9000), Some(68), 68),
    ] {
        let (netmap, wire) = interface(reported, Some(1), wanted);
        let info = netmap.interfaces().remove(0);
        assert_eq!(info.mtu.get(), expected);
        assert!(info.to_string().contains(&format!(" link=up mtu={expected} ")), "{info}");
        let port = netmap.open("em0").unwrap();
        assert_eq!(netmap.interfaces()[0].mtu.get(), expected);
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn one_above_the_card_s_is_refused_at_open() {
    let (netmap, _wire) = interface(Some(1500), Some(1), Some(1501));
    let error = netmap.open("em0").unwrap_err();
    let cause = MtuError::AboveCard { mtu: mtu(1501), most: mtu(1500) };
    assert!(matches!(&error, OpenError::Mtu { cause: found, .. } if *found == cause), "{error:?}");
    let text = "em0: mtu=1501 is above the MTU that the card reports; use mtu=1500 or less";
    assert_eq!((error.to_string().as_str(), error.errno()), (text, errno::EINVAL));
}

#[test]
fn a_frame_that_fits_no_buffer_needs_a_card_that_spreads_it_over_several() {
    let refused = |scatter_min, wanted| {
        let (netmap, _wire) = interface(None, scatter_min, Some(wanted));
        let outcome = netmap.open("em0").map(drop);
        outcome.map_err(|error| (error.to_string(), error.errno()))
    };
    // Buffers of 1984 bytes: 1962 and 22.
    for (scatter_min, wanted) in [(None, 1962), (Some(u16::MAX), 1962), (Some(1984), 9000), (Some(1), 9000)] {
        assert_eq!(refused(scatter_min, wanted), Ok(()), "{scatter_min:?} {wanted}");
    }
    let begin = "em0: with mtu=1963 a frame has up to 1985 bytes, and a receive buffer 1984 (netmap.buf_size=2048); the card needs";
    let needs = [
        (None, "netmap.buf_size=2112 or more, or mtu=1962 or less"),
        (Some(1985), "netmap.buf_size=2112 or more"),
    ];
    for (scatter_min, end) in needs {
        assert_eq!(refused(scatter_min, 1963), Err((format!("{begin} {end}"), errno::EINVAL)));
    }
}

#[test]
fn a_frame_has_at_most_64_slots() {
    let (_, netmap) = netmap(4096);
    let sizes = Sizes { buf_size: 256, buf_num: 64, ..Sizes::default() };
    let region = netmap.regions().create("em0", sizes).unwrap();
    let (nic, _wire) = card(CardSpec::new(1, 8, Order::Posted));
    // 9022 bytes in 64 slots are 141 each.
    let attachment = Attachment::rings(nic).in_region(&region).with_mtu(Mtu::MAX);
    netmap.attach_as("em0", attachment).unwrap();
    netmap.open("em0").unwrap();
}

#[test]
fn a_longer_frame_is_dropped_and_counted_both_ways() {
    for bytes in [68, 1500, 1962, 9000] {
        let (netmap, wire) = interface(None, Some(1), Some(bytes));
        let mut port = netmap.open("em0").unwrap();
        let longest = usize::from(bytes) + 22;
        let (tx, rx) = port.rings();
        let (tx, rx) = (&mut tx[0], &mut rx[0]);
        [longest + 1, longest, longest + 100, 60].iter().for_each(|&len| wire.send(&frame(1, len)));
        rx.rxsync().unwrap();
        let arrived: Vec<u8> = rx.slots().flat_map(|slot| slot.frame().to_vec()).collect();
        assert_eq!(arrived, [frame(1, longest), frame(1, 60)].concat(), "MTU {bytes}");
        assert_eq!((rx.counters().packets.get(), rx.counters().drop_long.get()), (2, 2));
        rx.advance(rx.window());
        rx.rxsync().unwrap();
        // What fits a slot; frames of several are tested with the slots.
        if longest < 1984 {
            for (mut slot, len) in tx.slots().zip([longest + 1, longest, 60]) {
                slot.copy_from(&frame(2, len)).unwrap();
            }
            tx.advance(3);
            tx.txsync().unwrap();
            assert_eq!(wire.sent(), [frame(2, longest), frame(2, 60)]);
            assert_eq!((tx.counters().drop_long.get(), tx.counters().drop_invalid.get()), (1, 0));
        }
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn a_reset_changes_nothing_of_it() {
    let (netmap, wire) = interface(None, Some(1), Some(100));
    let mut port = netmap.open("em0").unwrap();
    netmap.reset("em0").unwrap();
    [123, 122].iter().for_each(|&len| wire.send(&frame(1, len)));
    let (tx, rx) = port.rings();
    rx[0].rxsync().unwrap();
    assert_eq!((rx[0].window(), rx[0].counters().drop_long.get()), (1, 1));
    for (mut slot, len) in tx[0].slots().zip([123, 122]) {
        slot.copy_from(&frame(2, len)).unwrap();
    }
    tx[0].advance(2);
    tx[0].txsync().unwrap();
    assert_eq!((wire.sent(), tx[0].counters().drop_long.get()), (vec![frame(2, 122)], 1));
}
