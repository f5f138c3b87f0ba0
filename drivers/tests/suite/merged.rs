//! Received frames that take several buffers (VIRTIO_NET_F_MRG_RXBUF, sections 5.1.6.3.2 and 5.1.6.4).

use millrace_drivers::testing::Setup;
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::net::NetError;
use nm_driver::burst::{FRAGMENTS_MAX, RxReport};
use nm_driver::nic::{Mtu, Nic, StartParams};
use proptest::prelude::*;

use crate::bench::{Bench, CAPACITY, RECEIVE};
use crate::rings::params;
use crate::ways::Way;

in_every_way!(
    buffers_are_merged_only_where_a_frame_may_be_longer_than_one,
    buffers_that_hold_no_frame_of_a_device_that_does_not_merge_are_refused,
    frames_of_1_to_64_buffers_arrive_whole,
    every_length_around_the_ends_of_buffers_arrives,
    buffers_may_be_used_in_any_order,
    a_frame_of_more_than_64_buffers_is_dropped_whole,
    a_number_of_buffers_that_cannot_be_is_a_counted_error,
    a_frame_whose_rest_is_not_there_is_dropped_and_counted,
    a_buffer_that_is_not_filled_in_front_of_the_last_is_a_damaged_frame,
    whatever_a_device_says_of_numbers_and_lengths,
);

/// Payload of a first buffer: the header is in it.
const FIRST: usize = CAPACITY as usize - 12;

/// A frame of `len` bytes whose parts can be told apart.
fn frame(number: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number as usize * 31 + at * 7 + at / 251) as u8).collect()
}

/// A card whose buffers are merged, with so many slots to receive; `None` in ways in which they cannot be.
fn bench<W: Way>(slots: u16) -> Option<Bench<W>> {
    let has_one_descriptor = W::DESCRIPTORS == 1;
    let start = |params: &mut StartParams| params.mtu = Mtu::MAX;
    has_one_descriptor.then(|| Bench::with_params(W::with_slots(slots, 8), start))
}

/// The length of a frame that fills so many buffers, less `below` bytes of the last.
fn filling(buffers: usize, below: usize) -> usize {
    FIRST + (buffers - 1) * usize::from(CAPACITY) - below
}

/// Frames are received as usual, and no buffer is lost.
#[track_caller]
fn check_goes_on<W: Way>(mut bench: Bench<W>) {
    let refused = bench.rx.status.refused;
    for round in 0..20 {
        bench.rx.sync();
        let frames = [frame(round, 300), frame(round + 1, 60)];
        assert!(frames.iter().all(|frame| bench.device.receive(frame, 0)));
        assert_eq!(bench.rx.receive(), frames);
    }
    assert_eq!((bench.rx.status.refused, bench.rx.status.is_broken), (refused, false));
    bench.finish();
}

fn buffers_are_merged_only_where_a_frame_may_be_longer_than_one<W: Way>() {
    let with_mtu = |mtu: u16| {
        let start = |params: &mut StartParams| params.mtu = Mtu::new(mtu).unwrap();
        let bench = Bench::<W>::with_params(Setup::default(), start);
        let accepted = bench.device.accepted_features() & Features::NET_MRG_RXBUF.bits() != 0;
        bench.finish();
        accepted
    };
    // With a header and a tag 128 bytes, as many as a buffer has.
    assert!(!with_mtu(106));
    if W::DESCRIPTORS == 1 {
        assert!(with_mtu(107) && with_mtu(9000));
    }
}

fn buffers_that_hold_no_frame_of_a_device_that_does_not_merge_are_refused<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default().without(Features::NET_MRG_RXBUF));
    assert_eq!(bench.nic.info().scatter_min, None);
    let params = StartParams { mtu: Mtu::new(107).unwrap(), ..params(&bench.nic, CAPACITY) };
    let error = bench.nic.start(&params).map(drop).unwrap_err();
    assert_eq!(error, NetError::BufferTooSmall { buffer_len: 128, needed: 129 });
    assert_eq!(error.to_string(), "buffers with room for 128 bytes are too small; 129 are needed");
    assert!(!bench.device.is_running());
    bench.restart();
    bench.finish();

    let bench = Bench::<W>::new(Setup::default());
    assert_eq!(bench.nic.info().scatter_min, (W::DESCRIPTORS == 1).then_some(64));
    bench.finish();
}

fn frames_of_1_to_64_buffers_arrive_whole<W: Way>() {
    let Some(mut bench) = bench::<W>(128) else { return };
    for lap in 0..3 {
        for buffers in 1..=64 {
            bench.rx.sync();
            let frames = [frame(lap, filling(buffers, lap as usize)), frame(lap, 60)];
            assert!(frames.iter().all(|frame| bench.device.receive(frame, 0)));
            assert_eq!(bench.rx.receive(), frames, "{buffers} buffers, lap {lap}");
            assert!(bench.rx.is_complete());
        }
    }
    assert_eq!(bench.rx.status.refused, 0);
    bench.finish();
}

fn every_length_around_the_ends_of_buffers_arrives<W: Way>() {
    let Some(mut bench) = bench::<W>(16) else { return };
    for len in 14..=filling(5, 0) {
        bench.rx.sync();
        let frame = frame(len as u32, len);
        assert!(bench.device.receive(&frame, 0));
        assert_eq!(bench.rx.receive(), [frame]);
    }
    assert_eq!(bench.rx.status.refused, 0);
    bench.finish();
}

/// A device with split queues is not bound to the order (section 2.7).
fn buffers_may_be_used_in_any_order<W: Way>() {
    let Some(mut bench) = bench::<W>(16) else { return };
    for round in 0..200 {
        bench.rx.sync();
        let frames = [frame(round, filling(4, 3)), frame(round + 1, 20), frame(round + 2, filling(3, 0))];
        for (frame, place) in frames.iter().zip(0..) {
            assert!(bench.device.receive(frame, (round as usize + 5 * place) % 7));
        }
        assert_eq!(bench.rx.receive(), frames, "round {round}");
        assert!(bench.rx.is_complete());
    }
    assert_eq!(bench.rx.status.refused, 0);
    bench.finish();
}

fn a_frame_of_more_than_64_buffers_is_dropped_whole<W: Way>() {
    let Some(mut bench) = bench::<W>(256) else { return };
    for buffers in [65, 66, 100, 254] {
        bench.rx.sync();
        assert!(bench.device.receive(&frame(1, filling(buffers, 0)), 0));
        let report = bench.rx.sync();
        assert_eq!((report.packets, report.long, report.damaged), (0, 1, 0), "{buffers} buffers");
        assert!(bench.rx.take().is_empty() && bench.rx.is_complete());
        assert_eq!(bench.rx.outstanding(), 255);
    }
    assert_eq!(FRAGMENTS_MAX, 64);
    check_goes_on(bench);
}

fn a_number_of_buffers_that_cannot_be_is_a_counted_error<W: Way>() {
    for number in [0, 8, 65, 256, u16::MAX] {
        let Some(mut bench) = bench::<W>(8) else { return };
        bench.rx.sync();
        assert_eq!(bench.device.receive_falsely(number, &[CAPACITY.into(), CAPACITY.into()]), 2);
        let report = bench.rx.sync();
        assert_eq!((report.packets, report.damaged + report.long), (0, 2), "{number} buffers");
        assert!(bench.rx.status.refused > 0 && bench.rx.is_complete());
        check_goes_on(bench);
    }
}

fn a_frame_whose_rest_is_not_there_is_dropped_and_counted<W: Way>() {
    for used in 1..4 {
        let Some(mut bench) = bench::<W>(8) else { return };
        bench.rx.sync();
        let written = [u32::from(CAPACITY); 3];
        assert_eq!(bench.device.receive_falsely(4, &written[..used]), used);
        let report = bench.rx.sync();
        assert_eq!((report.packets, report.damaged, bench.rx.status.refused), (0, 1, 1));
        assert!(bench.rx.take().is_empty() && bench.rx.is_complete());
        assert_eq!(bench.rx.outstanding(), 7);
        check_goes_on(bench);
    }
}

fn a_buffer_that_is_not_filled_in_front_of_the_last_is_a_damaged_frame<W: Way>() {
    let full = u32::from(CAPACITY);
    for written in
        [[full - 1, full, 20], [full, 0, 20], [full, full + 1, 20], [full, full, full + 1], [0, full, 20]]
    {
        let Some(mut bench) = bench::<W>(8) else { return };
        bench.rx.sync();
        assert_eq!(bench.device.receive_falsely(3, &written), 3);
        let report = bench.rx.sync();
        assert_eq!((report.packets, report.damaged), (0, 1), "{written:?}");
        assert_eq!(bench.rx.status.refused, 0, "the number of buffers was right");
        assert!(bench.rx.take().is_empty() && bench.rx.is_complete());
        check_goes_on(bench);
    }
}

/// What a device does in one round.
#[derive(Debug, Clone)]
enum Answer {
    Frame(usize, usize),
    Falsely(u16, Vec<u32>),
    Used(u32, u32),
    Jump(u16),
}

fn answer() -> impl Strategy<Value = Answer> {
    let full = u32::from(CAPACITY);
    let number = prop_oneof![6 => 0..6u16, 1 => 0..70u16, 1 => any::<u16>()];
    let written = prop_oneof![5 => Just(full), 2 => 0..=full, 1 => any::<u32>()];
    prop_oneof![
        8 => (14..700usize, 0..4usize).prop_map(|(len, place)| Answer::Frame(len, place)),
        6 => (number, prop::collection::vec(written.clone(), 1..6)).prop_map(|(n, w)| Answer::Falsely(n, w)),
        1 => (prop_oneof![4 => 0..17u32, 1 => any::<u32>()], written).prop_map(|(id, w)| Answer::Used(id, w)),
        1 => prop_oneof![4 => 0..3u16, 1 => any::<u16>()].prop_map(Answer::Jump),
    ]
}

/// Nothing panics, no part of a frame is published, and each buffer is in one place.
fn whatever_a_device_says_of_numbers_and_lengths<W: Way>() {
    if W::DESCRIPTORS > 1 {
        return;
    }
    const CASES: u32 = if cfg!(debug_assertions) { 100 } else { 40_000 };
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(answers in prop::collection::vec(prop::collection::vec(answer(), 0..4), 1..40))| {
        let mut bench = bench::<W>(16).unwrap();
        for round in answers {
            bench.rx.sync();
            for answer in round {
                match answer {
                    Answer::Frame(len, place) => _ = bench.device.receive(&frame(1, len), place),
                    Answer::Falsely(number, written) => _ = bench.device.receive_falsely(number, &written),
                    Answer::Used(id, written) => bench.device.complete_falsely(RECEIVE, id, written),
                    Answer::Jump(distance) => bench.device.jump(RECEIVE, distance),
                }
            }
            let RxReport { packets, bytes, .. } = bench.rx.sync();
            let frames = bench.rx.take();
            prop_assert_eq!(frames.len() as u32, packets);
            prop_assert_eq!(frames.iter().map(Vec::len).sum::<usize>() as u64, bytes);
            prop_assert!(frames.iter().all(|frame| frame.len() >= 14));
            prop_assert!(bench.rx.is_complete());
            let has_all = bench.rx.outstanding() == 15 || bench.rx.status.is_broken;
            bench.rx.sync();
            prop_assert!(has_all || bench.rx.outstanding() > 0);
        }
    });
}
