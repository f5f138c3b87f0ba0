//! A fake card as the core sees it.
#![expect(unsafe_code, reason = "implements the contract of cards and queues")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use nm_driver::buffers::Buffer;
use nm_driver::burst::{FRAGMENTS_MAX, Lengths, RxBurst, TxBurst};

use super::state::{Content, Posted, Received, State};
use super::{CardError, CardSpec};
use crate::nic::{
    Armed, Link, Nic, NicInfo, QueueStatus, Queues, RxQueue, StartParams, StartResult, Stopped, TxQueue,
};
use crate::stats::Direction;
use crate::sync::Mutex;

/// The card, to be attached to a [`Netmap`](crate::Netmap).
#[derive(Debug)]
pub struct FakeCard(pub(super) Arc<Mutex<State>>);

/// One of its transmit queues.
#[derive(Debug)]
pub struct FakeTx {
    state: Arc<Mutex<State>>,
    number: u16,
    /// Buffers that it holds.
    slots: u16,
}

/// One of its receive queues.
#[derive(Debug)]
pub struct FakeRx {
    state: Arc<Mutex<State>>,
    number: u16,
    /// Buffers that it holds.
    slots: u16,
}

// SAFETY: the card accesses the buffers that are posted, and a queue reports a buffer when the card has taken it off again. `stop`
// empties all queues. A frame longer than what was posted is not written.
unsafe impl Nic for FakeCard {
    type Error = CardError;

    fn info(&self) -> NicInfo {
        self.0.lock().spec.info.clone()
    }

    fn queues_max(&self) -> (u16, u16) {
        let CardSpec { info, queues_max, .. } = &self.0.lock().spec;
        queues_max.unwrap_or((info.tx_queues, info.rx_queues))
    }

    fn link(&self) -> Link {
        self.0.lock().link
    }

    fn start(&mut self, params: &StartParams) -> StartResult<Self> {
        let mut state = self.0.lock();
        let CardSpec { starts, stops, info, .. } = state.spec.clone();
        if !starts || !stops {
            return Err(CardError);
        }
        state.start();
        let tx = |number| FakeTx { state: self.0.clone(), number, slots: info.tx_slots };
        let rx = |number| FakeRx { state: self.0.clone(), number, slots: info.rx_slots };
        Ok(Queues {
            tx: (0..info.tx_queues).map(|number| Box::new(tx(number)) as _).collect(),
            rx: (0..info.rx_queues).map(|number| Box::new(rx(number)) as _).collect(),
            receive_len: params.buffer_len,
        })
    }

    fn stop(&mut self) -> Stopped {
        self.0.lock().stop()
    }
}

impl FakeTx {
    /// Submits one frame, if there is one, and room for it. Returns whether it did, or dropped one.
    fn submit_one(&self, state: &mut State, burst: &mut TxBurst<'_>) -> bool {
        if state.is_full(self.number) {
            // Invalid frames are dropped, and a valid one finds no room.
            return burst.next_frame(0).is_some();
        }
        let mut posted = None;
        burst.submit_run(&[()], Lengths::ANY, |(), id, buffer, len| {
            posted = Some(Posted { id: id as u16, parts: vec![part((buffer, len as u16))] })
        });
        if posted.is_none() {
            let Some(mut frame) = burst.next_frame(FRAGMENTS_MAX) else { return false };
            let fragments =
                (0..frame.fragments()).map(|k| frame.fragment(k).map(part)).collect::<Option<_>>();
            match fragments {
                Some(parts) => {
                    posted = Some(Posted { id: frame.first_id(), parts });
                    frame.commit();
                }
                None => frame.refuse(),
            }
        }
        if let Some(posted) = posted {
            state.post(Direction::Tx, self.number, posted);
        }
        true
    }

    fn reclaim(&self, state: &mut State, burst: &mut TxBurst<'_>) {
        for _ in 0..=burst.outstanding() {
            let Some(Received { id, .. }) = state.take(Direction::Tx, self.number) else { break };
            if burst.complete_run(&[id], |id, expected| u32::from(*id) == expected) == 0 {
                let _ = burst.complete(id.into());
            }
        }
    }
}

/// What the card is told of a slot of a frame.
fn part((mut buffer, len): (Buffer<'_>, u16)) -> (u64, u16) {
    buffer.write_header([0xee; 12]);
    (buffer.phys(), len)
}

impl TxQueue for FakeTx {
    fn capacity(&self) -> u16 {
        self.slots
    }

    /// Submits, then reclaims: the card is as fast as its delays allow.
    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus {
        let mut state = self.state.lock();
        let before = burst.outstanding();
        while burst.is_pending() && self.submit_one(&mut state, burst) {}
        if burst.outstanding() != before {
            state.kick(Direction::Tx, self.number);
        }
        let has_kicked = burst.outstanding() != before;
        self.reclaim(&mut state, burst);
        QueueStatus { has_kicked, ..state.health }
    }

    fn arm(&mut self, frames: u16) -> Armed {
        self.state.lock().arm(Direction::Tx, self.number, frames)
    }

    fn disarm(&mut self) {
        self.state.lock().disarm(Direction::Tx, self.number);
    }
}

impl FakeRx {
    fn import(&self, state: &mut State, burst: &mut RxBurst<'_>) {
        for _ in 0..burst.outstanding() {
            let Some(Received { id, content }) = state.take(Direction::Rx, self.number) else { break };
            let Content::Frame { len, more } = content else {
                let _ = burst.damaged(id.into(), false);
                continue;
            };
            let whole = |id: &u16, expected| (!more && u32::from(*id) == expected).then_some(len.into());
            if burst.receive_run(&[id], 0, whole) == 0 {
                let _ = burst.fragment(id.into(), 0, len.into(), more);
            }
        }
    }
}

impl RxQueue for FakeRx {
    fn capacity(&self) -> u16 {
        self.slots
    }

    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus {
        let mut state = self.state.lock();
        if burst.has_import() {
            self.import(&mut state, burst);
        }
        let (mut has_kicked, len) = (false, burst.receive_len());
        while burst.has_free() {
            let mut posted = None;
            burst.post_run(&[()], |(), id, buffer| posted = Some((id as u16, buffer.phys())));
            let Some((id, phys)) = posted else { break };
            state.post(Direction::Rx, self.number, Posted { id, parts: vec![(phys, len)] });
            has_kicked = true;
        }
        if has_kicked {
            state.kick(Direction::Rx, self.number);
        }
        QueueStatus { has_kicked, ..state.health }
    }

    fn arm(&mut self) -> Armed {
        self.state.lock().arm(Direction::Rx, self.number, 1)
    }

    fn disarm(&mut self) {
        self.state.lock().disarm(Direction::Rx, self.number);
    }
}
