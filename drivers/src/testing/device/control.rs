//! The control queue from the device's side (section 5.1.6.5).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Violation;
use super::ring::{Chain, FLAG_NEXT, FLAG_WRITE, QueueMemory};
use super::setup::{Commands, Interface};

/// Bytes of a command's number.
const NUMBER: usize = 2;
const ERROR: u8 = 1;

/// The control queue of a running device.
#[derive(Debug)]
pub(super) struct ControlRing {
    memory: Box<dyn QueueMemory>,
    interface: Interface,
    seen: u64,
    used: u64,
}

/// A command as it lies in memory.
struct Command {
    number_and_data: Vec<u8>,
    /// Where the answer goes.
    answer: u64,
}

impl ControlRing {
    pub fn new(memory: Box<dyn QueueMemory>, interface: Interface) -> Self {
        Self { memory, interface, seen: 0, used: 0 }
    }

    /// Takes the next command: its number and its data, and how to answer.
    pub fn take(&mut self, violations: &mut Vec<Violation>) -> Option<(Vec<u8>, Reply)> {
        let queue = self.memory.area().queue;
        let published =
            self.memory.published(self.seen).map_err(|violation| violations.push(violation)).ok()?;
        if published == self.seen {
            violations.extend(self.memory.oddity(self.seen));
            violations.push(Violation::DoorbellWithoutBuffers { queue });
            return None;
        }
        if published - self.seen > self.memory.room(self.seen, self.used) {
            violations.push(Violation::Overrun { queue });
        }
        violations.extend(self.memory.event_complaint());
        let chain = self.memory.chain(self.seen);
        self.seen += chain.as_ref().map_or(1, |chain| chain.positions);
        let chain = chain.map_err(|violation| violations.push(violation)).ok()?;
        let Some(Command { number_and_data, answer }) = self.command(&chain) else {
            violations.push(Violation::NoCommand { queue });
            return None;
        };
        Some((number_and_data, Reply { id: chain.id, positions: chain.positions, answer }))
    }

    /// Descriptors to read, the first of them the command's number where a device counts on that (section 5.1.6.5), then one
    /// byte to write.
    fn command(&self, chain: &Chain) -> Option<Command> {
        let (last, to_read) = chain.parts.split_last()?;
        let mut number_and_data = Vec::new();
        for (place, part) in to_read.iter().enumerate() {
            let bytes = part.bytes as usize;
            let is_apart = self.interface == Interface::Modern || place > 0 || bytes == NUMBER;
            if part.flags != FLAG_NEXT || !is_apart {
                return None;
            }
            number_and_data.extend(self.memory.area().machine.read(part.address, bytes)?);
        }
        let is_complete = last.flags == FLAG_WRITE && number_and_data.len() > NUMBER && last.bytes == 1;
        is_complete.then_some(Command { number_and_data, answer: last.address })
    }

    /// Answers a command with `answer`, or otherwise, as `manner` has it.
    pub fn answer(&mut self, reply: &Reply, answer: u8, manner: Commands, violations: &mut Vec<Violation>) {
        let id = u32::from(reply.id);
        let (id, answer) = match manner {
            Commands::Obeyed | Commands::AnsweredTwice => (id, answer),
            Commands::Refused => (id, ERROR),
            Commands::Ignored => return,
            Commands::AnsweredForAnother => (id + 1, answer),
        };
        let is_told = self.memory.area().machine.write(reply.answer, &[answer]).is_some()
            && self.memory.complete(self.used, reply.positions, id, 1).is_some();
        if !is_told {
            violations.push(self.memory.area().gone());
        }
        self.used += reply.positions;
        if manner == Commands::AnsweredTwice {
            self.used += self.memory.jump(self.used, 1).unwrap_or(1);
        }
        self.memory.ask(self.seen, false);
    }
}

/// Where the answer to a command goes.
pub(super) struct Reply {
    id: u16,
    positions: u64,
    answer: u64,
}
