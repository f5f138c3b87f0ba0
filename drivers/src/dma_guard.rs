//! A card's time in use, and the memory that its device may write to meanwhile.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;

use log::error;
use nm_driver::nic::Stopped;
use nm_driver::platform::DmaMemory;

/// Whether a card runs, and the memory of its queues and commands while it does.
///
/// A device that cannot be stopped may still write to its queues. It is cut off from memory by other means, and the
/// queues' memory is given up for good: memory that a device may write to is not handed out again.
#[derive(Debug, Default)]
pub(crate) struct DmaGuard {
    state: State,
    /// Not freed before the device has been stopped.
    in_use: Vec<Arc<DmaMemory>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Stopped,
    Running,
    /// The device could not be stopped, and is not used again. It may use memory unless it was cut off.
    Lost {
        is_cut_off: bool,
    },
}

impl DmaGuard {
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
        matches!(self.state, State::Lost { .. })
    }

    /// Keeps memory that the device is about to be told of.
    pub(crate) fn keep(&mut self, memory: &Arc<DmaMemory>) {
        self.in_use.push(memory.clone());
    }

    /// Stops `device` by `stop`, if it is on. If that fails, the device is cut off from memory by `cut_off`, if it can be, and
    /// the memory of its queues is given up for good.
    pub(crate) fn end<D: ?Sized, E: fmt::Display>(
        &mut self,
        device: &mut D,
        stop: impl FnOnce(&mut D) -> Result<(), E>,
        cut_off: impl FnOnce(&mut D) -> bool,
    ) -> Stopped {
        if self.is_on() {
            // What follows may panic: until it has ended, the device counts as lost and the memory as in use.
            let memory = ManuallyDrop::new(core::mem::take(&mut self.in_use));
            self.state = State::Lost { is_cut_off: false };
            match stop(device) {
                Ok(()) => {
                    self.state = State::Stopped;
                    drop(ManuallyDrop::into_inner(memory));
                }
                Err(problem) => {
                    let is_cut_off = cut_off(device);
                    self.state = State::Lost { is_cut_off };
                    let is = if is_cut_off { "is" } else { "cannot be" };
                    error!(
                        "{problem}: its DMA {is} disabled, {} blocks of its memory are lost",
                        memory.len()
                    );
                }
            }
        }
        if self.state == (State::Lost { is_cut_off: false }) { Stopped::No } else { Stopped::Yes }
    }
}
