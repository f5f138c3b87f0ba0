//! Frames through the driver and the model of the card, both ways.

use millrace_drivers::e1000::{Model, Offset, SLOTS};
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_core::nic::{Content, Received};

use super::bench::{Bench, CAPACITY, LONGEST, MODELS, frame, padded};

/// Sends `count` frames in one batch, and expects them at the card.
fn send_batch(bench: &mut Bench, first: u32, count: u16) {
    let frames: Vec<_> = (0..count).map(|i| frame(first + u32::from(i), 60 + usize::from(i) % 100)).collect();
    let doorbells = bench.device.doorbells(Ring::Transmit);
    for (id, frame) in (0..).zip(&frames) {
        assert!(bench.put(id, frame));
    }
    assert!(bench.tx.kick());
    assert!(!bench.tx.kick(), "nothing new");
    assert_eq!(bench.device.doorbells(Ring::Transmit), doorbells + 1);
    assert_eq!(bench.device.transmit_all(), frames);
    assert_eq!(bench.reclaim_all(), (0..count).collect::<Vec<_>>());
}

/// Lets the card receive `count` frames, and expects them from the driver.
fn receive_batch(bench: &mut Bench, first: u32, count: u16) {
    for id in 0..count {
        assert!(bench.give(id));
    }
    assert!(bench.rx.kick());
    assert!(!bench.rx.kick(), "nothing new");
    for i in 0..count {
        let frame = frame(first + u32::from(i), 60 + usize::from(i) % 100);
        assert!(bench.device.receive(&frame));
        assert_eq!(bench.take(), Some((i, frame)));
    }
    assert_eq!(bench.take(), None);
    assert!(!bench.device.receive(&[0; 60]), "no buffer is left");
}

#[test]
fn frames_of_every_length_pass_byte_for_byte() {
    for model in MODELS {
        let mut bench = Bench::new(IntelSetup::of(model));
        for len in 1..=usize::from(CAPACITY) {
            let sent = frame(len as u32, len);
            assert!(bench.put(7, &sent));
            assert!(bench.tx.kick());
            assert_eq!(bench.device.transmit_all(), [padded(sent)], "{len} bytes");
            assert_eq!(bench.reclaim_all(), [7]);
        }
        let mut id = 0;
        for len in 14..=LONGEST {
            let sent = frame(len as u32, len);
            assert!(bench.give(id));
            bench.rx.kick();
            assert!(bench.device.receive(&sent), "{len} bytes");
            assert_eq!(bench.take(), Some((id, sent)));
            id = (id + 1) % SLOTS;
        }
        assert!(bench.give(id));
        bench.rx.kick();
        assert!(!bench.device.receive(&frame(1, LONGEST + 1)), "the card was told to take no longer ones");
        bench.finish();
    }
}

#[test]
fn rings_wrap_around_at_every_place() {
    for model in [Model::I82540em, Model::I82574l] {
        let mut bench = Bench::new(IntelSetup::of(model));
        // 520 batches of a size that has no divisor in common with the ring's 520 begin at each place once, and end there.
        for count in [1, 7, 63] {
            for round in 0..520 {
                send_batch(&mut bench, round * 100, count);
                receive_batch(&mut bench, round * 100, count);
            }
        }
        for round in 0..10 {
            send_batch(&mut bench, round, SLOTS - 1);
            receive_batch(&mut bench, round, SLOTS - 1);
        }
        bench.finish();
    }
}

#[test]
fn a_full_ring_holds_all_slots_and_no_more() {
    let mut bench = Bench::new(IntelSetup::default());
    for _ in 0..3 {
        send_batch(&mut bench, 1, SLOTS);
        receive_batch(&mut bench, 1, SLOTS);
    }
    // The rings are a little longer than that, so that a full one never looks empty. They end all the same.
    let room = |bench: &mut Bench| {
        let given = (0..2000).take_while(|_| bench.give(0)).count();
        let put = (0..2000).take_while(|_| bench.put(0, &[1; 60])).count();
        (given, put)
    };
    // Never kicked: the same buffer over and over would break a rule.
    assert_eq!(room(&mut bench), (519, 519), "one of 520 descriptors is never the card's");
    assert_eq!(room(&mut bench), (0, 0));
}

#[test]
fn ids_come_back_as_they_were_given_in_whatever_order_they_are() {
    let mut bench = Bench::new(IntelSetup::default());
    let ids: Vec<u16> = (0..SLOTS).map(|i| (i * 77 + 5) % SLOTS).collect();
    for &id in &ids {
        assert!(bench.give(id) && bench.put(id, &frame(id.into(), 64)));
    }
    assert!(bench.rx.kick() && bench.tx.kick());
    for &id in &ids {
        assert_eq!(bench.device.transmit().unwrap(), frame(id.into(), 64));
        assert!(bench.device.receive(&frame(u32::from(id) + 1, 70)));
        assert_eq!(bench.take(), Some((id, frame(u32::from(id) + 1, 70))));
    }
    assert_eq!(bench.reclaim_all(), ids);
    bench.finish();
}

#[test]
fn a_long_batch_is_reported_in_parts_and_a_short_one_at_its_end() {
    let mut bench = Bench::new(IntelSetup::default());
    for id in 0..SLOTS {
        assert!(bench.put(id, &frame(id.into(), 60)));
    }
    bench.tx.kick();
    let mut back = 0;
    for sent in 1..=SLOTS {
        bench.device.transmit().unwrap();
        back += bench.reclaim_all().len() as u16;
        assert_eq!(back, sent / 64 * 64, "after {sent} frames");
    }
    for id in 0..10 {
        assert!(bench.put(id, &frame(id.into(), 60)));
    }
    bench.tx.kick();
    for sent in 1..=10 {
        bench.device.transmit().unwrap();
        let expected: Vec<u16> = if sent == 10 { (0..10).collect() } else { vec![] };
        assert_eq!(bench.reclaim_all(), expected, "after {sent} frames");
    }
    bench.finish();
}

#[test]
fn nothing_is_sent_or_taken_back_before_the_kick() {
    let mut bench = Bench::new(IntelSetup::default());
    for id in 0..100 {
        assert!(bench.put(id, &frame(1, 60)));
    }
    assert!(bench.give(0));
    assert_eq!(bench.device.transmit_all(), Vec::<Vec<u8>>::new());
    assert_eq!((bench.device.owned(Ring::Transmit), bench.device.owned(Ring::Receive)), (0, 0));
    // A card that reports what it does not know of is not believed.
    for position in 0..520 {
        bench.device.scribble(Ring::Transmit, position, !0);
    }
    assert_eq!(bench.tx.reclaim(), None);
}

#[test]
fn short_frames_take_two_descriptors_and_carry_nothing_old() {
    let mut bench = Bench::new(IntelSetup::default());
    // 259 times two are 518 of 519.
    let sent = (0..).take_while(|&id| bench.put(id, &frame(id.into(), 14 + usize::from(id) % 46))).count();
    assert_eq!(sent, 259);
    assert!(bench.put(300, &frame(300, 60)), "and one more that needs one");
    bench.tx.kick();
    for id in 0..259 {
        let expected = padded(frame(id, 14 + id as usize % 46));
        assert_eq!(bench.device.transmit().unwrap(), expected, "zeros and not what was in the buffer");
    }
    assert_eq!(bench.device.transmit().unwrap(), frame(300, 60));
    assert_eq!(bench.reclaim_all(), (0..259).chain([300]).collect::<Vec<_>>());
    assert!(!bench.put(0, &[]), "a frame without bytes is none");
    bench.finish();
}

#[test]
fn a_length_beyond_the_buffer_is_cut() {
    let mut bench = Bench::new(IntelSetup::default());
    bench.tx.put(0, bench.buffers.lend(0), u16::MAX).unwrap();
    bench.tx.kick();
    assert_eq!(bench.device.transmit().unwrap().len(), usize::from(CAPACITY));
    bench.finish();
}

/// The model complains if the card could write behind the last buffer, which ends where its memory does.
#[test]
fn buffers_of_every_size_are_filled_as_far_as_the_card_can_be_told() {
    for (capacity, longest) in [
        (256, 256),
        (320, 256),
        (512, 512),
        (1024, 1024),
        (1521, 1024),
        (2048, 2048),
        (4032, 2048),
        (9000, 8192),
    ] {
        let mut bench = Bench::with_capacity(IntelSetup::default(), capacity);
        for id in 0..SLOTS {
            assert!(bench.give(id));
        }
        bench.rx.kick();
        let sent = frame(1, longest);
        assert!(bench.device.receive(&sent));
        assert_eq!(bench.take(), Some((0, sent)), "{longest} bytes into buffers of {capacity}");
        // A longer one goes over several buffers, and is in none of them.
        if !(LONGEST..2048).contains(&longest) {
            assert!(bench.device.receive(&frame(2, longest + 1)));
            for id in 1..3 {
                assert_eq!(bench.rx.take(), Some(Received { id, content: Content::Damaged }));
            }
        }
        assert!(bench.device.receive(&frame(3, 100)));
        assert_eq!(bench.take().map(|(_, frame)| frame), Some(frame(3, 100)), "the next is whole again");
        assert_eq!(bench.rx.health().refused, 0, "all of this is what a card may do");
        bench.finish();
    }
}

#[test]
fn buffers_that_no_limit_fits_are_refused_and_leave_reception_off() {
    for capacity in [192, 255, 16289, 32704] {
        let mut bench = Bench::with_capacity(IntelSetup::default(), capacity);
        assert!(!bench.give(0));
        assert!(!bench.rx.kick());
        assert_eq!(bench.device.value(Offset::Rctl), 0);
        bench.finish();
    }
}

#[test]
fn the_receive_control_is_written_once_and_lets_everything_in_as_it_is() {
    let mut bench = Bench::new(IntelSetup::default());
    assert_eq!(bench.device.writes(Offset::Rctl), 0, "no reception without buffers");
    for round in 0..5 {
        receive_batch(&mut bench, round, 100);
    }
    assert_eq!(bench.device.writes(Offset::Rctl), 1);
    // EN, UPE, MPE, BAM, SECRC; no LPE, no size (2048), no SBP, no VFE, no loopback.
    let expected = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15 | 1 << 26;
    assert_eq!(bench.device.value(Offset::Rctl), expected);
    assert_eq!(bench.device.value(Offset::Ctrl) >> 30 & 1, 0, "no tags are taken out");
    assert_eq!(bench.device.value(Offset::Rxcsum), 0);
    bench.finish();
}
