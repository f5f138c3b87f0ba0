//! A network stack that only keeps what it is given.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use crate::host::{HostInterface, HostStack, Outgoing, StackRefused, TransmitError};

/// A [`HostStack`] for tests.
#[derive(Debug, Default)]
pub struct FakeStack(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    received: Vec<(String, Vec<u8>)>,
    room: Option<usize>,
    answers: Option<HostInterface>,
    answered: Vec<Result<(), TransmitError>>,
}

impl FakeStack {
    /// A stack that takes everything.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on it takes `room` frames more, then refuses; `None` for no limit.
    pub fn set_room(&self, room: Option<usize>) {
        self.0.lock().room = room;
    }

    /// From now on it sends each frame back to `interface` while it is being delivered.
    pub fn answer(&self, interface: HostInterface) {
        self.0.lock().answers = Some(interface);
    }

    /// The frames since the last call.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.0.lock().received.drain(..).map(|(_, frame)| frame).collect()
    }

    /// The interface that the last frame came from.
    pub fn last_interface(&self) -> Option<String> {
        self.0.lock().received.last().map(|(interface, _)| interface.clone())
    }

    /// What became of the answers.
    pub fn answered(&self) -> Vec<Result<(), TransmitError>> {
        self.0.lock().answered.drain(..).collect()
    }
}

impl HostStack for FakeStack {
    fn deliver(&self, interface: &str, frame: &[u8]) -> Result<(), StackRefused> {
        let mut state = self.0.lock();
        if let Some(room) = &mut state.room {
            *room = room.checked_sub(1).ok_or(StackRefused)?;
        }
        state.received.push((interface.into(), frame.to_vec()));
        let answer = state.answers.as_ref().map(|to| to.transmit(Outgoing::new(frame)));
        state.answered.extend(answer);
        Ok(())
    }
}
