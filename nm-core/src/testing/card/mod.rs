//! A network card without hardware: any number of queues, completions in any order and after any delay, and the
//! mishaps that real cards have.

mod queues;
mod spec;
mod state;
mod wire;

pub use queues::{FakeCard, FakeRx, FakeTx};
pub use spec::{CardError, CardSpec, Order};
pub use wire::Wire;

use alloc::sync::Arc;

use crate::sync::Mutex;
use state::State;

/// A card to be attached, and the other end of its cable.
pub fn card(spec: CardSpec) -> (FakeCard, Wire) {
    let state = Arc::new(Mutex::new(State::new(spec)));
    (FakeCard(state.clone()), Wire(state))
}
