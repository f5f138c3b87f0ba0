//! Our queue against a device implementation that we did not write: rust-vmm's `virtio-queue`.
#![expect(unsafe_code, reason = "guest memory of rust-vmm becomes a platform of ours")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use millrace_drivers::testing::PacketBuffers;
use millrace_drivers::virtio::queue::{
    Completion, Direction, Events, FromDevice, Placement, QueueSize, RingMemory, SplitQueue, ToDevice,
    Virtqueue,
};
use millrace_drivers::virtio::transport::Notifier;
use nm_core::platform::{DmaBlock, Platform};
use proptest::prelude::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

const MEMORY_BYTES: u64 = 8 << 20;
/// Where the guest's memory starts for devices; address 0 is not used, as it means "no address".
const FIRST: u64 = 0x1000;
const CAPACITY: u16 = 128;

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
    buffers: PacketBuffers,
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
        let driver = SplitQueue::for_buffers(slots, ring, events, Box::new(bell.clone()));
        assert_eq!(driver.size(), slots);
        let buffers = PacketBuffers::new(&platform, slots.into(), CAPACITY).unwrap();
        Self { guest, driver, device, bell, buffers, descriptors }
    }

    fn post(&mut self, id: u16, address: u64, bytes: u32) {
        let posted = match self.descriptors {
            1 => self.driver.post(id, address, bytes),
            _ => self.driver.post_in_two(id, address, bytes, HEADER),
        };
        posted.unwrap();
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

    /// The device's next chain: its number, and the descriptors in it.
    fn pop(&mut self) -> Option<(u16, Vec<Part>)> {
        let chain = self.device.pop_descriptor_chain(&self.guest.memory)?;
        let head = chain.head_index();
        Some((head, chain.map(Part::from).collect()))
    }

    fn complete(&mut self, id: u16, written: u32) {
        self.device.add_used(&self.guest.memory, id, written).unwrap();
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
                let frame = [round, id as u8, (id >> 8) as u8, 7];
                pair.buffers.fill(id.into(), &frame);
                let address = pair.buffers.lend(id.into()).write_header([0; 12]);
                pair.post(id, address, 16);
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
                assert_eq!(pair.driver.pop(), Some(Completion { id, written: 0, posted: 16 }));
            }
            assert_eq!(pair.driver.pop(), None);
        }
    }
}

#[test]
fn received_frames_arrive() {
    for shape in shapes() {
        let size = shape.slots;
        let mut pair = Pair::<FromDevice>::new(shape);
        let posted = 12 + u32::from(CAPACITY);
        for round in 0..4u8 {
            for id in 0..size {
                let address = pair.buffers.lend(id.into()).header_phys::<12>();
                pair.post(id, address, posted);
            }
            pair.driver.kick();
            while let Some((id, parts)) = pair.pop() {
                pair.expect_chain(&parts, posted, true);
                let packet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, round, id as u8];
                pair.guest.memory.write_slice(&packet, parts[0].address).unwrap();
                pair.complete(id, 14);
                assert_eq!(pair.driver.pop(), Some(Completion { id, written: 14, posted }));
                assert_eq!(pair.buffers.payload(id.into(), 2), [round, id as u8]);
            }
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
            let address = pair.buffers.lend(id.into()).phys();
            // The device sleeps, except in each third round.
            let is_awake = round % 3 == 0;
            if is_awake {
                pair.device.disable_notification(&pair.guest.memory).unwrap();
            } else {
                assert!(!pair.device.enable_notification(&pair.guest.memory).unwrap(), "nothing is there");
            }
            pair.driver.post(id, address, 100).unwrap();
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
            assert_eq!(pair.driver.pop().map(|completion| completion.id), Some(id));
        }
    }
}

proptest! {
    /// Any interleaving of posting, publishing, taking, completing in any order, and looking.
    #[test]
    fn any_order_of_steps(
        power in 0..6u32,
        has_event_idx in any::<bool>(),
        is_legacy in any::<bool>(),
        descriptors in 1..3u16,
        steps in prop::collection::vec((0..5u8, any::<prop::sample::Index>()), 1..400),
    ) {
        let size = 1u16 << power;
        let events = if has_event_idx { Events::Index } else { Events::Flag };
        let placement = if is_legacy { Placement::Contiguous } else { Placement::Free };
        let mut pair = Pair::<ToDevice>::new(Shape { slots: size, events, placement, descriptors });
        let mut free: Vec<u16> = (0..size).collect();
        let (mut posted, mut published) = (Vec::new(), std::collections::VecDeque::new());
        let (mut owned, mut completed) = (Vec::new(), std::collections::VecDeque::new());
        for (step, choice) in steps {
            match step {
                0 if !free.is_empty() => {
                    let id = free.swap_remove(choice.index(free.len()));
                    let address = pair.buffers.lend(id.into()).phys();
                    pair.post(id, address, 100);
                    posted.push(id);
                }
                1 => {
                    pair.driver.kick();
                    published.extend(posted.drain(..));
                }
                2 => {
                    let head = pair.pop().map(|(head, _)| head);
                    prop_assert_eq!(head, published.pop_front());
                    owned.extend(head);
                }
                3 if !owned.is_empty() => {
                    let id = owned.swap_remove(choice.index(owned.len()));
                    pair.complete(id, 0);
                    completed.push_back(id);
                }
                _ => {
                    let id = pair.driver.pop().map(|completion| completion.id);
                    prop_assert_eq!(id, completed.pop_front());
                    free.extend(id);
                }
            }
        }
        prop_assert_eq!(pair.driver.health(), nm_core::nic::QueueHealth::default());
    }
}
