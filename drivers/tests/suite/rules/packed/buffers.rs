//! Rules about buffers, their descriptors, and the places those are written to.

use millrace_drivers::testing::Violation;

use super::by_hand::{AVAIL, BUFFER, ByHand, Cursor, Entry, USED};
use crate::rules::by_hand::{FLAG_INDIRECT, FLAG_NEXT, FLAG_WRITE, RX, TX};

const SIZE: u16 = 6;

fn running() -> ByHand {
    ByHand::running(0, SIZE)
}

/// Makes `entry` available and rings.
fn post(driver: &mut ByHand, queue: u16, entry: Entry) {
    driver.make_available(queue, entry);
    driver.kick(queue);
}

/// Complaints about the transmit queue after a whole lap and `places` in the next, and a descriptor with these flags in the
/// place behind them.
fn with_flags(laps: u16, places: u16, flags: u16) -> Vec<Violation> {
    let mut driver = running();
    for number in 0..laps * SIZE + places {
        driver.post(TX, number % SIZE);
        driver.device.transmit(0).unwrap();
    }
    driver.write(TX, places, Entry { flags, ..driver.good(TX, 0) });
    driver.device.fetch();
    driver.device.fetch();
    driver.device.violations()
}

#[test]
fn a_descriptor_is_made_available_in_its_lap() {
    for places in [0, 2, SIZE - 1] {
        let missed = [Violation::DoorbellMissed { queue: TX }];
        let wrong = [Violation::WrongWrapCounter { queue: TX, place: places }];
        for (laps, right, other) in [(0, AVAIL, USED), (1, USED, AVAIL), (2, AVAIL, USED), (3, USED, AVAIL)] {
            assert_eq!(with_flags(laps, places, right), missed, "it is taken");
            assert_eq!(with_flags(laps, places, other), wrong, "the other lap's, {laps} and {places}");
        }
        // As it is at the start, or was left by the device: nothing is available.
        assert_eq!(with_flags(0, places, 0), []);
        assert_eq!(with_flags(1, places, AVAIL | USED), []);
        assert_eq!(with_flags(2, places, 0), []);
        // Used in a lap that has not begun.
        assert_eq!(with_flags(0, places, AVAIL | USED), wrong);
        assert_eq!(with_flags(1, places, 0), wrong);
        assert_eq!(with_flags(2, places, AVAIL | USED), wrong);
    }
}

#[test]
fn an_id_is_below_the_size() {
    for id in [SIZE, 0xffff] {
        let mut driver = running();
        let entry = Entry { id, ..driver.good(TX, 0) };
        post(&mut driver, TX, entry);
        driver.expect(Violation::NoSuchDescriptor { queue: TX, id });
        // The place is read, and what comes behind it is taken.
        driver.post(TX, 1);
        driver.expect(Violation::NoSuchDescriptor { queue: TX, id });
        assert_eq!(driver.device.owned(TX), 1);
    }
}

#[test]
fn an_id_is_given_once() {
    let mut driver = running();
    driver.post(TX, 3);
    driver.expect_none();
    let entry = Entry { id: 3, ..driver.good(TX, 4) };
    post(&mut driver, TX, entry);
    driver.expect(Violation::OfferedTwice { queue: TX, id: 3 });
    // The same id of the other queue is another buffer.
    let mut driver = running();
    driver.post(TX, 3);
    driver.post(RX, 3);
    driver.expect_none();
}

#[test]
fn not_more_buffers_than_the_ring_has_places() {
    for full in [false, true] {
        let mut driver = running();
        let count = if full { SIZE } else { SIZE - 1 };
        (0..count).for_each(|id| driver.post(TX, id));
        driver.expect_none();
        if !full {
            // The place behind the last is left out.
            driver.side(TX).next = Cursor { place: 0, wrap: false };
        }
        driver.make_available(TX, Entry { id: SIZE - 1, ..driver.good(TX, SIZE - 1) });
        if full {
            driver.expect(Violation::Overrun { queue: TX });
        } else {
            driver.device.transmit(0).unwrap();
            driver.expect(Violation::Overrun { queue: TX });
        }
    }
    // One more for each that came back.
    let mut driver = running();
    (0..SIZE).for_each(|id| driver.post(TX, id));
    driver.device.transmit(4).unwrap();
    driver.post(TX, 4);
    driver.expect_none();
    driver.make_available(TX, driver.good(TX, 0));
    driver.expect(Violation::Overrun { queue: TX });
}

#[test]
fn a_place_is_left_alone_until_it_is_used() {
    let changes: [fn(&mut Entry); 4] = [
        |entry| entry.address += 1,
        |entry| entry.len -= 1,
        |entry| entry.id = 5,
        // Made as if it were used.
        |entry| entry.flags = AVAIL | USED,
    ];
    for change in changes {
        for place in 0..3 {
            let mut driver = running();
            (0..3).for_each(|id| driver.post(TX, id));
            driver.expect_none();
            let mut entry = driver.read(TX, place);
            change(&mut entry);
            driver.write(TX, place, entry);
            assert_eq!(driver.device.violations(), []);
            // Found when the device comes to it, or when there is something new.
            let expected = Violation::DescriptorChanged { queue: TX, id: place };
            for _ in 0..=place {
                assert_eq!(driver.device.transmit(2).unwrap().len(), BUFFER as usize - 12, "as it was read");
            }
            driver.expect(expected);
        }
    }
    let mut driver = running();
    driver.post(TX, 0);
    driver.expect_none();
    driver.write(TX, 0, Entry { len: 50, flags: AVAIL, ..driver.good(TX, 0) });
    driver.post(TX, 1);
    driver.expect(Violation::DescriptorChanged { queue: TX, id: 0 });
}

/// Besides the two that say who owns the buffer.
#[test]
fn flags_fit_the_direction() {
    for (queue, flags) in
        [(TX, FLAG_WRITE), (RX, 0), (TX, FLAG_INDIRECT), (RX, FLAG_WRITE | FLAG_INDIRECT), (TX, 8)]
    {
        let mut driver = running();
        let entry = Entry { flags, ..driver.good(queue, 0) };
        post(&mut driver, queue, entry);
        driver.expect(Violation::WrongFlags { queue, id: 0 });
    }
}

/// Header and packet are one descriptor. Where they are two, they come back as one, by the id in the last.
#[test]
fn a_packet_is_one_descriptor() {
    let mut driver = running();
    driver.post(TX, 0);
    driver.make_available(TX, Entry { len: 12, flags: FLAG_NEXT, id: 0x5555, ..driver.good(TX, 4) });
    driver.make_available(TX, Entry { len: 60, ..driver.good(TX, 3) });
    driver.kick(TX);
    driver.expect(Violation::Chained { queue: TX, id: 3 });
    driver.post(TX, 5);
    assert_eq!(driver.device.transmit(1).unwrap().len(), 60);
    assert_eq!(driver.device.transmit(0).unwrap().len(), BUFFER as usize - 12);
    // The second place of the longer buffer is not written to.
    let ids: Vec<_> = (0..4).map(|place| (driver.read(TX, place).id, driver.read(TX, place).flags)).collect();
    assert_eq!(ids, [(3, AVAIL | USED), (0x5555, AVAIL | FLAG_NEXT), (0, AVAIL | USED), (5, AVAIL)]);
    driver.expect(Violation::Chained { queue: TX, id: 3 });
}

/// With the header and the first bytes in the first of several.
#[test]
fn a_packet_may_continue_in_further_descriptors() {
    let mut driver = running();
    driver.make_available(TX, Entry { len: 13, flags: FLAG_NEXT, ..driver.good(TX, 4) });
    driver.make_available(TX, Entry { len: 60, ..driver.good(TX, 3) });
    driver.kick(TX);
    assert_eq!(driver.device.transmit(0).unwrap().len(), 61);
    driver.expect_none();
    let mut driver = running();
    driver.make_available(RX, Entry { flags: FLAG_NEXT | FLAG_WRITE, ..driver.good(RX, 4) });
    driver.make_available(RX, driver.good(RX, 3));
    driver.kick(RX);
    driver.expect(Violation::Chained { queue: RX, id: 3 });
}

#[test]
fn a_buffer_is_there_as_a_whole_before_its_first_descriptor_is_made_available() {
    let mut driver = running();
    let entry = Entry { flags: FLAG_NEXT, ..driver.good(TX, 0) };
    post(&mut driver, TX, entry);
    driver.expect(Violation::WrongWrapCounter { queue: TX, place: 1 });
}

#[test]
fn a_buffer_has_no_more_descriptors_than_the_ring() {
    let mut driver = running();
    (0..SIZE).for_each(|id| driver.make_available(TX, Entry { flags: FLAG_NEXT, ..driver.good(TX, id) }));
    driver.kick(TX);
    driver.device.fetch();
    assert_eq!(driver.device.violations()[0], Violation::ChainTooLong { queue: TX });
}

#[test]
fn a_buffer_is_given_once() {
    let twice = Violation::BufferGivenTwice { queue: TX, id: 1 };
    for shift in [0, u64::from(BUFFER) - 1] {
        let mut driver = running();
        driver.post(TX, 0);
        let entry = Entry { address: driver.buffer(TX, 0) + shift, len: 50, ..driver.good(TX, 1) };
        post(&mut driver, TX, entry);
        driver.expect(twice);
    }
    let mut driver = running();
    driver.post(RX, 0);
    let entry = Entry { address: driver.buffer(RX, 0), ..driver.good(TX, 1) };
    post(&mut driver, TX, entry);
    driver.expect(twice);
}

#[test]
fn a_buffer_lies_in_memory_and_has_bytes() {
    type Case = fn(&ByHand) -> (u64, u32);
    let cases: [Case; 3] = [
        |driver| (driver.buffer(TX, SIZE) - 50, 100),
        |driver| (driver.buffers.virt().addr().get() as u64, 100),
        |driver| (driver.buffer(TX, 0) + 1_000_000, 100),
    ];
    for case in cases {
        let mut driver = running();
        let (address, len) = case(&driver);
        let entry = Entry { address, len, ..driver.good(TX, 0) };
        post(&mut driver, TX, entry);
        driver.expect(Violation::BufferOutsideMemory { queue: TX, id: 0 });
    }
    let mut driver = running();
    let entry = Entry { len: 0, ..driver.good(TX, 0) };
    post(&mut driver, TX, entry);
    driver.device.fetch();
    assert!(driver.device.violations().contains(&Violation::BufferOutsideMemory { queue: TX, id: 0 }));
}

#[test]
fn a_buffer_is_left_alone_while_the_device_has_it() {
    let mut driver = running();
    driver.post(TX, 0);
    driver.expect_none();
    driver.machine.write(driver.buffer(TX, 0) + 50, b"too early").unwrap();
    driver.device.transmit(0).unwrap();
    driver.expect(Violation::BufferChanged { queue: TX, id: 0 });
    // Found as well when there is something new.
    let mut driver = running();
    driver.post(TX, 0);
    driver.expect_none();
    driver.machine.write(driver.buffer(TX, 0) + 50, b"too early").unwrap();
    driver.post(TX, 1);
    driver.expect(Violation::BufferChanged { queue: TX, id: 0 });

    let mut driver = running();
    driver.post(RX, 0);
    driver.expect_none();
    let ByHand { device, buffers, rings, .. } = driver;
    drop(buffers);
    device.receive(b"into freed memory", 0);
    assert!(device.violations().contains(&Violation::BufferOutsideMemory { queue: RX, id: 0 }));
    drop(rings);
}

#[test]
fn a_header_is_there_and_asks_for_nothing() {
    let mut driver = running();
    let entry = Entry { len: 11, ..driver.good(TX, 0) };
    post(&mut driver, TX, entry);
    driver.expect(Violation::NoRoomForHeader { queue: TX, id: 0 });
    for byte in 0..12 {
        let mut driver = running();
        driver.machine.write(driver.buffer(TX, 0) + byte, &[1]).unwrap();
        driver.post(TX, 0);
        driver.expect(Violation::HeaderNotZero { id: 0 });
    }
}
