//! A receive ring of a card.
//!
//! In transparent mode released frames go up to the stack before the card gets their slots:
//! [`CardRx::sync`] → [`HostTxPath::forward`] → [`Kring::prologue`] → the stack.

use alloc::boxed::Box;
use alloc::sync::Arc;

use nm_driver::burst::{RxBurst, RxReport, RxRequest, RxTrack};
use nm_driver::index::{Index, RingSize};
use nm_driver::nic::{Armed, RxQueue};
use nm_driver::offsets::SlotOffsets;

use super::status::check;
use crate::backend::host::HostTxPath;
use crate::backend::{Forward, RingBackend};
use crate::events::signals::Signal;
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;
use crate::tunables::Verbose;

/// One receive queue, and what it has outstanding.
pub(crate) struct CardRx {
    queue: Box<dyn RxQueue>,
    track: RxTrack,
    /// Longest frame that the device writes to a buffer.
    receive_len: u16,
    /// Where interrupts of this queue are noted.
    signal: Arc<Signal>,
    /// Where released frames go in transparent mode, if the interface has a stack.
    up: Option<HostTxPath>,
    /// Set while the driver runs. Found set, the driver has panicked in a sync, and what the device was told is not known.
    is_inside: bool,
}

impl CardRx {
    /// The ring of this size, with nothing posted. The device writes at most `receive_len` bytes to a buffer; a frame has at most
    /// `frame_max`.
    pub(super) fn new(
        queue: Box<dyn RxQueue>,
        (receive_len, frame_max, offsets): (u16, u16, SlotOffsets),
        signal: Arc<Signal>,
        up: Option<HostTxPath>,
        size: RingSize,
    ) -> Self {
        let track = RxTrack::new(queue.capacity(), size, size.first());
        let track = track.with_frame_max(frame_max).with_offsets(offsets);
        Self { queue, track, receive_len, signal, up, is_inside: false }
    }

    /// Whether no free buffer is to be posted now. Released slots are taken over in any case.
    #[inline]
    fn has_nothing_to_post(&self, kring: &mut Kring) -> bool {
        if kring.hwcur == kring.rhead() {
            return true;
        }
        let end = kring.size().prev(kring.rhead());
        let has_nothing = !self.track.is_post_due(kring.size(), end);
        if has_nothing {
            kring.hwcur = kring.rhead();
        }
        has_nothing
    }

    /// Lets the driver import and post.
    #[inline(always)]
    fn run(&mut self, kring: &mut Kring, has_import: bool) -> Result<(), SyncError> {
        if core::mem::replace(&mut self.is_inside, true) {
            return Err(SyncError::DeviceFailed);
        }
        let (tail, end) = (kring.hwtail, kring.size().prev(kring.rhead()));
        let (receive_len, flags) = (self.receive_len, kring.slot_flags);
        let request = RxRequest { tail, end, receive_len, flags, has_import };
        let mut burst = RxBurst::new(kring.ring.view(), &mut self.track, request);
        let status = self.queue.sync(&mut burst);
        let report = burst.finish();
        self.is_inside = false;
        kring.hwtail = report.tail;
        if report.bad_buffer.is_none() {
            kring.hwcur = kring.rhead();
        }
        count(kring, &report);
        if let Some(buf_idx) = report.bad_buffer {
            let _ = check(status, kring);
            return Err(SyncError::BadBuffer { buf_idx });
        }
        check(status, kring)
    }

    /// The same, out of the way of the usual sync.
    #[cold]
    #[inline(never)]
    fn run_rarely(&mut self, kring: &mut Kring, has_import: bool) -> Result<(), SyncError> {
        self.run(kring, has_import)
    }

    /// Lets the driver import and post after an interrupt, and has the next one announced. What is left behind without one is
    /// looked at in the next sync. Without an interrupt released slots are posted, and nothing is imported.
    #[cold]
    #[doc(alias("NKR_PENDINTR", "no_pendintr"))]
    fn run_after_interrupt(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        if !self.signal.take_look() {
            return self.run_rarely(kring, false);
        }
        let (tail, outstanding) = (kring.hwtail, self.track.outstanding());
        let outcome = self.run_rarely(kring, true);
        // A device that had filled all of its buffers may have more frames, which fill those that were posted just now.
        let was_full = kring.size().distance(tail, kring.hwtail) >= outstanding;
        if was_full || self.queue.arm() != Armed::Yes {
            self.signal.look_again();
        }
        outcome
    }

    /// A sync that looks at the tunables, or has a stack to forward to.
    #[cold]
    fn sync_with_wishes(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError> {
        if let Some(up) = &mut self.up {
            up.forward(kring, &forward)?;
        }
        let is_shown = self.signal.shows(Verbose::RXSYNC);
        kring.traced(is_shown, "rxsync", |kring| {
            kring.prologue()?;
            kring.counters.syncs.add(1);
            let outcome = if self.signal.looks_always() {
                self.run_rarely(kring, true)
            } else {
                self.run_after_interrupt(kring)
            };
            kring.finalize();
            outcome
        })
    }
}

/// Adds what a sync came to.
#[inline]
fn count(kring: &Kring, report: &RxReport) {
    let counters = &*kring.counters;
    if report.packets > 0 {
        counters.packets.add(report.packets.into());
        counters.bytes.add(report.bytes);
    }
    if report.short | report.long | report.damaged != 0 {
        count_dropped(kring, report);
    }
}

#[cold]
fn count_dropped(kring: &Kring, report: &RxReport) {
    let counters = &*kring.counters;
    counters.drop_short.add(report.short.into());
    counters.drop_long.add(report.long.into());
    counters.drop_error.add(report.damaged.into());
}

impl RingBackend for CardRx {
    fn direction(&self) -> Direction {
        Direction::Rx
    }

    /// Posts all free slots. After a reset these have the buffers that the old queue held; the application's slots stay as they
    /// are.
    #[doc(alias("netmap_reset", "nkr_hwofs"))]
    fn begin(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        self.track = self.track.renewed(self.queue.capacity(), kring.size(), kring.hwtail);
        self.signal.look_again();
        self.run_rarely(kring, false)
    }

    fn is_due(&mut self) -> bool {
        self.queue.is_due()
    }

    fn arm(&mut self, _kring: &Kring) -> Armed {
        self.queue.arm()
    }

    fn disarm(&mut self) {
        self.queue.disarm();
        // What comes from here on is not announced.
        self.signal.look_again();
    }

    #[doc(alias = "nm_rxsync")]
    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError> {
        if self.signal.has_wishes() || self.up.is_some() || self.is_inside {
            return self.sync_with_wishes(kring, forward);
        }
        kring.counters.syncs.add(1);
        if !kring.is_untouched() {
            kring.prologue()?;
        }
        if self.queue.is_idle() && self.has_nothing_to_post(kring) {
            kring.finalize();
            return Ok(());
        }
        let outcome = self.run(kring, true);
        kring.finalize();
        outcome
    }

    fn idle_slots(&self, kring: &Kring) -> Option<(Index, Index)> {
        (!self.is_inside).then(|| (self.track.posted(), kring.hwtail))
    }

    fn restore_slots(&self, kring: &Kring) {
        self.track.restore(kring.ring.view());
    }
}
