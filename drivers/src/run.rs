//! A card's time in use, and the memory that its device may write to meanwhile.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use log::error;
use nm_core::platform::DmaMemory;

/// Whether a card runs, and the memory of its queues and commands while it does.
///
/// A device that cannot be stopped may still write to its queues. It is cut off from memory by other means, and the
/// queues' memory is given up for good: nobody gets memory that a device may write to.
#[derive(Debug, Default)]
pub(crate) struct Run {
    state: State,
    /// Not freed before the device has been stopped.
    in_use: Vec<Arc<DmaMemory>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Stopped,
    Running,
    /// The device could not be stopped and was cut off from memory. It is not used again.
    Lost,
}

impl Run {
    /// Notes that the device may use memory from now on. `false` if it must not, since it could not be stopped before.
    pub(crate) fn begin(&mut self) -> bool {
        if self.state == State::Stopped {
            self.state = State::Running;
        }
        self.state == State::Running
    }

    /// Whether the device may use memory.
    pub(crate) fn is_on(&self) -> bool {
        self.state == State::Running
    }

    /// Whether the device could not be stopped, so that it is not used again.
    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Keeps memory that the device is about to be told of.
    pub(crate) fn keep(&mut self, memory: &Arc<DmaMemory>) {
        self.in_use.push(memory.clone());
    }

    /// Lets go of the memory, now that the device has `stopped`; or has it cut off, and gives the memory up.
    pub(crate) fn end<E: fmt::Display>(&mut self, stopped: Result<(), E>, cut_off: impl FnOnce() -> bool) {
        let memory = core::mem::take(&mut self.in_use);
        self.state = State::Stopped;
        if let Err(problem) = stopped {
            self.state = State::Lost;
            let cut_off = if cut_off() { "is" } else { "cannot be" };
            error!("{problem}: its DMA {cut_off} disabled, {} blocks of its memory are lost", memory.len());
            core::mem::forget(memory);
        }
    }
}
