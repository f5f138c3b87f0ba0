//! Host rings: slots to the stack, and frames of the stack to slots.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use nm_driver::abi::SlotFlags;
use nm_driver::burst::FRAME_MIN;
use nm_driver::nic::Armed;
use nm_driver::slots::SlotValue;

use super::{Forward, RingBackend, Sink};
use crate::host::{Forwarding, HostSide};
use crate::kring::{Kring, SyncError};
use crate::ring::memory::RingMemory;
use crate::stats::Direction;

/// The way up to a stack.
pub(crate) struct Up {
    host: Arc<HostSide>,
    /// Each frame is copied here first, so that nobody writes it while the stack reads it.
    copy: Box<[u8]>,
}

/// What became of a frame on its way up.
pub(super) enum Delivered {
    /// The stack took this many bytes.
    Taken(u64),
    /// The stack did not want it.
    Refused,
    /// The slot holds no frame that there can be.
    Invalid,
}

impl Up {
    /// The way to the stack of `host`, for frames of at most `frame_max` bytes.
    pub(crate) fn new(host: Arc<HostSide>, frame_max: u16) -> Self {
        Self { host, copy: alloc::vec![0; usize::from(frame_max)].into() }
    }

    pub(super) fn forwarding(&self, ring: &RingMemory) -> Forwarding {
        self.host.forwarding(ring)
    }

    /// Hands the frame of a slot to the stack.
    #[doc(alias("netmap_grab_packets", "netmap_send_up"))]
    pub(super) fn deliver(&mut self, ring: &RingMemory, slot: SlotValue) -> Delivered {
        if slot.len < FRAME_MIN {
            return Delivered::Invalid;
        }
        let Some(frame) = ring.read_frame(slot, &mut self.copy) else { return Delivered::Invalid };
        match self.host.deliver(frame) {
            Ok(()) => Delivered::Taken(u64::from(slot.len)),
            Err(_) => Delivered::Refused,
        }
    }
}

/// Drives a host transmit ring: every slot goes up at once, so that the ring is empty after each sync.
pub(crate) struct HostTx {
    up: Up,
}

impl HostTx {
    pub(crate) fn new(up: Up) -> Self {
        Self { up }
    }

    fn send_up(&mut self, kring: &mut Kring) {
        let (size, counters) = (kring.size(), &kring.counters);
        let (mut packets, mut bytes) = (0, 0);
        while kring.hwcur != kring.rhead() {
            match self.up.deliver(&kring.ring, kring.ring.slot(kring.hwcur)) {
                Delivered::Taken(len) => {
                    packets += 1;
                    bytes += len;
                }
                Delivered::Refused => counters.drop_refused.add(1),
                Delivered::Invalid => counters.drop_invalid.add(1),
            }
            kring.hwcur = size.next(kring.hwcur);
        }
        counters.packets.add(packets);
        counters.bytes.add(bytes);
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

    fn disarm(&mut self) {}

    #[doc(alias = "netmap_txsync_to_host")]
    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        self.send_up(kring);
        kring.hwtail = kring.size().prev(kring.hwcur);
        kring.finalize();
        Ok(())
    }
}

/// Drives a host receive ring.
pub(crate) struct HostRx {
    host: Arc<HostSide>,
    /// Number of the ring among the host receive rings.
    ring: usize,
    /// Memory of the frame copied last, for the queue.
    used: Option<Vec<u8>>,
}

impl HostRx {
    pub(crate) fn new(host: Arc<HostSide>, ring: usize) -> Self {
        Self { host, ring, used: None }
    }

    fn run(&mut self, kring: &mut Kring, sink: Option<Sink<'_>>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        match sink {
            Some(sink) => self.release_down(kring, sink),
            None => release(kring),
        }
        let imported = self.import(kring);
        self.host.settle(self.ring, kring.size().distance(kring.hwcur, kring.hwtail));
        kring.finalize();
        imported
    }

    /// Takes released slots back, those that are to be forwarded by way of `sink`. One that it does not take stays, and
    /// so do those behind it, until the next time.
    fn release_down(&self, kring: &mut Kring, sink: Sink<'_>) {
        let (size, forwarding) = (kring.size(), self.host.forwarding(&kring.ring));
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

    /// Copies queued frames into free slots.
    fn import(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let size = kring.size();
        let (mut packets, mut bytes) = (0, 0);
        let mut outcome = Ok(());
        while size.next(kring.hwtail) != kring.hwcur {
            let slot = kring.ring.slot(kring.hwtail);
            if kring.ring.region().payload(slot.buf_idx).is_none() {
                if self.host.has_waiting(self.ring) {
                    outcome = Err(SyncError::BadBuffer { buf_idx: slot.buf_idx });
                }
                break;
            }
            let Some(frame) = self.host.pop(self.ring, self.used.take()) else { break };
            if kring.ring.write_frame(kring.hwtail, &frame, kring.slot_flags) {
                kring.hwtail = size.next(kring.hwtail);
                packets += 1;
                bytes += frame.len() as u64;
            }
            self.used = Some(frame);
        }
        kring.counters.packets.add(packets);
        kring.counters.bytes.add(bytes);
        outcome
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

    fn disarm(&mut self) {}

    #[doc(alias = "netmap_rxsync_from_host")]
    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError> {
        match forward {
            Forward::To(sink) => self.run(kring, Some(sink)),
            Forward::Own | Forward::Nothing => self.run(kring, None),
        }
    }
}
