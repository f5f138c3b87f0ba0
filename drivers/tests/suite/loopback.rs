//! Frames through the driver and the model of the card, both ways.

use millrace_drivers::testing::Setup;
use millrace_drivers::virtio::features::Features;

use crate::bench::{Bench, CAPACITY, RECEIVE, TRANSMIT, frame};
use crate::ways::Way;

in_every_way!(
    frames_pass_at_every_queue_size,
    sizes_that_are_no_power_of_two_are_rounded_down_and_written_back,
    a_queue_is_as_long_as_its_ring,
    indices_wrap_around_past_65536,
    completions_come_in_any_order,
    a_queue_is_in_order_again_once_it_was_empty,
    nothing_is_sent_before_the_sync,
    a_length_beyond_the_buffer_is_dropped_and_counted,
    a_frame_fills_a_buffer_to_the_last_byte_and_no_further,
    a_quiet_device_is_left_alone,
    no_interrupt_comes_while_polling,
);

/// A card with so many slots as it is, and the card without EVENT_IDX.
fn both_kinds<W: Way>(receive: u16, transmit: u16) -> [Setup; 2] {
    let setup = W::with_slots(receive, transmit);
    [setup.clone(), setup.without(Features::RING_EVENT_IDX)]
}

fn frames(first: u32, count: u16) -> Vec<Vec<u8>> {
    (0..count).map(|i| frame(first + u32::from(i), 14 + usize::from(i) % 100)).collect()
}

/// Sends frames in one batch, and expects them at the device.
fn send_batch<W: Way>(bench: &mut Bench<W>, first: u32, count: u16) {
    let frames = frames(first, count);
    assert!(frames.iter().all(|frame| bench.tx.push(frame)));
    let report = bench.tx.sync();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!((report.packets, report.bytes, report.released), (count.into(), bytes as u64, 0));
    assert!(bench.tx.status.has_kicked, "a device that waits wants its doorbell");
    bench.tx.sync();
    assert!(!bench.tx.status.has_kicked, "nothing new");
    assert_eq!(bench.device.transmit_all(), frames);
    assert_eq!(bench.tx.sync().released, u32::from(count));
    assert_eq!((bench.tx.outstanding(), bench.tx.pending()), (0, 0));
}

/// Lets the device receive frames one by one, and expects each from the driver.
fn receive_batch<W: Way>(bench: &mut Bench<W>, first: u32, count: u16) {
    bench.rx.sync();
    for frame in frames(first, count) {
        assert!(bench.device.receive(&frame, 0));
        assert_eq!(bench.rx.receive(), [frame]);
        assert_eq!(bench.rx.receive(), Vec::<Vec<u8>>::new());
    }
}

/// Lets the device fill all buffers that it has, and expects the frames from the driver, in one batch. Then it has those of a
/// whole ring of `slots` slots.
fn receive_full<W: Way>(bench: &mut Bench<W>, first: u32, slots: u16) {
    bench.rx.sync();
    let posted = bench.rx.outstanding() as u16;
    assert!(
        (slots - 1 - posted) * 8 < slots,
        "free buffers are collected, but not as many: {posted} of {slots}"
    );
    let frames = frames(first, posted);
    assert!(frames.iter().all(|frame| bench.device.receive(frame, 0)));
    assert!(!bench.device.receive(b"no buffer is left", 0));
    let report = bench.rx.sync();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!((report.packets, report.bytes), (frames.len() as u32, bytes as u64));
    assert_eq!((report.short, report.long, report.damaged, report.bad_buffer), (0, 0, 0, None));
    let has_kicked = bench.rx.status.has_kicked;
    assert_eq!(bench.rx.take(), frames);
    bench.rx.sync();
    assert!(has_kicked || bench.rx.status.has_kicked, "a device without buffers wants its doorbell");
    assert_eq!(bench.rx.outstanding(), u32::from(slots - 1));
}

fn frames_pass_at_every_queue_size<W: Way>() {
    for power in 1..=10 {
        let size = 1 << power;
        for setup in both_kinds::<W>(size, size) {
            let mut bench = Bench::<W>::new(setup);
            assert_eq!((bench.tx.queue.capacity(), bench.rx.queue.capacity()), (size, size));
            for round in 0..2 {
                send_batch(&mut bench, round * 5000, size - 1);
                receive_batch(&mut bench, round * 5000, size.min(20));
                receive_full(&mut bench, round * 5000, size);
                receive_full(&mut bench, round * 5000 + 2000, size);
            }
            bench.finish();
        }
    }
}

fn sizes_that_are_no_power_of_two_are_rounded_down_and_written_back<W: Way>() {
    for (offered, used) in [(3, 2), (100, 64), (257, 256), (1023, 512), (5000, 4096), (65535, 4096)] {
        let slots = used / W::DESCRIPTORS;
        // The driver cannot always ask for less: the tests of the handshake have what becomes of such a device. No ring has one
        // slot.
        if W::HAS_FIXED_SIZES || slots < 2 {
            continue;
        }
        let mut bench = Bench::<W>::new(Setup::with_queues(offered, offered));
        bench.rx.hold_back(u32::from(slots.saturating_sub(64)));
        assert_eq!((bench.tx.queue.capacity(), bench.rx.queue.capacity()), (slots, slots));
        assert_eq!((bench.device.queue_size(RECEIVE), bench.device.queue_size(TRANSMIT)), (used, used));
        send_batch(&mut bench, 0, 64.min(slots - 1));
        receive_batch(&mut bench, 0, slots.min(2));
        bench.finish();
    }
}

/// A device that lets the driver choose gets queues for as many frames as the rings have slots, rounded up to a power of two.
fn a_queue_is_as_long_as_its_ring<W: Way>() {
    let cases = [(2, 2), (3, 4), (5, 8), (4, 4), (33, 64), (64, 64), (65, 128), (200, 256), (256, 256)];
    for ((tx_slots, tx_size), (rx_slots, rx_size)) in cases.into_iter().zip(cases.into_iter().rev()) {
        let mut bench = Bench::<W>::with_params(W::with_slots(256, 256), |params| {
            (params.tx_slots, params.rx_slots) = (tx_slots, rx_slots);
        });
        let expected = if W::HAS_FIXED_SIZES { (256, 256) } else { (tx_size, rx_size) };
        assert_eq!(
            (bench.tx.queue.capacity(), bench.rx.queue.capacity()),
            expected,
            "{tx_slots} and {rx_slots}"
        );
        let (tx, rx) = (expected.0 * W::DESCRIPTORS, expected.1 * W::DESCRIPTORS);
        assert_eq!((bench.device.queue_size(TRANSMIT), bench.device.queue_size(RECEIVE)), (tx, rx));
        for round in 0..3 {
            send_batch(&mut bench, round, tx_slots - 1);
            receive_full(&mut bench, round, rx_slots);
        }
        bench.finish();
    }
}

fn indices_wrap_around_past_65536<W: Way>() {
    for setup in both_kinds::<W>(8, 8) {
        let mut bench = Bench::<W>::new(setup);
        for round in 0..66_000 / 7 {
            send_batch(&mut bench, round * 7, 7);
            receive_full(&mut bench, round * 7, 8);
        }
        bench.finish();
    }
}

/// Number of leading `true`s from `first` on.
fn leading(done: &[bool], first: usize) -> usize {
    done[first..].iter().take_while(|is_done| **is_done).count()
}

/// Slots come back in order, each when all before it are complete. Frames are received in the order of completion.
fn completions_come_in_any_order<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(16, 16));
    bench.rx.sync();
    for round in 0..20 {
        let sent: Vec<_> = (0..15).map(|number| frame(round * 16 + number, 60)).collect();
        assert!(sent.iter().all(|frame| bench.tx.push(frame)));
        assert_eq!(bench.tx.sync().packets, 15);
        let (mut done, mut released) = ([false; 15], 0);
        for pick in 0..15 {
            let expected = frame(round * 100 + pick, 60);
            assert!(bench.device.receive(&expected, (pick * 7) as usize));
            assert_eq!(bench.rx.receive(), [expected]);
            let gone = bench.device.transmit((pick * 11) as usize).unwrap();
            let index = sent.iter().position(|frame| *frame == gone).unwrap();
            assert!(!std::mem::replace(&mut done[index], true), "{index} left twice");
            let newly = leading(&done, released);
            assert_eq!(bench.tx.sync().released as usize, newly, "{done:?}");
            released += newly;
            assert!(bench.rx.is_complete() && bench.tx.is_complete());
        }
        assert_eq!((released, bench.tx.outstanding()), (15, 0));
    }
    bench.finish();
}

/// What is outstanding out of order does not stay so: a queue that was empty takes and gives whole runs again.
fn a_queue_is_in_order_again_once_it_was_empty<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(16, 16));
    for round in 0..50 {
        // Some from the middle, the buffers of which are posted again behind the others.
        bench.rx.sync();
        for pick in 0..8 {
            let sent = frame(round * 100 + pick, 60);
            assert!(bench.device.receive(&sent, 5 * pick as usize + 3));
            assert_eq!(bench.rx.receive(), [sent]);
        }
        // Then the queue runs empty.
        bench.rx.hold_back(16);
        let left: Vec<_> = (0..16).map(|number| frame(round * 100 + number, 50)).collect();
        let received = left.iter().filter(|frame| bench.device.receive(frame, 0)).count();
        assert_eq!(received as u32, bench.rx.outstanding());
        assert_eq!(bench.rx.receive(), left[..received]);
        assert_eq!(bench.rx.outstanding(), 0);
        bench.rx.hold_back(0);
        // From here on all is in order.
        for batch in 0..3 {
            receive_full(&mut bench, batch, 16);
        }
        assert!(bench.rx.is_complete());
    }
    bench.finish();
}

fn nothing_is_sent_before_the_sync<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    assert!(bench.tx.push(b"not yet"));
    assert_eq!(bench.device.transmit_all(), Vec::<Vec<u8>>::new());
    bench.tx.sync();
    assert_eq!(bench.device.transmit_all(), [b"not yet".to_vec()]);
    bench.finish();
}

fn a_length_beyond_the_buffer_is_dropped_and_counted<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    let longest = frame(1, CAPACITY.into());
    let beyond = frame(2, usize::from(CAPACITY) + 1);
    assert!(bench.tx.push(&beyond));
    let report = bench.tx.sync();
    assert_eq!((report.packets, report.invalid, report.released), (0, 1, 1));
    assert!(!bench.tx.status.has_kicked);
    assert!(
        bench.tx.push(&longest) && bench.tx.push(&beyond) && bench.tx.push(b"") && bench.tx.push(&longest)
    );
    let report = bench.tx.sync();
    assert_eq!((report.packets, report.invalid, report.released), (2, 2, 0), "slots come back in order");
    assert_eq!(bench.device.transmit_all(), [longest.clone(), longest]);
    assert_eq!(bench.tx.sync().released, 4);
    bench.finish();
}

fn a_frame_fills_a_buffer_to_the_last_byte_and_no_further<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    bench.rx.sync();
    let longest = frame(1, CAPACITY.into());
    assert!(bench.device.receive(&longest, 0));
    assert_eq!(bench.rx.receive(), [longest]);
    assert!(!bench.device.receive(&frame(1, usize::from(CAPACITY) + 1), 0));
    bench.finish();
}

/// A device that reads the queue by itself gets no doorbell, and gets it again once it asks.
fn a_quiet_device_is_left_alone<W: Way>() {
    for setup in both_kinds::<W>(64, 64) {
        let mut bench = Bench::<W>::new(setup);
        bench.device.set_quiet(TRANSMIT, true);
        for _ in 0..20 {
            assert!(bench.tx.push(b"while it looks by itself"));
            assert_eq!(bench.tx.sync().packets, 1);
            assert!(!bench.tx.status.has_kicked);
        }
        assert_eq!(bench.device.transmit_all().len(), 20);
        assert_eq!(bench.device.doorbells(TRANSMIT), 0);
        bench.device.set_quiet(TRANSMIT, false);
        assert!(bench.tx.push(b"while it waits"));
        bench.tx.sync();
        assert!(bench.tx.status.has_kicked);
        assert_eq!(bench.device.doorbells(TRANSMIT), 1);
        bench.finish();
    }
}

fn no_interrupt_comes_while_polling<W: Way>() {
    for setup in both_kinds::<W>(256, 256) {
        let mut bench = Bench::<W>::new(setup);
        for round in 0..4 {
            send_batch(&mut bench, round, 255);
            receive_batch(&mut bench, round, 20);
            receive_full(&mut bench, round, 256);
        }
        assert_eq!((bench.device.interrupts(RECEIVE), bench.device.interrupts(TRANSMIT)), (0, 0));
        bench.finish();
    }
}
