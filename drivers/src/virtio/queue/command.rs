//! A virtqueue that carries commands, one at a time: the driver waits for each answer.
//!
//! A command is three buffers: its number and its data, which the device reads, and the answer, which it writes. So
//! every device takes it, also a legacy one that counts on where one part ends and the next begins. How they go through the
//! ring depends on the format: [`split`](super::split) and [`packed`](super::packed) have a [`CommandRing`] each.

pub(super) mod ring;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, Ordering};

use nm_driver::platform::{OutOfDmaMemory, Platform};
use nm_driver::shared::{SharedArray, SharedMemory};

use self::ring::{CommandRing, Outcome, PARTS, Part};
use super::packed::PackedCommands;
use super::split::SplitCommands;
use super::{DESCRIPTOR_NEXT, Direction, Events, FromDevice, PackedMemory, RingMemory, ToDevice};
use crate::virtio::transport::Notifier;
use crate::wait::wait_until;

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

/// The memory of a command and its answer.
pub type CommandMemory = SharedArray<AtomicU8>;

/// A queue for commands.
pub struct CommandQueue {
    ring: Box<dyn CommandRing>,
    command: CommandMemory,
    /// A command was not answered, or not as one is: its memory is still the device's.
    is_broken: bool,
    notifier: Box<dyn Notifier>,
}

impl CommandQueue {
    /// Whether a queue of so many entries holds a command.
    pub fn is_long_enough(entries: u16) -> bool {
        ring::is_long_enough(entries)
    }

    /// A split queue over fresh memory that the device knows of already and does not use before the driver is set up, with
    /// `command` from [`memory`](Self::memory). `None` if it is [too short](Self::is_long_enough).
    pub fn split(
        ring: RingMemory,
        command: CommandMemory,
        events: Events,
        notifier: Box<dyn Notifier>,
    ) -> Option<Self> {
        let ring = Box::new(SplitCommands::new(ring, events)?);
        Some(Self { ring, command, is_broken: false, notifier })
    }

    /// The same with a packed queue.
    pub fn packed(ring: PackedMemory, command: CommandMemory, notifier: Box<dyn Notifier>) -> Option<Self> {
        let ring = Box::new(PackedCommands::new(ring)?);
        Some(Self { ring, command, is_broken: false, notifier })
    }

    /// Memory for commands. It is the device's, too, until that has been stopped.
    pub fn memory(platform: &Arc<dyn Platform>) -> Result<CommandMemory, OutOfDmaMemory> {
        Ok(SharedMemory::allocate(platform, BYTES, 8)?.array(0, BYTES))
    }

    /// Sends a command, 1 to 8 bytes of data with it, and returns the device's answer. `None` when none comes within five
    /// seconds, or something else does; nothing is sent any more then. Nor is a command with more data.
    pub fn ask(&mut self, number: [u8; 2], data: &[u8], platform: &dyn Platform) -> Option<u8> {
        if self.is_broken || data.is_empty() || data.len() > DATA_MAX {
            return None;
        }
        let ring = self.ring.as_mut();
        write(&self.command, number, data);
        if ring.send(parts(&self.command, data)) {
            self.notifier.notify();
        }
        wait_until(platform, ANSWER_NS, || ring.outcome() != Outcome::Pending);
        let is_answered = ring.outcome() == Outcome::Answered;
        self.is_broken = !is_answered;
        is_answered.then(|| answer(&self.command))
    }
}

/// Puts a command into its memory.
fn write(command: &CommandMemory, number: [u8; 2], data: &[u8]) {
    for (offset, bytes) in [(NUMBER, &number[..]), (DATA, data), (ANSWER, &[!0])] {
        command.from(offset).iter().zip(bytes).for_each(|(at, byte)| at.store(*byte, Ordering::Relaxed));
    }
}

/// What a device has to be told of a command with this data.
fn parts(command: &CommandMemory, data: &[u8]) -> [Part; PARTS as usize] {
    let at = |offset: usize| command.memory().phys().wrapping_add(offset as u64);
    let more = ToDevice::FLAGS | DESCRIPTOR_NEXT;
    [
        Part { address: at(NUMBER), bytes: 2, flags: more },
        Part { address: at(DATA), bytes: data.len() as u32, flags: more },
        Part { address: at(ANSWER), bytes: 1, flags: FromDevice::FLAGS },
    ]
}

/// The answer; one that no device gives when there is none.
fn answer(command: &CommandMemory) -> u8 {
    command.get(ANSWER).map_or(!0, |at| at.load(Ordering::Relaxed))
}
