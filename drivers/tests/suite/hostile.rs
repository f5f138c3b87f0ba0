//! A device that lies: whatever it writes, nothing panics, and an id comes back only if it was outstanding.

use std::collections::BTreeSet;

use millrace_drivers::testing::{Commands, FakeMachine, NetDevice, Quirks, Setup, Slow};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::net::VirtioNet;
use nm_core::nic::{Content, Nic, QueueHealth};
use proptest::prelude::*;

use crate::bench::{Bench, CAPACITY, FALLBACK_MAC, RECEIVE, TRANSMIT};
use crate::ways::Way;

in_every_way!(
    an_id_that_is_not_outstanding_is_counted_and_skipped,
    an_id_comes_back_once,
    lengths_that_cannot_be_are_damaged_frames,
    whatever_a_device_writes_into_its_queues,
    whatever_a_device_offers,
);

in_every_way_with_split_queues!(an_index_beyond_what_is_outstanding_breaks_the_queue);

/// Random devices for each way of attaching one.
const CASES: u32 = 200;

fn health(refused: u64, is_broken: bool) -> QueueHealth {
    QueueHealth { refused, is_broken }
}

fn an_id_that_is_not_outstanding_is_counted_and_skipped<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    for id in 0..4 {
        assert!(bench.put(id, b"frame"));
    }
    bench.tx.kick();
    // An id of a packed queue has 16 bits.
    let ids = if W::IS_PACKED { [5, 8, 0x100, 0xffff] } else { [5, 8, 0x10000, u32::MAX] };
    for id in ids {
        bench.device.complete_falsely(TRANSMIT, id, 0);
    }
    assert_eq!(bench.tx.reclaim(), None);
    // In a packed queue nothing is left that they could come back in; a device that keeps the order has no such completions.
    assert_eq!(bench.tx.health(), health(4, W::IS_PACKED || W::IS_IN_ORDER));
}

/// With a device that keeps the order it is the last of a batch; the tests of `in_order` have that.
fn an_id_comes_back_once<W: Way>() {
    if W::IS_IN_ORDER {
        return;
    }
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    for id in 0..4 {
        assert!(bench.put(id, b"frame"));
    }
    bench.tx.kick();
    for _ in 0..3 {
        bench.device.complete_falsely(TRANSMIT, 2, 0);
    }
    assert_eq!((bench.tx.reclaim(), bench.tx.reclaim()), (Some(2), None));
    assert_eq!(bench.tx.health(), health(2, false));
}

fn an_index_beyond_what_is_outstanding_breaks_the_queue<W: Way>() {
    for distance in [3, 4, 0x7fff, 0x8000, 0xffff] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        assert!(bench.put(0, b"known") && bench.put(1, b"known"));
        bench.tx.kick();
        assert!(bench.put(2, b"not published"));
        bench.device.jump(TRANSMIT, distance);
        assert_eq!(bench.tx.reclaim(), None);
        assert_eq!(bench.tx.health(), health(0, true), "{distance}");
        // It stays so, also when the index comes back to where it may be.
        bench.device.jump(TRANSMIT, distance.wrapping_neg().wrapping_add(1));
        assert_eq!(bench.tx.reclaim(), None);
        bench.device.scribble(TRANSMIT, 0, 2);
        assert!(!bench.tx.kick(), "a broken queue is left alone, also by a doorbell that would be wanted");
        // After a restart the card works again.
        let mut queues = bench.nic.start().unwrap();
        assert_eq!(queues.tx.remove(0).health(), health(0, false));
    }
}

fn lengths_that_cannot_be_are_damaged_frames<W: Way>() {
    let header = W::header_bytes();
    let most = header + u32::from(CAPACITY);
    let cases = [
        (0, Content::Damaged),
        (header - 1, Content::Damaged),
        (header, Content::Frame(0)),
        (header + 60, Content::Frame(60)),
        (most, Content::Frame(CAPACITY)),
        (most + 1, Content::Damaged),
        (header + 0x10000, Content::Damaged),
        (header + 0x10000 + 60, Content::Damaged),
        (u32::MAX, Content::Damaged),
    ];
    for (written, content) in cases {
        let mut bench = Bench::<W>::new(Setup::default());
        assert!(bench.give(0));
        bench.rx.kick();
        bench.device.complete_falsely(RECEIVE, 0, written);
        assert_eq!(bench.rx.take().map(|received| received.content), Some(content), "{written} bytes");
        assert_eq!(bench.rx.health(), health(0, false));
    }
}

/// What driver and device do in a random test.
#[derive(Debug, Clone)]
enum Step {
    Put(u16),
    Give(u16),
    KickTx,
    KickRx,
    Reclaim,
    Take,
    Transmit(usize),
    Receive(usize, usize),
    TransmitBatch(usize),
    ReceiveBatch(usize, usize),
    Complete { queue: u16, id: u32, written: u32 },
    Jump { queue: u16, distance: u16 },
    Scribble { queue: u16, flags: u16, event: u16 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..2u16;
    let id = prop_oneof![0..10u32, any::<u32>()];
    let written = prop_oneof![0..200u32, any::<u32>()];
    let distance = prop_oneof![0..4u16, any::<u16>()];
    prop_oneof![
        8 => (0..10u16).prop_map(Step::Put),
        8 => (0..10u16).prop_map(Step::Give),
        6 => Just(Step::KickTx),
        6 => Just(Step::KickRx),
        8 => Just(Step::Reclaim),
        8 => Just(Step::Take),
        4 => any::<usize>().prop_map(Step::Transmit),
        4 => (0..300usize, any::<usize>()).prop_map(|(len, place)| Step::Receive(len, place)),
        2 => (0..10usize).prop_map(Step::TransmitBatch),
        2 => (0..10usize, 0..300usize).prop_map(|(count, len)| Step::ReceiveBatch(count, len)),
        6 => (queue.clone(), id, written).prop_map(|(queue, id, written)| Step::Complete { queue, id, written }),
        1 => (queue.clone(), distance).prop_map(|(queue, distance)| Step::Jump { queue, distance }),
        2 => (queue, any::<u16>(), any::<u16>())
            .prop_map(|(queue, flags, event)| Step::Scribble { queue, flags, event }),
        1 => Just(Step::Restart),
    ]
}

/// The driver under test, and what is outstanding by an account of its own.
struct Account<W: Way> {
    bench: Bench<W>,
    sent: BTreeSet<u16>,
    given: BTreeSet<u16>,
}

impl<W: Way> Account<W> {
    fn take(&mut self, step: &Step) {
        let Self { bench, sent, given } = self;
        let size = bench.tx.capacity();
        match *step {
            Step::Put(id) => {
                // The core posts no id that is outstanding; if it did, it would be refused.
                let is_free = id < size && !sent.contains(&id);
                assert_eq!(bench.put(id, b"frame"), is_free);
                sent.extend(is_free.then_some(id));
            }
            Step::Give(id) => {
                let is_free = id < size && !given.contains(&id);
                assert_eq!(bench.give(id), is_free);
                given.extend(is_free.then_some(id));
            }
            Step::KickTx => drop(bench.tx.kick()),
            Step::KickRx => drop(bench.rx.kick()),
            Step::Reclaim => {
                if let Some(id) = bench.tx.reclaim() {
                    assert!(sent.remove(&id), "transmit id {id} was not outstanding");
                }
            }
            Step::Take => {
                if let Some(received) = bench.rx.take() {
                    assert!(given.remove(&received.id), "receive id {} was not outstanding", received.id);
                    assert!(!matches!(received.content, Content::Frame(len) if len > CAPACITY));
                }
            }
            Step::Transmit(place) => drop(bench.device.transmit(place)),
            Step::Receive(len, place) => drop(bench.device.receive(&vec![7; len], place)),
            Step::TransmitBatch(count) => drop(bench.device.transmit_batch(count)),
            Step::ReceiveBatch(count, len) => drop(bench.device.receive_batch(count, 7, &vec![7; len])),
            Step::Complete { queue, id, written } => bench.device.complete_falsely(queue, id, written),
            Step::Jump { queue, distance } => bench.device.jump(queue, distance),
            Step::Scribble { queue, flags, event } => bench.device.scribble(queue, flags, event),
            Step::Restart => {
                let mut queues = bench.nic.start().expect("a device that lies in its queues still resets");
                (bench.tx, bench.rx) = (queues.tx.remove(0), queues.rx.remove(0));
                sent.clear();
                given.clear();
            }
        }
    }
}

fn whatever_a_device_writes_into_its_queues<W: Way>() {
    proptest!(ProptestConfig::with_cases(CASES), |(
        has_event_idx in any::<bool>(),
        steps in prop::collection::vec(step(), 1..150),
    )| {
        let mut setup = W::with_slots(8, 8);
        if !has_event_idx {
            setup = setup.without(Features::RING_EVENT_IDX);
        }
        let mut account = Account { bench: Bench::<W>::new(setup), sent: BTreeSet::new(), given: BTreeSet::new() };
        for step in &steps {
            account.take(step);
        }
        let Bench { machine, nic, tx, rx, buffers, .. } = account.bench;
        drop((nic, tx, rx, buffers));
        prop_assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
    });
}

/// What a device offers, and whether a driver of it starts.
fn offer() -> impl Strategy<Value = Setup> {
    let features = (any::<u64>(), any::<bool>()).prop_map(|(offered, is_version_1)| {
        let mut offered = Features::from_bits_retain(offered);
        offered.set(Features::VERSION_1, is_version_1);
        offered
    });
    let changes = prop_oneof![0..40u32, Just(u32::MAX)];
    let flags = any::<(bool, bool, bool)>();
    let quirks =
        (0..20u32, flags, any::<u8>(), changes).prop_map(|(slow, flags, extra_status, config_changes)| {
            let (refuses_features, keeps_queue_size, keeps_queue_disabled) = flags;
            let slow_reset = Slow::Looks(slow);
            Quirks {
                slow_reset,
                refuses_features,
                keeps_queue_size,
                keeps_queue_disabled,
                extra_status,
                config_changes,
                ..Quirks::default()
            }
        });
    let queue_sizes = prop::collection::vec(prop_oneof![3 => Just(256), 1 => any::<u16>()], 0..7);
    let commands = prop_oneof![
        8 => Just(Commands::Obeyed),
        2 => Just(Commands::Refused),
        2 => Just(Commands::AnsweredForAnother),
        2 => Just(Commands::AnsweredTwice),
        1 => Just(Commands::Ignored),
    ];
    let control = (prop_oneof![0..70u16, any::<u16>()], prop_oneof![0..4u16, any::<u16>()], commands);
    (features, queue_sizes, control, quirks).prop_map(|(offered, queue_sizes, control, quirks)| {
        let (control_size, pairs, commands) = control;
        let quirks = Quirks { commands, ..quirks };
        Setup { offered, queue_sizes, control_size, pairs, quirks, ..Setup::default() }
    })
}

fn whatever_a_device_offers<W: Way>() {
    proptest!(ProptestConfig::with_cases(CASES), |(setup in offer(), pairs in 1..5u16)| {
        let machine = FakeMachine::new();
        let device = NetDevice::new(&machine, setup);
        let options = W::options(pairs);
        if let Ok(mut nic) = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, options) {
            let told = nic.info().tx_queues;
            let started = nic.start();
            prop_assert_eq!(started.is_ok(), device.is_running());
            prop_assert!(told <= pairs);
            prop_assert!(started.is_err() || started.is_ok_and(|queues| queues.tx.len() == usize::from(told)));
        }
        prop_assert!(!device.is_running());
        prop_assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
    });
}
