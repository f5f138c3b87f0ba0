//! An interface that passes frames one by one, without an operating system.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use crate::generic::{FrameDevice, ReceiveError, TransmitError, Watchers};
use crate::nic::Link;

/// What waits on the line towards the device.
#[derive(Debug)]
enum Arriving {
    Frame(Vec<u8>),
    Damaged,
}

#[derive(Debug)]
struct State {
    mac: [u8; 6],
    link: Link,
    to_device: VecDeque<Arriving>,
    from_device: Vec<Vec<u8>>,
    room: usize,
    refuses_from: usize,
    is_gone: bool,
    tells: bool,
    watchers: Option<Watchers>,
}

/// A device to be attached ([`Netmap::attach_frames`](crate::Netmap::attach_frames)), and the other end of its line.
/// `number` makes its address unique.
pub fn frame_device(number: u8) -> (FakeDevice, Line) {
    let state = State {
        mac: [0x52, 0x54, 0, 0, 1, number],
        link: Link::Up,
        to_device: VecDeque::new(),
        from_device: Vec::new(),
        room: usize::MAX,
        refuses_from: usize::MAX,
        is_gone: false,
        tells: true,
        watchers: None,
    };
    let state = Arc::new(Mutex::new(state));
    (FakeDevice(state.clone()), Line(state))
}

/// A [`FrameDevice`] without hardware.
#[derive(Debug)]
pub struct FakeDevice(Arc<Mutex<State>>);

impl FakeDevice {
    /// The same, but it does not notify of arrivals and room.
    #[must_use]
    pub fn silent(self) -> Self {
        self.0.lock().tells = false;
        self
    }
}

impl FrameDevice for FakeDevice {
    fn mac(&self) -> [u8; 6] {
        self.0.lock().mac
    }

    fn link(&self) -> Link {
        self.0.lock().link
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        let mut state = self.0.lock();
        if state.is_gone {
            return Err(TransmitError::Gone);
        }
        if frame.len() >= state.refuses_from {
            return Err(TransmitError::Refused);
        }
        state.room = state.room.checked_sub(1).ok_or(TransmitError::NoRoom)?;
        state.from_device.push(frame.to_vec());
        Ok(())
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        let mut state = self.0.lock();
        if state.is_gone {
            return Some(Err(ReceiveError::Gone));
        }
        Some(match state.to_device.pop_front()? {
            Arriving::Damaged => Err(ReceiveError::Damaged),
            Arriving::Frame(frame) => into
                .get_mut(..frame.len())
                .map(|into| {
                    into.copy_from_slice(&frame);
                    frame.len()
                })
                .ok_or(ReceiveError::TooLong),
        })
    }

    fn watch(&self, watchers: Watchers) -> bool {
        let mut state = self.0.lock();
        if state.tells {
            state.watchers = Some(watchers);
        }
        state.tells
    }
}

/// The other end of a device's line, and the knobs of the device.
#[derive(Debug, Clone)]
pub struct Line(Arc<Mutex<State>>);

impl Line {
    /// Sends a frame towards the device.
    pub fn send(&self, frame: &[u8]) {
        self.arrive(Arriving::Frame(frame.to_vec()));
    }

    /// Sends a frame that arrives damaged.
    pub fn send_damaged(&self) {
        self.arrive(Arriving::Damaged);
    }

    /// The lock is free again when the watcher is woken, which may look at the device at once.
    fn arrive(&self, what: Arriving) {
        let watchers = {
            let mut state = self.0.lock();
            state.to_device.push_back(what);
            state.watchers.clone()
        };
        if let Some(watchers) = watchers {
            watchers.arrival.wake_by_ref();
        }
    }

    /// The frames that have left the device since the last call.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.0.lock().from_device)
    }

    /// How many frames wait on the line for the device to be asked.
    pub fn waiting(&self) -> usize {
        self.0.lock().to_device.len()
    }

    /// From now on the device takes `frames` more.
    pub fn set_room(&self, frames: usize) {
        let watchers = {
            let mut state = self.0.lock();
            state.room = frames;
            state.watchers.clone()
        };
        if let Some(watchers) = watchers.filter(|_| frames > 0) {
            watchers.room.wake_by_ref();
        }
    }

    /// From now on the device refuses frames of `len` bytes or more.
    pub fn refuse_from(&self, len: usize) {
        self.0.lock().refuses_from = len;
    }

    /// Plugs the cable in or pulls it.
    pub fn set_link(&self, link: Link) {
        self.0.lock().link = link;
    }

    /// The device is gone from now on, or there again.
    pub fn set_gone(&self, is_gone: bool) {
        self.0.lock().is_gone = is_gone;
    }
}
