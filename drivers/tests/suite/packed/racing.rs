//! A packed queue and a device that is another thread: at any moment each sees of the other what it may rely on.
#![expect(
    unsafe_code,
    reason = "the memory of the test becomes a platform of ours, which the device reads as it is"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use millrace_drivers::virtio::queue::{
    CommandQueue, Events, PackedMemory, PackedQueue, QueueSize, ToDevice, Virtqueue,
};
use millrace_drivers::virtio::transport::QueuePlace;
use nm_driver::platform::{DmaBlock, Platform};

use super::device::{AVAIL, Bell, DESC, DISABLE, ENABLE, Turn, USED};
use crate::virtqueue::{pop, post};

const ALIGN: usize = 64;
/// How long one side waits for the other before the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The heap, which has the same addresses for devices.
struct Heap(Instant);

// SAFETY: blocks come zeroed from the heap, aligned to as much as is asked for here, one block a call.
unsafe impl Platform for Heap {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        assert!(align <= ALIGN);
        // SAFETY: a queue has bytes.
        let virt = NonNull::new(unsafe { alloc_zeroed(Layout::from_size_align(bytes, ALIGN).ok()?) })?;
        Some(DmaBlock { virt, phys: virt.as_ptr() as u64, bytes })
    }

    fn now_ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: it was allocated with this layout, and is released once.
        unsafe { dealloc(block.virt.as_ptr(), Layout::from_size_align(block.bytes, ALIGN).unwrap()) }
    }
}

fn memory(size: u16) -> (Arc<dyn Platform>, PackedMemory) {
    let platform: Arc<dyn Platform> = Arc::new(Heap(Instant::now()));
    let ring = PackedMemory::allocate(&platform, QueueSize::within(size).unwrap()).unwrap();
    (platform, ring)
}

/// The device's side. Its creator keeps the queue until its thread has ended.
struct Device {
    place: QueuePlace,
    turn: Turn,
}

impl Device {
    fn new(place: QueuePlace) -> Self {
        Self { place, turn: Turn::START }
    }

    fn descriptor(&self, ahead: u16) -> (Turn, u64) {
        let turn = self.turn.after(ahead, self.place.size);
        (turn, self.place.descriptors + 16 * u64::from(turn.position))
    }

    /// Whether the descriptor so many places ahead is available.
    fn is_available(&self, ahead: u16) -> bool {
        let (turn, at) = self.descriptor(ahead);
        // SAFETY: the last word of a descriptor, in memory that the test keeps.
        let word = unsafe { AtomicU32::from_ptr((at + 12) as *mut u32) }.load(Ordering::Acquire);
        (word >> 16) as u16 & (AVAIL | USED) == if turn.is_wrap_set { AVAIL } else { USED }
    }

    /// Says that buffer 0 is used, which was so many descriptors.
    fn complete(&mut self, places: u16) {
        let (turn, at) = self.descriptor(0);
        let flags = if turn.is_wrap_set { AVAIL | USED } else { 0 };
        // SAFETY: as in `is_available`.
        unsafe { AtomicU32::from_ptr((at + 12) as *mut u32) }
            .store(u32::from(flags) << 16, Ordering::Release);
        self.turn = self.turn.after(places, self.place.size);
    }

    fn event(&self, at: u64) -> &AtomicU32 {
        // SAFETY: an event suppression structure, in memory that the test keeps.
        unsafe { AtomicU32::from_ptr(at as *mut u32) }
    }
}

/// Waits until `is_done`; `false` when that takes too long, or the other side has given up.
fn wait(has_failed: &AtomicBool, is_done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_done() {
        for _ in 0..100 {
            std::hint::spin_loop();
        }
        if has_failed.load(Ordering::Relaxed) || start.elapsed() > PATIENCE {
            has_failed.store(true, Ordering::Relaxed);
            return false;
        }
        thread::yield_now();
    }
    true
}

/// A device that looks all the time finds a command whole, or not at all.
#[test]
fn a_chain_is_available_all_at_once() {
    const COMMANDS: u16 = 10_000;
    let (platform, ring) = memory(8);
    let mut device = Device::new(ring.place());
    device.event(device.place.used).store(u32::from(DISABLE) << 16, Ordering::Relaxed);
    let has_failed = Arc::new(AtomicBool::new(false));
    let has_failed_there = has_failed.clone();
    let worker = thread::spawn(move || {
        for count in 0..COMMANDS {
            if !wait(&has_failed_there, || (0..1000).any(|_| device.is_available(0))) {
                return false;
            }
            if !(device.is_available(2) && device.is_available(1)) {
                has_failed_there.store(true, Ordering::Relaxed);
                return false;
            }
            let (_, last) = device.descriptor(2);
            // SAFETY: the address in the last descriptor is that of the answer, in memory that the test keeps.
            unsafe { AtomicU8::from_ptr(*(last as *const u64) as *mut u8) }
                .store(count as u8, Ordering::Relaxed);
            device.complete(3);
        }
        true
    });
    let command = CommandQueue::memory(&platform).unwrap();
    let mut queue = CommandQueue::packed(ring, command, Box::new(Bell::default())).unwrap();
    let answered = (0..COMMANDS).all(|count| {
        !has_failed.load(Ordering::Relaxed) && queue.ask([1, 2], &[3], platform.as_ref()) == Some(count as u8)
    });
    has_failed.fetch_or(!answered, Ordering::Relaxed);
    assert!(worker.join().unwrap(), "the first of a chain was available before the others");
    assert!(answered);
}

/// The same for a frame of several slots.
#[test]
fn a_chain_of_a_packet_is_available_all_at_once() {
    const CHAINS: u32 = 10_000;
    let (_platform, ring) = memory(8);
    let mut device = Device::new(ring.place());
    let mut queue = PackedQueue::<ToDevice>::new(ring, Events::Flag, Box::new(Bell::default()));
    let has_failed = Arc::new(AtomicBool::new(false));
    let has_failed_there = has_failed.clone();
    let worker = thread::spawn(move || {
        for _ in 0..CHAINS {
            if !wait(&has_failed_there, || (0..1000).any(|_| device.is_available(0))) {
                return false;
            }
            if !(device.is_available(4) && device.is_available(2) && device.is_available(1)) {
                has_failed_there.store(true, Ordering::Relaxed);
                return false;
            }
            device.complete(5);
        }
        true
    });
    let is_done = (0..CHAINS).all(|_| {
        queue.post_chain(0, &[(4096, 1); 5]);
        let mut is_back = || queue.peek().is_some();
        let start = Instant::now();
        while !is_back() {
            if has_failed.load(Ordering::Relaxed) || start.elapsed() > PATIENCE {
                return false;
            }
            thread::yield_now();
        }
        queue.advance(1, 5)
    });
    has_failed.fetch_or(!is_done, Ordering::Relaxed);
    assert!(worker.join().unwrap(), "the first of a chain was available before the others");
    assert!(is_done);
}

/// Who sleeps until `count` changes: `look` asks to be notified, then says whether there is something already. A notification
/// may come late, for what was found without it: so it looks again. `false` when it has waited for too long.
fn sleep(has_failed: &AtomicBool, count: impl Fn() -> u64, mut look: impl FnMut() -> bool) -> bool {
    loop {
        let heard = count();
        if look() {
            return true;
        }
        if !wait(has_failed, || count() != heard) {
            return false;
        }
    }
}

/// The device's part of a round: sleeps until there is a buffer, uses it, and interrupts if that is due.
fn use_one(
    device: &mut Device,
    events: Events,
    has_failed: &AtomicBool,
    bell: &Bell,
    interrupts: &AtomicU64,
) -> bool {
    let want = |device: &Device, flags: u16, place: u16| {
        device.event(device.place.used).store(u32::from(flags) << 16 | u32::from(place), Ordering::Relaxed);
    };
    let is_there = sleep(
        has_failed,
        || bell.rings(),
        || {
            match events {
                Events::Index => want(device, DESC, device.turn.event()),
                Events::Flag => want(device, ENABLE, 0),
            }
            fence(Ordering::SeqCst);
            device.is_available(0)
        },
    );
    want(device, DISABLE, 0);
    let used = device.turn;
    device.complete(1);
    fence(Ordering::SeqCst);
    let word = device.event(device.place.available).load(Ordering::Relaxed);
    let (flags, place) = ((word >> 16) as u16, word as u16);
    let is_due = flags == ENABLE || flags == DESC && place == used.event();
    interrupts.fetch_add(is_due.into(), Ordering::Relaxed);
    is_there
}

/// Sends one buffer at a time and sleeps until it is back, as the device sleeps until there is one: neither sleeps on. It shows
/// that each side looks once more behind its asking. It does not show that the fences between the two are needed: on a machine
/// such as this, code that is not optimised goes right without.
#[test]
fn nobody_sleeps_on_what_is_there() {
    const ROUNDS: u64 = 20_000;
    for events in [Events::Index, Events::Flag] {
        let (_platform, ring) = memory(4);
        let mut device = Device::new(ring.place());
        let bell = Bell::default();
        let shared = Arc::new((AtomicBool::new(false), AtomicU64::new(0)));
        let (bell_there, shared_there) = (bell.clone(), shared.clone());
        // The queue first: it writes that no interrupts are wanted.
        let mut queue = PackedQueue::<ToDevice>::new(ring, events, Box::new(bell));
        let worker = thread::spawn(move || {
            let (has_failed, interrupts) = &*shared_there;
            (0..ROUNDS).all(|_| use_one(&mut device, events, has_failed, &bell_there, interrupts))
        });
        let (has_failed, interrupts) = &*shared;
        let is_done = (0..ROUNDS).all(|_| {
            post(&mut queue, 0, 4096, 1);
            queue.kick();
            let is_back =
                sleep(has_failed, || interrupts.load(Ordering::Relaxed), || !queue.enable_notifications(1));
            queue.disable_notifications();
            is_back && pop(&mut queue).is_some()
        });
        has_failed.fetch_or(!is_done, Ordering::Relaxed);
        assert!(worker.join().unwrap() && is_done, "one side slept on, {events:?}");
    }
}
