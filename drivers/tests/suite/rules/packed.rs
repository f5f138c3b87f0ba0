//! Packed queues: what the device does with a driver that keeps the rules, and each rule broken once.

mod buffers;
mod by_hand;
mod control;
mod events;
mod lies;
mod setting_up;

use millrace_drivers::virtio::features::Features;

use self::by_hand::{AVAIL, ByHand, Cursor, Entry, RING_PACKED, USED};
use super::by_hand::{EVENT_IDX, FLAG_WRITE, RX, TX};

#[test]
fn the_feature_bit_is_that_of_the_specification() {
    assert_eq!(Features::RING_PACKED.bits(), RING_PACKED);
}

/// A frame that goes by the buffer `id` in round `round`, written where the driver would.
fn fill(driver: &ByHand, id: u16, round: u32) -> Vec<u8> {
    let frame = [&round.to_le_bytes()[..], &id.to_le_bytes()].concat();
    driver.machine.write(driver.buffer(TX, id) + 12, &frame).unwrap();
    frame
}

/// Thousands of laps, with any number of buffers at the device, completed in any order.
#[test]
fn frames_pass_both_ways_in_any_order() {
    for (features, size) in [(0, 1), (EVENT_IDX, 1), (0, 2), (EVENT_IDX, 3), (0, 7), (EVENT_IDX, 8), (0, 100)]
    {
        let mut driver = ByHand::running(features, size);
        let mut free: Vec<u16> = (0..size).rev().collect();
        let mut sent = Vec::new();
        for round in 0..6000u32 {
            // As many as round and size have it, in one batch; sometimes none.
            for _ in 0..round % 5 {
                let Some(id) = free.pop() else { break };
                sent.push((id, fill(&driver, id, round)));
                driver.make_available(TX, driver.good(TX, id));
                driver.make_available(RX, driver.good(RX, id));
            }
            driver.kick(TX);
            driver.kick(RX);
            if sent.is_empty() || round % 3 == 2 {
                continue;
            }
            let pick = round as usize * 7 % sent.len();
            let (id, frame) = sent.remove(pick);
            assert_eq!(driver.device.transmit(pick).unwrap()[..6], frame);
            assert_eq!(driver.take(TX).unwrap().id, id);
            assert!(driver.take(TX).is_none());
            assert!(driver.device.receive(&frame, pick));
            let Entry { id: filled, len, flags, .. } = driver.take(RX).unwrap();
            assert_eq!((filled, len, flags & FLAG_WRITE), (id, 18, FLAG_WRITE));
            assert_eq!(driver.machine.read(driver.buffer(RX, id) + 12, 6).unwrap(), frame);
            free.insert(0, id);
        }
        driver.expect_none();
        assert_eq!(driver.device.owned(TX), sent.len());
        driver.device.write_status(0);
        driver.expect_none();
    }
}

/// The offset of an event has 15 bits, which the longest ring takes all.
#[test]
fn the_longest_ring_wraps_around() {
    for features in [0, EVENT_IDX] {
        let mut driver = ByHand::running(features, 0x8000);
        for number in 0..70_000u32 {
            let id = (number % 0x8000) as u16;
            driver.post(TX, id);
            driver.device.transmit(0).unwrap();
            assert_eq!(driver.take(TX).map(|used| used.id), Some(id));
        }
        driver.expect_none();
        assert_eq!(driver.device.doorbells(TX), 70_000);
    }
}

/// Which place is written and what stands in it, step by step.
#[test]
fn a_used_descriptor_is_written_at_the_next_place() {
    let mut driver = ByHand::running(0, 3);
    (0..3).for_each(|id| driver.post(RX, id));
    assert!(driver.device.receive(b"to the last", 2));
    let Entry { address, len, id, flags } = driver.read(RX, 0);
    assert_eq!((len, id, flags), (12 + 11, 2, AVAIL | USED | FLAG_WRITE));
    assert_eq!(address, driver.buffer(RX, 0), "no field of its own");
    assert_eq!(driver.read(RX, 1).flags, AVAIL | FLAG_WRITE, "nothing happened there yet");
    assert!(!driver.device.receive(&[0; 200], 0), "too long");
    let Entry { len, id, flags, .. } = driver.read(RX, 1);
    assert_eq!((len, id, flags), (0, 0, AVAIL | USED), "nothing was written");

    // In the second lap both bits are the other way round.
    driver.device.receive(b"", 0);
    driver.side(RX).used = Cursor::START;
    (0..3).for_each(|_| assert!(driver.take(RX).is_some()));
    driver.post(RX, 0);
    assert_eq!(driver.read(RX, 0).flags, USED | FLAG_WRITE);
    driver.device.receive(b"again", 0);
    assert_eq!(driver.read(RX, 0).flags, FLAG_WRITE);
    driver.expect_none();
}

/// A place is free once the device has written to it, whichever buffer that was about.
#[test]
fn a_place_is_used_again_while_its_buffer_is_still_there() {
    let mut driver = ByHand::running(0, 4);
    (0..4).for_each(|id| driver.post(TX, id));
    let first = fill(&driver, 0, 77);
    assert!(driver.device.transmit(3).is_some());
    assert_eq!(driver.take(TX).map(|used| used.id), Some(3));
    driver.post(TX, 3);
    assert_eq!(driver.read(TX, 0).id, 3, "where buffer 0 was");
    assert_eq!(driver.device.transmit(0).unwrap()[..6], first);
    assert_eq!(driver.take(TX).map(|used| used.id), Some(0));
    driver.expect_none();
    assert_eq!(driver.device.owned(TX), 3);
}

#[test]
fn each_queue_has_a_ring_of_its_own() {
    let mut driver = ByHand::running(0, 5);
    driver.post(TX, 4);
    driver.expect_none();
    assert_eq!((driver.device.owned(TX), driver.device.owned(RX)), (1, 0));
    driver.post(RX, 4);
    driver.expect_none();
    assert_eq!((driver.device.owned(TX), driver.device.owned(RX)), (1, 1));
}
