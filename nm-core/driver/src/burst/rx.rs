//! Receive: filled buffers to slots, free buffers to descriptors.
//!
//! ```text
//! slots    hwtail ────────► import ─────────► posted ──────► end
//!          fragments of     outstanding: the  free buffers
//!          the frame that   track, not these  that the device
//!          is not whole     slots, names      gets next
//!                           their buffers
//! ```
//!
//! The track remembers which buffer was posted under each id, because a raw program may rewrite its slots meanwhile. A slot
//! gets its buffer when the buffer comes back with a frame. A buffer that comes back without one takes the last slot in front of
//! `posted`, and is posted again by the same sync.

use alloc::boxed::Box;

use super::{FRAGMENTS_MAX, FRAME_MIN, RingView, ids};
use crate::abi::SlotFlags;
use crate::buffers::Buffer;
use crate::index::{Index, RingSize};
use crate::offsets::SlotOffsets;
use crate::slots::SlotValue;

/// No buffer: slots never name buffer 0.
const NONE: u32 = 0;

/// A buffer as it was posted.
#[derive(Debug, Clone, Copy)]
struct Posted {
    buf_idx: u32,
    /// Where its payload begins.
    offset: u16,
}

impl Posted {
    fn buffer(self, ring: &RingView) -> Option<Buffer<'_>> {
        ring.buffers.get(self.buf_idx)?.at_offset(self.offset)
    }
}

/// The outstanding buffers of a receive queue.
#[derive(Debug)]
pub struct RxTrack {
    /// Number of ids less one.
    mask: u32,
    /// Descriptors of the queue.
    capacity: u32,
    /// Longest frame, in bytes.
    frame_max: u32,
    oldest: u32,
    next: u32,
    /// The buffer that was posted under each id; [`NONE`] for a gap.
    buffers: Box<[u32]>,
    /// The offset that it was posted with; empty for a ring without offsets.
    offsets: Box<[u16]>,
    /// Gaps: ids of `oldest..next` that came back while an older one is outstanding.
    gaps: u32,
    /// Whether buffers come back in order, each with a whole frame, and have no offsets.
    is_plain: bool,
    /// Slot behind the fragments of the frame that is not whole yet.
    import: Index,
    /// Slot behind the outstanding buffers.
    posted: Index,
    /// Fragments of the frame that is not whole yet.
    fragments: u32,
    /// Their buffers: a raw program may rewrite these slots too.
    parts: Box<[Posted]>,
    /// Their bytes.
    bytes: u32,
    /// The rest of a frame is still to be dropped.
    is_dropping: bool,
}

impl RxTrack {
    /// The track of a queue that can hold `capacity` buffers, for a ring of this size whose slots from `tail` on are free.
    pub fn new(capacity: u16, size: RingSize, tail: Index) -> Self {
        let ids = ids(size.slots().max(capacity.into()));
        Self {
            mask: ids - 1,
            capacity: capacity.into(),
            frame_max: u32::MAX,
            oldest: 0,
            next: 0,
            buffers: alloc::vec![NONE; ids as usize].into(),
            offsets: Box::default(),
            gaps: 0,
            is_plain: true,
            import: tail,
            posted: tail,
            fragments: 0,
            parts: alloc::vec![Posted { buf_idx: NONE, offset: 0 }; FRAGMENTS_MAX as usize].into(),
            bytes: 0,
            is_dropping: false,
        }
    }

    /// The same track, for frames of at most `bytes` bytes: longer ones are dropped and counted. Without it a frame may have any
    /// length that its slots hold.
    #[must_use]
    pub fn with_frame_max(self, bytes: u16) -> Self {
        Self { frame_max: bytes.into(), ..self }
    }

    /// The same track, for a ring whose slots have these offsets. Nothing is outstanding yet.
    #[must_use]
    pub fn with_offsets(self, offsets: SlotOffsets) -> Self {
        self.keeping_offsets(offsets.is_used())
    }

    fn keeping_offsets(self, has_offsets: bool) -> Self {
        let offsets = if has_offsets { alloc::vec![0; self.buffers.len()].into() } else { Box::default() };
        Self { offsets, is_plain: !has_offsets, ..self }
    }

    /// A new track of a queue of the same card, after a reset.
    #[must_use]
    pub fn renewed(&self, capacity: u16, size: RingSize, tail: Index) -> Self {
        let track = Self { frame_max: self.frame_max, ..Self::new(capacity, size, tail) };
        track.keeping_offsets(!self.offsets.is_empty())
    }

    /// Number of outstanding buffers.
    #[inline]
    pub fn outstanding(&self) -> u32 {
        self.next.wrapping_sub(self.oldest) - self.gaps
    }

    /// How many ids are between the oldest and this one, if it is one of `oldest..next`, a gap or not.
    #[inline]
    fn ahead(&self, id: u32) -> Option<u32> {
        let ahead = id.wrapping_sub(self.oldest) & self.mask;
        (id <= self.mask && ahead < self.next.wrapping_sub(self.oldest)).then_some(ahead)
    }

    /// Whether free buffers, those of the slots up to `end`, are to be posted now. A doorbell costs more than a packet, so they are
    /// collected until they are an eighth of the ring, as long as the device has half of the ring's buffers.
    #[inline]
    pub fn is_post_due(&self, size: RingSize, end: Index) -> bool {
        let free = size.distance(self.posted, end);
        free != 0 && (free * 8 >= size.slots() || self.outstanding() * 2 < size.slots())
    }

    /// Slot behind the outstanding buffers: those from here on are posted next.
    #[inline]
    pub fn posted(&self) -> Index {
        self.posted
    }

    /// Writes the numbers of the outstanding buffers to the slots in front of `posted`, and those of the fragments of the frame that
    /// is not whole to the slots in front of these, so that each buffer of the ring is named by one slot. Each slot gets the offset
    /// of its buffer, too.
    pub fn restore(&self, ring: &RingView) {
        let (slots, size) = (&ring.slots, ring.slots.size());
        let mut at = self.import;
        for &Posted { buf_idx, offset } in self.parts.iter().take(self.fragments as usize).rev() {
            at = size.prev(at);
            slots.store(at, SlotValue { buf_idx, ..slots.load(at) });
            ring.set_offset(at, offset);
        }
        at = self.import;
        for id in 0..=self.mask {
            if let Some(buf_idx) = self.buffer(id)
                && at != self.posted
            {
                slots.store(at, SlotValue { buf_idx, len: 0, flags: 0 });
                ring.set_offset(at, self.offset(id));
                at = size.next(at);
            }
        }
    }

    /// Looks whether buffers come back in order, each with a whole frame: after each step that may change that.
    fn note_plain(&mut self) {
        self.is_plain = self.gaps == 0 && self.fragments == 0 && !self.is_dropping && self.offsets.is_empty();
    }

    /// The offset that the buffer under this id was posted with last.
    fn offset(&self, id: u32) -> u16 {
        self.offsets.get(id as usize).copied().unwrap_or_default()
    }

    /// The buffer that is outstanding under an id.
    fn buffer(&self, id: u32) -> Option<u32> {
        self.ahead(id)?;
        self.buffers.get(id as usize).copied().filter(|buffer| *buffer != NONE)
    }

    /// Takes the buffer that is outstanding under an id, as it was posted.
    fn take_posted(&mut self, id: u32) -> Option<Posted> {
        let buf_idx = self.take(id)?;
        Some(Posted { buf_idx, offset: self.offset(id) })
    }

    /// Takes the buffer that is outstanding under an id.
    #[inline]
    fn take(&mut self, id: u32) -> Option<u32> {
        let ahead = self.ahead(id)?;
        let buffer =
            self.buffers.get_mut(id as usize).map(core::mem::take).filter(|buffer| *buffer != NONE)?;
        self.gaps += 1;
        if ahead == 0 {
            self.pass_gaps();
        }
        Some(buffer)
    }

    /// Makes the first id that is not a gap the oldest.
    #[inline]
    fn pass_gaps(&mut self) {
        while self.gaps > 0 && self.buffers.get((self.oldest & self.mask) as usize) == Some(&NONE) {
            self.oldest = self.oldest.wrapping_add(1);
            self.gaps -= 1;
        }
    }

    /// Makes gaps of use when there are no other free ids.
    #[inline]
    fn free_gaps(&mut self) {
        if self.gaps > 0 && self.next.wrapping_sub(self.oldest) > self.mask {
            self.turn_to_gap();
        }
    }

    /// Has the buffers in front of the oldest gap count as the newest: all ids are in use, so their ids would be next.
    #[cold]
    fn turn_to_gap(&mut self) {
        let oldest = (self.oldest & self.mask) as usize;
        let (low, high) = self.buffers.split_at_checked(oldest).unwrap_or_default();
        let gap = |part: &[u32]| part.iter().position(|buffer| *buffer == NONE);
        let Some(ahead) = gap(high).or_else(|| Some(high.len() + gap(low)?)) else { return };
        self.oldest = self.oldest.wrapping_add(ahead as u32);
        self.next = self.next.wrapping_add(ahead as u32);
        self.pass_gaps();
        self.note_plain();
    }

    /// The id under which the next buffer is posted, and how many more are consecutive and free.
    #[inline]
    fn next_ids(&self) -> (u32, u32) {
        let (first, ids) = (self.next & self.mask, self.mask + 1);
        let free = ids - self.next.wrapping_sub(self.oldest);
        (first, free.min(ids - first).min(self.capacity.saturating_sub(self.outstanding())))
    }
}

/// What a receive sync came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxReport {
    /// Slot behind the whole frames: the new `hwtail`.
    pub tail: Index,
    /// Frames that were received.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that were dropped because they are shorter than [`FRAME_MIN`].
    pub short: u32,
    /// Frames that were dropped because they are longer than the track's limit, or do not fit: into a buffer, into
    /// [`FRAGMENTS_MAX`] slots, or into the ring.
    pub long: u32,
    /// Frames that were dropped because the device reports them as damaged.
    pub damaged: u32,
    /// A released slot that names no buffer.
    pub bad_buffer: Option<u32>,
}

/// The outstanding buffers of a receive ring, and its free ones, for one sync.
///
/// ```text
/// import   burst.receive_run(completions, header, |completion, id| written)           whole frames, one buffer each, in order
///          burst.receive_any(completions, header, |completion| (id, written))         the same in any order
///          burst.fragment(id, before, length, more), burst.damaged(id, more)          anything else
/// post     while burst.has_free() && burst.post_run(descriptors from burst.next_id() on, |descriptor, id, buffer| …) > 0 {}
/// ```
#[derive(Debug)]
pub struct RxBurst<'a> {
    ring: &'a RingView,
    track: &'a mut RxTrack,
    /// Free buffers are posted up to here.
    end: Index,
    /// Longest frame or fragment that the device was told to write.
    receive_len: u16,
    /// Flags of each slot that is received.
    flags: u16,
    has_import: bool,
    /// Free buffers are posted in this sync.
    is_posting: bool,
    report: RxReport,
}

/// What the core asks of a receive sync.
#[derive(Debug, Clone, Copy)]
pub struct RxRequest {
    /// First slot behind those of the application (`hwtail`).
    pub tail: Index,
    /// Free buffers are posted up to this slot.
    pub end: Index,
    /// Longest frame or fragment that the device writes to a buffer ([`Queues::receive_len`](crate::nic::Queues)).
    pub receive_len: u16,
    /// Flags of each slot that is received.
    pub flags: SlotFlags,
    /// Whether frames are imported. If not, buffers are posted only.
    pub has_import: bool,
}

impl<'a> RxBurst<'a> {
    /// The burst of a ring.
    #[inline]
    pub fn new(ring: &'a RingView, track: &'a mut RxTrack, request: RxRequest) -> Self {
        let RxRequest { tail, end, receive_len, flags, has_import } = request;
        let receive_len = receive_len.min(ring.capacity());
        let report = RxReport { tail, packets: 0, bytes: 0, short: 0, long: 0, damaged: 0, bad_buffer: None };
        Self { ring, track, end, receive_len, flags: flags.bits(), has_import, is_posting: false, report }
    }

    /// Whether the driver is to import frames; if not, it posts free buffers only.
    #[inline]
    pub fn has_import(&self) -> bool {
        self.has_import
    }

    /// What the sync came to.
    #[inline]
    pub fn finish(self) -> RxReport {
        self.report
    }

    /// Longest frame or fragment that the device may write to a buffer.
    #[inline]
    pub fn receive_len(&self) -> u16 {
        self.receive_len
    }

    /// Whether free buffers are to be posted, now that frames are imported: as [`RxTrack::is_post_due`] says, and then all of
    /// them.
    #[inline]
    pub fn has_free(&mut self) -> bool {
        self.is_posting = self.is_posting || self.track.is_post_due(self.ring.slots.size(), self.end);
        let has_free = self.is_posting && self.track.posted != self.end;
        if has_free {
            self.track.free_gaps();
        }
        has_free
    }

    /// Number of buffers that the device has.
    #[inline]
    pub fn outstanding(&self) -> u32 {
        self.track.outstanding()
    }
}

/// Import.
impl<'a> RxBurst<'a> {
    /// Receives whole frames of one buffer each, in order: as long as `written` says that the entry reports this id, and how many
    /// bytes were written to its buffer, `header` of which belong to the device. Ends in front of anything unusual. Returns how
    /// many.
    #[inline]
    pub fn receive_run<T>(
        &mut self,
        entries: &[T],
        header: u32,
        mut written: impl FnMut(&T, u32) -> Option<u32>,
    ) -> u32 {
        let RxTrack { oldest, mask, import, frame_max, .. } = *self.track;
        if !self.track.is_plain {
            return 0;
        }
        // As many slots are free as buffers are outstanding.
        let slots = self.ring.slots.from(import);
        let first = oldest & mask;
        // The slice of ids ends where ids start over.
        let most = self.track.next.wrapping_sub(oldest);
        let ids = self.track.buffers.get(first as usize..).unwrap_or_default();
        // Lengths are counted from the shortest; a limit below that leaves none.
        let (shortest, flags) = (u32::from(FRAME_MIN), u32::from(self.flags) << 16);
        let span = (u32::from(self.receive_len).min(frame_max) + 1).saturating_sub(shortest);
        let (below, frame) = (header + shortest, flags + shortest);
        let (mut count, mut above_all) = (0, 0);
        for (((entry, slot), &buf_idx), _) in entries.iter().zip(slots).zip(ids).zip(0..most) {
            let above = written(entry, first + count).map(|written| written.wrapping_sub(below));
            let Some(above) = above.filter(|above| *above < span) else { break };
            slot.set_words(buf_idx, frame + above);
            count += 1;
            above_all += u64::from(above);
        }
        self.track.oldest = oldest.wrapping_add(count);
        self.track.import = self.size().advance(import, count);
        self.report.tail = self.track.import;
        self.report.packets += count;
        self.report.bytes += above_all + u64::from(count) * u64::from(shortest);
        count
    }

    /// Receives whole frames of one buffer each, in any order: as long as `report` says which id the entry reports, and how many
    /// bytes were written to its buffer, `header` of which belong to the device. Ends in front of anything else that is unusual.
    /// Returns how many.
    #[inline]
    pub fn receive_any<T>(
        &mut self,
        entries: &[T],
        header: u32,
        mut report: impl FnMut(&T) -> Option<(u32, u32)>,
    ) -> u32 {
        if self.track.fragments > 0 || self.track.is_dropping || !self.track.offsets.is_empty() {
            return 0;
        }
        let (shortest, flags) = (u32::from(FRAME_MIN), u32::from(self.flags) << 16);
        let span = (u32::from(self.receive_len).min(self.track.frame_max) + 1).saturating_sub(shortest);
        let slots = self.ring.slots.from(self.track.import);
        let mut count = 0;
        for (entry, slot) in entries.iter().zip(slots) {
            let Some((id, written)) = report(entry) else { break };
            let above = written.wrapping_sub(header + shortest);
            if above >= span {
                break;
            }
            let Some(buf_idx) = self.track.take(id) else { break };
            slot.set_words(buf_idx, flags + shortest + above);
            // With each: the buffer is not the device's any more.
            self.track.import = self.size().next(self.track.import);
            self.report.bytes += u64::from(shortest + above);
            count += 1;
        }
        self.report.tail = self.track.import;
        self.report.packets += count;
        self.track.note_plain();
        count
    }

    /// The id that is expected to come back next.
    #[inline]
    pub fn expected(&self) -> u16 {
        (self.track.oldest & self.track.mask) as u16
    }

    /// How many outstanding buffers there are up to the one with this id, if buffers come back in order. `None` when it is not
    /// outstanding. For a device that reports a batch by its last.
    pub fn buffers_through(&self, id: u32) -> Option<u32> {
        let ahead = self.track.ahead(id).filter(|_| self.track.gaps == 0)?;
        Some(ahead + 1)
    }

    /// The last `N` bytes in front of the payload of the outstanding buffer with this id, where the device may have written something
    /// about the frame. `None` when the id is not outstanding.
    pub fn headroom<const N: usize>(&self, id: u32) -> Option<[u8; N]> {
        let posted = Posted { buf_idx: self.track.buffer(id)?, offset: self.track.offset(id) };
        posted.buffer(self.ring).map(|buffer| buffer.read_header())
    }

    /// The buffer with this id holds `len` bytes of a frame, which begin `before` bytes in front of the payload, and `more`
    /// of the frame follows in the buffer that comes back next. Returns `false` when the id is not outstanding.
    #[must_use = "an id that is not outstanding was reported by mistake"]
    #[cold]
    pub fn fragment(&mut self, id: u32, before: u16, len: u32, more: bool) -> bool {
        let is_outstanding = self.take_fragment(id, before, len, more);
        self.track.note_plain();
        is_outstanding
    }

    fn take_fragment(&mut self, id: u32, before: u16, len: u32, more: bool) -> bool {
        let Some(posted) = self.track.take_posted(id) else { return false };
        if self.track.is_dropping {
            self.track.is_dropping = more;
            self.put_back(posted);
            return true;
        }
        let fits = len <= u32::from(self.receive_len) && self.ring.buffers.contains(posted.buf_idx);
        if !fits || len == 0 && (more || self.track.fragments > 0) {
            self.report.long += u32::from(len != 0);
            self.report.damaged += u32::from(len == 0);
            self.drop_frame(posted, more);
            return true;
        }
        if before > 0
            && let Some(mut buffer) = posted.buffer(self.ring)
        {
            buffer.move_up(before, len as u16);
        }
        self.add(posted, len as u16, more);
        true
    }

    /// Adds a fragment to the frame that is not whole, and publishes the frame with its last.
    fn add(&mut self, posted: Posted, len: u16, more: bool) {
        let size = self.size();
        let count = self.track.fragments + 1;
        let bytes = self.track.bytes + u32::from(len);
        let has_too_many = more && (count >= FRAGMENTS_MAX || count + 1 >= size.slots());
        let is_too_long = has_too_many || bytes > self.track.frame_max;
        let is_short = !is_too_long && !more && bytes < u32::from(FRAME_MIN);
        if is_too_long || is_short {
            self.report.long += u32::from(is_too_long);
            self.report.short += u32::from(is_short);
            self.drop_frame(posted, more);
            return;
        }
        let more_flag = if more { SlotFlags::MOREFRAG.bits() } else { 0 };
        let slot = SlotValue { buf_idx: posted.buf_idx, len, flags: self.flags | more_flag };
        self.ring.slots.store(self.track.import, slot);
        self.ring.set_offset(self.track.import, posted.offset);
        if let Some(part) = self.track.parts.get_mut(self.track.fragments as usize) {
            *part = posted;
        }
        self.track.import = size.next(self.track.import);
        (self.track.fragments, self.track.bytes) = (count, bytes);
        if !more {
            self.report.tail = self.track.import;
            self.report.packets += 1;
            self.report.bytes += u64::from(bytes);
            (self.track.fragments, self.track.bytes) = (0, 0);
        }
    }

    /// The buffer with this id came back without a frame: the device reports an error. Returns `false` when the id is not
    /// outstanding. If `more` of the frame follows, the rest is dropped too.
    #[must_use = "an id that is not outstanding was reported by mistake"]
    #[cold]
    pub fn damaged(&mut self, id: u32, more: bool) -> bool {
        let Some(posted) = self.track.take_posted(id) else { return false };
        if self.track.is_dropping {
            self.track.is_dropping = more;
            self.put_back(posted);
        } else {
            self.report.damaged += 1;
            self.drop_frame(posted, more);
        }
        self.track.note_plain();
        true
    }

    /// The rest of the frame that is not whole does not come: what there is of it is dropped.
    #[cold]
    pub fn cut_off(&mut self) {
        self.report.damaged += u32::from(self.track.fragments > 0);
        self.roll_back();
        self.track.is_dropping = false;
        self.track.note_plain();
    }

    /// Drops the frame that is not whole, and this buffer of it.
    fn drop_frame(&mut self, posted: Posted, more: bool) {
        self.put_back(posted);
        self.roll_back();
        self.track.is_dropping = more;
    }

    /// The fragments of the frame that is not whole become free buffers.
    fn roll_back(&mut self) {
        let size = self.size();
        for part in (0..self.track.fragments).rev() {
            self.track.import = size.prev(self.track.import);
            if let Some(&posted) = self.track.parts.get(part as usize) {
                self.put_back(posted);
            }
        }
        (self.track.fragments, self.track.bytes) = (0, 0);
    }

    /// A buffer that came back is free again: it takes the last slot in front of `posted`.
    fn put_back(&mut self, Posted { buf_idx, offset }: Posted) {
        self.is_posting = true;
        self.track.posted = self.size().prev(self.track.posted);
        self.ring.slots.store(self.track.posted, SlotValue { buf_idx, len: 0, flags: 0 });
        self.ring.set_offset(self.track.posted, offset);
    }

    fn size(&self) -> RingSize {
        self.ring.slots.size()
    }
}

/// Posting.
impl RxBurst<'_> {
    /// The id of the next buffer that is posted.
    #[inline]
    pub fn next_id(&self) -> u16 {
        self.track.next_ids().0 as u16
    }

    /// Posts free buffers in these descriptors, with consecutive ids. `write` is told of a descriptor, the id and the buffer. Ends
    /// in front of a slot that names no buffer, and behind the first of a ring with offsets. Returns how many.
    #[inline]
    pub fn post_run<T>(&mut self, descriptors: &[T], mut write: impl FnMut(&T, u32, Buffer<'_>)) -> u32 {
        if self.ring.offsets.is_used() {
            return self.post_one(descriptors, write);
        }
        // A copy, so that the loop keeps it in registers.
        let (slots, buffers) = (&self.ring.slots, self.ring.buffers.table());
        let (first, most) = self.track.next_ids();
        let most = most.min(slots.size().distance(self.track.posted, self.end));
        let ids = self.track.buffers.get_mut(first as usize..).unwrap_or_default();
        let mut count = 0;
        for (((slot, descriptor), id), _) in
            slots.from(self.track.posted).iter().zip(descriptors).zip(ids).zip(0..most)
        {
            let buf_idx = slot.buf_idx();
            let Some(buffer) = buffers.get(buf_idx) else {
                self.report.bad_buffer = Some(buf_idx);
                break;
            };
            *id = buf_idx;
            write(descriptor, first + count, buffer);
            count += 1;
        }
        self.track.next = self.track.next.wrapping_add(count);
        self.track.posted = self.size().advance(self.track.posted, count);
        count
    }

    /// Posts the next free buffer, at the offset of its slot.
    #[cold]
    fn post_one<T>(&mut self, descriptors: &[T], write: impl FnOnce(&T, u32, Buffer<'_>)) -> u32 {
        let (at, (id, most)) = (self.track.posted, self.track.next_ids());
        let Some(descriptor) = descriptors.first().filter(|_| most > 0 && at != self.end) else { return 0 };
        let posted = Posted { buf_idx: self.ring.slots.load(at).buf_idx, offset: self.ring.offset(at) };
        let Some(buffer) = posted.buffer(self.ring) else {
            self.report.bad_buffer = Some(posted.buf_idx);
            return 0;
        };
        if let Some(buf_idx) = self.track.buffers.get_mut(id as usize) {
            *buf_idx = posted.buf_idx;
        }
        if let Some(offset) = self.track.offsets.get_mut(id as usize) {
            *offset = posted.offset;
        }
        write(descriptor, id, buffer);
        self.track.next = self.track.next.wrapping_add(1);
        self.track.posted = self.size().next(at);
        1
    }
}
