//! Our queue against a device implementation that we did not write: rust-vmm's `virtio-queue`.
#![expect(unsafe_code, reason = "guest memory of rust-vmm becomes a platform of ours")]

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use millrace_drivers::virtio::queue::{
    Direction, Events, FromDevice, Placement, QueueSize, RingMemory, Segment, SplitQueue, ToDevice, Used,
    Virtqueue,
};
use millrace_drivers::virtio::transport::Notifier;
use nm_driver::platform::{DmaBlock, DmaMemory, Platform};
use proptest::prelude::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use crate::virtqueue::{pop, pop_expected, pop_run, post, post_run};

const MEMORY_BYTES: u64 = 8 << 20;
/// Where the guest's memory starts for devices; address 0 is not used, as it means "no address".
const FIRST: u64 = 0x1000;
const CAPACITY: u32 = 128;
/// Bytes from one buffer to the next.
const STRIDE: u64 = 192;

/// A platform over the guest's memory that only ever hands out; all of it goes when the test ends.
struct Guest {
    memory: GuestMemoryMmap,
    next: AtomicU64,
    start: Instant,
}

// SAFETY: blocks are pages of the mapping that are handed out once; fresh mappings are zeroed.
unsafe impl Platform for Guest {
    fn allocate_dma(&self, bytes: usize, _align: usize) -> Option<DmaBlock> {
        let pages = (bytes as u64).next_multiple_of(4096);
        let phys = self.next.fetch_add(pages, Ordering::Relaxed);
        let virt =
            NonNull::new(self.memory.get_slice(GuestAddress(phys), bytes).ok()?.ptr_guard_mut().as_ptr())?;
        Some(DmaBlock { virt, phys, bytes })
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    unsafe fn release_dma(&self, _block: DmaBlock) {}
}

/// A doorbell that counts.
#[derive(Debug, Default, Clone)]
struct Bell(Arc<AtomicU64>);

impl Notifier for Bell {
    fn notify(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bytes of the header, where it is a descriptor of its own.
const HEADER: u32 = 10;

/// What a queue is like.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Buffers.
    slots: u16,
    events: Events,
    placement: Placement,
    /// Descriptors a buffer: 1, or 2 with the header in the first.
    descriptors: u16,
}

impl Shape {
    fn modern(slots: u16, events: Events) -> Self {
        Self { slots, events, placement: Placement::Free, descriptors: 1 }
    }
}

/// Our driver's queue at one end, rust-vmm's device queue at the other.
struct Pair<D> {
    guest: Arc<Guest>,
    driver: SplitQueue<D>,
    device: Queue,
    bell: Bell,
    buffers: DmaMemory,
    descriptors: u16,
}

/// A descriptor as rust-vmm reads it.
#[derive(Debug, PartialEq)]
struct Part {
    address: GuestAddress,
    len: u32,
    is_write_only: bool,
}

impl<D: Direction> Pair<D> {
    fn new(Shape { slots, events, placement, descriptors }: Shape) -> Self {
        let size = slots * descriptors;
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(FIRST), MEMORY_BYTES as usize)]).unwrap();
        let guest = Arc::new(Guest { memory, next: AtomicU64::new(FIRST), start: Instant::now() });
        let platform: Arc<dyn Platform> = guest.clone();
        let ring = RingMemory::allocate(&platform, QueueSize::within(size).unwrap(), placement).unwrap();
        let place = ring.place();
        let mut device = Queue::new(size).unwrap();
        device.set_size(size);
        let halves = |address: u64| (Some(address as u32), Some((address >> 32) as u32));
        let (low, high) = halves(place.descriptors);
        device.set_desc_table_address(low, high);
        let (low, high) = halves(place.available);
        device.set_avail_ring_address(low, high);
        let (low, high) = halves(place.used);
        device.set_used_ring_address(low, high);
        device.set_event_idx(events == Events::Index);
        device.set_ready(true);
        assert!(device.is_valid(&guest.memory), "rust-vmm accepts the layout");
        let bell = Bell::default();
        let driver = SplitQueue::new(ring, events, Box::new(bell.clone()));
        assert_eq!(driver.size(), size);
        let buffers = DmaMemory::allocate(&platform, usize::from(slots) * STRIDE as usize, 64).unwrap();
        Self { guest, driver, device, bell, buffers, descriptors }
    }

    /// Address of a buffer.
    fn buffer(&self, number: u16) -> u64 {
        self.buffers.phys() + STRIDE * u64::from(number)
    }

    /// Posts the buffer with this number: its id is that of its first descriptor.
    fn post(&mut self, number: u16, bytes: u32) {
        let address = self.buffer(number);
        match self.descriptors {
            1 => post(&mut self.driver, number, address, bytes),
            _ => {
                let parts = [(address, HEADER), (address + u64::from(HEADER), bytes - HEADER)];
                self.driver.post_chain(number * 2, &parts);
            }
        }
    }

    /// The bytes of a chain, which is one of `len` bytes that go to the device, or not.
    fn expect_chain(&self, parts: &[Part], len: u32, is_write_only: bool) {
        let lens: Vec<u32> = parts.iter().map(|part| part.len).collect();
        let expected = if self.descriptors == 1 { vec![len] } else { vec![HEADER, len - HEADER] };
        assert_eq!(lens, expected);
        assert!(parts.iter().all(|part| part.is_write_only == is_write_only));
        // Header and payload lie behind each other.
        for pair in parts.windows(2) {
            assert_eq!(pair[0].address.0 + u64::from(pair[0].len), pair[1].address.0);
        }
    }

    /// The device's next chain: the number of its buffer, and the descriptors in it.
    fn pop(&mut self) -> Option<(u16, Vec<Part>)> {
        let chain = self.device.pop_descriptor_chain(&self.guest.memory)?;
        let head = chain.head_index();
        Some((head / self.descriptors, chain.map(Part::from).collect()))
    }

    /// The device is done with a buffer.
    fn complete(&mut self, number: u16, written: u32) {
        self.device.add_used(&self.guest.memory, number * self.descriptors, written).unwrap();
    }

    /// The number of the next used buffer, and how much was written.
    fn take(&mut self) -> Option<(u32, u32)> {
        let Used { id, written } = pop(&mut self.driver)?;
        assert_eq!(id % u32::from(self.descriptors), 0);
        Some((id / u32::from(self.descriptors), written))
    }

    fn wants_interrupt(&mut self) -> bool {
        self.device.needs_notification(&self.guest.memory).unwrap()
    }
}

impl From<virtio_queue::desc::split::Descriptor> for Part {
    fn from(part: virtio_queue::desc::split::Descriptor) -> Self {
        Self { address: part.addr(), len: part.len(), is_write_only: part.is_write_only() }
    }
}

fn shapes() -> impl Iterator<Item = Shape> {
    let kinds = [(Placement::Free, 1), (Placement::Contiguous, 1), (Placement::Contiguous, 2)];
    (0..=10).flat_map(move |power| {
        [Events::Index, Events::Flag].into_iter().flat_map(move |events| {
            kinds.map(|(placement, descriptors)| Shape { slots: 1 << power, events, placement, descriptors })
        })
    })
}

#[test]
fn transmitted_frames_arrive_and_come_back() {
    for shape in shapes() {
        let size = shape.slots;
        let mut pair = Pair::<ToDevice>::new(shape);
        for round in 0..4u8 {
            for id in 0..size {
                let packet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, round, id as u8, (id >> 8) as u8, 7];
                pair.guest.memory.write_slice(&packet, GuestAddress(pair.buffer(id))).unwrap();
                pair.post(id, 16);
            }
            pair.driver.kick();
            for id in 0..size {
                let (head, parts) = pair.pop().unwrap();
                assert_eq!(head, id);
                pair.expect_chain(&parts, 16, false);
                let packet: [u8; 16] = pair.guest.memory.read_obj(parts[0].address).unwrap();
                assert_eq!(packet, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, round, id as u8, (id >> 8) as u8, 7]);
            }
            assert!(pair.pop().is_none());
            // Back in the other order.
            for id in (0..size).rev() {
                pair.complete(id, 0);
                assert_eq!(pair.take(), Some((id.into(), 0)));
            }
            assert_eq!(pair.take(), None);
        }
    }
}

#[test]
fn received_frames_arrive() {
    for shape in shapes() {
        let size = shape.slots;
        let mut pair = Pair::<FromDevice>::new(shape);
        let posted = 12 + CAPACITY;
        for round in 0..4u8 {
            (0..size).for_each(|id| pair.post(id, posted));
            pair.driver.kick();
            while let Some((id, parts)) = pair.pop() {
                pair.expect_chain(&parts, posted, true);
                let packet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, round, id as u8];
                pair.guest.memory.write_slice(&packet, parts[0].address).unwrap();
                pair.complete(id, 14);
                assert_eq!(pair.take(), Some((id.into(), 14)));
            }
        }
    }
}

/// Runs of any length, posted and taken as runs: each lap leads to the same descriptors, with the entries of the first.
#[test]
fn runs_pass_for_many_laps() {
    for events in [Events::Index, Events::Flag] {
        for size in [1u16, 2, 8, 64] {
            let mut pair = Pair::<FromDevice>::new(Shape::modern(size, events));
            let mut next = 0u32;
            for round in 0..70_000 / u32::from(size) {
                let count = 1 + round % u32::from(size);
                let first = next as u16 % size;
                // A run ends at the last id.
                let count = count.min(u32::from(size - first));
                let base = pair.buffers.phys();
                let segments =
                    (0..count).map(|ahead| (base + STRIDE * u64::from(u32::from(first) + ahead), 140));
                assert_eq!(post_run(&mut pair.driver, first, segments), count);
                pair.driver.kick();
                for ahead in 0..count as u16 {
                    let (head, parts) = pair.pop().unwrap();
                    assert_eq!((head, parts[0].address.0), (first + ahead, pair.buffer(first + ahead)));
                    pair.expect_chain(&parts, 140, true);
                    pair.complete(head, 50 + u32::from(ahead));
                }
                assert!(pair.pop().is_none());
                let mut lengths = 50..;
                assert_eq!(
                    pop_run(&mut pair.driver, first, 1000, |written| lengths.next() == Some(written)),
                    count
                );
                next += count;
            }
        }
    }
}

/// Chains of any length, two at a time, between single buffers. A chain shifts the ids behind it against their entries of the available ring;
/// entries and descriptors are right in that lap and in all laps after it, also if two shift them by the whole ring.
#[test]
fn chains_between_single_buffers_and_many_laps_behind_them() {
    for events in [Events::Index, Events::Flag] {
        for (size, chain_every) in [(8u16, 1), (8, 3), (8, 50), (16, 7), (64, 301)] {
            let mut pair = Pair::<ToDevice>::new(Shape::modern(size, events));
            let mut next = 0u16;
            for round in 0..6000u32 {
                let first = next % size;
                let count = if round % chain_every < 2 { 2 + (round / chain_every % 4) as u16 } else { 1 };
                let number = |ahead: u16| first.wrapping_add(ahead) % size;
                let parts: Vec<Segment> = (0..count)
                    .map(|ahead| (pair.buffer(number(ahead)), 100 + round % 16 + u32::from(ahead)))
                    .collect();
                match parts[..] {
                    [(address, bytes)] => post(&mut pair.driver, first, address, bytes),
                    _ => pair.driver.post_chain(first, &parts),
                }
                pair.driver.kick();
                let (head, found) = pair.pop().unwrap();
                let found: Vec<Segment> = found.iter().map(|part| (part.address.0, part.len)).collect();
                assert_eq!((head, found), (first, parts), "round {round} of {size} with {chain_every}");
                assert!(pair.pop().is_none());
                pair.complete(head, 0);
                if count == 1 && round % 2 == 0 {
                    assert_eq!(pop_expected(&mut pair.driver, first), Some(0));
                } else {
                    assert_eq!(pair.driver.peek().map(|used| used.id), Some(first.into()));
                    assert!(pair.driver.advance(1, count.into()));
                }
                next = next.wrapping_add(count);
            }
            assert_eq!(pair.driver.health(), (0, false));
        }
    }
}

/// rust-vmm's device asks for doorbells and decides about interrupts by its own reading of the specification.
#[test]
fn both_sides_agree_on_notifications() {
    for events in [Events::Index, Events::Flag] {
        let mut pair = Pair::<ToDevice>::new(Shape::modern(8, events));
        let mut rung = 0;
        for round in 0..70_000u32 {
            let id = (round % 8) as u16;
            // The device sleeps, except in each third round.
            let is_awake = round % 3 == 0;
            if is_awake {
                pair.device.disable_notification(&pair.guest.memory).unwrap();
            } else {
                assert!(!pair.device.enable_notification(&pair.guest.memory).unwrap(), "nothing is there");
            }
            pair.post(id, 100);
            // With indices, a device that has not asked again can be rung for once each 65536 entries.
            let is_rung = pair.driver.kick();
            assert!(is_rung != is_awake || events == Events::Index, "round {round}");
            assert!(is_rung || is_awake, "round {round}");
            rung += u64::from(is_rung);
            assert_eq!(pair.bell.0.load(Ordering::Relaxed), rung);

            let sleeps = round % 5 == 0;
            if sleeps {
                assert!(pair.driver.enable_notifications(1));
            } else {
                pair.driver.disable_notifications();
            }
            assert_eq!(pair.pop().map(|(head, _)| head), Some(id));
            pair.complete(id, 0);
            // Without indices rust-vmm interrupts always: it does not look at the driver's flag.
            assert_eq!(pair.wants_interrupt(), sleeps || events == Events::Flag, "round {round}");
            if sleeps {
                assert!(!pair.driver.enable_notifications(1), "the completion is there already");
            }
            assert_eq!(pair.take(), Some((id.into(), 0)));
        }
    }
}

proptest! {
    /// Any interleaving of posting, publishing, taking, completing in any order, and looking.
    #[test]
    fn any_order_of_steps((power, kind, steps) in any_steps()) {
        any_order::<ToDevice>(power, kind, &steps)?;
    }

    /// The same for a queue whose descriptors keep their length and flags from lap to lap.
    #[test]
    fn any_order_of_steps_of_a_queue_that_receives((power, kind, steps) in any_steps()) {
        any_order::<FromDevice>(power, kind, &steps)?;
    }
}

/// The power of two that the queue's size is, its kind (with event indices, legacy, descriptors a buffer), and what is done. A
/// choice of nothing is the oldest, so that some stretches are in order.
type Steps = (u32, (bool, bool, u16), Vec<(u8, Option<prop::sample::Index>)>);

fn any_steps() -> impl Strategy<Value = Steps> {
    let kind = (any::<bool>(), any::<bool>(), 1..3u16);
    let choice = prop_oneof![2 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (0..6u32, kind, prop::collection::vec((0..5u8, choice), 1..400))
}

fn any_order<D: Direction>(
    power: u32,
    (has_event_idx, is_legacy, descriptors): (bool, bool, u16),
    steps: &[(u8, Option<prop::sample::Index>)],
) -> Result<(), TestCaseError> {
    let size = 1u16 << power;
    let events = if has_event_idx { Events::Index } else { Events::Flag };
    let placement = if is_legacy { Placement::Contiguous } else { Placement::Free };
    let mut pair = Pair::<D>::new(Shape { slots: size, events, placement, descriptors });
    let mut free: VecDeque<u16> = (0..size).collect();
    let (mut posted, mut published) = (Vec::new(), VecDeque::new());
    let (mut owned, mut completed) = (Vec::new(), VecDeque::new());
    let place = |choice: &Option<prop::sample::Index>, len| choice.map_or(0, |choice| choice.index(len));
    for (step, choice) in steps {
        match step {
            0 if !free.is_empty() => {
                let id = free.remove(place(choice, free.len())).unwrap();
                pair.post(id, 100);
                posted.push(id);
            }
            1 => {
                pair.driver.kick();
                published.extend(posted.drain(..));
            }
            2 => {
                let chain = pair.pop();
                prop_assert_eq!(chain.as_ref().map(|(head, _)| *head), published.pop_front());
                if let Some((head, parts)) = chain {
                    prop_assert_eq!(parts[0].address.0, pair.buffer(head));
                    pair.expect_chain(&parts, 100, D::IS_WRITTEN);
                    owned.push(head);
                }
            }
            3 if !owned.is_empty() => {
                let id = owned.remove(place(choice, owned.len()));
                pair.complete(id, id.into());
                completed.push_back(id);
            }
            _ => {
                let taken = pair.take();
                prop_assert_eq!(taken, completed.pop_front().map(|id| (id.into(), id.into())));
                free.extend(taken.map(|(id, _)| id as u16));
            }
        }
    }
    prop_assert_eq!(pair.driver.health(), (0, false));
    Ok(())
}
