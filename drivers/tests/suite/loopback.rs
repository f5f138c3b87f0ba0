//! Frames through the driver and the model of the card, both ways.

use millrace_drivers::testing::Setup;
use millrace_drivers::virtio::features::Features;

use crate::bench::{Bench, CAPACITY, RECEIVE, TRANSMIT, frame};
use crate::ways::Way;

in_every_way!(
    frames_pass_at_every_queue_size,
    sizes_that_are_no_power_of_two_are_rounded_down_and_written_back,
    indices_wrap_around_past_65536,
    completions_come_in_any_order,
    an_outstanding_id_and_one_out_of_range_are_refused,
    a_length_beyond_the_buffer_is_cut,
    a_frame_fills_a_buffer_to_the_last_byte_and_no_further,
    a_quiet_device_is_left_alone,
    no_interrupt_comes_while_polling,
);

// What is posted in a packed queue is the device's at once (section 2.8.14).
in_every_way_with_split_queues!(nothing_is_sent_before_the_kick);

/// A card with so many slots as it is, and the card without EVENT_IDX.
fn both_kinds<W: Way>(receive: u16, transmit: u16) -> [Setup; 2] {
    let setup = W::with_slots(receive, transmit);
    [setup.clone(), setup.without(Features::RING_EVENT_IDX)]
}

/// Sends a full queue of frames, and expects them at the device.
fn send_batch<W: Way>(bench: &mut Bench<W>, first: u32, count: u16) {
    let frames: Vec<_> = (0..count).map(|i| frame(first + u32::from(i), 14 + usize::from(i) % 100)).collect();
    for (id, frame) in (0..).zip(&frames) {
        assert!(bench.put(id, frame));
    }
    assert!(bench.tx.kick(), "a device that waits wants its doorbell");
    assert!(!bench.tx.kick(), "nothing new");
    assert_eq!(bench.device.transmit_all(), frames);
    let mut ids: Vec<_> = std::iter::from_fn(|| bench.tx.reclaim()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..count).collect::<Vec<_>>());
}

/// Lets the device receive a full queue of frames, and expects them from the driver.
fn receive_batch<W: Way>(bench: &mut Bench<W>, first: u32, count: u16) {
    for id in 0..count {
        assert!(bench.give(id));
    }
    assert!(bench.rx.kick());
    for i in 0..count {
        let frame = frame(first + u32::from(i), 14 + usize::from(i) % 100);
        assert!(bench.device.receive(&frame, 0));
        assert_eq!(bench.take(), Some((i, frame)));
    }
    assert_eq!(bench.take(), None);
    assert!(!bench.device.receive(b"no buffer is left", 0));
}

fn frames_pass_at_every_queue_size<W: Way>() {
    for power in 0..=10 {
        let size = 1 << power;
        for setup in both_kinds::<W>(size, size) {
            let mut bench = Bench::<W>::new(setup);
            assert_eq!((bench.tx.capacity(), bench.rx.capacity()), (size, size));
            for round in 0..2 {
                send_batch(&mut bench, round * 5000, size);
                receive_batch(&mut bench, round * 5000, size);
            }
            bench.finish();
        }
    }
}

fn sizes_that_are_no_power_of_two_are_rounded_down_and_written_back<W: Way>() {
    for (offered, used) in [(3, 2), (100, 64), (257, 256), (1023, 512), (5000, 4096), (65535, 4096)] {
        if W::HAS_FIXED_SIZES {
            // The driver cannot ask for less: the tests of the handshake have what becomes of such a device.
            continue;
        }
        let mut bench = Bench::<W>::new(Setup::with_queues(offered, offered));
        let slots = used / W::DESCRIPTORS;
        assert_eq!((bench.tx.capacity(), bench.rx.capacity()), (slots, slots));
        assert_eq!((bench.device.queue_size(RECEIVE), bench.device.queue_size(TRANSMIT)), (used, used));
        send_batch(&mut bench, 0, slots.min(64));
        receive_batch(&mut bench, 0, slots.min(2));
        bench.finish();
    }
}

fn indices_wrap_around_past_65536<W: Way>() {
    for setup in both_kinds::<W>(8, 8) {
        let mut bench = Bench::<W>::new(setup);
        for round in 0..66_000 / 7 {
            send_batch(&mut bench, round * 7, 7);
            receive_batch(&mut bench, round * 7, 7);
        }
        bench.finish();
    }
}

fn completions_come_in_any_order<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(16, 16));
    for round in 0..20 {
        for id in 0..16 {
            assert!(bench.put(id, &frame(id.into(), 60)) && bench.give(id));
        }
        bench.tx.kick();
        bench.rx.kick();
        let mut sent = Vec::new();
        for pick in 0..16 {
            let expected = frame(round * 100 + pick, 60);
            assert!(bench.device.receive(&expected, (pick * 7) as usize));
            assert_eq!(bench.take().unwrap().1, expected);
            let gone = bench.device.transmit((pick * 11) as usize).unwrap();
            let id = bench.tx.reclaim().unwrap();
            assert_eq!(gone, frame(id.into(), 60), "the id that comes back is that of the frame that went");
            sent.push(id);
        }
        sent.sort_unstable();
        assert_eq!(sent, (0..16).collect::<Vec<_>>());
    }
    bench.finish();
}

fn an_outstanding_id_and_one_out_of_range_are_refused<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(4, 4));
    assert!(bench.put(3, b"a frame") && bench.give(3));
    assert!(!bench.put(3, b"again") && !bench.give(3));
    assert!(!bench.put(4, b"beyond") && !bench.give(4));
    bench.tx.kick();
    bench.rx.kick();
    // The refused frame overwrote the buffer in this test, but not the descriptor: one frame, of the first length.
    assert_eq!(bench.device.transmit_all().len(), 1);
    bench.finish();
}

fn nothing_is_sent_before_the_kick<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    assert!(bench.put(0, b"not yet"));
    assert_eq!(bench.device.transmit_all(), Vec::<Vec<u8>>::new());
    bench.tx.kick();
    assert_eq!(bench.device.transmit_all(), [b"not yet".to_vec()]);
    bench.finish();
}

fn a_length_beyond_the_buffer_is_cut<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    bench.tx.put(0, bench.buffers.lend(0), u16::MAX).unwrap();
    bench.tx.kick();
    assert_eq!(bench.device.transmit(0).unwrap().len(), usize::from(CAPACITY));
    bench.finish();
}

fn a_frame_fills_a_buffer_to_the_last_byte_and_no_further<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    for id in 0..2 {
        assert!(bench.give(id));
    }
    bench.rx.kick();
    let longest = frame(1, CAPACITY.into());
    assert!(bench.device.receive(&longest, 0));
    assert_eq!(bench.take(), Some((0, longest)));
    assert!(!bench.device.receive(&frame(1, usize::from(CAPACITY) + 1), 0));
    bench.finish();
}

/// A device that reads the queue by itself gets no doorbell, and gets it again once it asks.
fn a_quiet_device_is_left_alone<W: Way>() {
    for setup in both_kinds::<W>(64, 64) {
        let mut bench = Bench::<W>::new(setup);
        bench.device.set_quiet(TRANSMIT, true);
        for id in 0..20 {
            assert!(bench.put(id, b"while it looks by itself"));
            assert!(!bench.tx.kick());
        }
        assert_eq!(bench.device.transmit_all().len(), 20);
        assert_eq!(bench.device.doorbells(TRANSMIT), 0);
        bench.device.set_quiet(TRANSMIT, false);
        assert!(bench.put(20, b"while it waits"));
        assert!(bench.tx.kick());
        assert_eq!(bench.device.doorbells(TRANSMIT), 1);
        bench.finish();
    }
}

fn no_interrupt_comes_while_polling<W: Way>() {
    for setup in both_kinds::<W>(256, 256) {
        let mut bench = Bench::<W>::new(setup);
        for round in 0..4 {
            send_batch(&mut bench, round, 256);
            receive_batch(&mut bench, round, 256);
        }
        assert_eq!((bench.device.interrupts(RECEIVE), bench.device.interrupts(TRANSMIT)), (0, 0));
        bench.finish();
    }
}
