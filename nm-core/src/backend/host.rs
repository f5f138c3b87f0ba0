//! Host rings: slots to the stack, and frames of the stack to slots.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use nm_driver::abi::SlotFlags;
use nm_driver::burst::FRAME_MIN;
use nm_driver::index::{Index, RingSize};
use nm_driver::nic::{Armed, StartParams};
use nm_driver::slots::SlotValue;

use super::frames::{FrameSink, FrameSource, FrameTx, Given, Taken, import, staging};
use super::{Forward, RingBackend, Sink};
use crate::host::{Forwarding, HostSide};
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;

/// The stack, as the other side of a transmit ring.
struct Stack(Arc<HostSide>);

impl FrameSink for Stack {
    #[doc(alias("netmap_grab_packets", "netmap_send_up"))]
    fn take(&mut self, frame: &[u8]) -> Taken {
        if frame.len() < usize::from(FRAME_MIN) {
            return Taken::Invalid;
        }
        match self.0.deliver(frame) {
            Ok(()) => Taken::Yes,
            Err(_) => Taken::Refused,
        }
    }
}

/// Drives a host transmit ring: every frame goes up at once, so that no slot is pending after a sync but those of a frame that
/// is not whole.
pub(crate) struct HostTx {
    stack: Stack,
    frames: FrameTx,
}

impl HostTx {
    /// A ring of this size to the stack of `host`. The stack gets frames of any length that a slot holds, also if it is above the
    /// MTU.
    pub(crate) fn new(host: Arc<HostSide>, size: RingSize, params: &StartParams) -> Self {
        Self { stack: Stack(host), frames: FrameTx::new(size, u16::MAX, params) }
    }
}

impl RingBackend for HostTx {
    fn direction(&self) -> Direction {
        Direction::Tx
    }

    /// After each sync all slots are the application's. One that has looked at them and keeps them waits for nothing that
    /// could come.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        Armed::Yes
    }

    #[doc(alias = "netmap_txsync_to_host")]
    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        self.frames.send(kring, &mut self.stack);
        kring.finalize();
        Ok(())
    }
}

/// The way up to a stack for released frames of a card, in transparent mode.
pub(super) struct HostTxPath {
    host: Arc<HostSide>,
    staging: Box<[u8]>,
}

impl HostTxPath {
    /// The way to the stack of `host`.
    pub(super) fn new(host: Arc<HostSide>, params: &StartParams) -> Self {
        Self { host, staging: staging(params) }
    }

    /// Sends the slots of a receive ring up that are released now, if the ring is in transparent mode.
    pub(super) fn forward(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let forwarding = self.host.forwarding(&kring.ring);
        if forwarding != Forwarding::Off {
            // None of these slots is the card's yet.
            let from = kring.rhead();
            kring.prologue()?;
            self.send(kring, from, forwarding);
        }
        Ok(())
    }

    /// Sends the frames of the slots `[from, rhead)` up, as far as they are to go, and clears their marks.
    fn send(&mut self, kring: &Kring, from: Index, forwarding: Forwarding) {
        let (size, counters) = (kring.size(), &kring.counters);
        let mut at = from;
        while at != kring.rhead() {
            let first = kring.ring.slot(at);
            let (end, len) = self.gather(kring, at);
            if forwarding.takes(first.flags) {
                match len.is_some_and(|len| self.deliver(len)) {
                    true => counters.forwarded.add(1),
                    false => counters.drop_refused.add(1),
                }
            }
            while at != end {
                let slot = kring.ring.slot(at);
                kring.ring.set_slot(at, SlotValue { flags: slot.flags & !SlotFlags::FORWARD.bits(), ..slot });
                at = size.next(at);
            }
        }
    }

    /// Copies the frame that begins in slot `from`. Returns the slot behind it and its length; `None` for one that cannot be
    /// copied, or whose last slot is not released.
    fn gather(&mut self, kring: &Kring, from: Index) -> (Index, Option<usize>) {
        let (mut at, mut len) = (from, Some(0));
        loop {
            let slot = kring.ring.slot(at);
            len = len.and_then(|len| {
                let into = self.staging.get_mut(len..)?;
                Some(len + kring.ring.read_frame(slot, into)?.len())
            });
            at = kring.size().next(at);
            let has_more = slot.has(SlotFlags::MOREFRAG);
            if !has_more || at == kring.rhead() {
                return (at, len.filter(|_| !has_more));
            }
        }
    }

    /// Hands a copied frame of `len` bytes to the stack. Returns whether it took it.
    fn deliver(&self, len: usize) -> bool {
        let frame = self.staging.get(..len).filter(|_| len >= usize::from(FRAME_MIN));
        frame.is_some_and(|frame| self.host.deliver(frame).is_ok())
    }
}

/// The frames of the stack that wait for a host receive ring.
struct Queued {
    host: Arc<HostSide>,
    /// Number of the ring among the host receive rings.
    ring: usize,
    /// The frame that was given last. When it is taken, its memory goes back to the queue.
    frame: Option<Vec<u8>>,
    is_taken: bool,
}

/// Drives a host receive ring.
pub(crate) struct HostRx {
    queued: Queued,
}

impl HostRx {
    /// The host receive ring of this number.
    pub(crate) fn new(host: Arc<HostSide>, ring: usize) -> Self {
        Self { queued: Queued { host, ring, frame: None, is_taken: true } }
    }

    fn run(&mut self, kring: &mut Kring, sink: Option<Sink<'_>>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        match sink {
            Some(sink) => self.release_down(kring, sink),
            None => release(kring),
        }
        let imported = import(kring, &mut self.queued);
        let Queued { host, ring, .. } = &self.queued;
        host.settle(*ring, kring.size().distance(kring.hwcur, kring.hwtail));
        kring.finalize();
        imported
    }

    /// Takes released slots back, those that are to be forwarded by way of `sink`. One that it does not take stays, and
    /// so do those behind it, until the next time.
    fn release_down(&self, kring: &mut Kring, sink: Sink<'_>) {
        let (size, forwarding) = (kring.size(), self.queued.host.forwarding(&kring.ring));
        while kring.hwcur != kring.rhead() {
            let slot = kring.ring.slot(kring.hwcur);
            if forwarding.takes(slot.flags) {
                let Some(free) = sink(slot) else { break };
                kring.ring.set_slot(kring.hwcur, free);
                kring.counters.forwarded.add(1);
            }
            kring.hwcur = size.next(kring.hwcur);
        }
    }
}

impl FrameSource for Queued {
    fn has_frame(&self) -> bool {
        self.host.has_waiting(self.ring)
    }

    fn next(&mut self) -> Given<'_> {
        if core::mem::replace(&mut self.is_taken, false) {
            self.frame = self.host.pop(self.ring, self.frame.take());
        }
        self.is_taken = self.frame.is_none();
        self.frame.as_deref().map_or(Given::Nothing, Given::Frame)
    }

    fn take(&mut self) {
        self.is_taken = true;
    }
}

/// Takes all released slots back. Marked ones were to be forwarded, which this sync cannot do.
fn release(kring: &mut Kring) {
    let size = kring.size();
    while kring.hwcur != kring.rhead() {
        let slot = kring.ring.slot(kring.hwcur);
        if slot.flags & SlotFlags::FORWARD.bits() != 0 {
            kring.counters.drop_refused.add(1);
        }
        kring.hwcur = size.next(kring.hwcur);
    }
}

impl RingBackend for HostRx {
    fn direction(&self) -> Direction {
        Direction::Rx
    }

    /// Who sends a frame wakes who waits (`HostSide::transmit`), and who waits has registered before it looks once more.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        Armed::Yes
    }

    #[doc(alias = "netmap_rxsync_from_host")]
    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError> {
        match forward {
            Forward::To(sink) => self.run(kring, Some(sink)),
            Forward::Own | Forward::Nothing => self.run(kring, None),
        }
    }
}
