//! Several queue pairs, and the control queue that they need.

use std::sync::Arc;

use millrace_drivers::testing::{Commands, FakeMachine, NetDevice, Setup};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::net::{NetError, QueueRole, VirtioNet};
use millrace_drivers::virtio::queue::{CommandQueue, Events, Placement, QueueSize, RingMemory};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::{Transport, activate_queue};
use nm_driver::nic::{Nic, Stopped};
use nm_driver::platform::Platform;

use crate::bench::{CAPACITY, FALLBACK_MAC, frame};
use crate::rings::{params, queues_of, start};
use crate::ways::Way;

in_every_way!(
    as_many_pairs_are_used_as_the_device_has_and_the_options_allow,
    frames_pass_by_every_pair,
    a_device_that_does_not_grant_pairs_is_used_with_one,
    pairs_that_were_granted_and_are_not_any_more_are_an_error,
    a_card_takes_frames_for_all_stations,
    what_a_device_does_not_obey_does_not_keep_it_from_running,
    no_memory_of_a_command_is_freed_before_the_device_is_stopped,
    whatever_a_device_leaves_out_frames_pass,
);

// In a packed queue it is an answer in a place that has no command, where the driver does not look.
in_every_way_with_split_queues!(a_second_answer_is_no_answer);

const PROMISCUOUS: &[u8] = &[0, 0, 1];

/// A card that is looked at and may use so many queue pairs.
fn looked_at<W: Way>(setup: Setup, pairs: u16) -> (Arc<FakeMachine>, NetDevice, VirtioNet) {
    let machine = FakeMachine::new();
    let device = NetDevice::new(&machine, setup);
    let card = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, W::options(pairs)).unwrap();
    assert_eq!(machine.blocks(), 0, "nothing is left of the first look");
    assert!(!device.is_running());
    (machine, device, card)
}

/// The queue pairs that such a card says it has, which are those that it starts with.
fn pairs_of<W: Way>(setup: Setup, pairs: u16) -> (u16, NetDevice) {
    let (machine, device, mut card) = looked_at::<W>(setup, pairs);
    let info = card.info();
    let queues = queues_of(&mut card).unwrap();
    assert_eq!((queues.tx.len(), queues.rx.len()), (info.tx_queues.into(), info.rx_queues.into()));
    assert_eq!(info.tx_queues, info.rx_queues);
    device.fetch();
    assert_eq!(device.violations(), []);
    drop((card, queues));
    assert_eq!(machine.blocks(), 0);
    (info.tx_queues, device)
}

fn as_many_pairs_are_used_as_the_device_has_and_the_options_allow<W: Way>() {
    for (offered, allowed, used) in [(4, 1, 1), (4, 2, 2), (4, 3, 3), (4, 4, 4), (4, 64, 4), (1, 8, 1)] {
        assert_eq!(pairs_of::<W>(Setup::with_pairs(offered), allowed).0, used, "{allowed} of {offered}");
    }
    let (_machine, device, mut card) = looked_at::<W>(Setup::with_pairs(4), 3);
    let queues = queues_of(&mut card).unwrap();
    let sizes: Vec<_> = (0..9).map(|queue| device.is_queue_enabled(queue)).collect();
    assert_eq!(sizes, [true, true, true, true, true, true, false, false, true], "the rest is never set up");
    assert_eq!(device.commands(), [&[4, 0, 3, 0], PROMISCUOUS]);
    drop(queues);
}

fn frames_pass_by_every_pair<W: Way>() {
    const PAIRS: u16 = 3;
    let (machine, device, mut card) = looked_at::<W>(Setup::with_pairs(PAIRS), PAIRS);
    let params = params(&card, CAPACITY);
    let mut rings = start(&mut card, &machine, &params).unwrap();
    assert_eq!(rings.len(), usize::from(PAIRS));
    for (pair, (tx, rx)) in (0u16..).zip(&mut rings) {
        let sent = frame(u32::from(pair) + 1, 60 + usize::from(pair));
        assert!(tx.push(&sent));
        assert_eq!((tx.sync().packets, rx.sync().packets), (1, 0));
        assert_eq!((device.doorbells(2 * pair), device.doorbells(2 * pair + 1)), (1, 1));
        assert_eq!(device.transmit_of(pair, 0), Some(sent.clone()));
        assert!(device.receive_by(pair, &sent, 0));
        assert_eq!((tx.sync().released, tx.sync().released), (1, 0));
        assert_eq!(rx.receive(), [sent]);
    }
    assert!(rings.iter().all(|(tx, rx)| tx.is_complete() && rx.is_complete()));
    assert_eq!(device.violations(), []);
    drop((card, rings));
    assert_eq!((machine.blocks(), machine.misuse(), device.violations()), (0, vec![], vec![]));
}

/// Whatever stands in the way: it is used as one that has a single pair.
fn a_device_that_does_not_grant_pairs_is_used_with_one<W: Way>() {
    let changes: [fn(&mut Setup); 11] = [
        |setup| setup.offered.remove(Features::NET_MQ),
        |setup| setup.offered.remove(Features::NET_CTRL_VQ),
        |setup| setup.control_size = 0,
        |setup| setup.control_size = 2,
        |setup| setup.pairs = 0,
        |setup| setup.pairs = 0x8001,
        |setup| setup.pairs = 0xffff,
        |setup| setup.queue_sizes[3] = 0,
        |setup| setup.queue_sizes[2] = 128,
        |setup| setup.quirks.commands = Commands::Refused,
        |setup| setup.quirks.commands = Commands::Ignored,
    ];
    for (case, change) in changes.into_iter().enumerate() {
        let mut setup = Setup::with_pairs(2);
        change(&mut setup);
        let (pairs, device) = pairs_of::<W>(setup, 2);
        assert_eq!(pairs, 1, "case {case}");
        assert_eq!(device.violations(), [], "case {case}");
    }
    // More than there are queues, and those that are used are there: it is as good as its word.
    let setup = Setup { pairs: 0x8000, ..Setup::with_pairs(2) };
    assert_eq!(pairs_of::<W>(setup, 64).0, 1);
}

/// What a device changes between the first look and the start, and what the start says to it.
type Case = (fn(&mut Setup), NetError);

fn pairs_that_were_granted_and_are_not_any_more_are_an_error<W: Way>() {
    let shrank = NetError::QueueShrank { role: QueueRole::Receive, before: 256, now: 128 };
    let cases: [Case; 5] = [
        (|setup| setup.quirks.commands = Commands::Refused, NetError::PairsRefused { pairs: 2 }),
        (|setup| setup.quirks.commands = Commands::Ignored, NetError::NoAnswer),
        (|setup| setup.quirks.commands = Commands::AnsweredForAnother, NetError::NoAnswer),
        (|setup| setup.control_size = 1, NetError::NoControlQueue),
        (|setup| setup.queue_sizes[2] = 128, shrank),
    ];
    for case in cases {
        fails_to_start::<W>(case);
    }
    assert_eq!(NetError::PairsRefused { pairs: 2 }.to_string(), "the device refuses to use 2 queue pairs");
}

fn a_second_answer_is_no_answer<W: Way>() {
    fails_to_start::<W>((|setup| setup.quirks.commands = Commands::AnsweredTwice, NetError::NoAnswer));
}

fn fails_to_start<W: Way>((change, expected): Case) {
    let (machine, device, mut card) = looked_at::<W>(Setup::with_pairs(2), 2);
    device.change_setup(change);
    assert_eq!(queues_of(&mut card).map(drop).unwrap_err(), expected);
    assert!(!device.is_running());
    assert_eq!((machine.blocks(), device.violations()), (0, vec![]));
}

fn a_card_takes_frames_for_all_stations<W: Way>() {
    let told = |setup| {
        let (_machine, device, mut card) = looked_at::<W>(setup, 1);
        let queues = queues_of(&mut card).unwrap();
        let commands = device.commands();
        drop((card, queues));
        assert_eq!(device.violations(), []);
        commands
    };
    assert_eq!(told(Setup::default()), [PROMISCUOUS]);
    assert_eq!(told(Setup::with_pairs(4)), [PROMISCUOUS], "with one pair its number is another");
    assert_eq!(told(Setup::default().without(Features::RING_EVENT_IDX)), [PROMISCUOUS]);
    let nothing: [&[u8]; 0] = [];
    assert_eq!(told(Setup::default().without(Features::NET_CTRL_RX)), nothing);
    assert_eq!(told(Setup::default().without(Features::NET_CTRL_VQ)), nothing);

    let setup = Setup::with_pairs(4).without(Features::NET_CTRL_RX);
    let (_machine, device, mut card) = looked_at::<W>(setup, 1);
    let _queues = queues_of(&mut card).unwrap();
    let control = Features::NET_CTRL_VQ | Features::NET_MQ;
    assert_eq!(device.accepted_features() & control.bits(), 0, "one pair, and nothing to control");
}

fn what_a_device_does_not_obey_does_not_keep_it_from_running<W: Way>() {
    for commands in
        [Commands::Refused, Commands::Ignored, Commands::AnsweredForAnother, Commands::AnsweredTwice]
    {
        let mut setup = Setup::default();
        setup.quirks.commands = commands;
        assert_eq!(pairs_of::<W>(setup, 1).0, 1, "{commands:?}");
    }
    for control_size in [0, 1, 2] {
        assert_eq!(pairs_of::<W>(Setup { control_size, ..Setup::default() }, 1).0, 1);
    }
}

/// A device that has not answered may still do so.
fn no_memory_of_a_command_is_freed_before_the_device_is_stopped<W: Way>() {
    let mut setup = Setup::default();
    setup.quirks.commands = Commands::Ignored;
    let (machine, _device, mut card) = looked_at::<W>(setup, 1);
    let queues = queues_of(&mut card).unwrap();
    drop(queues);
    assert_eq!(machine.blocks(), 4, "two queues, the control queue and its command");
    assert_eq!(card.stop(), Stopped::Yes);
    assert_eq!(machine.blocks(), 0);
}

/// Every subset of what a device need not have, with as many queue pairs as there can be then.
fn whatever_a_device_leaves_out_frames_pass<W: Way>() {
    let choices = [
        Features::RING_EVENT_IDX,
        Features::NET_MAC,
        Features::NET_STATUS,
        Features::NET_CTRL_VQ,
        Features::NET_CTRL_RX,
        Features::NET_MQ,
    ];
    for subset in 0..1u32 << choices.len() {
        let left_out = (0..).zip(choices).filter(|(bit, _)| subset >> bit & 1 == 1);
        let left_out = left_out.fold(Features::empty(), |all, (_, feature)| all | feature);
        let (machine, device, mut card) = looked_at::<W>(Setup::with_pairs(2).without(left_out), 2);
        let has_pairs = !left_out.intersects(Features::NET_MQ | Features::NET_CTRL_VQ);
        let info = card.info();
        assert_eq!(info.tx_queues, 1 + u16::from(has_pairs), "without {left_out:?}");
        let has_mac = !left_out.contains(Features::NET_MAC);
        assert_eq!(info.mac, if has_mac { Setup::default().mac } else { FALLBACK_MAC });

        let params = params(&card, CAPACITY);
        let mut rings = start(&mut card, &machine, &params).unwrap();
        let last = info.tx_queues - 1;
        let (tx, rx) = rings.last_mut().unwrap();
        let sent = frame(subset, 60);
        assert!(tx.push(&sent));
        assert_eq!((tx.sync().packets, rx.sync().packets), (1, 0));
        assert_eq!(device.transmit_of(last, 0), Some(sent.clone()), "without {left_out:?}");
        assert!(device.receive_by(last, &sent, 0));
        assert_eq!((tx.sync().released, rx.receive()), (1, vec![sent]));
        drop((card, rings));
        assert_eq!((machine.blocks(), device.violations()), (0, vec![]), "without {left_out:?}");
    }
}

/// Its memory may still be written to, by the answer that did not come.
#[test]
fn after_a_command_without_an_answer_none_is_sent() {
    let machine = FakeMachine::new();
    let mut setup = Setup::default();
    setup.quirks.commands = Commands::Ignored;
    let device = NetDevice::new(&machine, setup);
    let platform: Arc<dyn Platform> = machine.clone();
    let mut transport = device.transport();
    let begun = Status::ACKNOWLEDGE | Status::DRIVER;
    transport.set_status(Status::ACKNOWLEDGE);
    transport.set_status(begun);
    transport.accept_features(Features::VERSION_1 | Features::NET_CTRL_VQ | Features::NET_CTRL_RX);
    transport.set_status(begun | Status::FEATURES_OK);
    let ring = |entries| {
        let size = QueueSize::within(entries).unwrap();
        RingMemory::allocate(&platform, size, Placement::Free).unwrap()
    };
    let rings = [ring(256), ring(256), ring(4)];
    let bells: Vec<_> = (0..)
        .zip(&rings)
        .map(|(queue, ring)| activate_queue(&mut transport, queue, ring.place()).unwrap())
        .collect();
    transport.set_status(begun | Status::FEATURES_OK | Status::DRIVER_OK);
    let [_receive, _transmit, ring] = rings;
    let bell = bells.into_iter().next_back().unwrap();
    let command = CommandQueue::memory(&platform).unwrap();
    let mut queue = CommandQueue::split(ring, command, Events::Flag, bell).unwrap();
    assert_eq!(queue.ask([0, 0], &[], platform.as_ref()), None, "there is no data");
    assert_eq!(queue.ask([0, 0], &[1; 9], platform.as_ref()), None, "there is too much");
    assert!(device.commands().is_empty());
    for _ in 0..2 {
        assert_eq!(queue.ask([0, 0], &[1], platform.as_ref()), None);
        assert_eq!(device.commands(), [PROMISCUOUS]);
    }
    assert_eq!(device.violations(), []);
}
