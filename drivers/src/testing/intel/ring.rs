//! One ring from the card's side, written from the manual (sections 3.2 to 3.4), not from the driver.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::violation::{IntelViolation, Ring};
use crate::testing::FakeMachine;

const BYTES: u64 = 16;

/// Command bits of a transmit descriptor, in its second word.
pub(super) const END: u64 = 1 << 24;
const CHECKSUM: u64 = 1 << 25;
pub(super) const REPORT: u64 = 1 << 27;
/// Status bits, in the second word of both kinds of descriptor.
pub(super) const DONE: u64 = 1 << 32;
pub(super) const RECEIVED_END: u64 = 1 << 33;

/// The most that a transmit descriptor or frame may have, and the least that a frame may.
const MOST: u64 = 16288;
const LEAST: u64 = 48;

/// A descriptor that the card owns.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub position: u16,
    pub address: u64,
    pub word: u64,
    /// How much the card may read or write of the buffer.
    pub bytes: u64,
    /// What was in the buffer, where the card is to read it.
    contents: Option<Vec<u8>>,
}

/// A ring of a running card.
#[derive(Debug)]
pub(super) struct DeviceRing {
    ring: Ring,
    pub base: u64,
    /// Length in descriptors; 0 while the ring is off.
    pub len: u16,
    pub head: u16,
    pub tail: u16,
    pub owned: VecDeque<Owned>,
    pub doorbells: u64,
}

impl DeviceRing {
    pub fn new(ring: Ring) -> Self {
        Self { ring, base: 0, len: 0, head: 0, tail: 0, owned: VecDeque::new(), doorbells: 0 }
    }

    /// How many descriptors lie from `from` to `to`.
    pub fn distance(&self, from: u16, to: u16) -> u16 {
        if to >= from { to - from } else { self.len - from + to }
    }

    pub fn next(&self, position: u16) -> u16 {
        if position + 1 >= self.len { 0 } else { position + 1 }
    }

    pub fn at(&self, position: u16) -> u64 {
        self.base + BYTES * u64::from(position)
    }

    /// Takes the descriptors up to the tail. `limit` is how much the card writes into a buffer at most, `others` what it
    /// owns of the other ring.
    pub fn fetch(
        &mut self,
        machine: &FakeMachine,
        limit: u64,
        others: &[(u64, u64)],
        violations: &mut Vec<IntelViolation>,
    ) {
        let mut given: BTreeMap<u64, u64> = others.iter().copied().chain(self.buffers()).collect();
        let mut position = self.owned.back().map_or(self.head, |last| self.next(last.position));
        while position != self.tail {
            let Some(owned) = self.read(machine, position, limit) else {
                violations.push(IntelViolation::RingOutsideMemory { ring: self.ring });
                return;
            };
            let end = owned.address.saturating_add(owned.bytes);
            // Those that are owned already do not overlap, so the last that begins in front of the end tells.
            let before = given.range(..end).next_back();
            if before.is_some_and(|(&start, &len)| start.saturating_add(len) > owned.address) {
                violations.push(IntelViolation::BufferGivenTwice { ring: self.ring, position });
            }
            if !self.is_padding(&owned) {
                given.insert(owned.address, owned.bytes);
            }
            violations.extend(self.complaint_about_new(machine, &owned));
            self.owned.push_back(owned);
            position = self.next(position);
        }
        if self.ring == Ring::Transmit {
            violations.extend(self.complaint_about_batch());
        }
    }

    /// Address and length of what the card owns, but for what is shared by all: padding.
    pub fn buffers(&self) -> Vec<(u64, u64)> {
        let is_own = |owned: &&Owned| !self.is_padding(owned);
        self.owned.iter().filter(is_own).map(|owned| (owned.address, owned.bytes)).collect()
    }

    /// Whether a descriptor points behind the ring's own descriptors: the driver's zeros, which many frames may share.
    fn is_padding(&self, owned: &Owned) -> bool {
        owned.address == self.at(self.len)
    }

    fn read(&self, machine: &FakeMachine, position: u16, limit: u64) -> Option<Owned> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = machine.read_array(self.at(position))?;
        let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let word = u64::from_le_bytes([i, j, k, l, m, n, o, p]);
        let bytes = if self.ring == Ring::Receive { limit } else { word & 0xffff };
        let contents = machine.read(address, bytes as usize).filter(|_| self.ring == Ring::Transmit);
        Some(Owned { position, address, word, bytes, contents })
    }

    fn complaint_about_new(&self, machine: &FakeMachine, owned: &Owned) -> Option<IntelViolation> {
        let &Owned { position, address, word, bytes, .. } = owned;
        let ring = self.ring;
        if !machine.has(address, bytes as usize) {
            return Some(IntelViolation::BufferOutsideMemory { ring, position });
        }
        if ring == Ring::Receive {
            return (word != 0).then_some(IntelViolation::StatusNotClear { ring, position });
        }
        let allowed = 0xffff | END | CHECKSUM | REPORT;
        match word {
            _ if word >> 32 & 0xff != 0 => Some(IntelViolation::StatusNotClear { ring, position }),
            _ if word & !allowed != 0 => Some(IntelViolation::WrongCommand { position }),
            _ if word & END != 0 && word & CHECKSUM == 0 => Some(IntelViolation::WrongCommand { position }),
            _ if bytes == 0 => Some(IntelViolation::Empty { position }),
            _ => None,
        }
    }

    /// What is wrong with frames and the end of what is waiting to be sent.
    fn complaint_about_batch(&self) -> Option<IntelViolation> {
        let mut frame = 0;
        for owned in &self.owned {
            frame += owned.bytes;
            if frame > MOST {
                return Some(IntelViolation::TooLong { position: owned.position });
            }
            if owned.word & END != 0 {
                if frame < LEAST {
                    return Some(IntelViolation::TooShort { position: owned.position });
                }
                frame = 0;
            }
        }
        let last = self.owned.back()?.word;
        if last & END == 0 {
            return Some(IntelViolation::FrameNotEnded);
        }
        (last & REPORT == 0).then_some(IntelViolation::BatchNotReported)
    }

    /// Takes the oldest descriptor that the card owns, which the driver must have left alone.
    pub fn take(&mut self, machine: &FakeMachine, violations: &mut Vec<IntelViolation>) -> Option<Owned> {
        let owned = self.owned.pop_front()?;
        let (ring, position) = (self.ring, owned.position);
        self.head = self.next(position);
        let now = machine.read_array::<16>(self.at(position)).map(u128::from_le_bytes);
        let then = u128::from(owned.word) << 64 | u128::from(owned.address);
        if now.is_none() {
            violations.push(IntelViolation::RingOutsideMemory { ring });
        } else if now != Some(then) {
            violations.push(IntelViolation::DescriptorChanged { ring, position });
        }
        if !machine.has(owned.address, owned.bytes as usize) {
            violations.push(IntelViolation::BufferOutsideMemory { ring, position });
        } else if let Some(contents) = &owned.contents
            && machine.read(owned.address, contents.len()).as_ref() != Some(contents)
        {
            violations.push(IntelViolation::BufferChanged { position });
        }
        Some(owned)
    }

    /// What the card reads of the buffer.
    pub fn data(owned: &Owned) -> &[u8] {
        owned.contents.as_deref().unwrap_or_default()
    }

    /// Writes the second word of a descriptor.
    pub fn write_word(&self, machine: &FakeMachine, position: u16, word: u64) {
        machine.write(self.at(position) + 8, &word.to_le_bytes());
    }

    /// Writes the second word of a descriptor, of either owner.
    pub fn scribble(&mut self, machine: &FakeMachine, position: u16, word: u64) {
        let Some(position) = position.checked_rem(self.len) else { return };
        self.write_word(machine, position, word);
        // The card's own doing, not the driver's.
        let owned = self.owned.iter_mut().find(|owned| owned.position == position);
        owned.into_iter().for_each(|owned| owned.word = word);
    }
}
