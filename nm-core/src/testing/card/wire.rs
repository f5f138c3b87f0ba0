//! The other end of a fake card's cable.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::state::State;
use crate::events::Events;
use crate::nic::{Link, NicInfo};
use crate::stats::Direction;
use crate::sync::Mutex;

/// The other end of a card's cable, and the knobs of the card.
#[derive(Debug, Clone)]
pub struct Wire(pub(super) Arc<Mutex<State>>);

/// Frames on the cable.
impl Wire {
    /// Puts a frame on the wire towards the card, which chooses the receive queue by the frame's first 14 bytes.
    pub fn send(&self, frame: &[u8]) {
        let mut state = self.0.lock();
        let hash = frame.iter().take(14).fold(0u16, |hash, &byte| hash.wrapping_mul(31) ^ u16::from(byte));
        let queue = hash % state.wires().max(1);
        state.arrive(queue, frame.to_vec());
        state.work_if_armed();
    }

    /// Puts a frame on the wire towards one receive queue.
    pub fn send_to(&self, queue: u16, frame: &[u8]) {
        let mut state = self.0.lock();
        state.arrive(queue, frame.to_vec());
        state.work_if_armed();
    }

    /// The frames that have left the card since the last call, in the order in which they left.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.sent_with_queue().into_iter().map(|(_, frame)| frame).collect()
    }

    /// The same, with the transmit queue by which each left.
    pub fn sent_with_queue(&self) -> Vec<(u16, Vec<u8>)> {
        let mut state = self.0.lock();
        state.work();
        state.from_card.drain(..).collect()
    }

    /// How many frames wait on the wire for a receive buffer.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting()
    }

    /// How many frames were lost because the card had no link.
    pub fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

/// What the card is made to do.
impl Wire {
    /// Connects the card's interrupts. Without them its queues cannot be armed. The handler runs on the thread that sends
    /// or completes.
    pub fn connect(&self, line: Events) {
        self.0.lock().line = Some(line);
    }

    /// From now on the card reports transmitted frames only as far as [`complete`](Self::complete) allows.
    pub fn hold_completions(&self) {
        let mut state = self.0.lock();
        (state.is_held, state.completions_allowed) = (true, 0);
    }

    /// Lets the card report `count` more transmitted frames.
    pub fn complete(&self, count: u32) {
        let mut state = self.0.lock();
        state.completions_allowed += count;
        state.work_if_armed();
    }

    /// Limits how many frames each transmit queue holds, below what the card promised.
    pub fn limit_queue(&self, room: usize) {
        self.0.lock().queue_room = room;
    }

    /// The card breaks down: it moves nothing more until it is started anew.
    pub fn break_down(&self) {
        self.0.lock().break_down();
    }

    /// Whether the card starts when it is told to.
    pub fn set_starts(&self, starts: bool) {
        self.0.lock().spec.starts = starts;
    }

    /// Whether the card stops when it is told to. One that does not goes on with the buffers that it has, and does not start
    /// again.
    pub fn set_stops(&self, stops: bool) {
        self.0.lock().spec.stops = stops;
    }

    /// From now on the card says that it is what `change` makes of it. It is so from its next start on.
    pub fn reconfigure(&self, change: impl FnOnce(&mut NicInfo)) {
        change(&mut self.0.lock().spec.info);
    }

    /// Plugs the cable in or pulls it. Without link the card sends nothing and keeps what it was given; what is sent
    /// towards it is lost.
    pub fn set_link(&self, link: Link) {
        self.0.lock().link = link;
    }
}

/// What can be seen of the card.
impl Wire {
    /// Whether receive queue 0 and transmit queue 0 are armed.
    pub fn is_armed(&self) -> (bool, bool) {
        let state = self.0.lock();
        (state.is_armed(Direction::Rx), state.is_armed(Direction::Tx))
    }

    /// Whether the card is started.
    pub fn is_running(&self) -> bool {
        self.0.lock().is_running
    }

    /// What the core did that it must not.
    pub fn breaches(&self) -> Vec<String> {
        self.0.lock().breaches.clone()
    }
}
