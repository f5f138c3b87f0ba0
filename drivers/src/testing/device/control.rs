//! The control queue from the device's side (section 5.1.6.5).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Violation;
use super::ring::Place;
use super::setup::{Commands, Interface};
use crate::testing::FakeMachine;

const FLAG_NEXT: u16 = 1;
const FLAG_WRITE: u16 = 2;
/// Bytes of a command's number.
const NUMBER: usize = 2;
const ERROR: u8 = 1;

/// The control queue of a running device.
#[derive(Debug)]
pub(super) struct ControlRing {
    machine: Arc<FakeMachine>,
    queue: u16,
    place: Place,
    interface: Interface,
    seen: u16,
    used: u16,
}

/// A command as it lies in memory.
struct Command {
    head: u16,
    number_and_data: Vec<u8>,
    /// Where the answer goes.
    answer: u64,
}

impl ControlRing {
    pub fn new(machine: Arc<FakeMachine>, queue: u16, place: Place, interface: Interface) -> Self {
        Self { machine, queue, place, interface, seen: 0, used: 0 }
    }

    /// Takes the next command: its number and its data, and how to answer.
    pub fn take(&mut self, violations: &mut Vec<Violation>) -> Option<(Vec<u8>, Reply)> {
        let published = self.machine.load16(self.place.available + 2)?;
        if published == self.seen {
            violations.push(Violation::DoorbellWithoutBuffers { queue: self.queue });
            return None;
        }
        let position = u64::from(self.seen & self.place.size.wrapping_sub(1));
        self.seen = self.seen.wrapping_add(1);
        let head = self.machine.load16(self.place.available + 4 + 2 * position)?;
        let Some(Command { head, number_and_data, answer }) = self.command(head) else {
            violations.push(Violation::NoCommand { queue: self.queue });
            return None;
        };
        Some((number_and_data, Reply { head, answer }))
    }

    /// The descriptors from `head` on: some to read, the first of them the command's number where a device counts on that
    /// (section 5.1.6.5), then one byte to write.
    fn command(&self, head: u16) -> Option<Command> {
        let (mut number_and_data, mut next) = (Vec::new(), head);
        for part in 0..self.place.size {
            let descriptor: [u8; 16] =
                self.machine.read_array(self.place.descriptors + 16 * u64::from(next))?;
            let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, f0, f1, n0, n1] = descriptor;
            let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let flags = u16::from_le_bytes([f0, f1]);
            if flags == FLAG_WRITE {
                let is_complete = number_and_data.len() > NUMBER && bytes == 1;
                return is_complete.then_some(Command { head, number_and_data, answer: address });
            }
            if flags != FLAG_NEXT || part == 0 && self.interface == Interface::Legacy && bytes != NUMBER {
                return None;
            }
            number_and_data.extend(self.machine.read(address, bytes)?);
            next = u16::from_le_bytes([n0, n1]);
        }
        None
    }

    /// Answers a command with `answer`, or otherwise, as `manner` has it.
    pub fn answer(&mut self, reply: &Reply, answer: u8, manner: Commands) {
        let (id, index, answer) = match manner {
            Commands::Obeyed => (u32::from(reply.head), 1, answer),
            Commands::Refused => (u32::from(reply.head), 1, ERROR),
            Commands::Ignored => return,
            Commands::AnsweredForAnother => (u32::from(reply.head) + 1, 1, answer),
            Commands::AnsweredTwice => (u32::from(reply.head), 2, answer),
        };
        self.machine.write(reply.answer, &[answer]);
        let position = u64::from(self.used & self.place.size.wrapping_sub(1));
        let [a, b, c, d] = id.to_le_bytes();
        self.machine.write(self.place.used + 4 + 8 * position, &[a, b, c, d, 1, 0, 0, 0]);
        self.used = self.used.wrapping_add(index);
        self.machine.store16(self.place.used + 2, self.used);
        let event = self.place.used + 4 + 8 * u64::from(self.place.size);
        self.machine.store16(event, self.seen);
    }
}

/// Where the answer to a command goes.
pub(super) struct Reply {
    head: u16,
    answer: u64,
}
