//! One queue from the device's side, written from the specification (section 2.7), not from the driver.

mod bells;
mod framing;
mod owned;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::bells::Bells;
use self::owned::{Owned, Part};
use super::Violation;
use crate::testing::FakeMachine;

pub(super) use self::framing::Framing;

const FLAG_NEXT: u16 = 1;
const FLAG_WRITE: u16 = 2;

/// Which way buffers of the queue go, seen from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The device writes them.
    In,
    /// The device reads them.
    Out,
}

/// Where a queue lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub size: u16,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
}

impl Place {
    /// What is wrong with the place of a queue that is being enabled.
    pub fn complaint(&self, machine: &FakeMachine, queue: u16) -> Option<Violation> {
        let size = usize::from(self.size);
        let parts = [
            (self.descriptors, 16 * size, 16),
            (self.available, 6 + 2 * size, 2),
            (self.used, 6 + 8 * size, 4),
        ];
        if parts.iter().any(|&(address, ..)| address == 0) {
            Some(Violation::QueueWithoutAddresses { queue })
        } else if parts.iter().any(|&(address, _, align)| !address.is_multiple_of(align)) {
            Some(Violation::QueueMisaligned { queue })
        } else if parts.iter().any(|&(address, bytes, _)| !machine.has(address, bytes)) {
            Some(Violation::QueueOutsideMemory { queue })
        } else {
            None
        }
    }
}

/// A queue of a running device.
#[derive(Debug)]
pub(super) struct DeviceRing {
    machine: Arc<FakeMachine>,
    queue: u16,
    way: Way,
    place: Place,
    pub framing: Framing,
    has_event_idx: bool,
    /// How far the available ring was read.
    seen: u16,
    used: u16,
    /// What the device owns, in the order in which it came.
    pending: Vec<u16>,
    pub owned: BTreeMap<u16, Owned>,
    pub bells: Bells,
    pub violations: Vec<Violation>,
}

impl DeviceRing {
    pub fn new(
        machine: Arc<FakeMachine>,
        queue: u16,
        way: Way,
        place: Place,
        framing: Framing,
        has_event_idx: bool,
    ) -> Self {
        let (pending, owned, violations) = (Vec::new(), BTreeMap::new(), Vec::new());
        let bells = Bells::new();
        Self {
            machine,
            queue,
            way,
            place,
            framing,
            has_event_idx,
            seen: 0,
            used: 0,
            pending,
            owned,
            bells,
            violations,
        }
    }

    pub fn complain(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// Address and length of what the device owns.
    pub fn buffers(&self) -> Vec<(u64, u32)> {
        self.owned.values().flat_map(|owned| &owned.parts).map(|part| (part.address, part.bytes)).collect()
    }

    fn position(&self, index: u16) -> u64 {
        u64::from(index & self.place.size.wrapping_sub(1))
    }

    /// The index that the driver has published.
    fn published(&mut self) -> u16 {
        let index = self.machine.load16(self.place.available + 2);
        if index.is_none() {
            self.complain(Violation::QueueOutsideMemory { queue: self.queue });
        }
        index.unwrap_or(self.seen)
    }
}

/// Taking buffers.
impl DeviceRing {
    /// Takes what the driver has published, and checks it. `others` are buffers that other queues own.
    pub fn fetch(&mut self, others: &[(u64, u32)]) {
        let queue = self.queue;
        let published = self.published();
        if published.wrapping_sub(self.seen) > self.place.size {
            return self.complain(Violation::Overrun { queue });
        }
        self.check_doorbell_came(published);
        if self.seen != published {
            let found: Vec<_> =
                self.owned.iter().filter_map(|(&id, owned)| self.complaint(id, owned)).collect();
            self.violations.extend(found);
        }
        while self.seen != published {
            let entry = self.place.available + 4 + 2 * self.position(self.seen);
            self.seen = self.seen.wrapping_add(1);
            match self.machine.load16(entry) {
                None => self.complain(Violation::QueueOutsideMemory { queue }),
                Some(id) if id >= self.place.size => self.complain(Violation::NoSuchDescriptor { queue, id }),
                Some(id) if self.owned.contains_key(&id) => {
                    self.complain(Violation::OfferedTwice { queue, id })
                }
                Some(id) => self.take(id, others),
            }
        }
        self.ask_for_doorbell();
    }

    fn take(&mut self, id: u16, others: &[(u64, u32)]) {
        let queue = self.queue;
        let Some(parts) = self.parts(id) else { return };
        if self.framing.is_header_apart() {
            if parts.len() < 2
                || parts.first().is_none_or(|part| part.bytes as usize != self.framing.header_bytes())
            {
                self.complain(Violation::HeaderNotApart { queue, id });
            }
        } else if parts.len() > 1 {
            self.complain(Violation::Chained { queue, id });
        }
        let is_taken = |part: &Part| {
            let owned =
                self.owned.values().flat_map(|owned| &owned.parts).map(|part| (part.address, part.bytes));
            owned.chain(others.iter().copied()).any(|(start, len)| {
                start < part.address.saturating_add(part.bytes.into())
                    && part.address < start.saturating_add(len.into())
            })
        };
        if parts.iter().any(is_taken) {
            self.complain(Violation::BufferGivenTwice { queue, id });
        }
        let mut owned = Owned { parts, contents: None };
        let contents = owned.read(&self.machine).filter(|contents| !contents.is_empty());
        match &contents {
            None => self.complain(Violation::BufferOutsideMemory { queue, id }),
            Some(contents) => self.check_header(id, contents),
        }
        owned.contents = contents.filter(|_| self.way == Way::Out);
        self.owned.insert(id, owned);
        self.pending.push(id);
    }

    /// The descriptors from `head` on; complains and returns `None` where they do not lead to an end.
    fn parts(&mut self, head: u16) -> Option<Vec<Part>> {
        let queue = self.queue;
        let mut parts = Vec::new();
        let mut next = Some(head);
        while let Some(id) = next {
            if id >= self.place.size || parts.len() >= usize::from(self.place.size) {
                self.complain(Violation::NoSuchDescriptor { queue, id });
                return None;
            }
            let Some(descriptor) = self.machine.read_array::<16>(self.place.descriptors + 16 * u64::from(id))
            else {
                self.complain(Violation::QueueOutsideMemory { queue });
                return None;
            };
            let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, f0, f1, n0, n1] = descriptor;
            let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let bytes = u32::from_le_bytes([l0, l1, l2, l3]);
            let flags = u16::from_le_bytes([f0, f1]);
            self.check_flags(head, flags);
            if bytes == 0 {
                self.complain(Violation::BufferOutsideMemory { queue, id: head });
            }
            parts.push(Part { id, address, bytes, descriptor });
            next = (flags & FLAG_NEXT != 0).then_some(u16::from_le_bytes([n0, n1]));
        }
        Some(parts)
    }

    fn check_flags(&mut self, id: u16, flags: u16) {
        let queue = self.queue;
        let expected = if self.way == Way::In { FLAG_WRITE } else { 0 };
        if flags & !FLAG_NEXT != expected {
            self.complain(Violation::WrongFlags { queue, id });
        }
    }

    fn check_header(&mut self, id: u16, contents: &[u8]) {
        match contents.get(..self.framing.header_bytes()) {
            None => self.complain(Violation::NoRoomForHeader { queue: self.queue, id }),
            Some(header) if self.way == Way::Out && header.iter().any(|&byte| byte != 0) => {
                self.complain(Violation::HeaderNotZero { id });
            }
            Some(_) => {}
        }
    }

    /// What is wrong unless the driver has left alone what the device owns.
    fn complaint(&self, id: u16, owned: &Owned) -> Option<Violation> {
        let queue = self.queue;
        let is_changed = |part: &Part| {
            self.machine.read_array(self.place.descriptors + 16 * u64::from(part.id)) != Some(part.descriptor)
        };
        if owned.parts.iter().any(is_changed) {
            return Some(Violation::DescriptorChanged { queue, id });
        }
        match (&owned.contents, owned.read(&self.machine)) {
            (_, None) => Some(Violation::BufferOutsideMemory { queue, id }),
            (Some(then), Some(now)) if *then != now => Some(Violation::BufferChanged { queue, id }),
            _ => None,
        }
    }
}

/// Giving buffers back.
impl DeviceRing {
    /// Removes the buffer that is at `place` (modulo their number) among those that the device owns.
    pub fn pick(&mut self, place: usize) -> Option<(u16, Owned)> {
        let place = place.checked_rem(self.pending.len())?;
        let id = self.pending.remove(place);
        let owned = self.owned.remove(&id)?;
        self.violations.extend(self.complaint(id, &owned));
        Some((id, owned))
    }

    /// Writes an entry of the used ring and publishes it, whether or not it makes sense.
    pub fn complete(&mut self, id: u32, written: u32) {
        let [a, b, c, d] = id.to_le_bytes();
        let [e, f, g, h] = written.to_le_bytes();
        let entry = self.place.used + 4 + 8 * self.position(self.used);
        self.machine.write(entry, &[a, b, c, d, e, f, g, h]);
        self.publish_used(self.used.wrapping_add(1));
    }

    fn publish_used(&mut self, index: u16) {
        let before = core::mem::replace(&mut self.used, index);
        if self.machine.store16(self.place.used + 2, index).is_none() {
            self.complain(Violation::QueueOutsideMemory { queue: self.queue });
        }
        if self.is_interrupt_wanted(before, index) {
            self.bells.interrupt();
        }
    }

    /// Moves the index of the used ring without writing entries.
    pub fn jump(&mut self, distance: u16) {
        self.publish_used(self.used.wrapping_add(distance));
    }
}
