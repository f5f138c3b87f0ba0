//! A split virtqueue that carries commands, one at a time: the driver waits for each answer.
//!
//! A command is three buffers: its number and its data, which the device reads, and the answer, which it writes. So
//! every device takes it, also a legacy one that counts on where one part ends and the next begins.
#![expect(unsafe_code, reason = "memory that is shared with a device is reached by raw pointer")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use nm_core::platform::{DmaMemory, OutOfDmaMemory, Platform};

use super::split::layout::{NO_INTERRUPT, RingMemory};
use super::split::notify::is_doorbell_wanted;
use super::{DESCRIPTOR_NEXT, DESCRIPTOR_WRITE, Events};
use crate::shared_memory::{atomic8, atomic16, atomic64};
use crate::virtio::transport::Notifier;
use crate::wait::wait_until;

/// Descriptors of a command.
const PARTS: u16 = 3;
/// The most data of a command, in bytes.
const DATA_MAX: usize = 8;
/// Where the parts of a command are in its memory.
const NUMBER: usize = 0;
const DATA: usize = 8;
const ANSWER: usize = 16;
const BYTES: usize = 24;
/// How long a device may take for an answer. One that answers at all does so within milliseconds, unless the machine under
/// it has a lot else to do.
const ANSWER_NS: u64 = 5_000_000_000;

/// A queue for commands. It is the same code for all doorbells: commands are few.
#[derive(Debug)]
pub struct CommandQueue {
    ring: RingMemory,
    command: Arc<DmaMemory>,
    /// Commands so far, modulo 65536.
    count: u16,
    events: Events,
    /// A command was not answered, or not as one is: its memory is still the device's.
    is_broken: bool,
    notifier: Box<dyn Notifier>,
}

impl CommandQueue {
    /// Whether a queue of so many entries holds a command.
    pub fn is_long_enough(entries: u16) -> bool {
        entries >= PARTS
    }

    /// A queue over fresh memory that the device knows of already and does not use before the driver is set up, with
    /// `command` from [`memory`](Self::memory).
    pub fn new(
        ring: RingMemory,
        command: Arc<DmaMemory>,
        events: Events,
        notifier: Box<dyn Notifier>,
    ) -> Self {
        // No interrupt: with an index, not before the 65536th command.
        match events {
            Events::Index => ring.write_used_event(u16::MAX),
            Events::Flag => ring.write_available_flags(NO_INTERRUPT),
        }
        let is_broken = !Self::is_long_enough(ring.size());
        Self { ring, command, count: 0, events, is_broken, notifier }
    }

    /// Memory for commands. It is the device's, too, until that has been stopped.
    pub fn memory(platform: &Arc<dyn Platform>) -> Result<Arc<DmaMemory>, OutOfDmaMemory> {
        Ok(Arc::new(DmaMemory::allocate(platform, BYTES, 8)?))
    }

    /// Sends a command, 1 to 8 bytes of data with it, and returns the device's answer. `None` when none comes within five
    /// seconds, or something else does; nothing is sent any more then. Nor is a command with more data.
    pub fn ask(&mut self, number: [u8; 2], data: &[u8], platform: &dyn Platform) -> Option<u8> {
        if self.is_broken || data.is_empty() || data.len() > DATA_MAX {
            return None;
        }
        self.write(number, data);
        let before = self.count;
        self.count = before.wrapping_add(1);
        self.ring.publish_available(self.count);
        if is_doorbell_wanted(&self.ring, self.events, before, self.count) {
            self.notifier.notify();
        }
        wait_until(platform, ANSWER_NS, || self.ring.used_index() != before);
        let is_answered = self.ring.used_index() == self.count && self.ring.used_id(before) == 0;
        self.is_broken = !is_answered;
        is_answered.then(|| self.answer())
    }

    /// Puts a command into its memory, and into the queue.
    fn write(&self, number: [u8; 2], data: &[u8]) {
        let mut bytes = [0; DATA_MAX];
        bytes.iter_mut().zip(data).for_each(|(byte, value)| *byte = *value);
        let virt = self.command.virt();
        // SAFETY: the three lie within the `BYTES` of the memory, which is aligned to 8, and are used by this queue alone.
        unsafe {
            atomic16(virt, NUMBER).store(u16::from_ne_bytes(number), Ordering::Relaxed);
            atomic64(virt, DATA).store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
            atomic8(virt, ANSWER).store(!0, Ordering::Relaxed);
        }
        let at = |offset: usize| self.command.phys().wrapping_add(offset as u64);
        // SAFETY: the queue has `PARTS` descriptors, or is broken and not written to.
        unsafe {
            self.ring.write_descriptor(0, at(NUMBER), 2, DESCRIPTOR_NEXT, 1);
            self.ring.write_descriptor(1, at(DATA), data.len() as u32, DESCRIPTOR_NEXT, 2);
            self.ring.write_descriptor(2, at(ANSWER), 1, DESCRIPTOR_WRITE, 0);
        }
        self.ring.write_available(self.count, 0);
    }

    fn answer(&self) -> u8 {
        // SAFETY: as in `write`.
        unsafe { atomic8(self.command.virt(), ANSWER).load(Ordering::Relaxed) }
    }
}
