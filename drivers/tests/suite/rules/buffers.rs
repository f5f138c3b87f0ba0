//! Rules about buffers and their descriptors.

use millrace_drivers::testing::Violation;

use super::by_hand::{ANY_LAYOUT, ByHand, FLAG_INDIRECT, FLAG_NEXT, FLAG_WRITE, RX, SIZE, TX};

#[test]
fn not_more_entries_than_the_queue_holds() {
    let driver = ByHand::running(0);
    driver.publish(TX, SIZE, 0);
    driver.expect(Violation::Overrun { queue: TX });
}

#[test]
fn entries_name_descriptors_that_there_are() {
    let driver = ByHand::running(0);
    driver.publish(TX, 0, SIZE);
    driver.device.ring_doorbell(TX);
    driver.expect(Violation::NoSuchDescriptor { queue: TX, id: SIZE });
}

#[test]
fn a_descriptor_is_offered_once() {
    let driver = ByHand::running(0);
    driver.post(TX, 0, 3);
    driver.expect_none();
    driver.post(TX, 1, 3);
    driver.expect(Violation::OfferedTwice { queue: TX, id: 3 });
}

#[test]
fn descriptors_are_taken_in_ring_order_where_that_is_agreed_on() {
    let driver = ByHand::running_in_order();
    for id in 0..SIZE {
        driver.post(TX, id, id);
        driver.expect_none();
        assert_eq!(driver.device.transmit_batch(1).len(), 1);
    }
    driver.post(TX, SIZE, 0);
    driver.expect_none();
    driver.post(TX, SIZE + 1, 2);
    driver.expect(Violation::NotInRingOrder { queue: TX, id: 2 });
    let driver = ByHand::running(0);
    driver.post(TX, 0, 2);
    driver.expect_none();
}

/// Descriptors that follow each other in the table, and entries of the used ring: one for three buffers.
#[test]
fn a_batch_is_one_entry_and_an_index_that_counts_all() {
    let driver = ByHand::running_in_order();
    (0..3).for_each(|id| driver.post(TX, id, id));
    assert_eq!(driver.device.transmit_batch(3).len(), 3);
    let used = driver.machine.read(driver.place(TX).used, 4 + 3 * 8).unwrap();
    assert_eq!(used[..12], [0, 0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(used[12..], [0; 16], "nothing is written for those that are skipped");
    driver.expect_none();
}

#[test]
fn a_descriptor_is_not_reused_while_the_device_owns_it() {
    let driver = ByHand::running(0);
    driver.post(TX, 0, 3);
    driver.expect_none();
    driver.descriptor(TX, 3, driver.buffer(9), 60, 0);
    assert_eq!(driver.device.violations(), []);
    driver.device.transmit(0).unwrap();
    driver.expect(Violation::DescriptorChanged { queue: TX, id: 3 });
}

#[test]
fn a_buffer_is_given_once() {
    let twice = Violation::BufferGivenTwice { queue: TX, id: 1 };
    // To the same queue, whole or in part.
    for shift in [0, 99] {
        let driver = ByHand::running(0);
        driver.post(TX, 0, 0);
        driver.descriptor(TX, 1, driver.buffer(0) + shift, 100, 0);
        driver.publish(TX, 1, 1);
        driver.device.ring_doorbell(TX);
        driver.expect(twice);
    }
    // To the other queue.
    let driver = ByHand::running(0);
    driver.descriptor(RX, 0, driver.buffer(1), 100, FLAG_WRITE);
    driver.publish(RX, 0, 0);
    driver.device.ring_doorbell(RX);
    driver.post(TX, 0, 1);
    driver.expect(twice);
    // And again, after it came back: as often as one likes.
    let driver = ByHand::running(0);
    for index in 0..3 {
        driver.post(TX, index, 1);
        driver.device.transmit(0).unwrap();
    }
    driver.expect_none();
}

#[test]
fn a_buffer_is_left_alone_while_the_device_reads_it() {
    let driver = ByHand::running(0);
    driver.post(TX, 0, 0);
    driver.expect_none();
    driver.machine.write(driver.buffer(0) + 50, b"too early").unwrap();
    driver.device.transmit(0).unwrap();
    driver.expect(Violation::BufferChanged { queue: TX, id: 0 });
}

#[test]
fn a_buffer_lies_in_memory() {
    let driver = ByHand::running(0);
    let beyond = Violation::BufferOutsideMemory { queue: RX, id: 0 };
    driver.descriptor(RX, 0, driver.buffer(16) - 50, 100, FLAG_WRITE);
    driver.publish(RX, 0, 0);
    driver.device.ring_doorbell(RX);
    driver.expect(beyond);

    // A virtual address instead of a physical one.
    let driver = ByHand::running(0);
    driver.descriptor(RX, 0, driver.buffers.virt().addr().get() as u64, 100, FLAG_WRITE);
    driver.publish(RX, 0, 0);
    driver.device.ring_doorbell(RX);
    driver.expect(beyond);
}

#[test]
fn a_buffer_is_not_freed_while_the_device_owns_it() {
    let driver = ByHand::running(0);
    driver.post(RX, 0, 0);
    driver.expect_none();
    let ByHand { device, buffers, queues, .. } = driver;
    drop(buffers);
    device.receive(b"into freed memory", 0);
    assert!(device.violations().contains(&Violation::BufferOutsideMemory { queue: RX, id: 0 }));
    drop(queues);
}

#[test]
fn header_and_packet_are_one_descriptor() {
    let driver = ByHand::running(0);
    post_apart(&driver, 12, 1);
    driver.expect(Violation::Chained { queue: TX, id: 0 });

    let driver = ByHand::running(0);
    driver.descriptor(TX, 0, driver.buffer(0), 11, 0);
    driver.publish(TX, 0, 0);
    driver.device.ring_doorbell(TX);
    driver.expect(Violation::NoRoomForHeader { queue: TX, id: 0 });
}

/// A packet in several descriptors has the header and the first bytes in the first. It is sent as one, and comes back as one.
#[test]
fn a_packet_may_continue_in_further_descriptors() {
    for (driver, header) in [(ByHand::running(0), 12), (ByHand::running_legacy(ANY_LAYOUT), 10)] {
        for (id, bytes, flags) in [(0, header + 1, FLAG_NEXT), (1, 60, FLAG_NEXT), (2, 5, 0)] {
            driver.descriptor(TX, id, driver.buffer(id.into()), bytes, flags);
        }
        driver.link(TX, 0, 1);
        driver.link(TX, 1, 2);
        driver.publish(TX, 0, 0);
        driver.device.ring_doorbell(TX);
        assert_eq!(driver.device.transmit(0).unwrap().len(), 1 + 60 + 5);
        assert_eq!((driver.device.owned(TX), driver.device.transmit(0)), (0, None));
        driver.expect_none();
    }
}

#[test]
fn a_buffer_to_receive_in_is_one_descriptor() {
    let driver = ByHand::running(0);
    driver.descriptor(RX, 0, driver.buffer(8), 60, FLAG_WRITE | FLAG_NEXT);
    driver.link(RX, 0, 1);
    driver.descriptor(RX, 1, driver.buffer(9), 60, FLAG_WRITE);
    driver.publish(RX, 0, 0);
    driver.device.ring_doorbell(RX);
    driver.expect(Violation::Chained { queue: RX, id: 0 });
}

/// Posts a packet under id 0 whose header of so many bytes is a descriptor by itself, and the rest in descriptor `next`.
fn post_apart(driver: &ByHand, header: u32, next: u16) {
    driver.descriptor(TX, 0, driver.buffer(0), header, FLAG_NEXT);
    driver.link(TX, 0, next);
    driver.descriptor(TX, 1, driver.buffer(0) + u64::from(header), 60, 0);
    driver.publish(TX, 0, 0);
    driver.device.ring_doorbell(TX);
}

#[test]
fn a_legacy_device_gets_header_and_packet_as_it_wants_them() {
    let driver = ByHand::running_legacy(ANY_LAYOUT);
    driver.post(TX, 0, 0);
    assert_eq!(driver.device.transmit(0).unwrap().len(), 90, "a header is ten bytes");
    driver.expect_none();
    let driver = ByHand::running_legacy(ANY_LAYOUT);
    post_apart(&driver, 10, 1);
    driver.expect(Violation::Chained { queue: TX, id: 0 });

    let driver = ByHand::running_legacy(0);
    post_apart(&driver, 10, 1);
    assert_eq!(driver.device.transmit(0).unwrap().len(), 60);
    driver.expect_none();
    let apart = Violation::HeaderNotApart { queue: TX, id: 0 };
    let driver = ByHand::running_legacy(0);
    driver.post(TX, 0, 0);
    driver.expect(apart);
    let driver = ByHand::running_legacy(0);
    post_apart(&driver, 12, 1);
    driver.expect(apart);
}

#[test]
fn descriptors_continue_in_descriptors_that_there_are_and_end() {
    for next in [0, SIZE] {
        let driver = ByHand::running_legacy(0);
        post_apart(&driver, 10, next);
        driver.expect(Violation::NoSuchDescriptor { queue: TX, id: next });
    }
}

/// The second descriptor belongs to the device as much as the first.
#[test]
fn no_descriptor_of_a_packet_is_reused_while_the_device_owns_it() {
    let driver = ByHand::running_legacy(0);
    post_apart(&driver, 10, 1);
    driver.expect_none();
    driver.descriptor(TX, 1, driver.buffer(9), 60, 0);
    driver.device.transmit(0).unwrap();
    driver.expect(Violation::DescriptorChanged { queue: TX, id: 0 });
}

#[test]
fn flags_fit_the_direction() {
    for (queue, flags) in [(TX, FLAG_WRITE), (RX, 0), (TX, FLAG_INDIRECT), (TX, 8)] {
        let driver = ByHand::running(0);
        driver.descriptor(queue, 0, driver.buffer(0), 100, flags);
        driver.publish(queue, 0, 0);
        driver.device.ring_doorbell(queue);
        driver.expect(Violation::WrongFlags { queue, id: 0 });
    }
}

#[test]
fn a_header_asks_for_nothing() {
    for byte in 0..12 {
        let driver = ByHand::running(0);
        driver.machine.write(driver.buffer(0) + byte, &[1]).unwrap();
        driver.post(TX, 0, 0);
        driver.expect(Violation::HeaderNotZero { id: 0 });
    }
}
