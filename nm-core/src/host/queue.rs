//! The bounded queue between the stack's output and a host receive ring.
//!
//! [`HostQueue::begin`] → [`Frames::push`], by the stack; [`Frames::pop`] and [`Frames::settle`], by the ring's sync → … →
//! [`HostQueue::end`].

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::{Mutex, MutexGuard};

use super::TransmitError;
use crate::events::hub::Hub;
use crate::events::signals::Signal;
use crate::stats::RingCounters;

/// The queue of one host receive ring. Its lock is held for one frame at a time, and while it is, no other lock is
/// taken.
pub(super) struct HostQueue {
    pub(super) counters: Arc<RingCounters>,
    /// Who waits for the ring.
    pub(super) signal: Arc<Signal>,
    frames: Mutex<Frames>,
}

/// The frames of a queue.
///
/// Buffers that were used go round, so that a queue in use takes nothing from the heap. Its memory is what the longest
/// frames at the time of the greatest length took, and is given back when the interface leaves netmap mode.
#[derive(Debug, Default)]
pub(super) struct Frames {
    waiting: VecDeque<Vec<u8>>,
    used: Vec<Vec<u8>>,
    /// Slots of the ring that hold frames, or whose frames the queue has just given out.
    in_ring: u32,
    /// Most frames in ring and queue together.
    room: u32,
    /// Whether a port has the ring.
    pub(super) has_reader: bool,
}

impl HostQueue {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self { counters: Arc::default(), signal: Signal::new(hub), frames: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock()
    }

    /// Begins with nothing, for a ring of this many slots.
    pub(super) fn begin(&self, slots: u32) {
        let room = slots.saturating_sub(1);
        let count = room as usize;
        let (waiting, used) = (VecDeque::with_capacity(count), Vec::with_capacity(count));
        *self.lock() = Frames { waiting, used, in_ring: 0, room, has_reader: false };
    }

    /// Drops all frames. Those that waited are counted as unwanted.
    pub(super) fn end(&self) {
        let mut frames = self.lock();
        self.counters.drop_unbound.add(frames.waiting.len() as u64);
        let ended = core::mem::take(&mut *frames);
        drop(frames);
        drop(ended);
    }
}

impl Frames {
    /// Queues a copy of `frame`.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        if self.in_ring as usize + self.waiting.len() >= self.room as usize {
            return Err(TransmitError::Full);
        }
        let mut copy = self.used.pop().unwrap_or_default();
        copy.clear();
        if copy.try_reserve_exact(frame.len()).is_err() {
            return Err(TransmitError::Full);
        }
        copy.extend_from_slice(frame);
        self.waiting.push_back(copy);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives out the oldest frame, which is to be in a slot now, and takes back the memory of one given out before.
    pub(super) fn pop(&mut self, used: Option<Vec<u8>>) -> Option<Vec<u8>> {
        self.take_back(used);
        let frame = self.waiting.pop_front()?;
        self.in_ring += 1;
        Some(frame)
    }

    /// Notes that this many slots hold frames now.
    pub(super) fn settle(&mut self, in_ring: u32) {
        self.in_ring = in_ring;
    }

    /// Keeps the memory of a frame for the next one.
    fn take_back(&mut self, used: Option<Vec<u8>>) {
        let Some(used) = used else { return };
        if self.used.len() < self.room as usize {
            self.used.push(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::HeapPlatform;

    #[test]
    fn ring_and_queue_have_room_together() {
        let hub = Hub::new(HeapPlatform::new(0), Arc::default());
        let queue = HostQueue::new(&hub);
        assert_eq!(
            queue.lock().push(&[1]),
            Err(TransmitError::Full),
            "a queue that has not begun has no room"
        );
        queue.begin(4);
        let mut frames = queue.lock();
        (1..4).for_each(|number| frames.push(&[number]).unwrap());
        assert_eq!(frames.push(&[4]), Err(TransmitError::Full));
        let first = frames.pop(None);
        assert_eq!(first, Some([1].into()));
        assert_eq!(frames.push(&[4]), Err(TransmitError::Full), "what was given out is in the ring");
        frames.settle(0);
        assert_eq!(frames.push(&[4]), Ok(()));
        assert_eq!(frames.pop(first), Some([2].into()));
        assert_eq!(frames.used.len(), 1);
        drop(frames);
        queue.end();
        assert_eq!(queue.counters.drop_unbound.get(), 2);
        assert!(queue.lock().is_empty());
    }
}
