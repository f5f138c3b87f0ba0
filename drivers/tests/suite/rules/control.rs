//! Rules about the control queue and the queue pairs.

use millrace_drivers::testing::Violation;

use super::by_hand::{ByHand, CONTROL, CTRL_RX, FLAG_NEXT, FLAG_WRITE, RX, TX};

/// The transmit queue of the second pair.
const SECOND_TX: u16 = 3;
const ALL: [u16; 5] = [RX, TX, 2, SECOND_TX, CONTROL];

const OK: u8 = 0;
const ERROR: u8 = 1;
const NOT_ANSWERED: u8 = 0x55;

#[test]
fn commands_are_obeyed() {
    let driver = ByHand::with_pairs(CTRL_RX, &ALL);
    for (index, pairs) in (0..).zip([2, 1, 2, 1, 2, 2, 2, 2, 2, 2]) {
        assert_eq!(driver.command(index, &[4, 0, pairs, 0]), OK, "command {index}");
    }
    assert_eq!(driver.command(10, &[0, 0, 1]), OK);
    driver.post(SECOND_TX, 0, 3);
    driver.expect_none();
}

#[test]
fn a_pair_is_enabled_before_it_is_used() {
    for (queues, pairs, pair) in [(&[RX, TX, 2, CONTROL][..], 2, 1), (&ALL, 3, 2), (&ALL, 255, 2)] {
        let driver = ByHand::with_pairs(0, queues);
        assert_eq!(driver.command(0, &[4, 0, pairs, 0]), ERROR);
        driver.expect(Violation::PairNotEnabled { pair });
    }
    let driver = ByHand::with_pairs(0, &ALL);
    assert_eq!(driver.command(0, &[4, 0, 0, 0]), ERROR, "there is one pair at least");
}

#[test]
fn a_pair_is_used_once_the_device_was_told() {
    let driver = ByHand::with_pairs(0, &ALL);
    driver.post(SECOND_TX, 0, 3);
    driver.expect(Violation::PairNotInUse { pair: 1 });
}

#[test]
fn a_command_is_one_that_there_is() {
    let driver = ByHand::with_pairs(0, &ALL);
    assert_eq!(driver.command(0, &[0, 0, 1]), ERROR);
    driver.expect(Violation::WrongCommand { class: 0, command: 0 });
    let driver = ByHand::with_pairs(CTRL_RX, &ALL);
    assert_eq!(driver.command(0, &[4, 7, 1, 0]), ERROR);
    driver.expect(Violation::WrongCommand { class: 4, command: 7 });
}

#[test]
fn a_command_ends_with_a_byte_for_the_answer() {
    let no_command = Violation::NoCommand { queue: CONTROL };
    let no_end = Violation::NoSuchDescriptor { queue: CONTROL, id: 1 };
    let cases = [(2, FLAG_WRITE, no_command), (1, 0, no_command), (1, FLAG_NEXT, no_end)];
    for (bytes, flags, violation) in cases {
        let driver = ByHand::with_pairs(0, &ALL);
        driver.descriptor(CONTROL, 0, driver.buffer(0), 4, FLAG_NEXT);
        driver.link(CONTROL, 0, 1);
        driver.descriptor(CONTROL, 1, driver.buffer(1), bytes, flags);
        driver.link(CONTROL, 1, 1);
        driver.publish(CONTROL, 0, 0);
        driver.device.ring_doorbell(CONTROL);
        driver.expect(violation);
    }
    let driver = ByHand::with_pairs(0, &ALL);
    assert_eq!(driver.command(0, &[4, 0]), NOT_ANSWERED, "a number without data");
    driver.device.ring_doorbell(CONTROL);
    assert_eq!(
        driver.device.violations(),
        [Violation::NoCommand { queue: CONTROL }, Violation::DoorbellWithoutBuffers { queue: CONTROL }]
    );
}
