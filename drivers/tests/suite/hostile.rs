//! A device that lies: whatever it writes, nothing panics, slots come back once and in order, and no buffer is in two places.

use std::collections::VecDeque;

use millrace_drivers::testing::{Commands, FakeMachine, NetDevice, Quirks, Setup, Slow};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::net::VirtioNet;
use nm_driver::burst::RxReport;
use nm_driver::nic::{Nic, QueueStatus};
use proptest::prelude::*;

use crate::bench::{Bench, CAPACITY, FALLBACK_MAC, RECEIVE, TRANSMIT, frame};
use crate::rings::params;
use crate::ways::Way;

in_every_way!(
    an_id_that_is_not_outstanding_is_counted_and_skipped,
    an_id_comes_back_once,
    a_received_id_comes_back_once_for_each_time_it_was_posted,
    lengths_that_cannot_be_are_damaged_frames,
    whatever_a_device_writes_into_its_queues,
    whatever_a_device_offers,
);

in_every_way_with_split_queues!(an_index_beyond_what_is_outstanding_breaks_the_queue);

/// Random devices for each way of attaching one: with optimisation, ten million answers over all ways.
const CASES: u32 = if cfg!(debug_assertions) { 200 } else { 15_000 };

/// The status of a queue, apart from its doorbell.
fn health(status: QueueStatus) -> (u32, bool) {
    (status.refused, status.is_broken)
}

fn an_id_that_is_not_outstanding_is_counted_and_skipped<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    assert!((0..4).all(|number| bench.tx.push(&frame(number, 60))));
    bench.tx.sync();
    // An id of a packed queue has 16 bits.
    let ids = if W::IS_PACKED { [5, 8, 0x100, 0xffff] } else { [5, 8, 0x10000, u32::MAX] };
    for id in ids {
        bench.device.complete_falsely(TRANSMIT, id, 0);
    }
    assert_eq!(bench.tx.sync().released, 0);
    assert!(bench.tx.is_complete());
    // In a packed queue nothing is left that they could come back in; a device that keeps the order has no such completions.
    let refused = if W::IS_IN_ORDER { 0 } else { 4 };
    assert_eq!(health(bench.tx.status), (refused, W::IS_PACKED || W::IS_IN_ORDER));
}

/// With a device that keeps the order it is the last of a batch; the tests of `in_order` have that.
fn an_id_comes_back_once<W: Way>() {
    if W::IS_IN_ORDER {
        return;
    }
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    assert!((0..6).all(|number| bench.tx.push(&frame(number, 60))));
    bench.tx.sync();
    let complete = |bench: &Bench<W>, number: u32| {
        bench.device.complete_falsely(TRANSMIT, number * u32::from(W::DESCRIPTORS), 0);
    };
    for _ in 0..3 {
        complete(&bench, 2);
    }
    assert_eq!(bench.tx.sync().released, 0, "older ones are outstanding");
    assert_eq!(health(bench.tx.status), (2, false));
    complete(&bench, 0);
    assert_eq!(bench.tx.sync().released, 1);
    complete(&bench, 1);
    assert_eq!(bench.tx.sync().released, 2, "with the one that was complete already");
    assert_eq!((bench.tx.outstanding(), health(bench.tx.status)), (3, (2, false)));
}

/// As before, for a queue whose buffers are posted again in between.
fn a_received_id_comes_back_once_for_each_time_it_was_posted<W: Way>() {
    if W::IS_IN_ORDER {
        return;
    }
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    let complete = |bench: &Bench<W>, number: u32| {
        bench.device.complete_falsely(RECEIVE, number * u32::from(W::DESCRIPTORS), W::header_bytes() + 60);
    };
    bench.rx.sync();
    for _ in 0..6 {
        complete(&bench, 1);
    }
    assert_eq!((bench.rx.receive().len(), health(bench.rx.status)), (1, (5, false)));
    // Of seven buffers two can still come back, the one that did among them, however often. The ids that it has alternate: of
    // eight one is free, and the one that came back is taken behind it.
    for (round, number) in (0..2000).zip([7, 1].into_iter().cycle()) {
        bench.rx.sync();
        assert_eq!((bench.rx.outstanding(), health(bench.rx.status)), (7, (5, false)), "{round}");
        complete(&bench, number);
        assert_eq!(bench.rx.receive().len(), 1, "{round}");
        assert!(bench.rx.is_complete());
    }
    bench.rx.sync();
    complete(&bench, 0);
    assert_eq!((bench.rx.receive().len(), bench.rx.outstanding()), (1, 6));
    complete(&bench, 0);
    bench.rx.sync();
    assert_eq!(bench.rx.status.refused, 6, "its buffer is not posted again yet");
}

fn an_index_beyond_what_is_outstanding_breaks_the_queue<W: Way>() {
    for distance in [5, 6, 0x7fff, 0x8000, 0xffff] {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        // Half of the ring: the next sync looks, though something is pending.
        assert!((0..4).all(|_| bench.tx.push(b"known")));
        bench.tx.sync();
        assert!(bench.tx.push(b"not published"));
        bench.device.jump(TRANSMIT, distance);
        assert_eq!(bench.tx.sync().released, 0);
        assert_eq!(health(bench.tx.status), (0, true), "{distance}");
        // It stays so, also when the index comes back to where it may be.
        bench.device.jump(TRANSMIT, distance.wrapping_neg().wrapping_add(1));
        assert!(bench.tx.push(b"later"));
        bench.device.scribble(TRANSMIT, 0, 2);
        assert_eq!(bench.tx.sync().released, 0);
        assert!(
            !bench.tx.status.has_kicked,
            "a broken queue is left alone, also by a doorbell that would be wanted"
        );
        assert_eq!(health(bench.tx.status), (0, true));
        assert!(bench.tx.is_complete());
        // After a restart the card works again.
        bench.restart();
        assert!(bench.tx.push(b"again"));
        assert_eq!((bench.tx.sync().packets, health(bench.tx.status)), (1, (0, false)));
        assert_eq!(bench.device.transmit_all(), [b"again"]);
    }
}

fn lengths_that_cannot_be_are_damaged_frames<W: Way>() {
    /// What becomes of the only frame of a sync.
    #[derive(Debug, PartialEq)]
    enum Fate {
        Frame(usize),
        Short,
        Damaged,
    }
    let header = W::header_bytes();
    let most = header + u32::from(CAPACITY);
    let cases = [
        (0, Fate::Damaged),
        (header - 1, Fate::Damaged),
        (header, Fate::Short),
        (header + 13, Fate::Short),
        (header + 14, Fate::Frame(14)),
        (header + 60, Fate::Frame(60)),
        (most, Fate::Frame(CAPACITY.into())),
        (most + 1, Fate::Damaged),
        (header + 0x10000, Fate::Damaged),
        (header + 0x10000 + 60, Fate::Damaged),
        (u32::MAX, Fate::Damaged),
    ];
    for (written, expected) in cases {
        let mut bench = Bench::<W>::new(W::with_slots(8, 8));
        bench.rx.sync();
        bench.device.complete_falsely(RECEIVE, 0, written);
        let report = bench.rx.sync();
        let fate = match (report.packets, report.short, report.damaged, report.long) {
            (1, 0, 0, 0) => Fate::Frame(bench.rx.take()[0].len()),
            (0, 1, 0, 0) => Fate::Short,
            (0, 0, 1, 0) => Fate::Damaged,
            other => panic!("{other:?} of {written} bytes"),
        };
        assert_eq!(fate, expected, "{written} bytes");
        assert_eq!(health(bench.rx.status), (0, false));
        assert!(bench.rx.is_complete());
        // Without a frame it is posted again at once.
        let is_frame = matches!(fate, Fate::Frame(_));
        assert_eq!(bench.rx.outstanding(), 7 - u32::from(is_frame));
        bench.rx.sync();
        assert_eq!(bench.rx.outstanding(), 7, "its buffer is posted again");
    }
}

/// What driver and device do in a random test.
#[derive(Debug, Clone)]
enum Step {
    Push { slots: usize, len: usize },
    SyncTx,
    SyncRx { held_back: u32 },
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

fn honest_step() -> impl Strategy<Value = Step> {
    let queue = 0..2u16;
    prop_oneof![
        8 => (prop_oneof![3 => Just(1), 1 => 2..5usize], 1..120usize)
            .prop_map(|(slots, len)| Step::Push { slots, len }),
        8 => Just(Step::SyncTx),
        8 => prop_oneof![2 => Just(0), 1 => 0..12u32].prop_map(|held_back| Step::SyncRx { held_back }),
        6 => Just(Step::Take),
        4 => any::<usize>().prop_map(Step::Transmit),
        6 => (0..200usize, any::<usize>()).prop_map(|(len, place)| Step::Receive(len, place)),
        2 => (0..10usize).prop_map(Step::TransmitBatch),
        2 => (0..10usize, 0..200usize).prop_map(|(count, len)| Step::ReceiveBatch(count, len)),
        2 => (queue, any::<u16>(), any::<u16>())
            .prop_map(|(queue, flags, event)| Step::Scribble { queue, flags, event }),
        1 => Just(Step::Restart),
    ]
}

fn lie() -> impl Strategy<Value = Step> {
    let queue = 0..2u16;
    let id = prop_oneof![0..20u32, any::<u32>()];
    let written = prop_oneof![0..200u32, any::<u32>()];
    let distance = prop_oneof![0..4u16, any::<u16>()];
    prop_oneof![
        6 => (queue.clone(), id, written).prop_map(|(queue, id, written)| Step::Complete { queue, id, written }),
        1 => (queue, distance).prop_map(|(queue, distance)| Step::Jump { queue, distance }),
    ]
}

/// Steps of a device that never lies, lies seldom, or often.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        prop::collection::vec(honest_step(), 1..150),
        prop::collection::vec(prop_oneof![40 => honest_step(), 1 => lie()], 1..150),
        prop::collection::vec(prop_oneof![6 => honest_step(), 1 => lie()], 1..150),
    ]
}

/// A frame that was pushed, and not released.
struct Sent {
    /// Slots that come back with it.
    slots: u32,
    bytes: Vec<u8>,
    is_done: bool,
}

/// What is in the transmit ring, by an account of its own.
#[derive(Default)]
struct TxAccount {
    /// Pushed, and not taken over.
    pending: VecDeque<Sent>,
    /// Taken over, in order; of no meaning once the device has lied.
    posted: VecDeque<Sent>,
    /// Slots that were taken over and not released.
    held: u32,
    has_lied: bool,
    /// Completions that the device has made, whatever they say.
    said: u64,
    released: u64,
}

/// What is in the receive ring.
#[derive(Default)]
struct RxAccount {
    /// Frames that the device has completed and the driver has not imported; of no meaning once the device has lied.
    coming: Vec<Vec<u8>>,
    short: u32,
    damaged: u32,
    /// Frames that were imported and not taken.
    received: Vec<Vec<u8>>,
    /// Number of these.
    count: usize,
    has_lied: bool,
    /// Completions that the device has made, whatever they say.
    said: u64,
    imported: u64,
}

/// The driver under test, and the account.
struct Account<W: Way> {
    bench: Bench<W>,
    tx: TxAccount,
    rx: RxAccount,
    number: u32,
}

impl<W: Way> Account<W> {
    fn new(setup: Setup) -> Self {
        let bench = Bench::<W>::new(setup);
        Self { bench, tx: TxAccount::default(), rx: RxAccount::default(), number: 0 }
    }

    fn take(&mut self, step: &Step) {
        self.number += 1;
        match *step {
            Step::Push { slots, len } => self.push(slots, len),
            Step::SyncTx => self.sync_tx(),
            Step::SyncRx { held_back } => self.sync_rx(held_back),
            Step::Take => self.take_frames(),
            Step::Transmit(place) => {
                let gone = self.bench.device.transmit(place);
                gone.into_iter().for_each(|frame| self.left(&frame));
            }
            Step::TransmitBatch(count) => {
                let gone = self.bench.device.transmit_batch(count);
                gone.into_iter().for_each(|frame| self.left(&frame));
            }
            Step::Receive(len, place) => self.arrive(0, len, place),
            Step::ReceiveBatch(count, len) => self.arrive(count, len, 0),
            Step::Complete { queue, id, written } => {
                self.lie(queue, 1);
                self.bench.device.complete_falsely(queue, id, written);
            }
            Step::Jump { queue, distance } => {
                self.lie(queue, distance);
                self.bench.device.jump(queue, distance);
            }
            Step::Scribble { queue, flags, event } => self.bench.device.scribble(queue, flags, event),
            Step::Restart => {
                self.bench.restart();
                (self.tx, self.rx) = (TxAccount::default(), RxAccount::default());
            }
        }
        self.check();
    }

    fn lie(&mut self, queue: u16, completions: u16) {
        let (has_lied, said) = match queue {
            RECEIVE => (&mut self.rx.has_lied, &mut self.rx.said),
            _ => (&mut self.tx.has_lied, &mut self.tx.said),
        };
        *has_lied = true;
        *said += u64::from(completions);
    }

    /// What holds after each step, whatever the device does.
    fn check(&self) {
        let Self { bench, tx, rx, .. } = self;
        assert!(bench.tx.is_complete() && bench.rx.is_complete(), "a buffer is lost, or in two places");
        let size = u32::from(bench.tx.queue.capacity());
        assert!(bench.tx.outstanding() <= size && bench.rx.outstanding() <= size);
        assert_eq!(bench.tx.free() + bench.tx.pending() + tx.held, size - 1, "slots of the transmit ring");
        // A device that has promised the order completes several with one entry.
        let most = if W::IS_IN_ORDER { u64::from(size) } else { 1 };
        assert!(rx.imported <= rx.said * most);
        // Slots that come back without a completion are those of frames that the device cannot send.
        assert!(tx.released <= tx.said * most * 4 || W::DESCRIPTORS == 2);
        for (has_lied, status) in [(tx.has_lied, bench.tx.status), (rx.has_lied, bench.rx.status)] {
            assert!(has_lied || health(status) == (0, false));
        }
    }
}

/// Transmitting.
impl<W: Way> Account<W> {
    fn push(&mut self, slots: usize, len: usize) {
        let parts: Vec<_> = (0..slots).map(|part| frame(self.number << 4 | part as u32, len)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let has_room = self.bench.tx.free() as usize >= slots;
        assert_eq!(self.bench.tx.push_fragments(&parts), has_room);
        if has_room {
            let sent = Sent { slots: slots as u32, bytes: parts.concat(), is_done: false };
            self.tx.pending.push_back(sent);
        }
    }

    fn sync_tx(&mut self) {
        let pending = self.bench.tx.pending();
        let half = u32::from(self.bench.tx.queue.capacity()) / 2;
        // The driver reclaims before it submits, if at all.
        let is_reclaiming = W::DESCRIPTORS == 2 || pending == 0 || self.bench.tx.outstanding() >= half;
        let report = self.bench.tx.sync();
        let account = &mut self.tx;
        let mut taken = pending - self.bench.tx.pending();
        let mut expected = 0;
        while is_reclaiming && account.posted.front().is_some_and(|sent| sent.is_done) {
            expected += account.posted.pop_front().map_or(0, |sent| sent.slots);
        }
        account.held += taken;
        let (mut packets, mut bytes, mut refused) = (0, 0, 0);
        while taken > 0 {
            let sent = account.pending.pop_front().expect("a frame that was pushed");
            taken = taken.checked_sub(sent.slots).expect("a frame is taken over as a whole");
            if W::DESCRIPTORS == 2 && sent.slots > 1 {
                refused += 1;
                match account.posted.back_mut() {
                    Some(last) => last.slots += sent.slots,
                    None => expected += sent.slots,
                }
            } else {
                packets += 1;
                bytes += sent.bytes.len() as u64;
                account.posted.push_back(sent);
            }
        }
        assert_eq!((report.packets, report.bytes), (packets, bytes));
        assert_eq!((report.unsupported, report.invalid), (refused, 0));
        assert!(!report.is_full && account.pending.is_empty(), "a queue has room for all of its ring");
        if !account.has_lied {
            assert_eq!(report.released, expected);
        }
        account.held = account.held.checked_sub(report.released).expect("a slot comes back once");
        account.released += u64::from(report.released);
    }

    /// A frame has left the device.
    fn left(&mut self, frame: &[u8]) {
        self.tx.said += 1;
        if self.tx.has_lied {
            return;
        }
        let sent = self.tx.posted.iter_mut().find(|sent| !sent.is_done && sent.bytes == frame);
        sent.expect("a frame that was pushed, and has not left").is_done = true;
    }
}

/// Receiving.
impl<W: Way> Account<W> {
    /// The device fills `count` buffers to the last byte, or as many as it has but one, and then receives `len` bytes.
    fn arrive(&mut self, count: usize, len: usize, place: usize) {
        self.bench.device.fetch();
        let owned = self.bench.device.owned(RECEIVE);
        let full = count.min(owned.saturating_sub(1));
        let last = frame(self.number, len);
        let is_taken = match count {
            0 => self.bench.device.receive(&last, place),
            _ => self.bench.device.receive_batch(count, self.number as u8, &last),
        };
        if owned == 0 {
            assert!(!is_taken);
            return;
        }
        let account = &mut self.rx;
        account.said += 1 + full as u64;
        account.coming.extend((0..full).map(|_| vec![self.number as u8; CAPACITY.into()]));
        match len {
            0..14 => account.short += 1,
            _ if len <= CAPACITY.into() => account.coming.push(last),
            _ => account.damaged += 1,
        }
    }

    fn sync_rx(&mut self, held_back: u32) {
        let before = self.bench.rx.outstanding();
        self.bench.rx.hold_back(held_back);
        let RxReport { packets, short, long, damaged, bad_buffer, .. } = self.bench.rx.sync();
        assert_eq!((bad_buffer, long), (None, 0));
        assert!(packets + short + damaged <= before, "more buffers came back than were posted");
        let account = &mut self.rx;
        let coming = std::mem::take(&mut account.coming);
        let expected =
            (coming.len() as u32, std::mem::take(&mut account.short), std::mem::take(&mut account.damaged));
        assert!(
            account.has_lied || (packets, short, damaged) == expected,
            "{packets} {short} {damaged}: {expected:?}"
        );
        account.received.extend(coming);
        account.count += packets as usize;
        account.imported += u64::from(packets + short + damaged);
    }

    fn take_frames(&mut self) {
        let frames = self.bench.rx.take();
        assert_eq!(frames.len(), std::mem::take(&mut self.rx.count));
        assert!(frames.iter().all(|frame| (14..=usize::from(CAPACITY)).contains(&frame.len())));
        let expected = std::mem::take(&mut self.rx.received);
        assert!(
            self.rx.has_lied || frames == expected,
            "each frame once, with its bytes, in the order of completion"
        );
    }
}

fn whatever_a_device_writes_into_its_queues<W: Way>() {
    proptest!(ProptestConfig::with_cases(CASES), |(has_event_idx in any::<bool>(), steps in steps())| {
        let mut setup = W::with_slots(8, 8);
        if !has_event_idx {
            setup = setup.without(Features::RING_EVENT_IDX);
        }
        let mut account = Account::<W>::new(setup);
        for step in &steps {
            account.take(step);
        }
        let Bench { machine, nic, tx, rx, .. } = account.bench;
        drop((nic, tx, rx));
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
            let started = nic.start(&params(&nic, CAPACITY));
            prop_assert_eq!(started.is_ok(), device.is_running());
            prop_assert!(told <= pairs);
            prop_assert!(started.is_err() || started.is_ok_and(|queues| queues.tx.len() == usize::from(told)));
        }
        prop_assert!(!device.is_running());
        prop_assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
    });
}
