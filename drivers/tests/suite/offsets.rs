//! Slots with offsets: devices read frames from there, and write them there.

use std::sync::Arc;

use millrace_drivers::testing::{IntelSetup, Setup};
use nm_driver::nic::{Mtu, StartParams};
use nm_driver::offsets::SlotOffsets;
use nm_driver::platform::Platform;
use nm_driver::testing::{RxRing, TxRing};

use crate::bench::{Bench, CAPACITY, frame};
use crate::e1000::bench as intel;
use crate::ways::Way;

in_every_way!(
    frames_leave_from_offsets_and_arrive_at_them,
    frames_of_several_slots_leave_from_offsets,
    frames_of_several_buffers_arrive_at_offsets,
);

/// The largest offset.
const MAX: u16 = 200;
/// Of all slots at first.
const INITIAL: u16 = 30;
/// With and without room for the header of a device, and at each place of a word.
const OFFSETS: [u16; 12] = [0, 1, 2, 5, 11, 12, 13, 16, 30, 63, 64, MAX];

/// The rings of queues that have nothing yet, with offsets.
fn with_offsets(platform: Arc<dyn Platform>, tx: TxRing, rx: RxRing) -> (TxRing, RxRing) {
    let offsets = SlotOffsets::new(MAX, 64).unwrap();
    let tx = tx.with_offsets(&platform, offsets, INITIAL).expect("memory for a ring");
    (tx, rx.with_offsets(&platform, offsets, INITIAL).expect("memory for a ring"))
}

fn bench<W: Way>(setup: Setup, change: impl FnOnce(&mut StartParams)) -> Bench<W> {
    let mut bench = Bench::<W>::with_params(setup, change);
    (bench.tx, bench.rx) = with_offsets(bench.machine.clone(), bench.tx, bench.rx);
    bench
}

/// More than a lap of the rings.
fn frames_leave_from_offsets_and_arrive_at_them<W: Way>() {
    let mut bench = bench::<W>(W::with_slots(8, 8), |_| {});
    bench.rx.sync();
    for (number, &offset) in (0..).zip(OFFSETS.iter().cycle().take(60)) {
        let sent = frame(number, 40 + number as usize);
        assert!(bench.tx.push_at(offset, &sent));
        // 16 bytes in front of a frame are the driver's.
        let before = bench.tx.in_front(offset);
        assert_eq!((bench.tx.sync().packets, bench.device.transmit_all()), (1, vec![sent.clone()]));
        let kept = usize::from(offset.saturating_sub(16));
        assert_eq!(bench.tx.in_front(offset)[..kept], before[..kept]);
        assert_eq!(bench.tx.sync().released, 1);

        assert!(bench.device.receive(&sent, 0));
        bench.rx.sync();
        let expected = if number < 8 { INITIAL } else { OFFSETS[(number as usize - 8) % OFFSETS.len()] };
        assert_eq!(bench.rx.offsets(), [expected], "frame {number}");
        bench.rx.release_at(offset);
        assert_eq!(bench.rx.take(), [sent]);
        bench.rx.sync();
    }
    assert_eq!((bench.tx.status.refused, bench.rx.status.refused), (0, 0));
    bench.finish();
}

/// A legacy device that wants the header apart gets no frame of several slots.
fn frames_of_several_slots_leave_from_offsets<W: Way>() {
    if W::DESCRIPTORS > 1 {
        return;
    }
    let mut bench = bench::<W>(W::with_slots(16, 16), |_| {});
    for round in 0..40 {
        let parts: Vec<_> = (0..3).map(|part| frame(round * 3 + part, 50)).collect();
        assert!(bench.tx.push_fragments(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        assert_eq!((bench.tx.sync().packets, bench.device.transmit_all()), (1, vec![parts.concat()]));
        assert_eq!(bench.tx.sync().released, 3);
    }
    bench.finish();
}

/// Only the first has a header; what is in the others is moved up to the offset.
fn frames_of_several_buffers_arrive_at_offsets<W: Way>() {
    if W::DESCRIPTORS > 1 {
        return;
    }
    let mut bench = bench::<W>(W::with_slots(16, 16), |params| params.mtu = Mtu::MAX);
    bench.rx.sync();
    for (number, &offset) in (0..).zip(OFFSETS.iter().cycle().take(60)) {
        let len = 14 + number as usize * 13 % (4 * usize::from(CAPACITY));
        let sent: Vec<u8> = (0..len).map(|at| (number as usize * 31 + at * 7 + at / 251) as u8).collect();
        assert!(bench.device.receive(&sent, 0));
        bench.rx.release_at(offset);
        assert_eq!(bench.rx.receive(), [sent], "offset {offset}, {len} bytes");
        bench.rx.sync();
        assert!(bench.rx.is_complete());
    }
    assert_eq!(bench.rx.status.refused, 0);
    bench.finish();
}

fn intel_bench(buffer_len: u16, mtu: Mtu) -> intel::Bench {
    let mut bench = intel::Bench::with_buffers(IntelSetup::default(), buffer_len, mtu);
    (bench.tx, bench.rx) = with_offsets(bench.machine.clone(), bench.tx, bench.rx);
    bench
}

#[test]
fn an_e1000_sends_from_offsets_and_receives_at_them() {
    for (buffer_len, mtu) in [(1984, Mtu::ETHERNET), (256, Mtu::ETHERNET), (1984, Mtu::MAX)] {
        let mut bench = intel_bench(buffer_len, mtu);
        bench.rx.sync();
        for (number, &offset) in (0..).zip(OFFSETS.iter().cycle().take(1200)) {
            let sent = intel::frame(number, 60 + number as usize % 190);
            assert!(bench.tx.push_at(offset, &sent));
            let before = bench.tx.in_front(offset);
            assert_eq!((bench.tx.sync().packets, bench.device.transmit_all()), (1, vec![sent.clone()]));
            assert_eq!(bench.tx.in_front(offset), before, "the card has no header");
            assert_eq!(bench.tx.sync().released, 1);

            // In one buffer or in several.
            let arriving = intel::frame(number, 60 + number as usize % 1400);
            assert!(bench.device.receive(&arriving));
            bench.rx.release_at(offset);
            assert_eq!(bench.rx.receive(), [arriving], "offset {offset}");
            bench.rx.sync();
        }
        assert_eq!(bench.rx.status.refused, 0);
        bench.finish();
    }
}
