//! Rings whose frames pass one at a time, as copies: those of the stack, and of a device without queues.
//!
//! ```text
//! FrameTx::sync → TxBurst::next_frame → staging → FrameSink::take         no room: the slots stay pending, in their turn
//! import        → FrameSource::next   → RingMemory::write_frame
//! ```
//!
//! The other side gets or gives a copy, never a reference into memory that a program may have mapped: a frame cannot change
//! after it was looked at.

use alloc::boxed::Box;

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, FRAME_MIN, Frame, TxBurst, TxReport, TxTrack};
use nm_driver::index::RingSize;
use nm_driver::nic::StartParams;
use nm_driver::slots::SlotValue;

use crate::kring::{Kring, SyncError};

/// A staging buffer for frames of one slot of any length, and of as many as the MTU allows.
pub(super) fn staging(params: &StartParams) -> Box<[u8]> {
    alloc::vec![0; params.buffer_len.max(params.mtu.frame_max()).into()].into()
}

/// Takes the frames of a transmit ring.
pub(super) trait FrameSink: Send {
    /// Offers it a frame.
    fn take(&mut self, frame: &[u8]) -> Taken;
}

/// What became of a frame that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is on its way.
    Yes,
    /// It is to be offered again.
    NotNow,
    /// It was not wanted, and is dropped.
    Refused,
    /// It is none that there can be, and is dropped.
    Invalid,
}

/// The way of frames from a transmit ring to a sink.
pub(super) struct FrameTx {
    track: TxTrack,
    staging: Box<[u8]>,
}

impl FrameTx {
    /// The way from a ring of this size, for frames of at most `frame_max` bytes.
    pub(super) fn new(size: RingSize, frame_max: u16, params: &StartParams) -> Self {
        // No cut: a ring has no more slots than 16 bits count.
        let track = TxTrack::new(size.slots() as u16, size).with_frame_max(frame_max);
        Self { track, staging: staging(params) }
    }

    /// Offers all pending frames, until one stays. Each is accounted for before the next, so that a sink that panics leaves a ring
    /// that can go on.
    pub(super) fn send(&mut self, kring: &mut Kring, sink: &mut impl FrameSink) {
        loop {
            let mut burst = TxBurst::new(kring.ring.view(), &mut self.track, kring.hwcur, kring.rhead());
            let offered = burst.next_frame(FRAGMENTS_MAX).map(|frame| offer(frame, &mut self.staging, sink));
            burst.complete_oldest(1);
            account(kring, &burst.finish(), offered);
            if !matches!(offered, Some(Taken::Yes | Taken::Refused | Taken::Invalid)) {
                break;
            }
        }
    }
}

/// Offers one frame.
fn offer(mut frame: Frame<'_, '_>, staging: &mut [u8], sink: &mut impl FrameSink) -> Taken {
    let taken = gather(&mut frame, staging).map_or(Taken::Refused, |bytes| sink.take(bytes));
    match taken {
        Taken::Yes => frame.commit(),
        Taken::NotNow => frame.postpone(),
        Taken::Refused | Taken::Invalid => frame.refuse(),
    }
    taken
}

/// Copies the fragments of a frame to `staging`, one behind the other. `None` if they do not fit.
fn gather<'a>(frame: &mut Frame<'_, '_>, staging: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut at = 0;
    for k in 0..frame.fragments() {
        let (buffer, len) = frame.fragment(k)?;
        buffer.copy_to(staging.get_mut(at..at + usize::from(len))?);
        at += usize::from(len);
    }
    staging.get(..at)
}

/// Adds what one frame came to, and what was dropped in front of it.
fn account(kring: &mut Kring, report: &TxReport, offered: Option<Taken>) {
    kring.hwcur = report.submitted;
    kring.hwtail = kring.size().advance(kring.hwtail, report.released);
    let counters = &*kring.counters;
    counters.packets.add(report.packets.into());
    counters.bytes.add(report.bytes);
    let (invalid, refused) = match offered {
        Some(Taken::Invalid) => (report.invalid + report.unsupported, 0),
        _ => (report.invalid, report.unsupported),
    };
    counters.drop_invalid.add(invalid.into());
    counters.drop_long.add(report.long.into());
    counters.drop_refused.add(refused.into());
    counters.full.add(report.is_full.into());
}

/// Gives the frames of a receive ring.
pub(super) trait FrameSource: Send {
    /// Whether there may be a frame.
    fn has_frame(&self) -> bool;

    /// The next frame, the same one until it is [taken](Self::take). Called while a slot is free.
    fn next(&mut self) -> Given<'_>;

    /// The frame that was given last is in the ring, or was dropped.
    fn take(&mut self);
}

/// What a source gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<'a> {
    /// A frame.
    Frame(&'a [u8]),
    /// A frame that was dropped, because it is damaged or too long.
    Damaged,
    /// There is none now.
    Nothing,
}

/// Copies frames into the free slots of a receive ring, until there is no frame, or not enough free slots for the next.
pub(super) fn import(kring: &mut Kring, source: &mut impl FrameSource) -> Result<(), SyncError> {
    for _ in 0..free(kring) {
        if free(kring) == 0 {
            break;
        }
        let SlotValue { buf_idx, .. } = kring.ring.slot(kring.hwtail);
        if kring.ring.region().payload(buf_idx).is_none() {
            return if source.has_frame() { Err(SyncError::BadBuffer { buf_idx }) } else { Ok(()) };
        }
        match source.next() {
            Given::Frame(frame) => {
                if !place(kring, frame)? {
                    break;
                }
            }
            Given::Damaged => kring.counters.drop_error.add(1),
            Given::Nothing => break,
        }
        source.take();
    }
    Ok(())
}

/// How many slots of a receive ring are free.
fn free(kring: &Kring) -> u32 {
    kring.size().distance(kring.hwtail, kring.size().prev(kring.hwcur))
}

/// Puts a frame into as many slots as it needs, or drops it. Returns whether there are enough.
fn place(kring: &mut Kring, frame: &[u8]) -> Result<bool, SyncError> {
    let (size, part) = (kring.size(), usize::from(kring.ring.slot_len()).max(1));
    let slots = frame.len().div_ceil(part).max(1) as u32;
    if frame.len() < usize::from(FRAME_MIN) {
        kring.counters.drop_short.add(1);
        return Ok(true);
    }
    if slots > FRAGMENTS_MAX || slots >= size.slots() {
        kring.counters.drop_long.add(1);
        return Ok(true);
    }
    if slots > free(kring) {
        return Ok(false);
    }
    let mut at = kring.hwtail;
    for (bytes, left) in frame.chunks(part).zip((0..slots).rev()) {
        let more = if left > 0 { SlotFlags::MOREFRAG } else { SlotFlags::empty() };
        if !kring.ring.write_frame(at, bytes, kring.slot_flags | more) {
            return Err(SyncError::BadBuffer { buf_idx: kring.ring.slot(at).buf_idx });
        }
        at = size.next(at);
    }
    kring.hwtail = at;
    kring.counters.packets.add(1);
    kring.counters.bytes.add(frame.len() as u64);
    Ok(true)
}
