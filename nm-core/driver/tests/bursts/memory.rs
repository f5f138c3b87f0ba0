//! Slots and buffers of a ring, and the core's side of a sync.
#![expect(unsafe_code, reason = "it owns the memory that it describes to the burst")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;

use nm_driver::abi::{Slot, SlotFlags};
use nm_driver::buffers::{Buffer, Buffers, HEADROOM, RESERVED_BUFFERS};
use nm_driver::burst::{
    Lengths, RingView, RxBurst, RxReport, RxRequest, RxTrack, TxBurst, TxReport, TxTrack,
};
use nm_driver::index::{Index, RingSize};
use nm_driver::offsets::SlotOffsets;
use nm_driver::platform::{DmaBlock, DmaMemory, Platform};
use nm_driver::shared::SharedMemory;
use nm_driver::slots::{SlotArray, SlotValue};

/// Payload of each buffer, in bytes.
pub const CAPACITY: u16 = 128;
const STRIDE: usize = HEADROOM + CAPACITY as usize;
/// As many descriptors as any ring needs.
const MANY: usize = 256;
/// Where devices find buffer 0.
const PHYS: u64 = 0x10_0000;

/// A slot with these fields.
pub fn slot(buf_idx: u32, len: u16, flags: SlotFlags) -> SlotValue {
    SlotValue { buf_idx, len, flags: flags.bits() }
}

/// Number of a buffer that a burst hands out, whose payload begins with the buffer.
pub fn number(buffer: &Buffer<'_>) -> u32 {
    let (number, offset) = place(buffer);
    assert_eq!(offset, 0);
    number
}

/// Number of a buffer that a burst hands out, and the offset of its payload.
pub fn place(buffer: &Buffer<'_>) -> (u32, u16) {
    let bytes = buffer.phys() - PHYS - HEADROOM as u64;
    let (number, offset) = ((bytes / STRIDE as u64) as u32, (bytes % STRIDE as u64) as u16);
    assert_eq!(buffer.capacity(), CAPACITY - offset);
    (number, offset)
}

/// The heap, all of whose blocks devices see at [`PHYS`].
struct Heap;

/// What blocks are aligned to.
const ALIGN: usize = 64;

// SAFETY: the heap gives memory of this kind. No device uses the addresses.
unsafe impl Platform for Heap {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        let layout = Layout::from_size_align(bytes, ALIGN).ok().filter(|_| align <= ALIGN)?;
        // SAFETY: a ring has slots and buffers, so the layout is not empty.
        let virt = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(DmaBlock { virt, phys: PHYS, bytes })
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        let layout = Layout::from_size_align(block.bytes, ALIGN).unwrap();
        // SAFETY: the block was allocated with this layout.
        unsafe { dealloc(block.virt.as_ptr(), layout) }
    }

    fn now_ns(&self) -> u64 {
        0
    }
}

/// The memory of a ring: slot `n` begins with buffer `n + 2`, and there are as many buffers as slots.
pub struct Memory {
    view: RingView,
    /// The block of the buffers.
    block: Arc<DmaMemory>,
    pub size: RingSize,
}

impl Memory {
    pub fn new(slots: u32) -> Self {
        let (platform, size): (Arc<dyn Platform>, _) = (Arc::new(Heap), RingSize::new(slots).unwrap());
        let count = slots + RESERVED_BUFFERS;
        let allocate = |bytes| SharedMemory::allocate(&platform, bytes, ALIGN).unwrap();
        let cells = allocate(slots as usize * size_of::<Slot>()).array(0, slots as usize);
        let slots = SlotArray::new(cells, size).unwrap();
        (0..size.slots()).for_each(|raw| {
            let at = size.index(raw).unwrap();
            slots.store(at, slot(raw + RESERVED_BUFFERS, 0, SlotFlags::empty()));
        });
        let mut memory = allocate(count as usize * STRIDE);
        let buffers = Buffers::new(&mut memory, 0, STRIDE as u32, count, CAPACITY);
        let view = RingView { slots, buffers, offsets: SlotOffsets::NONE };
        Self { view, block: memory.memory().clone(), size }
    }

    /// From now on slots have these offsets.
    pub fn set_offsets(&mut self, offsets: SlotOffsets) {
        self.view.offsets = offsets;
    }

    /// Writes the `ptr` of a slot.
    pub fn set_ptr(&self, raw: u32, ptr: u64) {
        self.view.slots.get(self.index(raw)).unwrap().set_ptr(ptr);
    }

    /// The `ptr` of a slot.
    pub fn ptr(&self, raw: u32) -> u64 {
        self.view.slots.get(self.index(raw)).unwrap().ptr()
    }

    pub fn view(&self) -> RingView {
        self.view.clone()
    }

    pub fn slots(&self) -> SlotArray {
        self.view.slots.clone()
    }

    pub fn index(&self, raw: u32) -> Index {
        self.size.index(raw).unwrap()
    }

    pub fn load(&self, raw: u32) -> SlotValue {
        self.slots().load(self.index(raw))
    }

    pub fn store(&self, raw: u32, value: SlotValue) {
        self.slots().store(self.index(raw), value);
    }

    /// Writes `bytes` to a buffer, from `before` bytes in front of its payload on.
    pub fn write(&self, buffer: u32, before: usize, bytes: &[u8]) {
        let start = buffer as usize * STRIDE + HEADROOM - before;
        assert!(start + bytes.len() <= self.block.bytes());
        // SAFETY: the bytes lie in the block, no reference leads into it, and there is one thread.
        unsafe { self.block.virt().add(start).copy_from(NonNull::from(bytes).cast(), bytes.len()) };
    }

    /// The first `len` bytes of the payload of a buffer.
    pub fn read(&self, buffer: u32, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert_eq!(self.view.buffers.get(buffer).unwrap().copy_to(&mut bytes), len);
        bytes
    }

    /// What is in front of the payload of a buffer.
    pub fn headroom(&self, buffer: u32) -> Vec<u8> {
        let start = buffer as usize * STRIDE;
        assert!(start + HEADROOM <= self.block.bytes());
        // SAFETY: as in `write`.
        (start..start + HEADROOM).map(|at| unsafe { self.block.virt().add(at).read() }).collect()
    }

    /// Numbers of the buffers in all slots, sorted.
    pub fn named(&self) -> Vec<u32> {
        let mut named: Vec<u32> = (0..self.size.slots()).map(|raw| self.load(raw).buf_idx).collect();
        named.sort_unstable();
        named
    }

    /// Numbers of all buffers that slots may name, sorted.
    pub fn all(&self) -> Vec<u32> {
        (RESERVED_BUFFERS..self.size.slots() + RESERVED_BUFFERS).collect()
    }
}

/// A transmit ring, with the core's side of a sync.
pub struct Tx {
    pub memory: Memory,
    pub track: TxTrack,
    pub capacity: u16,
    pub head: Index,
    pub hwcur: Index,
    pub hwtail: Index,
}

/// A frame that a burst handed out: its first id, and buffer and length of each fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub id: u16,
    pub fragments: Vec<(u32, u16)>,
}

impl Tx {
    pub fn new(slots: u32, capacity: u16) -> Self {
        let memory = Memory::new(slots);
        let track = TxTrack::new(capacity, memory.size);
        let (first, last) = (memory.size.first(), memory.size.last());
        Self { memory, track, capacity, head: first, hwcur: first, hwtail: last }
    }

    /// The same ring, for frames of at most `bytes` bytes.
    pub fn with_frame_max(mut self, bytes: u16) -> Self {
        self.track = TxTrack::new(self.capacity, self.memory.size).with_frame_max(bytes);
        self
    }

    /// Slots that are the application's.
    pub fn free(&self) -> u32 {
        self.memory.size.distance(self.head, self.hwtail)
    }

    /// Submits one slot with these fields. Returns its number.
    pub fn push_value(&mut self, value: SlotValue) -> u32 {
        assert!(self.free() > 0, "no slot is free");
        let at = self.head.get();
        self.memory.store(at, value);
        self.head = self.memory.size.next(self.head);
        at
    }

    /// Submits one slot with the buffer that is in it.
    pub fn push(&mut self, len: u16, flags: SlotFlags) -> u32 {
        let buf_idx = self.memory.load(self.head.get()).buf_idx;
        self.push_value(slot(buf_idx, len, flags))
    }

    /// Submits a frame of so many slots with `len` bytes in each.
    pub fn push_frame(&mut self, slots: u32, len: u16) {
        for k in 1..=slots {
            self.push(len, if k == slots { SlotFlags::empty() } else { SlotFlags::MOREFRAG });
        }
    }

    /// One sync with a driver that does this.
    pub fn sync(&mut self, act: impl FnOnce(&mut TxBurst<'_>)) -> TxReport {
        let view = self.memory.view();
        let mut burst = TxBurst::new(&view, &mut self.track, self.hwcur, self.head);
        act(&mut burst);
        let report = burst.finish();
        let size = self.memory.size;
        let taken = size.distance(self.hwcur, report.submitted);
        assert!(taken <= size.distance(self.hwcur, self.head), "submitted left the window");
        self.hwcur = report.submitted;
        assert!(
            report.released <= size.distance(self.hwtail, size.prev(self.hwcur)),
            "released more than there is"
        );
        self.hwtail = size.advance(self.hwtail, report.released);
        report
    }

    /// A sync that submits what is pending.
    pub fn submit(&mut self) -> (Vec<Sent>, TxReport) {
        let mut sent = Vec::new();
        let report = self.sync(|burst| sent = submit(burst, MANY, u32::MAX));
        (sent, report)
    }

    /// A sync in which the device completes these ids. Returns the report and what `complete` said of each.
    pub fn complete(&mut self, ids: &[u32]) -> (Vec<Option<u32>>, TxReport) {
        let mut answers = Vec::new();
        let report = self.sync(|burst| answers = ids.iter().map(|&id| burst.complete(id)).collect());
        (answers, report)
    }

    /// A new track, as after a reset: submitted slots come back.
    pub fn reset(&mut self) {
        self.track = self.track.renewed(self.capacity, self.memory.size);
        self.hwtail = self.memory.size.prev(self.hwcur);
    }
}

/// Submits what is pending as a driver with so many free descriptors does, in runs of at most `run`.
pub fn submit(burst: &mut TxBurst<'_>, run: usize, mut room: u32) -> Vec<Sent> {
    let mut sent = Vec::new();
    while burst.is_pending() {
        let (first, descriptors) = (u32::from(burst.next_id()), &[(); MANY][..run.min(room as usize)]);
        let before = sent.len();
        let mut count = burst.submit_run(descriptors, Lengths::ANY, |(), id, buffer, len| {
            sent.push(Sent { id: id as u16, fragments: vec![(number(&buffer), len as u16)] });
        });
        let ids = sent[before..].iter().map(|sent| u32::from(sent.id));
        assert!(ids.eq(first..first + count), "ids of a run are consecutive, and as many as it says");
        if count == 0 {
            let Some(mut frame) = burst.next_frame(room) else { break };
            count = frame.fragments();
            let id = frame.first_id();
            let fragments = (0..count).map(|k| frame.fragment(k).map(|(buffer, len)| (number(&buffer), len)));
            let fragments: Vec<_> = fragments.map(Option::unwrap).collect();
            assert_eq!(frame.len(), fragments.iter().map(|(_, len)| u32::from(*len)).sum::<u32>());
            sent.push(Sent { id, fragments });
            frame.commit();
        }
        room -= count;
    }
    sent
}

/// A receive ring, with the core's side of a sync.
pub struct Rx {
    pub memory: Memory,
    pub track: RxTrack,
    pub capacity: u16,
    pub receive_len: u16,
    pub flags: SlotFlags,
    pub head: Index,
    pub hwtail: Index,
}

impl Rx {
    pub fn new(slots: u32, capacity: u16) -> Self {
        let memory = Memory::new(slots);
        let first = memory.size.first();
        let track = RxTrack::new(capacity, memory.size, first);
        let (receive_len, flags) = (CAPACITY, SlotFlags::empty());
        Self { memory, track, capacity, receive_len, flags, head: first, hwtail: first }
    }

    /// The same ring with nothing posted, for frames of at most `bytes` bytes.
    pub fn with_frame_max(mut self, bytes: u16) -> Self {
        self.track = RxTrack::new(self.capacity, self.memory.size, self.hwtail).with_frame_max(bytes);
        self
    }

    /// The same ring with nothing posted, whose slots have these offsets.
    pub fn with_offsets(mut self, offsets: SlotOffsets) -> Self {
        self.memory.set_offsets(offsets);
        self.track = self.track.with_offsets(offsets);
        self
    }

    /// A ring whose buffers are all posted.
    pub fn posted(slots: u32, capacity: u16) -> Self {
        let mut ring = Self::new(slots, capacity);
        let (posted, _) = ring.post();
        assert_eq!(posted.len() as u32, slots - 1);
        ring
    }

    /// One sync with a driver that does this.
    pub fn sync(&mut self, act: impl FnOnce(&mut RxBurst<'_>)) -> RxReport {
        let end = self.memory.size.prev(self.head);
        self.sync_up_to(end, act)
    }

    /// One sync in which buffers are posted up to slot `end`.
    pub fn sync_up_to(&mut self, end: Index, act: impl FnOnce(&mut RxBurst<'_>)) -> RxReport {
        let (tail, receive_len, flags) = (self.hwtail, self.receive_len, self.flags);
        let request = RxRequest { tail, end, receive_len, flags, has_import: true };
        let view = self.memory.view();
        let mut burst = RxBurst::new(&view, &mut self.track, request);
        act(&mut burst);
        let report = burst.finish();
        let size = self.memory.size;
        let received = size.distance(self.hwtail, report.tail);
        assert!(received <= size.distance(self.hwtail, size.prev(self.head)), "the tail left the window");
        self.hwtail = report.tail;
        report
    }

    /// A sync that posts what is free. Returns id and buffer of each.
    pub fn post(&mut self) -> (Vec<(u32, u32)>, RxReport) {
        let mut posted = Vec::new();
        let report = self.sync(|burst| posted = post(burst, MANY));
        (posted, report)
    }

    /// A sync in which these buffers come back with whole frames of `len` bytes, and what is free is posted.
    pub fn receive(&mut self, ids: &[u32], len: u32) -> (Vec<(u32, u32)>, RxReport) {
        let mut posted = Vec::new();
        let report = self.sync(|burst| {
            for &id in ids {
                assert!(burst.fragment(id, 0, len, false), "{id} is outstanding");
            }
            posted = post(burst, MANY);
        });
        (posted, report)
    }

    /// Takes the frames that were received: the slots of each.
    pub fn take(&mut self) -> Vec<Vec<SlotValue>> {
        let (mut frames, mut frame) = (Vec::new(), Vec::new());
        while self.head != self.hwtail {
            let slot = self.memory.load(self.head.get());
            frame.push(slot);
            if !slot.has(SlotFlags::MOREFRAG) {
                frames.push(std::mem::take(&mut frame));
            }
            self.head = self.memory.size.next(self.head);
        }
        assert_eq!(frame, [], "a frame was published that is not whole");
        frames
    }

    /// Each buffer is named by one slot, once the outstanding ones are restored.
    #[track_caller]
    pub fn check_restored(&self) {
        self.track.restore(&self.memory.view());
        assert_eq!(self.memory.named(), self.memory.all());
    }

    /// A new track, as after a reset.
    pub fn reset(&mut self) {
        self.track.restore(&self.memory.view());
        self.track = self.track.renewed(self.capacity, self.memory.size, self.hwtail);
    }
}

/// Posts what is free as a driver does, in runs of at most `run` descriptors. Returns id and buffer of each.
pub fn post(burst: &mut RxBurst<'_>, run: usize) -> Vec<(u32, u32)> {
    let posted = post_at(burst, run).into_iter();
    posted.map(|(id, buffer, offset)| (id, [buffer][usize::from(offset)])).collect()
}

/// The same, with the offset of each.
pub fn post_at(burst: &mut RxBurst<'_>, run: usize) -> Vec<(u32, u32, u16)> {
    let mut posted = Vec::new();
    while burst.has_free() {
        let (first, descriptors) = (u32::from(burst.next_id()), &[(); MANY][..run]);
        let before = posted.len();
        let count = burst.post_run(descriptors, |(), id, buffer| {
            let (number, offset) = place(&buffer);
            posted.push((id, number, offset));
        });
        assert!(
            posted[before..].iter().map(|(id, ..)| *id).eq(first..first + count),
            "ids of a run are consecutive"
        );
        if count == 0 {
            break;
        }
    }
    posted
}
