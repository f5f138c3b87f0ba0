//! Transmit: pending slots to descriptors, completed ids to released slots.

use alloc::boxed::Box;

use super::{FRAGMENTS_MAX, RingView, ids};
use crate::abi::SlotFlags;
use crate::buffers::Buffer;
use crate::index::{Index, RingSize};
use crate::slots::SlotValue;

/// Flags that concern one submission and are cleared with it.
const ONCE: u16 = SlotFlags::REPORT.union(SlotFlags::BUF_CHANGED).union(SlotFlags::MOREFRAG).bits();

/// What is noted of an outstanding id, once something unusual is outstanding.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    /// Slots that the ring gets back with it: those of the frame and of invalid frames behind it.
    slots: u16,
    /// Ids of the frame, the first of which this is; 0 for the others.
    fragments: u8,
    /// The device has completed it while an older one is outstanding.
    is_done: bool,
}

impl Note {
    /// A frame of one slot.
    const PLAIN: Self = Self { slots: 1, fragments: 1, is_done: false };

    fn is_plain(self) -> bool {
        self.slots == 1 && self.fragments == 1 && !self.is_done
    }
}

/// The outstanding frames of a transmit queue.
#[derive(Debug)]
pub struct TxTrack {
    /// Number of ids less one.
    mask: u32,
    /// Descriptors of the queue.
    capacity: u32,
    /// Longest frame, in bytes.
    frame_max: u32,
    oldest: u32,
    next: u32,
    /// Whether each outstanding frame has one slot, and they complete in order.
    is_plain: bool,
    /// Notes that are not plain.
    unusual: u32,
    /// By id; of use only while `is_plain` is not set.
    notes: Box<[Note]>,
    /// Position of the last frame whose completion the application wants reported at once.
    report_at: Option<u32>,
    /// The rest of a frame with too many slots is still to be dropped.
    is_dropping: bool,
    /// The last sync left slots pending.
    is_waiting: bool,
}

impl TxTrack {
    /// The track of a queue that can hold `capacity` descriptors, for a ring of this size: nothing is outstanding.
    pub fn new(capacity: u16, size: RingSize) -> Self {
        let ids = ids(size.slots().max(capacity.into()));
        Self {
            mask: ids - 1,
            capacity: capacity.into(),
            frame_max: u32::MAX,
            oldest: 0,
            next: 0,
            is_plain: true,
            unusual: 0,
            notes: alloc::vec![Note::default(); ids as usize].into(),
            report_at: None,
            is_dropping: false,
            is_waiting: false,
        }
    }

    /// The same track, for frames of at most `bytes` bytes: longer ones are dropped and counted. Without it a frame may have any
    /// length that its slots hold.
    #[must_use]
    pub fn with_frame_max(self, bytes: u16) -> Self {
        Self { frame_max: bytes.into(), ..self }
    }

    /// A new track of a queue of the same card, after a reset.
    #[must_use]
    pub fn renewed(&self, capacity: u16, size: RingSize) -> Self {
        Self { frame_max: self.frame_max, ..Self::new(capacity, size) }
    }

    /// Number of outstanding fragments.
    #[inline]
    pub fn outstanding(&self) -> u32 {
        self.next.wrapping_sub(self.oldest)
    }

    /// Number of frames that the device has not completed.
    pub fn frames(&self) -> u32 {
        if self.is_plain {
            return self.outstanding();
        }
        let ids = (0..self.outstanding()).map(|ahead| self.oldest.wrapping_add(ahead));
        ids.filter(|&at| self.note(at).is_some_and(|note| note.fragments > 0 && !note.is_done)).count() as u32
    }

    /// Whether a frame is outstanding whose slot had [`SlotFlags::REPORT`].
    pub fn has_report(&self) -> bool {
        self.report_at.is_some_and(|at| at.wrapping_sub(self.oldest) < self.outstanding())
    }

    fn note(&self, position: u32) -> Option<Note> {
        self.notes.get((position & self.mask) as usize).copied()
    }

    fn note_mut(&mut self, position: u32) -> Option<&mut Note> {
        self.notes.get_mut((position & self.mask) as usize)
    }

    /// Notes each outstanding id by itself from here on.
    #[cold]
    fn leave_plain(&mut self) {
        if !self.is_plain {
            return;
        }
        self.is_plain = false;
        self.unusual = 0;
        for ahead in 0..self.outstanding() {
            let at = self.oldest.wrapping_add(ahead);
            if let Some(note) = self.note_mut(at) {
                *note = Note::PLAIN;
            }
        }
    }

    /// Writes a note, and counts those that are not plain.
    fn set(&mut self, position: u32, note: Note) {
        let Some(old) = self.note_mut(position).map(|place| core::mem::replace(place, note)) else { return };
        self.unusual = self.unusual + u32::from(!note.is_plain()) - u32::from(!old.is_plain());
    }

    /// Notes a frame of these slots and fragments at the next positions.
    #[cold]
    fn push(&mut self, slots: u16, fragments: u8) {
        self.leave_plain();
        let first = self.next;
        for ahead in 0..u32::from(fragments) {
            // The position is free: its note counts as plain.
            if let Some(note) = self.note_mut(first.wrapping_add(ahead)) {
                *note = Note::PLAIN;
            }
            let note = if ahead == 0 { Note { slots, fragments, is_done: false } } else { Note::default() };
            self.set(first.wrapping_add(ahead), note);
        }
        self.next = first.wrapping_add(fragments.into());
    }

    /// Completes the frame at a position, which has a note. Returns how many slots the ring gets back.
    #[inline]
    fn complete_noted(&mut self, position: u32) -> Option<u32> {
        let is_oldest = position == self.oldest;
        let note = self.note_mut(position).filter(|note| note.fragments > 0 && !note.is_done)?;
        let mut first = *note;
        if !is_oldest {
            note.is_done = true;
            self.unusual += u32::from(first.is_plain());
            return Some(0);
        }
        let mut slots = 0;
        loop {
            slots += u32::from(first.slots);
            self.unusual -= u32::from(!first.is_plain()) + u32::from(first.fragments) - 1;
            self.oldest = self.oldest.wrapping_add(first.fragments.into());
            match self.note(self.oldest) {
                Some(note) if note.is_done && self.outstanding() > 0 => first = note,
                _ => break,
            }
        }
        self.is_plain = self.unusual == 0;
        Some(slots)
    }

    /// `slots` invalid slots come back with the frame in front of them; returns `false` if there is none.
    #[cold]
    fn attach(&mut self, slots: u16) -> bool {
        if self.outstanding() == 0 {
            return false;
        }
        self.leave_plain();
        let heads = (1..=self.outstanding()).map(|back| self.next.wrapping_sub(back));
        let last = heads.clone().find(|&at| self.note(at).is_some_and(|note| note.fragments > 0));
        if let Some((at, note)) = last.and_then(|at| Some((at, self.note(at)?))) {
            self.set(at, Note { slots: note.slots.saturating_add(slots), ..note });
        }
        last.is_some()
    }
}

/// What a transmit sync came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxReport {
    /// First slot that was not taken over (`hwcur`).
    pub submitted: Index,
    /// Slots that the ring gets back: `hwtail` moves by as many.
    pub released: u32,
    /// Frames that were submitted.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that were dropped: an invalid buffer, offset or length, or too many slots.
    pub invalid: u32,
    /// Frames that were dropped because they are longer than the track's limit.
    pub long: u32,
    /// Frames that were dropped because the device cannot send them.
    pub unsupported: u32,
    /// Whether the queue had no room for a frame.
    pub is_full: bool,
}

/// Lengths of the frames that one descriptor can carry, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// The shortest, not 0.
    pub shortest: u16,
    /// The longest.
    pub longest: u16,
}

impl Lengths {
    /// Any length that a buffer can hold.
    pub const ANY: Self = Self { shortest: 1, longest: u16::MAX };
}

/// The pending frames of a transmit ring, and its outstanding ones, for one sync.
///
/// ```text
/// reclaim   while burst.complete_run(completions, |completion, id| …) > 0 || burst.complete(id) … {}
/// submit    while burst.is_pending() {
///               if burst.submit_run(descriptors from burst.next_id() on, Lengths::ANY, |descriptor, id, buffer, len| …) == 0 {
///                   let Some(frame) = burst.next_frame(free descriptors) else { break };      any frame
///                   write its fragments; frame.commit();
///               }
///           }
/// ```
#[derive(Debug)]
pub struct TxBurst<'a> {
    ring: &'a RingView,
    track: &'a mut TxTrack,
    end: Index,
    report: TxReport,
}

impl<'a> TxBurst<'a> {
    /// The burst over the slots `[from, to)` of a ring.
    #[inline]
    pub fn new(ring: &'a RingView, track: &'a mut TxTrack, from: Index, to: Index) -> Self {
        let report = TxReport {
            submitted: from,
            released: 0,
            packets: 0,
            bytes: 0,
            invalid: 0,
            long: 0,
            unsupported: 0,
            is_full: false,
        };
        Self { ring, track, end: to, report }
    }

    /// What the sync came to.
    #[inline]
    pub fn finish(self) -> TxReport {
        self.track.is_waiting = self.is_pending();
        self.report
    }

    /// Whether the driver is to reclaim: the ring is half full, there is nothing to submit, or the last sync left slots pending,
    /// which may be waiting for room or for the last slot of their frame. Else completions can wait for a later sync.
    #[inline]
    pub fn has_reclaim(&self) -> bool {
        !self.is_pending()
            || self.track.is_waiting
            || self.track.outstanding() * 2 >= self.ring.slots.size().slots()
    }

    /// Whether slots are pending.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.report.submitted != self.end
    }

    /// Number of fragments that the device has not completed.
    #[inline]
    pub fn outstanding(&self) -> u32 {
        self.track.outstanding()
    }
}

/// Completions.
impl TxBurst<'_> {
    /// The id that is expected to complete next.
    #[inline]
    pub fn expected(&self) -> u16 {
        (self.track.oldest & self.track.mask) as u16
    }

    /// Takes completions of frames of one slot, in order, as long as `is_complete` says that the entry reports this id. Returns
    /// how many; 0 while something unusual is outstanding.
    #[inline]
    pub fn complete_run<T>(&mut self, entries: &[T], mut is_complete: impl FnMut(&T, u32) -> bool) -> u32 {
        if !self.track.is_plain {
            return 0;
        }
        let first = self.track.oldest & self.track.mask;
        let most = self.track.outstanding().min(self.track.mask + 1 - first);
        let mut count = 0;
        for (entry, _) in entries.iter().zip(0..most) {
            if !is_complete(entry, first + count) {
                break;
            }
            count += 1;
        }
        self.track.oldest = self.track.oldest.wrapping_add(count);
        self.report.released += count;
        count
    }

    /// Takes completions of frames of one fragment, in any order, as long as `report` says which id the entry reports. Ends in
    /// front of anything else that is unusual. Returns how many.
    #[inline]
    pub fn complete_any<T>(&mut self, entries: &[T], mut report: impl FnMut(&T) -> Option<u32>) -> u32 {
        let mut count = 0;
        for entry in entries {
            let Some(ahead) = report(entry).and_then(|id| self.ahead(id)) else { break };
            if ahead > 0 {
                self.track.leave_plain();
            }
            if self.track.is_plain {
                self.complete_oldest(1);
            } else {
                let at = self.track.oldest.wrapping_add(ahead);
                let is_single = self.track.note(at).is_some_and(|note| note.fragments == 1);
                let Some(slots) = is_single.then(|| self.track.complete_noted(at)).flatten() else { break };
                self.report.released += slots;
            }
            count += 1;
        }
        count
    }

    /// The frame with this id is complete. Returns its number of fragments, `None` when it is not outstanding.
    #[must_use = "an id that is not outstanding was reported by mistake"]
    pub fn complete(&mut self, id: u32) -> Option<u32> {
        let ahead = self.ahead(id)?;
        if ahead == 0 && self.track.is_plain {
            self.complete_oldest(1);
            return Some(1);
        }
        self.track.leave_plain();
        let at = self.track.oldest.wrapping_add(ahead);
        let fragments = self.track.note(at)?.fragments;
        self.report.released += self.track.complete_noted(at)?;
        Some(fragments.into())
    }

    /// How many outstanding frames there are up to the one with this id, and of how many fragments. `None` when no outstanding
    /// frame has this id. For a device that uses buffers in order and reports a batch by its last.
    pub fn frames_through(&self, id: u32) -> Option<(u32, u32)> {
        let ahead = self.ahead(id)?;
        if self.track.is_plain {
            return Some((ahead + 1, ahead + 1));
        }
        let notes = (0..=ahead).filter_map(|k| self.track.note(self.track.oldest.wrapping_add(k)));
        let (frames, fragments, last) = notes.fold((0, 0, 0), |(frames, fragments, _), note| {
            let last = if note.is_done { 0 } else { note.fragments };
            (frames + u32::from(last > 0), fragments + u32::from(last), last)
        });
        (last > 0).then_some((frames, fragments))
    }

    /// How far an outstanding id is behind the oldest.
    #[inline]
    fn ahead(&self, id: u32) -> Option<u32> {
        let ahead = id.wrapping_sub(self.track.oldest) & self.track.mask;
        (id <= self.track.mask && ahead < self.track.outstanding()).then_some(ahead)
    }

    /// The `frames` oldest frames are complete, fewer when fewer are outstanding.
    #[inline]
    pub fn complete_oldest(&mut self, frames: u32) {
        if self.track.is_plain {
            let frames = frames.min(self.track.outstanding());
            self.track.oldest = self.track.oldest.wrapping_add(frames);
            self.report.released += frames;
        } else {
            self.complete_oldest_noted(frames);
        }
    }

    #[cold]
    fn complete_oldest_noted(&mut self, frames: u32) {
        for _ in 0..frames.min(self.track.outstanding()) {
            if self.track.is_plain {
                self.complete_oldest(1);
            } else {
                let oldest = self.track.oldest;
                self.report.released += self.track.complete_noted(oldest).unwrap_or_default();
            }
        }
    }
}

/// Submission.
impl<'a> TxBurst<'a> {
    /// The id of the next frame that is submitted.
    #[inline]
    pub fn next_id(&self) -> u16 {
        (self.track.next & self.track.mask) as u16
    }

    /// Submits pending frames of one slot in these descriptors, with consecutive ids. `write` is told of a descriptor, the id, the
    /// buffer, and the length of the frame. Ends in front of an unusual slot, and each slot of a ring with offsets is one. Returns how many.
    #[inline]
    pub fn submit_run<T>(
        &mut self,
        descriptors: &[T],
        lengths: Lengths,
        mut write: impl FnMut(&T, u32, Buffer<'_>, u32),
    ) -> u32 {
        if !self.track.is_plain || self.track.is_dropping || self.ring.offsets.is_used() {
            return 0;
        }
        // A copy, so that the loop keeps it in registers.
        let (slots, buffers) = (&self.ring.slots, self.ring.buffers.table());
        let first = self.track.next & self.track.mask;
        let pending = slots.size().distance(self.report.submitted, self.end);
        // What is pending has an id: there are at least as many as slots. The caller's descriptors end where ids start over.
        let most = pending.min(self.track.mask + 1 - first);
        let shortest = u32::from(lengths.shortest.max(1));
        let longest = u32::from(lengths.longest.min(self.ring.buffers.capacity())).min(self.track.frame_max);
        let span = (longest + 1).saturating_sub(shortest);
        let (mut count, mut bytes) = (0, 0);
        for ((slot, descriptor), _) in slots.from(self.report.submitted).iter().zip(descriptors).zip(0..most)
        {
            // A shorter length wraps around; a flag makes the number too large.
            let (buf_idx, frame) = slot.words();
            let Some(buffer) = buffers.get(buf_idx).filter(|_| frame.wrapping_sub(shortest) < span) else {
                break;
            };
            // Without flags it is the length.
            write(descriptor, first + count, buffer, frame);
            count += 1;
            bytes += u64::from(frame);
        }
        self.report.submitted = self.ring.slots.size().advance(self.report.submitted, count);
        self.report.packets += count;
        self.report.bytes += bytes;
        self.track.next = self.track.next.wrapping_add(count);
        count
    }

    /// The next pending frame, whatever it is, if the queue has room for its fragments: `room` descriptors. A frame of one
    /// slot has one fragment. Invalid frames are dropped and counted; a frame whose last slot was not submitted yet stays
    /// pending, and so does one that the queue has no room for.
    #[cold]
    pub fn next_frame(&mut self, room: u32) -> Option<Frame<'_, 'a>> {
        let free = self.track.capacity.saturating_sub(self.track.outstanding());
        while self.is_pending() {
            let Chain { slots, bytes, has_end, is_valid } = self.chain();
            if !self.track.is_dropping && !has_end && slots < FRAGMENTS_MAX && slots + 1 < self.size().slots()
            {
                return None;
            }
            let is_long = bytes > self.track.frame_max;
            if self.track.is_dropping || !has_end || !is_valid || is_long {
                let is_whole = has_end && is_valid && !self.track.is_dropping;
                self.report.invalid += u32::from(!is_whole && !self.track.is_dropping);
                self.report.long += u32::from(is_whole);
                self.drop_chain(slots, has_end);
                continue;
            }
            if slots > room.min(free) {
                self.report.is_full = true;
                return None;
            }
            let left = self.track.frame_max;
            return Some(Frame { burst: self, slots, left });
        }
        None
    }

    fn size(&self) -> RingSize {
        self.ring.slots.size()
    }

    /// The slots of the next pending frame.
    fn chain(&self) -> Chain {
        let size = self.size();
        let pending = size.distance(self.report.submitted, self.end);
        let mut chain = Chain { slots: 0, bytes: 0, has_end: false, is_valid: true };
        // A frame that is dropped ends at its last slot, however far that is.
        let most = if self.track.is_dropping { pending } else { pending.min(FRAGMENTS_MAX) };
        while chain.slots < most && !chain.has_end {
            let at = size.advance(self.report.submitted, chain.slots);
            let slot = self.ring.slots.load(at);
            chain.is_valid &= slot.len != 0
                && self.ring.buffer(at, slot).is_some_and(|buffer| slot.len <= buffer.capacity())
                && !slot.has(SlotFlags::INDIRECT);
            chain.has_end = !slot.has(SlotFlags::MOREFRAG);
            chain.bytes = chain.bytes.saturating_add(slot.len.into());
            chain.slots += 1;
        }
        chain
    }

    /// Drops `slots` slots: a frame that cannot be sent, or a part of one that has too many slots.
    fn drop_chain(&mut self, slots: u32, has_end: bool) {
        self.track.is_dropping = !has_end;
        for _ in 0..slots {
            self.clear_flags(self.report.submitted);
            self.report.submitted = self.size().next(self.report.submitted);
        }
        if !self.track.attach(slots as u16) {
            self.report.released += slots;
        }
    }

    fn clear_flags(&self, at: Index) {
        let slot = self.ring.slots.load(at);
        if slot.flags & ONCE != 0 {
            self.ring.slots.store(at, SlotValue { flags: slot.flags & !ONCE, ..slot });
        }
    }
}

/// The slots of one pending frame.
struct Chain {
    slots: u32,
    /// The length of the frame as far as these go.
    bytes: u32,
    /// Whether the last of them ends the frame.
    has_end: bool,
    is_valid: bool,
}

/// One pending frame of any kind.
#[derive(Debug)]
pub struct Frame<'b, 'a> {
    burst: &'b mut TxBurst<'a>,
    slots: u32,
    /// Bytes that the fragments which were not asked for yet may have.
    left: u32,
}

impl Frame<'_, '_> {
    /// Id of the first fragment; those behind it count up, and start over at the number of ids.
    pub fn first_id(&self) -> u16 {
        (self.burst.track.next & self.burst.track.mask) as u16
    }

    /// Number of fragments.
    pub fn fragments(&self) -> u32 {
        self.slots
    }

    /// Length of the frame.
    pub fn len(&self) -> u32 {
        (0..self.slots).map(|k| u32::from(self.slot(k).len)).sum()
    }

    /// Whether the frame is empty: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fragment `k`: its buffer and its length. To be asked for once. `None` when there is no such fragment, or the frame cannot be
    /// sent any more: a raw program may have written the slot since it was checked.
    pub fn fragment(&mut self, k: u32) -> Option<(Buffer<'_>, u16)> {
        let (at, slot) = (self.at(k), self.slot(k));
        let buffer = self.burst.ring.buffer(at, slot).filter(|_| k < self.slots)?;
        let len = Some(slot.len.min(buffer.capacity())).filter(|len| *len != 0)?;
        self.left = self.left.checked_sub(len.into())?;
        Some((buffer, len))
    }

    /// The frame is submitted.
    pub fn commit(self) {
        let (len, slots) = (self.len(), self.slots);
        let Self { burst, .. } = self;
        for _ in 0..slots {
            let at = burst.report.submitted;
            if burst.ring.slots.load(at).has(SlotFlags::REPORT) {
                burst.track.report_at = Some(burst.track.next);
            }
            burst.clear_flags(at);
            burst.report.submitted = burst.size().next(at);
        }
        if slots == 1 && burst.track.is_plain {
            burst.track.next = burst.track.next.wrapping_add(1);
        } else {
            burst.track.push(slots as u16, slots as u8);
        }
        burst.report.packets += 1;
        burst.report.bytes += u64::from(len);
    }

    /// The device has no room for the frame: it stays pending.
    pub fn postpone(self) {
        self.burst.report.is_full = true;
    }

    /// The device cannot send the frame: it is dropped and counted, and its slots come back in turn.
    pub fn refuse(self) {
        let Self { burst, slots, .. } = self;
        burst.drop_chain(slots, true);
        burst.report.unsupported += 1;
    }

    fn at(&self, k: u32) -> Index {
        self.burst.size().advance(self.burst.report.submitted, k)
    }

    fn slot(&self, k: u32) -> SlotValue {
        self.burst.ring.slots.load(self.at(k))
    }
}
