//! A pipe without an operating system: two interfaces whose rings exchange slots, to show what a back end can be.
//!
//! ```text
//! one end   tx ring ─ PipeTx::sync ─► free slots of the rx ring of the other end ─ PipeRx::sync ─► its window
//! ```
//!
//! A *lane* is one direction. It knows the receive ring while that is open, and how far it is filled. The sender exchanges its
//! slots with free slots there, whole frames at a time: the receiver's indices are moved by the receiver's own sync. What
//! finds no room stays pending. The lane's lock is a leaf; waiters are woken without it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use nm_driver::abi::SlotFlags;
use nm_driver::burst::{FRAGMENTS_MAX, FRAME_MIN};
use nm_driver::index::Index;
use nm_driver::nic::{Armed, NicInfo};
use nm_driver::slots::SlotValue;
use spin::Mutex;

use crate::Attachment;
use crate::backend::{Backend, Cause, End, Forward, RingBackend, RingBackends, Start};
use crate::events::signals::Signals;
use crate::kring::{Kring, SyncError};
use crate::ring::memory::RingMemory;
use crate::stats::Direction;

/// The two ends of a pipe, with one ring of `slots` slots each way. Their ports use one memory region.
pub fn pipe(slots: u16) -> (Attachment, Attachment) {
    let lanes = [Arc::<Mutex<Lane>>::default(), Arc::default()];
    let [there, back] = lanes;
    let one = PipeEnd { number: 1, slots, out: there.clone(), into: back.clone() };
    let other = PipeEnd { number: 2, slots, out: back, into: there };
    (Attachment::of(one), Attachment::of(other))
}

/// One direction of a pipe.
#[derive(Default)]
struct Lane {
    receiver: Option<Receiver>,
    /// Where those are who wait for room.
    sender: Option<Arc<Signals>>,
}

/// The receive ring of a lane.
struct Receiver {
    ring: RingMemory,
    /// First free slot.
    tail: Index,
    /// First slot behind the free ones but one.
    end: Index,
    flags: SlotFlags,
    signals: Arc<Signals>,
}

impl Receiver {
    /// How many slots are free.
    fn room(&self) -> u32 {
        let size = self.ring.size();
        size.distance(self.tail, size.prev(self.end))
    }

    /// Takes a slot in exchange for a free one.
    fn exchange(&mut self, slot: SlotValue) -> SlotValue {
        let free = self.ring.slot(self.tail);
        let flags = slot.flags & SlotFlags::MOREFRAG.bits() | self.flags.bits();
        self.ring.set_slot(self.tail, SlotValue { flags, ..slot });
        self.tail = self.ring.size().next(self.tail);
        SlotValue { flags: SlotFlags::BUF_CHANGED.bits(), ..free }
    }
}

/// The back end of one end.
struct PipeEnd {
    number: u8,
    slots: u16,
    out: Arc<Mutex<Lane>>,
    into: Arc<Mutex<Lane>>,
}

impl Backend for PipeEnd {
    fn info(&self) -> NicInfo {
        NicInfo::scattering([0x52, 0x54, 0, 0, 2, self.number], (1, 1), self.slots)
    }

    /// The ring of the other end would have to have the same.
    fn has_offsets(&self) -> bool {
        false
    }

    fn start(&mut self, start: &Start<'_>) -> Result<RingBackends, Cause> {
        let tx = PipeTx { lane: self.out.clone(), signals: start.signals.clone() };
        let rx = PipeRx { lane: self.into.clone(), signals: start.signals.clone() };
        Ok(RingBackends { tx: vec![Box::new(tx)], rx: vec![Box::new(rx)] })
    }
}

/// The transmit ring of an end.
struct PipeTx {
    lane: Arc<Mutex<Lane>>,
    signals: Arc<Signals>,
}

impl PipeTx {
    /// Moves whole frames while the receiver has room. Returns those who wait for them.
    fn send(&mut self, kring: &mut Kring) -> Option<Arc<Signals>> {
        let mut lane = self.lane.lock();
        let receiver = lane.receiver.as_mut()?;
        let is_shared = core::ptr::eq(receiver.ring.region(), kring.ring.region());
        let first = receiver.tail;
        while let Some((slots, is_valid)) = next_frame(kring) {
            let is_sent = is_valid && is_shared;
            if is_sent && slots > receiver.room() {
                kring.counters.full.add(1);
                break;
            }
            for _ in 0..slots {
                if is_sent {
                    let slot = kring.ring.slot(kring.hwcur);
                    kring.ring.set_slot(kring.hwcur, receiver.exchange(slot));
                    kring.counters.bytes.add(slot.len.into());
                }
                kring.hwcur = kring.size().next(kring.hwcur);
            }
            match (is_sent, is_valid) {
                (true, _) => kring.counters.packets.add(1),
                (false, true) => kring.counters.drop_refused.add(1),
                (false, false) => kring.counters.drop_invalid.add(1),
            }
        }
        (receiver.tail != first).then(|| receiver.signals.clone())
    }
}

/// How many slots the next pending frame has, and whether all of them are valid. `None` if its last slot is not submitted yet.
fn next_frame(kring: &Kring) -> Option<(u32, bool)> {
    let size = kring.size();
    let (mut slots, mut len, mut is_valid) = (0, 0, true);
    let pending = size.distance(kring.hwcur, kring.rhead());
    while slots < pending {
        let slot = kring.ring.slot(size.advance(kring.hwcur, slots));
        let has_buffer = kring.ring.region().payload(slot.buf_idx).is_some();
        is_valid &= has_buffer && slot.len > 0 && slot.len <= kring.ring.region().frame_max();
        slots += 1;
        len += u32::from(slot.len);
        if !slot.has(SlotFlags::MOREFRAG) {
            return Some((slots, is_valid && slots <= FRAGMENTS_MAX && len >= u32::from(FRAME_MIN)));
        }
    }
    (slots + 1 >= size.slots()).then_some((slots, false))
}

impl RingBackend for PipeTx {
    fn direction(&self) -> Direction {
        Direction::Tx
    }

    fn begin(&mut self, _kring: &mut Kring) -> Result<(), SyncError> {
        self.lane.lock().sender = Some(self.signals.clone());
        Ok(())
    }

    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        let receiver = self.send(kring);
        kring.hwtail = kring.size().prev(kring.hwcur);
        kring.finalize();
        if let Some(signals) = receiver {
            signals.notify(Direction::Rx, 0);
        }
        Ok(())
    }

    /// The receiver's sync wakes those who wait for room.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        Armed::Yes
    }

    fn end(&mut self, _kring: &mut Kring, _end: End) {
        self.lane.lock().sender = None;
    }
}

/// The receive ring of an end.
struct PipeRx {
    lane: Arc<Mutex<Lane>>,
    signals: Arc<Signals>,
}

impl PipeRx {
    /// Tells the lane what is free, and takes over what has arrived. Returns those who wait for room.
    fn settle(&mut self, kring: &mut Kring) -> Option<Arc<Signals>> {
        let mut lane = self.lane.lock();
        let receiver = lane.receiver.as_mut()?;
        let has_released = receiver.end != kring.rhead();
        receiver.flags = kring.slot_flags;
        kring.hwcur = kring.rhead();
        receiver.end = kring.hwcur;
        while kring.hwtail != receiver.tail {
            let slot = kring.ring.slot(kring.hwtail);
            kring.counters.packets.add(u64::from(!slot.has(SlotFlags::MOREFRAG)));
            kring.counters.bytes.add(slot.len.into());
            kring.hwtail = kring.size().next(kring.hwtail);
        }
        lane.sender.as_ref().filter(|_| has_released).cloned()
    }
}

impl RingBackend for PipeRx {
    fn direction(&self) -> Direction {
        Direction::Rx
    }

    fn begin(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let (ring, tail, end) = (kring.ring.clone(), kring.hwtail, kring.hwcur);
        let (flags, signals) = (kring.slot_flags, self.signals.clone());
        self.lane.lock().receiver = Some(Receiver { ring, tail, end, flags, signals });
        Ok(())
    }

    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        let sender = self.settle(kring);
        kring.finalize();
        if let Some(signals) = sender {
            signals.notify(Direction::Tx, 0);
        }
        Ok(())
    }

    /// The sender's sync wakes those who wait for frames.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        Armed::Yes
    }

    /// Slots that were filled and not taken over belong to the sender no more than to the application.
    fn idle_slots(&self, kring: &Kring) -> Option<(Index, Index)> {
        let lane = self.lane.lock();
        let tail = lane.receiver.as_ref().map_or(kring.hwtail, |receiver| receiver.tail);
        (tail == kring.hwtail).then(|| (kring.rhead(), kring.rhead()))
    }

    fn end(&mut self, kring: &mut Kring, _end: End) {
        if let Some(Receiver { tail, .. }) = self.lane.lock().receiver.take() {
            kring.hwtail = tail;
        }
    }
}
