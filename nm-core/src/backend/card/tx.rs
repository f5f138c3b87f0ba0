//! A transmit ring of a card.

use alloc::boxed::Box;
use alloc::sync::Arc;

use nm_driver::burst::{TxBurst, TxReport, TxTrack};
use nm_driver::index::{Index, RingSize};
use nm_driver::nic::{Armed, TxQueue};

use super::status::check;
use crate::backend::{End, Forward, RingBackend};
use crate::events::signals::Signal;
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;
use crate::tunables::Verbose;

/// One transmit queue, and what it has outstanding.
pub(crate) struct CardTx {
    queue: Box<dyn TxQueue>,
    track: TxTrack,
    /// Where interrupts of this queue are noted.
    signal: Arc<Signal>,
    /// Set while the driver runs. Found set, the driver has panicked in a sync, and what the device was told is not known.
    is_inside: bool,
}

impl CardTx {
    /// The ring of `size` slots, for frames of at most `frame_max` bytes.
    pub(super) fn new(queue: Box<dyn TxQueue>, frame_max: u16, signal: Arc<Signal>, size: RingSize) -> Self {
        let track = TxTrack::new(queue.capacity(), size).with_frame_max(frame_max);
        Self { queue, track, signal, is_inside: false }
    }

    /// Lets the driver reclaim and submit.
    #[inline(always)]
    fn run(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        if core::mem::replace(&mut self.is_inside, true) {
            return Err(SyncError::DeviceFailed);
        }
        let mut burst = TxBurst::new(kring.ring.view(), &mut self.track, kring.hwcur, kring.rhead());
        let status = self.queue.sync(&mut burst);
        let report = burst.finish();
        self.is_inside = false;
        kring.hwcur = report.submitted;
        kring.hwtail = kring.size().advance(kring.hwtail, report.released);
        count(kring, &report);
        kring.finalize();
        check(status, kring)
    }

    /// A sync that looks at the tunables.
    #[cold]
    fn sync_with_wishes(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let is_shown = self.signal.shows(Verbose::TXSYNC);
        kring.traced(is_shown, "txsync", |kring| self.run(kring))
    }

    /// Completions after which a waiter is woken: half of what is outstanding (the tunable `mitigate`), or the next if a slot
    /// asks for it.
    #[doc(alias = "mitigate")]
    fn completions_to_wait_for(&self) -> u16 {
        if self.track.has_report() || !self.signal.knobs().mitigate() {
            return 1;
        }
        self.track.frames().div_ceil(2).max(1) as u16
    }
}

/// Adds what a sync came to.
#[inline]
fn count(kring: &Kring, report: &TxReport) {
    let counters = &*kring.counters;
    if report.packets > 0 {
        counters.packets.add(report.packets.into());
        counters.bytes.add(report.bytes);
    }
    if report.invalid | report.long | report.unsupported | u32::from(report.is_full) != 0 {
        count_unsent(kring, report);
    }
}

#[cold]
fn count_unsent(kring: &Kring, report: &TxReport) {
    let counters = &*kring.counters;
    counters.drop_invalid.add(report.invalid.into());
    counters.drop_long.add(report.long.into());
    counters.drop_refused.add(report.unsupported.into());
    counters.full.add(report.is_full.into());
}

impl RingBackend for CardTx {
    fn direction(&self) -> Direction {
        Direction::Tx
    }

    fn arm(&mut self, _kring: &Kring) -> Armed {
        self.queue.arm(self.completions_to_wait_for())
    }

    fn disarm(&mut self) {
        self.queue.disarm();
    }

    #[doc(alias = "nm_txsync")]
    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        if self.signal.has_wishes() {
            return self.sync_with_wishes(kring);
        }
        self.run(kring)
    }

    fn idle_slots(&self, kring: &Kring) -> Option<(Index, Index)> {
        (!self.is_inside).then(|| (kring.hwcur, kring.size().next(kring.hwtail)))
    }

    /// Whether the frames that the queue still held have been sent is not known: after a reset they are counted as lost. The
    /// application's slots stay as they are; it sees those that come back at its next sync, as always.
    #[doc(alias("netmap_reset", "nkr_hwofs"))]
    fn end(&mut self, kring: &mut Kring, end: End) {
        if end == End::Close {
            return;
        }
        if !self.is_inside {
            // What the card had reported is not lost.
            let mut burst = TxBurst::new(kring.ring.view(), &mut self.track, kring.hwcur, kring.hwcur);
            let _ = self.queue.sync(&mut burst);
        }
        kring.counters.drop_reset.add(self.track.frames().into());
        self.track = self.track.renewed(self.queue.capacity(), kring.size());
        kring.hwtail = kring.size().prev(kring.hwcur);
    }
}
