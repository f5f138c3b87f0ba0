//! The control queue: buffers of several descriptors.

use millrace_drivers::testing::{Commands, Violation};

use super::by_hand::{AVAIL, BUFFER, ByHand, CONTROL, DESC, ENABLE, Entry, USED};
use crate::rules::by_hand::{CTRL_RX, CTRL_VQ, EVENT_IDX, FLAG_NEXT, FLAG_WRITE, TX};

const OK: u8 = 0;
const ERROR: u8 = 1;
const NOT_ANSWERED: u8 = 0x55;
/// What a command is about: all packets are to be taken.
const PROMISC: [u8; 3] = [0, 0, 1];

/// The answer goes behind the command, in a buffer of the transmit queue.
fn answer_at(driver: &ByHand) -> u64 {
    driver.buffer(TX, 0) + u64::from(BUFFER) / 2
}

/// Makes a command available under `id`: its `parts` in a descriptor each, and one for the answer.
fn make_available(driver: &mut ByHand, id: u16, parts: &[&[u8]]) {
    let (mut at, answer) = (driver.buffer(TX, 0), answer_at(driver));
    driver.machine.write(answer, &[NOT_ANSWERED]).unwrap();
    for part in parts {
        driver.machine.write(at, part).unwrap();
        let len = part.len() as u32;
        driver.make_available(CONTROL, Entry { address: at, len, id: !id, flags: FLAG_NEXT });
        at += u64::from(len);
    }
    driver.make_available(CONTROL, Entry { address: answer, len: 1, id, flags: FLAG_WRITE });
}

/// The same, and the answer to it.
fn command(driver: &mut ByHand, id: u16, parts: &[&[u8]]) -> u8 {
    make_available(driver, id, parts);
    driver.kick(CONTROL);
    driver.machine.read(answer_at(driver), 1).unwrap()[0]
}

/// Chains of two and of three descriptors, across the end of the ring as well.
#[test]
fn commands_are_obeyed_lap_after_lap() {
    for features in [0, EVENT_IDX] {
        for size in [3, 4, 5, 64] {
            let mut driver = ByHand::running(CTRL_VQ | CTRL_RX | features, size);
            for round in 0..1000 {
                let id = round % size;
                let first = driver.side(CONTROL).next;
                let parts: &[&[u8]] =
                    if round % 3 == 0 { &[&PROMISC[..2], &PROMISC[2..]] } else { &[&PROMISC] };
                assert_eq!(command(&mut driver, id, parts), OK, "command {round}");
                let Entry { len, id: used, flags, .. } = driver.read(CONTROL, first.place);
                let expected = FLAG_WRITE | if first.wrap { AVAIL | USED } else { 0 };
                assert_eq!((len, used, flags), (1, id, expected));
            }
            assert_eq!(driver.device.commands().len(), 1000);
            let next = driver.side(CONTROL).next;
            let asked = if features == EVENT_IDX { [next.event(), DESC] } else { [0, ENABLE] };
            assert_eq!(driver.device_events(CONTROL), asked);
            driver.expect_none();
        }
    }
}

/// A chain of as many descriptors as there are.
#[test]
fn a_command_may_fill_the_ring() {
    let mut driver = ByHand::running(CTRL_VQ | CTRL_RX, 4);
    for _ in 0..10 {
        let [class, number, on] = PROMISC;
        assert_eq!(command(&mut driver, 2, &[&[class], &[number], &[on]]), OK);
    }
    driver.expect_none();
}

#[test]
fn a_device_may_refuse_ignore_or_confuse_commands() {
    let cases = [
        (Commands::Refused, ERROR, 1, AVAIL | USED | FLAG_WRITE, 0),
        (Commands::Ignored, NOT_ANSWERED, !1, AVAIL | FLAG_NEXT, 0),
        (Commands::AnsweredForAnother, OK, 2, AVAIL | USED | FLAG_WRITE, 0),
        (Commands::AnsweredTwice, OK, 1, AVAIL | USED | FLAG_WRITE, AVAIL | USED),
    ];
    for (manner, answer, id, flags, behind) in cases {
        let mut driver = ByHand::running(CTRL_VQ | CTRL_RX, 8);
        driver.device.change_setup(|setup| setup.quirks.commands = manner);
        assert_eq!(command(&mut driver, 1, &[&PROMISC]), answer, "{manner:?}");
        let first = driver.read(CONTROL, 0);
        assert_eq!((first.id, first.flags, driver.read(CONTROL, 2).flags), (id, flags, behind), "{manner:?}");
        driver.expect_none();
    }
}

#[test]
fn a_command_ends_with_a_byte_for_the_answer() {
    let cases: [fn(&ByHand) -> [Entry; 2]; 3] = [
        |driver| {
            [
                Entry { flags: FLAG_NEXT, ..driver.good(TX, 0) },
                Entry { len: 2, flags: FLAG_WRITE, ..driver.good(TX, 1) },
            ]
        },
        |driver| [Entry { flags: FLAG_NEXT, ..driver.good(TX, 0) }, Entry { len: 1, ..driver.good(TX, 1) }],
        // There is nothing to read.
        |driver| {
            let written = Entry { flags: FLAG_WRITE | FLAG_NEXT, ..driver.good(TX, 0) };
            [written, Entry { len: 1, flags: FLAG_WRITE, ..driver.good(TX, 1) }]
        },
    ];
    for case in cases {
        let mut driver = ByHand::running(CTRL_VQ | CTRL_RX, 8);
        case(&driver).into_iter().for_each(|entry| driver.make_available(CONTROL, entry));
        driver.kick(CONTROL);
        driver.expect(Violation::NoCommand { queue: CONTROL });
    }
    let mut driver = ByHand::running(CTRL_VQ | CTRL_RX, 8);
    let part = Entry { len: 1, flags: FLAG_NEXT, ..driver.good(TX, 0) };
    [part, part].into_iter().for_each(|entry| driver.make_available(CONTROL, entry));
    driver.kick(CONTROL);
    driver.expect(Violation::WrongWrapCounter { queue: CONTROL, place: 2 });
}

#[test]
fn the_control_queue_s_events_are_looked_at() {
    let mut driver = ByHand::running(CTRL_VQ | CTRL_RX, 8);
    driver.set_events(CONTROL, 0, 3);
    command(&mut driver, 0, &[&PROMISC]);
    driver.expect(Violation::EventFlagsReserved { queue: CONTROL, flags: 3 });
}

#[test]
fn a_command_is_made_available_in_its_lap() {
    let driver = ByHand::running(CTRL_VQ | CTRL_RX, 8);
    driver.write(CONTROL, 0, Entry { flags: USED, ..driver.good(TX, 0) });
    driver.device.ring_doorbell(CONTROL);
    assert_eq!(
        driver.device.violations(),
        [
            Violation::WrongWrapCounter { queue: CONTROL, place: 0 },
            Violation::DoorbellWithoutBuffers { queue: CONTROL },
        ]
    );
}
