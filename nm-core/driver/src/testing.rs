//! Rings for the tests of drivers: slots, buffers and a track around one queue, driven as the core drives them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::abi::{Slot, SlotFlags};
use crate::buffers::{Buffers, HEADROOM, RESERVED_BUFFERS};
use crate::burst::{RingView, RxBurst, RxReport, RxRequest, RxTrack, TxBurst, TxReport, TxTrack};
use crate::index::{Index, RingSize};
use crate::nic::{QueueStatus, RxQueue, TxQueue};
use crate::offsets::SlotOffsets;
use crate::platform::{OutOfDmaMemory, Platform};
use crate::shared::SharedMemory;
use crate::slots::{SlotArray, SlotValue};

/// The memory of a ring: slot `n` begins with buffer `n + 2`.
struct Memory {
    view: RingView,
    size: RingSize,
}

/// What fills the headroom of a frame.
const STALE: u8 = 0xaa;

impl Memory {
    fn new(platform: &Arc<dyn Platform>, slots: u16, capacity: u16) -> Result<Self, OutOfDmaMemory> {
        let stride = (HEADROOM + usize::from(capacity)).next_multiple_of(64);
        let count = u32::from(slots.max(2)) + RESERVED_BUFFERS;
        let slots = usize::from(slots.max(2));
        let slots_at = stride * count as usize;
        let bytes = slots_at + slots * size_of::<Slot>();
        let mut memory = SharedMemory::allocate(platform, bytes, 4096)?;
        let buffers = Buffers::new(&mut memory, 0, stride as u32, count, capacity);
        let size = RingSize::new(slots as u32).ok_or(OutOfDmaMemory { bytes })?;
        let slots = SlotArray::new(memory.array(slots_at, slots), size).ok_or(OutOfDmaMemory { bytes })?;
        let memory = Self { view: RingView { slots, buffers, offsets: SlotOffsets::NONE }, size };
        for (at, buf_idx) in memory.indices().zip(RESERVED_BUFFERS..) {
            memory.slots().store(at, SlotValue { buf_idx, len: 0, flags: 0 });
        }
        Ok(memory)
    }

    fn slots(&self) -> &SlotArray {
        &self.view.slots
    }

    fn indices(&self) -> impl Iterator<Item = Index> {
        let size = self.size;
        (0..size.slots()).filter_map(move |raw| size.index(raw))
    }

    /// Another whose slots have offsets, all of them `initial`, with the same capacity behind the largest.
    fn with_offsets(
        &self,
        platform: &Arc<dyn Platform>,
        offsets: SlotOffsets,
        initial: u16,
    ) -> Result<Self, OutOfDmaMemory> {
        let capacity = self.view.buffers.capacity().saturating_add(offsets.max());
        // No cut: it was made for as many.
        let mut memory = Self::new(platform, self.size.slots() as u16, capacity)?;
        memory.view.offsets = offsets;
        memory.indices().for_each(|at| memory.view.set_offset(at, initial));
        Ok(memory)
    }

    /// Fills what is in front of a slot's payload and makes the payload begin with as much of `bytes` as fits.
    fn fill(&self, at: Index, bytes: &[u8], flags: SlotFlags) {
        let slot = self.slots().load(at);
        if let Some(mut buffer) = self.view.buffers.get(slot.buf_idx) {
            let offset = self.view.offset(at).min(buffer.capacity());
            buffer.write_header([STALE; HEADROOM]);
            let _ = buffer.copy_from(&alloc::vec![STALE; offset.into()]);
            let buffer = buffer.at_offset(offset);
            let fitting = bytes.len().min(self.view.buffers.capacity().saturating_sub(offset).into());
            let fitting = bytes.get(..fitting).unwrap_or_default();
            let _ = buffer.and_then(|mut buffer| buffer.copy_from(fitting));
        }
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.slots().store(at, SlotValue { len, flags: flags.bits(), ..slot });
    }

    /// The bytes of a slot.
    fn read(&self, at: Index) -> Vec<u8> {
        let slot = self.slots().load(at);
        let mut bytes = alloc::vec![0; slot.len.into()];
        let len = self.view.buffer(at, slot).map_or(0, |buffer| buffer.copy_to(&mut bytes));
        bytes.truncate(len);
        bytes
    }

    /// Whether each buffer is in one slot.
    fn is_complete(&self) -> bool {
        let mut numbers: Vec<u32> = self.indices().map(|at| self.slots().load(at).buf_idx).collect();
        numbers.sort_unstable();
        numbers.into_iter().eq(RESERVED_BUFFERS..self.size.slots() + RESERVED_BUFFERS)
    }
}

/// A transmit ring around a queue.
pub struct TxRing {
    /// The queue.
    pub queue: Box<dyn TxQueue>,
    /// What it said last.
    pub status: QueueStatus,
    memory: Memory,
    track: TxTrack,
    head: Index,
    hwcur: Index,
    hwtail: Index,
}

impl TxRing {
    /// A ring of `slots` slots whose buffers hold `capacity` bytes.
    pub fn new(
        platform: &Arc<dyn Platform>,
        queue: Box<dyn TxQueue>,
        slots: u16,
        capacity: u16,
    ) -> Result<Self, OutOfDmaMemory> {
        let memory = Memory::new(platform, slots, capacity)?;
        let size = memory.size;
        let track = TxTrack::new(queue.capacity(), size);
        let (first, last) = (size.first(), size.last());
        let status = QueueStatus::default();
        Ok(Self { queue, status, memory, track, head: first, hwcur: first, hwtail: last })
    }

    /// The same queue, which has no frame yet, with a ring whose slots have offsets. All of them are `initial`. A slot holds as much as
    /// before behind the largest offset.
    pub fn with_offsets(
        self,
        platform: &Arc<dyn Platform>,
        offsets: SlotOffsets,
        initial: u16,
    ) -> Result<Self, OutOfDmaMemory> {
        Ok(Self { memory: self.memory.with_offsets(platform, offsets, initial)?, ..self })
    }

    /// Submits a frame of one slot at an offset. Returns `false` if no slot is free.
    pub fn push_at(&mut self, offset: u16, frame: &[u8]) -> bool {
        self.memory.view.set_offset(self.head, offset);
        self.push(frame)
    }

    /// The `len` bytes in front of the payload of the slot that was submitted last, which has an offset of at least as many.
    pub fn in_front(&self, len: u16) -> Vec<u8> {
        let at = self.memory.size.prev(self.head);
        let (slot, offset) = (self.memory.slots().load(at), self.memory.view.offset(at));
        let buffer = self.memory.view.buffers.get(slot.buf_idx);
        let mut bytes = alloc::vec![0; len.into()];
        let from = buffer.and_then(|buffer| buffer.at_offset(offset.saturating_sub(len)));
        let _ = from.map_or(0, |buffer| buffer.copy_to(&mut bytes));
        bytes
    }

    /// Slots that are the application's.
    pub fn free(&self) -> u32 {
        self.memory.size.distance(self.head, self.hwtail)
    }

    /// Fragments that the queue has not completed.
    pub fn outstanding(&self) -> u32 {
        self.track.outstanding()
    }

    /// Slots that are submitted and not taken over.
    pub fn pending(&self) -> u32 {
        self.memory.size.distance(self.hwcur, self.head)
    }

    /// Submits a frame of one slot. Returns `false` if no slot is free.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        self.push_fragments(&[frame])
    }

    /// Submits a frame of several slots. Returns `false` if not as many are free.
    pub fn push_fragments(&mut self, fragments: &[&[u8]]) -> bool {
        if (self.free() as usize) < fragments.len() {
            return false;
        }
        for (n, fragment) in fragments.iter().enumerate() {
            let is_last = n + 1 == fragments.len();
            let flags = if is_last { SlotFlags::empty() } else { SlotFlags::MOREFRAG };
            self.push_slot(fragment, flags);
        }
        true
    }

    /// Submits one slot with these flags.
    pub fn push_slot(&mut self, bytes: &[u8], flags: SlotFlags) {
        self.memory.fill(self.head, bytes, flags);
        self.head = self.memory.size.next(self.head);
    }

    /// Lets the queue reclaim and submit.
    pub fn sync(&mut self) -> TxReport {
        let mut burst = TxBurst::new(&self.memory.view, &mut self.track, self.hwcur, self.head);
        self.status = self.queue.sync(&mut burst);
        let report = burst.finish();
        self.hwcur = report.submitted;
        self.hwtail = self.memory.size.advance(self.hwtail, report.released);
        report
    }

    /// Whether each buffer is in one slot.
    pub fn is_complete(&self) -> bool {
        self.memory.is_complete()
    }
}

/// A receive ring around a queue.
pub struct RxRing {
    /// The queue.
    pub queue: Box<dyn RxQueue>,
    /// What it said last.
    pub status: QueueStatus,
    memory: Memory,
    track: RxTrack,
    receive_len: u16,
    head: Index,
    hwtail: Index,
    /// Buffers that are not posted though they are free.
    held_back: u32,
    /// The offset that released slots get, if not the one that they have.
    release_offset: Option<u16>,
}

impl RxRing {
    /// A ring of `slots` slots whose buffers hold `capacity` bytes, of which the device uses `receive_len`.
    pub fn new(
        platform: &Arc<dyn Platform>,
        queue: Box<dyn RxQueue>,
        slots: u16,
        (capacity, receive_len): (u16, u16),
    ) -> Result<Self, OutOfDmaMemory> {
        let memory = Memory::new(platform, slots, capacity)?;
        let first = memory.size.first();
        let (track, status) = (RxTrack::new(queue.capacity(), memory.size, first), QueueStatus::default());
        let (head, hwtail, held_back, release_offset) = (first, first, 0, None);
        Ok(Self { queue, status, memory, track, receive_len, head, hwtail, held_back, release_offset })
    }

    /// The same queue, which has no buffer yet, with a ring whose slots have offsets, as for [`TxRing::with_offsets`].
    pub fn with_offsets(
        self,
        platform: &Arc<dyn Platform>,
        offsets: SlotOffsets,
        initial: u16,
    ) -> Result<Self, OutOfDmaMemory> {
        let memory = self.memory.with_offsets(platform, offsets, initial)?;
        Ok(Self { memory, track: self.track.with_offsets(offsets), ..self })
    }

    /// From now on releases slots with this offset.
    pub fn release_at(&mut self, offset: u16) {
        self.release_offset = Some(offset);
    }

    /// Offset of each slot that was received and not taken.
    pub fn offsets(&self) -> Vec<u16> {
        let size = self.memory.size;
        let slots = (0..size.distance(self.head, self.hwtail)).map(|ahead| size.advance(self.head, ahead));
        slots.map(|at| self.memory.view.offset(at)).collect()
    }

    /// From the next sync on leaves this many free buffers unposted.
    pub fn hold_back(&mut self, buffers: u32) {
        self.held_back = buffers;
    }

    /// Buffers that the queue has.
    pub fn outstanding(&self) -> u32 {
        self.track.outstanding()
    }

    /// Lets the queue import and post.
    pub fn sync(&mut self) -> RxReport {
        let size = self.memory.size;
        let free = size.distance(self.track.posted(), size.prev(self.head));
        let end = size.advance(self.track.posted(), free - free.min(self.held_back));
        let request = RxRequest {
            tail: self.hwtail,
            end,
            receive_len: self.receive_len,
            flags: SlotFlags::empty(),
            has_import: true,
        };
        let mut burst = RxBurst::new(&self.memory.view, &mut self.track, request);
        self.status = self.queue.sync(&mut burst);
        let report = burst.finish();
        self.hwtail = report.tail;
        report
    }

    /// Takes the frames that were received, and releases their slots.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let (mut frames, mut frame) = (Vec::new(), Vec::new());
        while self.head != self.hwtail {
            frame.extend(self.memory.read(self.head));
            if !self.memory.slots().load(self.head).has(SlotFlags::MOREFRAG) {
                frames.push(core::mem::take(&mut frame));
            }
            if let Some(offset) = self.release_offset {
                self.memory.view.set_offset(self.head, offset);
            }
            self.head = self.memory.size.next(self.head);
        }
        frames
    }

    /// Syncs, and takes what was received.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        self.sync();
        self.take()
    }

    /// Whether each buffer is in one slot, or outstanding.
    pub fn is_complete(&self) -> bool {
        self.track.restore(&self.memory.view);
        self.memory.is_complete()
    }
}

impl fmt::Debug for TxRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxRing").field("track", &self.track).finish_non_exhaustive()
    }
}

impl fmt::Debug for RxRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxRing").field("track", &self.track).finish_non_exhaustive()
    }
}
