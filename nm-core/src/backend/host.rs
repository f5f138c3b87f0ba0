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
    /// A ring of this size to the stack of `host`. The stack gets frames of any length that a slot holds, also above the MTU, and
    /// frames of several slots as the MTU allows.
    pub(crate) fn new(host: Arc<HostSide>, size: RingSize, params: &StartParams) -> Self {
        let frame_max = params.buffer_len.max(params.mtu.frame_max());
        Self { stack: Stack(host), frames: FrameTx::new(size, frame_max, params) }
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
    /// Bytes in `staging` of a frame whose last slot was not released yet.
    filled: usize,
    /// The rest of a frame that cannot be is still to come.
    is_dropping: bool,
    /// Whether the frame goes up whose last slot was not released yet: what its first slot says.
    goes: Option<bool>,
}

/// What became of a slot on its way up.
enum Delivered {
    /// The stack took the frame that ends with it.
    Taken,
    /// The frame was dropped: there can be none like it, or the stack did not want it.
    Dropped,
    /// The frame goes on in the next slot, or was dropped with an earlier one.
    Part,
}

impl HostTxPath {
    /// The way to the stack of `host`.
    pub(super) fn new(host: Arc<HostSide>, params: &StartParams) -> Self {
        Self { host, staging: staging(params), filled: 0, is_dropping: false, goes: None }
    }

    /// Sends the slots of a receive ring up that are released now, if the ring is in transparent mode. A ring that is reset
    /// for its next port forwards nothing, and forgets a frame whose last slot was not released.
    pub(super) fn forward(&mut self, kring: &mut Kring, forward: &Forward<'_>) -> Result<(), SyncError> {
        if matches!(forward, Forward::Nothing) {
            (self.filled, self.is_dropping, self.goes) = (0, false, None);
            return Ok(());
        }
        let forwarding = self.host.forwarding(&kring.ring);
        if forwarding != Forwarding::Off {
            // None of these slots is the card's yet.
            let from = kring.rhead();
            kring.prologue()?;
            self.send(kring, from, forwarding);
        }
        Ok(())
    }

    /// Sends the slots `[from, rhead)` up, as far as they are to go, and clears their marks.
    fn send(&mut self, kring: &Kring, from: Index, forwarding: Forwarding) {
        let (size, counters) = (kring.size(), &kring.counters);
        let mut at = from;
        while at != kring.rhead() {
            let slot = kring.ring.slot(at);
            if self.takes(forwarding, slot) {
                match self.deliver(kring, at, slot) {
                    Delivered::Taken => counters.forwarded.add(1),
                    Delivered::Dropped => counters.drop_refused.add(1),
                    Delivered::Part => {}
                }
                kring.ring.set_slot(at, SlotValue { flags: slot.flags & !SlotFlags::FORWARD.bits(), ..slot });
            }
            at = size.next(at);
        }
    }

    /// Whether the frame that a slot belongs to is to go up: all slots of a frame go where its first goes.
    fn takes(&mut self, forwarding: Forwarding, slot: SlotValue) -> bool {
        let goes = self.goes.unwrap_or_else(|| forwarding.takes(slot.flags));
        self.goes = slot.has(SlotFlags::MOREFRAG).then_some(goes);
        goes
    }

    /// Trust the frame of slot `at` to the stack, with its last slot.
    fn deliver(&mut self, kring: &Kring, at: Index, slot: SlotValue) -> Delivered {
        let has_more = slot.has(SlotFlags::MOREFRAG);
        if self.is_dropping {
            self.is_dropping = has_more;
            return Delivered::Part;
        }
        let into = self.staging.get_mut(self.filled..).unwrap_or_default();
        let is_valid = kring.ring.read_frame(at, slot, into).is_some_and(|part| !part.is_empty());
        let filled = self.filled + usize::from(slot.len);
        self.filled = if is_valid && has_more { filled } else { 0 };
        self.is_dropping = !is_valid && has_more;
        if is_valid && has_more {
            return Delivered::Part;
        }
        let frame = self.staging.get(..filled).filter(|frame| is_valid && frame.len() >= FRAME_MIN.into());
        match frame {
            Some(frame) if self.host.deliver(frame).is_ok() => Delivered::Taken,
            _ => Delivered::Dropped,
        }
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
            let moved = kring.ring.moved(kring.hwcur);
            if forwarding.takes(moved.slot.flags) {
                let Some(free) = sink(moved) else { break };
                kring.ring.set_moved(kring.hwcur, free);
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

    /// `HostSide::transmit` wakes the waiters. A waiter registers before it looks at the ring once more, so it misses no frame.
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
