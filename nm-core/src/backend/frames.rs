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

use nm_driver::burst::{FRAGMENTS_MAX, FRAME_MIN, Frame, TxBurst, TxReport, TxTrack};
use nm_driver::index::RingSize;
use nm_driver::slots::SlotValue;

use crate::kring::{Kring, SyncError};

/// Longest frame of several slots that is carried, in bytes; one slot holds longer ones where buffers are larger.
const FRAME_MAX: u16 = 9216;

/// A staging buffer for frames of rings whose buffers hold `frame_max` bytes.
pub(super) fn staging(frame_max: u16) -> Box<[u8]> {
    alloc::vec![0; frame_max.max(FRAME_MAX).into()].into()
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
    /// The way from a ring of this size with buffers of `frame_max` bytes.
    pub(super) fn new(size: RingSize, frame_max: u16) -> Self {
        // No cut: a ring has no more slots than 16 bits count.
        Self { track: TxTrack::new(size.slots() as u16, size), staging: staging(frame_max) }
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
    counters.drop_refused.add(refused.into());
    counters.full.add(report.is_full.into());
}

/// Gives the frames of a receive ring.
pub(super) trait FrameSource: Send {
    /// Whether there may be a frame.
    fn has_frame(&self) -> bool;

    /// The next frame. Called while a slot is free for it.
    fn next(&mut self) -> Given<'_>;
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

/// Copies frames into the free slots of a receive ring, until there is no frame or no free slot.
pub(super) fn import(kring: &mut Kring, source: &mut impl FrameSource) -> Result<(), SyncError> {
    let size = kring.size();
    for _ in 0..size.distance(kring.hwtail, size.prev(kring.hwcur)) {
        let SlotValue { buf_idx, .. } = kring.ring.slot(kring.hwtail);
        if kring.ring.region().payload(buf_idx).is_none() {
            return if source.has_frame() { Err(SyncError::BadBuffer { buf_idx }) } else { Ok(()) };
        }
        let frame = match source.next() {
            Given::Frame(frame) => frame,
            Given::Damaged => {
                kring.counters.drop_error.add(1);
                continue;
            }
            Given::Nothing => break,
        };
        if frame.len() < usize::from(FRAME_MIN) {
            kring.counters.drop_short.add(1);
        } else if kring.ring.write_frame(kring.hwtail, frame, kring.slot_flags) {
            kring.hwtail = size.next(kring.hwtail);
            kring.counters.packets.add(1);
            kring.counters.bytes.add(frame.len() as u64);
        } else {
            kring.counters.drop_long.add(1);
        }
    }
    Ok(())
}
