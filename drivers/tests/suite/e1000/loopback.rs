//! Frames through the driver and the model of the card, both ways.

use millrace_drivers::e1000::{Model, Offset, SLOTS, StartError};
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_driver::nic::{Mtu, Nic};

use super::bench::{Bench, CAPACITY, LONGEST, MODELS, frame, padded};

/// Frames of many lengths, none of which is padded.
fn frames(first: u32, count: u16) -> Vec<Vec<u8>> {
    (0..count).map(|i| frame(first + u32::from(i), 60 + usize::from(i) % 100)).collect()
}

/// Sends `count` frames in one batch, and expects them at the card.
fn send_batch(bench: &mut Bench, first: u32, count: u16) {
    let frames = frames(first, count);
    let doorbells = bench.device.doorbells(Ring::Transmit);
    assert!(frames.iter().all(|frame| bench.tx.push(frame)));
    let report = bench.tx.sync();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!(
        (report.packets, report.bytes, bench.tx.status.has_kicked),
        (count.into(), bytes as u64, true)
    );
    assert_eq!((bench.tx.sync().released, bench.tx.status.has_kicked), (0, false), "nothing new");
    assert_eq!(bench.device.doorbells(Ring::Transmit), doorbells + 1);
    assert_eq!(bench.device.transmit_all(), frames);
    assert_eq!((bench.tx.sync().released, bench.tx.outstanding()), (count.into(), 0));
}

/// Lets the card receive `count` frames, and expects them from the driver.
fn receive_batch(bench: &mut Bench, first: u32, count: u16) {
    // Enough of the 512 are posted; a model looks at all that it has.
    bench.rx.hold_back(u32::from(SLOTS) - 70);
    bench.rx.sync();
    for frame in frames(first, count) {
        assert!(bench.device.receive(&frame));
        assert_eq!(bench.rx.receive(), [frame]);
        bench.rx.sync();
        assert!(bench.rx.status.has_kicked);
        assert_eq!((bench.rx.receive().len(), bench.rx.status.has_kicked), (0, false), "nothing new");
    }
}

/// Lets the card fill all buffers, and expects the frames from the driver, in one batch.
fn receive_full(bench: &mut Bench, first: u32) {
    bench.rx.hold_back(0);
    bench.rx.sync();
    let frames = frames(first, SLOTS - 1);
    assert!(frames.iter().all(|frame| bench.device.receive(frame)));
    assert!(!bench.device.receive(&[0; 60]), "no buffer is left");
    let report = bench.rx.sync();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!((report.packets, report.bytes), ((SLOTS - 1).into(), bytes as u64));
    assert_eq!((report.short, report.long, report.damaged, report.bad_buffer), (0, 0, 0, None));
    assert_eq!(bench.rx.take(), frames);
    assert_eq!((bench.rx.sync().packets, bench.rx.outstanding()), (0, (SLOTS - 1).into()));
}

#[test]
fn frames_of_every_length_pass_byte_for_byte() {
    for model in MODELS {
        let mut bench = Bench::new(IntelSetup::of(model));
        bench.rx.hold_back(u32::from(SLOTS) - 10);
        for len in 1..=usize::from(CAPACITY) {
            let sent = frame(len as u32, len);
            assert!(bench.tx.push(&sent));
            assert_eq!(bench.tx.sync().packets, 1);
            assert_eq!(bench.device.transmit_all(), [padded(sent)], "{len} bytes");
            assert_eq!(bench.tx.sync().released, 1);
        }
        bench.rx.sync();
        for len in 14..=LONGEST {
            let sent = frame(len as u32, len);
            assert!(bench.device.receive(&sent), "{len} bytes");
            assert_eq!(bench.rx.receive(), [sent]);
        }
        bench.rx.sync();
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
            receive_full(&mut bench, round);
        }
        bench.finish();
    }
}

/// One slot of a ring stays free. The card's rings are a little longer, so that a full one never looks empty.
#[test]
fn a_full_ring_is_the_cards_and_comes_back_in_turn() {
    let mut bench = Bench::new(IntelSetup::default());
    for round in 0..3 {
        send_batch(&mut bench, round, SLOTS - 1);
        receive_full(&mut bench, round);
        let frames = frames(round, SLOTS - 1 + 128);
        let (full, behind) = frames.split_at(usize::from(SLOTS) - 1);
        assert!(full.iter().all(|frame| bench.tx.push(frame)));
        let report = bench.tx.sync();
        assert_eq!((report.packets, report.is_full, bench.tx.free()), ((SLOTS - 1).into(), false, 0));
        assert!(!bench.tx.push(&behind[0]), "no slot is free");
        assert_eq!(bench.device.owned(Ring::Transmit), usize::from(SLOTS) - 1);
        for (number, frame) in full.iter().enumerate() {
            assert_eq!(bench.device.transmit().as_ref(), Some(frame), "{number}");
            // Two groups: what is behind them takes their place at once.
            if number == 127 {
                assert_eq!(bench.tx.sync().released, 128);
                assert!(behind.iter().all(|frame| bench.tx.push(frame)));
                let report = bench.tx.sync();
                assert_eq!((report.packets, report.is_full, report.released), (128, false, 0));
                assert_eq!((bench.tx.outstanding(), bench.tx.free()), ((SLOTS - 1).into(), 0));
            }
        }
        assert_eq!(bench.device.transmit_all(), behind);
        assert_eq!((bench.tx.sync().released, bench.tx.outstanding()), ((SLOTS - 1).into(), 0));
    }
    bench.finish();
}

#[test]
fn a_long_batch_is_reported_in_parts_and_a_short_one_at_its_end() {
    let mut bench = Bench::new(IntelSetup::default());
    const LAST: u16 = SLOTS - 1;
    assert!((0..LAST).all(|number| bench.tx.push(&frame(number.into(), 60))));
    bench.tx.sync();
    let mut back = 0;
    for sent in 1..=LAST {
        bench.device.transmit().unwrap();
        back += bench.tx.sync().released as u16;
        assert_eq!(back, if sent == LAST { LAST } else { sent / 64 * 64 }, "after {sent} frames");
    }
    assert!((0..10).all(|number| bench.tx.push(&frame(number, 60))));
    bench.tx.sync();
    for sent in 1..=10 {
        bench.device.transmit().unwrap();
        assert_eq!(bench.tx.sync().released, if sent == 10 { 10 } else { 0 }, "after {sent} frames");
    }
    bench.finish();
}

#[test]
fn nothing_is_sent_or_taken_back_before_the_sync() {
    let mut bench = Bench::new(IntelSetup::default());
    assert!((0..100).all(|_| bench.tx.push(&frame(1, 60))));
    assert_eq!(bench.device.transmit_all(), Vec::<Vec<u8>>::new());
    assert_eq!((bench.device.owned(Ring::Transmit), bench.device.owned(Ring::Receive)), (0, 0));
    // A card that reports what it does not know of is not believed.
    for position in 0..520 {
        bench.device.scribble(Ring::Transmit, position, !0);
        bench.device.scribble(Ring::Receive, position, !0);
    }
    assert_eq!((bench.tx.sync().released, bench.rx.sync().packets), (0, 0));
    assert_eq!((bench.tx.sync().released, bench.rx.sync().packets), (0, 0), "also not behind the doorbell");
    assert_eq!(bench.device.transmit_all().len(), 100);
    assert_eq!(bench.tx.sync().released, 100);
    bench.finish();
}

#[test]
fn short_frames_take_two_descriptors_and_carry_nothing_old() {
    let mut bench = Bench::new(IntelSetup::default());
    // 259 times two are 518 of 519.
    let sent: Vec<_> = (0..300).map(|number| frame(number, 14 + number as usize % 46)).collect();
    assert!(sent.iter().all(|frame| bench.tx.push(frame)));
    let report = bench.tx.sync();
    assert_eq!((report.packets, report.is_full, bench.tx.pending()), (259, true, 41));
    for frame in &sent[..259] {
        let expected = padded(frame.clone());
        assert_eq!(bench.device.transmit().unwrap(), expected, "zeros and not what was in the buffer");
    }
    let report = bench.tx.sync();
    assert_eq!((report.packets, report.is_full, report.released), (41, false, 259));
    for frame in &sent[259..] {
        assert_eq!(bench.device.transmit().unwrap(), padded(frame.clone()));
    }
    assert_eq!(bench.tx.sync().released, 41);
    bench.finish();
}

#[test]
fn a_length_beyond_the_buffer_or_none_is_dropped_and_counted() {
    let mut bench = Bench::new(IntelSetup::default());
    let longest = frame(1, CAPACITY.into());
    assert!(bench.tx.push(&longest) && bench.tx.push(&frame(2, usize::from(CAPACITY) + 1)));
    assert!(bench.tx.push(&[]) && bench.tx.push(&longest));
    let report = bench.tx.sync();
    assert_eq!((report.packets, report.invalid, report.released), (2, 2, 0));
    assert_eq!(bench.device.transmit_all(), [longest.clone(), longest]);
    assert_eq!(bench.tx.sync().released, 4);
    bench.finish();
}

/// The model complains if the card could write behind the last buffer, which ends where its memory does.
#[test]
fn buffers_of_every_size_are_filled_as_far_as_the_card_can_be_told() {
    for mtu in [Mtu::ETHERNET, Mtu::MAX] {
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
            let mut bench = Bench::with_buffers(IntelSetup::default(), capacity, mtu);
            bench.rx.sync();
            let sent = frame(1, longest);
            assert!(bench.device.receive(&sent));
            assert_eq!(bench.rx.receive(), [sent], "{longest} bytes into buffers of {capacity}");
            // A longer one goes over several buffers.
            let long = frame(2, longest + 1);
            let is_taken = mtu > Mtu::ETHERNET || !(LONGEST..2048).contains(&longest);
            assert_eq!(bench.device.receive(&long), is_taken);
            assert!(bench.device.receive(&frame(3, 100)));
            let mut seen = bench.rx.receive();
            assert_eq!(seen.pop(), Some(frame(3, 100)), "the next is whole again");
            assert_eq!(seen, if is_taken { vec![long] } else { vec![] });
            assert_eq!(bench.rx.status.refused, 0, "all of this is what a card may do");
            bench.finish();
        }
    }
}

#[test]
fn buffers_that_no_limit_fits_are_refused_and_leave_reception_off() {
    for buffer_len in [0, 14, 192, 255] {
        let mut bench = Bench::new(IntelSetup::default());
        let mut params = crate::rings::params(&bench.nic, buffer_len);
        for mtu in [Mtu::ETHERNET, Mtu::MAX] {
            params.mtu = mtu;
            let error = bench.nic.start(&params).map(drop).unwrap_err();
            assert_eq!(error, StartError::BufferTooSmall(buffer_len));
            let message = format!(
                "buffers with room for {buffer_len} bytes are too small for the card; netmap.buf_size must be at least 320"
            );
            assert_eq!(error.to_string(), message);
            assert!(!bench.device.is_running());
            assert_eq!(bench.device.value(Offset::Rctl), 0);
        }
        bench.restart();
        send_batch(&mut bench, 0, 1);
        receive_batch(&mut bench, 0, 1);
        bench.finish();
    }
}

/// It holds the size of buffers: a card that learnt of a buffer before it would write as much as it was told last, or by default.
#[test]
fn the_receive_control_is_written_once_before_any_buffer_is_known() {
    for (buffer_len, mtu, expected) in [
        // EN, UPE, MPE, BAM, SECRC; no LPE, no size (2048), no SBP, no VFE, no loopback.
        (1984, Mtu::ETHERNET, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15 | 1 << 26),
        // With LPE, and 1024 as the size.
        (1984, Mtu::MAX, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15 | 1 << 26 | 1 << 5 | 1 << 16),
        // With LPE, and 8192 as the size, times 16 (BSEX).
        (8192, Mtu::MAX, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15 | 1 << 26 | 1 << 5 | 2 << 16 | 1 << 25),
    ] {
        let mut bench = Bench::with_buffers(IntelSetup::default(), buffer_len, mtu);
        assert_eq!((bench.device.writes(Offset::Rctl), bench.device.value(Offset::Rctl)), (1, expected));
        assert_eq!((bench.device.owned(Ring::Receive), bench.device.value(Offset::Rdt)), (0, 0));
        for round in 0..5 {
            receive_batch(&mut bench, round, 100);
        }
        assert_eq!((bench.device.writes(Offset::Rctl), bench.device.value(Offset::Rctl)), (1, expected));
        assert_eq!(bench.device.value(Offset::Ctrl) >> 30 & 1, 0, "no tags are taken out");
        assert_eq!(bench.device.value(Offset::Rxcsum), 0);
        bench.finish();
    }
}
