//! Frames of several slots, both ways.

use millrace_drivers::testing::{IntelSetup, Ring};
use nm_driver::burst::FRAGMENTS_MAX;
use nm_driver::nic::Mtu;

use super::bench::{Bench, CAPACITY, frame, padded};

const DONE: u64 = 1 << 32;
const END: u64 = 1 << 33;
/// CE: the checksum is wrong.
const DAMAGED: u64 = 1 << 40;

/// The slots of a frame, with these lengths.
fn parts(number: u32, lens: &[usize]) -> Vec<Vec<u8>> {
    (0..).zip(lens).map(|(part, &len)| frame(number * 64 + part, len)).collect()
}

fn push(bench: &mut Bench, parts: &[Vec<u8>]) {
    assert!(bench.tx.push_fragments(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
}

/// Padded to 60 bytes where all slots together are shorter. Places move by all numbers of descriptors, past the end of the ring.
#[test]
fn a_frame_of_several_slots_leaves_as_one() {
    let mut bench = Bench::new(IntelSetup::default());
    let lens: [&[usize]; 9] = [
        &[1, 1],
        &[20, 20, 19],
        &[59, 1],
        &[60, 1],
        &[1, 60],
        &[14, 14, 14, 14, 14],
        &[1984, 1984, 1984, 1984, 1984, 1984, 1984, 1984],
        &[100],
        &[30],
    ];
    for round in 0..200u32 {
        let mut expected = Vec::new();
        let mut slots = 0;
        for (number, lens) in (0..).zip(&lens[..1 + round as usize % lens.len()]) {
            let parts = parts(round * 10 + number, lens);
            push(&mut bench, &parts);
            slots += parts.len() as u32;
            expected.push(padded(parts.concat()));
        }
        let report = bench.tx.sync();
        assert_eq!((report.packets as usize, report.invalid, report.unsupported), (expected.len(), 0, 0));
        assert_eq!(bench.device.transmit_all(), expected, "round {round}");
        assert_eq!((bench.tx.sync().released, bench.tx.outstanding()), (slots, 0));
    }
    bench.finish();
}

#[test]
fn a_frame_that_is_too_long_for_the_card_is_dropped_and_counted() {
    let mut bench = Bench::new(IntelSetup::default());
    // 16288 bytes are the most (section 3.3.3).
    let longest = parts(1, &[1984, 1984, 1984, 1984, 1984, 1984, 1984, 1984, 416]);
    let too_long = parts(2, &[1984, 1984, 1984, 1984, 1984, 1984, 1984, 1984, 417]);
    let most = parts(3, &[20; FRAGMENTS_MAX as usize]);
    let too_many = parts(4, &[20; FRAGMENTS_MAX as usize + 1]);
    for round in 0..20 {
        for parts in [&longest, &too_long, &most, &too_many] {
            push(&mut bench, parts);
        }
        let report = bench.tx.sync();
        assert_eq!((report.packets, report.unsupported, report.invalid), (2, 1, 1), "round {round}");
        assert_eq!(bench.device.transmit_all(), [longest.concat(), most.concat()]);
        assert_eq!(report.released + bench.tx.sync().released, 9 + 9 + 64 + 65);
    }
    bench.finish();
}

#[test]
fn a_frame_that_has_no_room_waits_as_a_whole() {
    let mut bench = Bench::new(IntelSetup::default());
    let (single, chain) = (frame(1, 60), parts(2, &[30; 10]));
    for _ in 0..20 {
        // Short frames have two descriptors: those of 250 are 500 of the 519 that there are.
        assert!((0..250).all(|_| bench.tx.push(&frame(3, 20))));
        assert_eq!(bench.tx.sync().packets, 250);
        push(&mut bench, &chain);
        assert!(bench.tx.push(&single));
        push(&mut bench, &chain);
        let report = bench.tx.sync();
        assert_eq!((report.packets, report.is_full, bench.tx.pending()), (2, true, 10));
        bench.device.transmit_all();
        let report = bench.tx.sync();
        assert_eq!((report.packets, report.is_full, report.released), (1, false, 261));
        assert_eq!(bench.device.transmit_all(), [chain.concat()]);
        assert_eq!(bench.tx.sync().released, 10);
    }
    bench.finish();
}

/// Though less than half of the ring's slots are outstanding, all descriptors are: they are taken back for what waits.
#[test]
fn short_frames_that_were_sent_make_room_in_the_next_sync() {
    let mut bench = Bench::new(IntelSetup::default());
    let chain = parts(2, &[30; 20]);
    for is_seen_full in [true, false].into_iter().cycle().take(20) {
        // 500 of the 519 descriptors.
        assert!((0..250).all(|_| bench.tx.push(&frame(3, 20))));
        assert_eq!(bench.tx.sync().packets, 250);
        push(&mut bench, &chain);
        if is_seen_full {
            let report = bench.tx.sync();
            assert_eq!((report.packets, report.is_full, bench.tx.pending()), (0, true, 20));
        }
        bench.device.transmit_all();
        let report = bench.tx.sync();
        assert_eq!((report.packets, report.is_full, report.released), (1, false, 250));
        assert_eq!(bench.device.transmit_all(), [chain.concat()]);
        assert_eq!(bench.tx.sync().released, 20);
    }
    bench.finish();
}

/// Buffers of the default length, of which the card uses 1024 bytes.
fn jumbo() -> Bench {
    let mut bench = Bench::with_buffers(IntelSetup::default(), CAPACITY, Mtu::MAX);
    bench.rx.sync();
    bench
}

#[test]
fn a_received_frame_may_have_several_buffers() {
    let mut bench = jumbo();
    for round in 0..150 {
        for len in [60, 1024, 1025, 1518, 1522, 2048, 2049, 9014, 9022] {
            let sent = frame(round + len as u32, len);
            assert!(bench.device.receive(&sent), "{len} bytes");
            let report = bench.rx.sync();
            assert_eq!((report.packets, report.bytes), (1, len as u64));
            assert_eq!(bench.rx.take(), [sent], "{len} bytes");
        }
        assert!(bench.rx.is_complete());
    }
    assert_eq!(bench.rx.status.refused, 0);
    bench.finish();
}

/// The tail of the ring moves when the last slot is there.
#[test]
fn a_received_frame_is_published_as_a_whole() {
    let mut bench = jumbo();
    for _ in 0..100 {
        for word in [DONE | 1024, DONE | 1024, DONE | 700] {
            bench.device.complete_falsely(Ring::Receive, word);
            assert_eq!((bench.rx.sync().packets, bench.rx.take().len()), (0, 0));
            assert!(bench.rx.is_complete());
        }
        bench.device.complete_falsely(Ring::Receive, DONE | END | 1);
        let report = bench.rx.sync();
        assert_eq!(
            (report.packets, report.bytes, report.short),
            (1, 2749, 0),
            "a short last slot is no short frame"
        );
        assert_eq!(bench.rx.take().iter().map(Vec::len).collect::<Vec<_>>(), [2749]);
    }
    bench.finish();
}

#[test]
fn a_received_frame_of_more_than_64_buffers_is_dropped_as_a_whole() {
    let mut bench = jumbo();
    let mut left = 0;
    for (buffers, is_taken) in [(63, true), (64, true), (65, false), (66, false), (129, false), (200, false)]
    {
        for _ in 1..buffers {
            bench.device.complete_falsely(Ring::Receive, DONE | 1024);
        }
        bench.device.complete_falsely(Ring::Receive, DONE | END | 100);
        let report = bench.rx.sync();
        assert_eq!((report.packets == 1, report.long == 1), (is_taken, !is_taken), "{buffers} buffers");
        assert_eq!((report.damaged, report.short), (0, 0));
        // Buffers that come back without a frame are posted again at once, with all that are free.
        let posted = if is_taken { 511 - buffers - left } else { 511 };
        assert_eq!(bench.rx.outstanding(), posted);
        assert_eq!(bench.rx.take().len(), usize::from(is_taken));
        // The next frame is as good as ever, and so are the buffers.
        let next = frame(buffers, 1500);
        assert!(bench.device.receive(&next));
        assert_eq!(bench.rx.receive(), [next]);
        bench.rx.sync();
        left = 511 - bench.rx.outstanding();
        assert!(left < 64, "free buffers are collected, up to an eighth of the ring");
        assert!(bench.rx.is_complete());
    }
    bench.finish();
}

#[test]
fn damage_at_the_end_of_a_frame_drops_all_of_it() {
    let mut bench = jumbo();
    for buffers in 1..20 {
        let whole = frame(buffers, 3000);
        assert!(bench.device.receive(&whole));
        for _ in 1..buffers {
            bench.device.complete_falsely(Ring::Receive, DONE | 1024);
        }
        bench.device.complete_falsely(Ring::Receive, DONE | END | DAMAGED | 100);
        assert!(bench.device.receive(&whole));
        let report = bench.rx.sync();
        assert_eq!((report.packets, report.damaged, report.long), (2, 1, 0), "{buffers} buffers");
        assert_eq!(
            bench.rx.outstanding(),
            511 - 6,
            "all but those of two frames: the others are posted again"
        );
        assert_eq!(bench.rx.take(), [whole.clone(), whole]);
        bench.rx.sync();
        assert!(bench.rx.is_complete());
    }
    bench.finish();
}
