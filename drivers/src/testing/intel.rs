//! Model of the Intel gigabit cards, as far as the driver uses them.
//!
//! A test holds an [`IntelDevice`] and plays the card with it; the driver under test holds an [`Attachment`] to the same
//! card. The card does nothing on its own: each step is a call, so that a test decides about every order.
//!
//! [`Attachment`]: crate::e1000::Attachment

mod model;
mod registers;
mod ring;
mod setup;
mod transport;
mod violation;

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard};

use self::model::Model;
use super::{FakeMachine, lock};
use crate::e1000::Offset;

pub use self::setup::{IntelQuirks, IntelSetup};
pub use self::violation::{IntelViolation, Ring};

/// A card, shared by the test and the driver.
#[derive(Debug, Clone)]
pub struct IntelDevice {
    model: Arc<Mutex<Model>>,
}

/// For the test: looking on.
impl IntelDevice {
    /// A card in `machine`.
    pub fn new(machine: &Arc<FakeMachine>, setup: IntelSetup) -> Self {
        Self { model: Arc::new(Mutex::new(Model::new(machine.clone(), setup))) }
    }

    /// Changes how the card is and misbehaves, from now on.
    pub fn change_setup(&self, change: impl FnOnce(&mut IntelSetup)) {
        change(&mut self.lock().setup);
    }

    /// What the driver has done wrong so far.
    pub fn violations(&self) -> Vec<IntelViolation> {
        self.lock().violations.clone()
    }

    /// Forgets what the driver has done wrong, for a test in which the card itself leads it astray.
    pub fn forget_violations(&self) {
        self.lock().violations.clear();
    }

    /// Whether receiver or transmitter is on.
    pub fn is_running(&self) -> bool {
        let model = self.lock();
        [Ring::Receive, Ring::Transmit].into_iter().any(|ring| model.is_on(ring))
    }

    /// Whether the driver has cut the card off from memory.
    pub fn is_cut_off(&self) -> bool {
        self.lock().is_cut_off
    }

    /// What a register holds.
    pub fn value(&self, offset: Offset) -> u32 {
        self.lock().registers.get(offset)
    }

    /// How often the tail of `ring` was written while it was on.
    pub fn doorbells(&self, ring: Ring) -> u64 {
        self.lock().ring(ring).doorbells
    }

    /// How often a register was written since the last reset.
    pub fn writes(&self, offset: Offset) -> u64 {
        self.lock().registers.writes(offset)
    }

    /// How many descriptors of `ring` the card owns.
    pub fn owned(&self, ring: Ring) -> usize {
        self.lock().ring(ring).owned.len()
    }

    /// How often the card interrupted.
    pub fn interrupts(&self) -> u64 {
        self.lock().interrupts
    }
}

/// For the test: playing the card.
impl IntelDevice {
    /// Sends the oldest frame, and reports its descriptors where that was asked for.
    pub fn transmit(&self) -> Option<Vec<u8>> {
        self.lock().transmit()
    }

    /// Sends all that there is, in order.
    pub fn transmit_all(&self) -> Vec<Vec<u8>> {
        core::iter::from_fn(|| self.transmit()).collect()
    }

    /// Receives `frame`, into as many buffers as it takes. Returns whether it was taken: it is not too long, and there were
    /// buffers for it.
    pub fn receive(&self, frame: &[u8]) -> bool {
        self.lock().receive(frame)
    }

    /// The processor takes the interrupt: the causes are read, and with it cleared.
    pub fn acknowledge(&self) {
        self.lock().acknowledge();
    }

    /// The driver goes to sleep until `ring` interrupts. Complains if it has not asked for that.
    pub fn driver_sleeps(&self, ring: Ring) {
        self.lock().driver_sleeps(ring);
    }
}

/// For the test: misbehaving.
impl IntelDevice {
    /// Fills the next buffer with nothing and says `word` about it: the second word of its descriptor.
    pub fn complete_falsely(&self, ring: Ring, word: u64) {
        self.lock().complete_falsely(ring, word);
    }

    /// Writes the second word of a descriptor, of either owner.
    pub fn scribble(&self, ring: Ring, position: u16, word: u64) {
        self.lock().scribble(ring, position, word);
    }
}

/// The registers one by one: what a driver does through its [`Attachment`](crate::e1000::Attachment).
impl IntelDevice {
    /// Reads a register.
    pub fn read(&self, offset: Offset) -> u32 {
        self.lock().read(offset)
    }

    /// Writes a register.
    pub fn write(&self, offset: Offset, value: u32) {
        self.lock().write(offset, value);
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }
}
