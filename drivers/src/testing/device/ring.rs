//! One queue from the device's side, written from the specification (sections 2.7 and 2.8), not from the driver.

mod area;
mod bells;
mod framing;
mod memory;
mod notify;
mod owned;
mod packed;
mod place;
mod split;
mod suppression;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::area::Area;
use self::bells::Bells;
use self::owned::Owned;
use self::packed::PackedMemory;
use self::place::Format;
use self::split::SplitMemory;
use super::Violation;
use crate::testing::FakeMachine;

pub(super) use self::framing::Framing;
pub(super) use self::memory::{Chain, FLAG_NEXT, FLAG_WRITE, QueueMemory};
pub(super) use self::place::{Place, Terms};

/// The memory of a queue in the format that was agreed on.
pub(super) fn memory(
    machine: Arc<FakeMachine>,
    queue: u16,
    place: Place,
    terms: Terms,
) -> Box<dyn QueueMemory> {
    let area = Area { machine, queue, place, terms };
    match terms.format {
        Format::Split => Box::new(SplitMemory::new(area)),
        Format::Packed => Box::new(PackedMemory::new(area)),
    }
}

/// Which way buffers of the queue go, seen from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The device writes them.
    In,
    /// The device reads them.
    Out,
}

/// A queue of a running device.
#[derive(Debug)]
pub(super) struct DeviceRing {
    memory: Box<dyn QueueMemory>,
    way: Way,
    pub framing: Framing,
    /// The position up to which the device has read what the driver published.
    seen: u64,
    /// The position up to which it has completed.
    used: u64,
    /// What the device owns, in the order in which it came.
    pending: Vec<u16>,
    pub owned: BTreeMap<u16, Owned>,
    /// The descriptors that the driver must leave alone: by their number the buffer, and what they are.
    kept: BTreeMap<u16, (u16, [u8; 16])>,
    pub bells: Bells,
    pub violations: Vec<Violation>,
}

impl DeviceRing {
    pub fn new(memory: Box<dyn QueueMemory>, way: Way, framing: Framing) -> Self {
        Self {
            memory,
            way,
            framing,
            seen: 0,
            used: 0,
            pending: Vec::new(),
            owned: BTreeMap::new(),
            kept: BTreeMap::new(),
            bells: Bells::new(),
            violations: Vec::new(),
        }
    }

    pub fn complain(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// Address and length of what the device owns.
    pub fn buffers(&self) -> Vec<(u64, u32)> {
        self.owned.values().flat_map(Owned::ranges).collect()
    }

    /// Makes up the notification fields of the device's part of the queue.
    pub fn scribble(&self, flags: u16, event: u16) {
        self.memory.scribble(flags, event);
    }

    fn queue(&self) -> u16 {
        self.memory.area().queue
    }

    fn machine(&self) -> &FakeMachine {
        &self.memory.area().machine
    }
}

/// Taking buffers.
impl DeviceRing {
    /// Takes what the driver has published, and checks it. `others` are buffers that other queues own.
    pub fn fetch(&mut self, others: impl FnOnce() -> Vec<(u64, u32)>) {
        let published = match self.memory.published(self.seen) {
            Ok(published) => published,
            Err(violation) => return self.complain(violation),
        };
        if published - self.seen > self.memory.room(self.seen, self.used) {
            return self.complain(Violation::Overrun { queue: self.queue() });
        }
        self.check_doorbell_came(published);
        let mut given = BTreeMap::new();
        if self.seen != published {
            self.check_all_left_alone();
            given.extend(others().into_iter().chain(self.buffers()));
        }
        while self.seen < published {
            match self.memory.chain(self.seen) {
                Ok(chain) => {
                    self.seen += chain.positions;
                    self.take(chain, &mut given);
                }
                Err(violation) => {
                    self.seen += 1;
                    self.complain(violation);
                }
            }
        }
        let oddity = self.memory.oddity(self.seen);
        self.violations.extend(oddity);
        self.ask_for_doorbell();
    }

    /// `given` are address and length of all buffers that the device owns.
    fn take(&mut self, chain: Chain, given: &mut BTreeMap<u64, u32>) {
        let (queue, id) = (self.queue(), chain.id);
        if id >= self.memory.area().place.size {
            return self.complain(Violation::NoSuchDescriptor { queue, id });
        }
        if self.owned.contains_key(&id) {
            return self.complain(Violation::OfferedTwice { queue, id });
        }
        self.check_descriptors(&chain);
        let Chain { parts, positions, .. } = chain;
        let mut owned = Owned { parts, positions, contents: None };
        // Those that are owned already do not overlap, so the last that begins in front of the end tells.
        let is_taken = |(address, bytes): (u64, u32)| {
            let before = given.range(..address.saturating_add(bytes.into())).next_back();
            before.is_some_and(|(&start, &len)| address < start.saturating_add(len.into()))
        };
        if owned.ranges().any(is_taken) {
            self.complain(Violation::BufferGivenTwice { queue, id });
        }
        given.extend(owned.ranges());
        let contents = owned.read(self.machine()).filter(|contents| !contents.is_empty());
        match &contents {
            None => self.complain(Violation::BufferOutsideMemory { queue, id }),
            Some(contents) => self.check_header(id, contents),
        }
        owned.contents = contents.filter(|_| self.way == Way::Out);
        self.kept.extend(owned.parts.iter().map(|part| (part.number, (id, part.descriptor))));
        self.owned.insert(id, owned);
        self.pending.push(id);
    }

    /// Complains about descriptors that are not those of a packet in the queue's direction.
    fn check_descriptors(&mut self, chain: &Chain) {
        let (queue, id) = (self.queue(), chain.id);
        let expected = if self.way == Way::In { FLAG_WRITE } else { 0 };
        for part in &chain.parts {
            if part.flags & !FLAG_NEXT != expected {
                self.complain(Violation::WrongFlags { queue, id });
            }
            if part.bytes == 0 {
                self.complain(Violation::BufferOutsideMemory { queue, id });
            }
        }
        let header = chain.parts.first().map(|part| part.bytes as usize);
        if !self.framing.is_header_apart() {
            let holds_more = header.is_some_and(|bytes| bytes > self.framing.header_bytes());
            if chain.parts.len() > 1 && (self.way == Way::In || !holds_more) {
                self.complain(Violation::Chained { queue, id });
            }
        } else if chain.parts.len() < 2 || header != Some(self.framing.header_bytes()) {
            self.complain(Violation::HeaderNotApart { queue, id });
        }
    }

    fn check_header(&mut self, id: u16, contents: &[u8]) {
        match contents.get(..self.framing.header_bytes()) {
            None => self.complain(Violation::NoRoomForHeader { queue: self.queue(), id }),
            Some(header) if self.way == Way::Out && header.iter().any(|&byte| byte != 0) => {
                self.complain(Violation::HeaderNotZero { id });
            }
            Some(_) => {}
        }
    }
}

/// What the driver leaves alone.
impl DeviceRing {
    fn check_all_left_alone(&mut self) {
        let numbers: Vec<_> = self.kept.keys().copied().collect();
        self.check_descriptors_kept(&numbers);
        let found: Vec<_> = self.owned.iter().filter_map(|(&id, owned)| self.complaint(id, owned)).collect();
        self.violations.extend(found);
    }

    /// Complains about those of these descriptors that are not as they were when the device read them.
    fn check_descriptors_kept(&mut self, numbers: &[u16]) {
        let complaint = |number: &u16| {
            let (id, then) = self.kept.get(number)?;
            let now = self.memory.area().descriptor_bytes(*number);
            (now.as_ref() != Some(then)).then(|| self.memory.rewriting(*id, then, now.as_ref()))
        };
        let found: Vec<_> = numbers.iter().filter_map(complaint).collect();
        self.violations.extend(found);
    }

    /// What was done to the contents of a buffer that the device owns.
    fn complaint(&self, id: u16, owned: &Owned) -> Option<Violation> {
        let queue = self.queue();
        let outside = Violation::BufferOutsideMemory { queue, id };
        let Some(then) = &owned.contents else {
            let is_there = owned.ranges().all(|(address, bytes)| self.machine().has(address, bytes as usize));
            return (!is_there).then_some(outside);
        };
        match owned.read(self.machine()) {
            None => Some(outside),
            Some(now) => (now != *then).then_some(Violation::BufferChanged { queue, id }),
        }
    }
}

/// Giving buffers back.
impl DeviceRing {
    /// Removes the buffer that is at `place` (modulo their number) among those that the device owns; the oldest if it has promised
    /// to use them in order.
    pub fn pick(&mut self, place: usize) -> Option<(u16, Owned)> {
        let place = place.checked_rem(self.pending.len())?;
        let place = if self.is_in_order() { 0 } else { place };
        let id = self.pending.remove(place);
        let owned = self.owned.remove(&id)?;
        let complaint = self.complaint(id, &owned);
        self.violations.extend(complaint);
        Some((id, owned))
    }

    /// Tells the driver that the device is done with a buffer that it [picked](Self::pick).
    pub fn complete(&mut self, id: u16, owned: &Owned, written: u32) {
        let given_back = self.memory.given_back(self.used, owned.positions, &owned.parts);
        self.check_descriptors_kept(&given_back);
        self.go_on(&given_back, owned.positions, |memory, used| {
            memory.complete(used, owned.positions, id.into(), written)
        });
    }

    /// Receives a frame into as many buffers as it needs, from `place` on (section 5.1.6.3.2): all but the last are filled. Returns
    /// whether there are as many.
    pub fn receive_merged(&mut self, frame: &[u8], place: usize) -> bool {
        let packet = [&self.framing.received_header(0), frame].concat();
        let room = self.owned.values().next().map_or(0, Owned::bytes);
        let buffers = if room == 0 { usize::MAX } else { packet.len().div_ceil(room) };
        let Some(number) = u16::try_from(buffers).ok().filter(|_| buffers <= self.owned.len()) else {
            return false;
        };
        let packet = [&self.framing.received_header(number), frame].concat();
        let (mut used, mut last) = (Vec::new(), 0);
        for part in packet.chunks(room) {
            let Some((id, owned)) = self.pick(place) else { return false };
            if owned.write(&self.memory.area().machine, part).is_none() {
                self.complain(Violation::BufferOutsideMemory { queue: self.queue(), id });
            }
            last = u32::try_from(part.len()).unwrap_or(0);
            used.push((id, owned));
        }
        self.complete_batch(&used, last);
        true
    }

    /// Tells the driver that the device is done with buffers that it [picked](Self::pick) one after the other: all but the last
    /// completely, and `written` bytes of that. Where use in order is agreed on, it reports the last of them alone.
    pub fn complete_batch(&mut self, batch: &[(u16, Owned)], written: u32) {
        let Some(((last, owned), before)) = batch.split_last() else { return };
        if !self.is_in_order() {
            for (id, owned) in before {
                let bytes = if self.way == Way::In { owned.bytes() } else { 0 };
                self.complete(*id, owned, u32::try_from(bytes).unwrap_or(u32::MAX));
            }
            return self.complete(*last, owned, written);
        }
        let positions = batch.iter().map(|(_, owned)| owned.positions).sum();
        let parts: Vec<_> = batch.iter().flat_map(|(_, owned)| owned.parts.iter().cloned()).collect();
        let given_back = self.memory.given_back(self.used, positions, &parts);
        self.check_descriptors_kept(&given_back);
        let id = u32::from(*last);
        self.go_on(&given_back, positions, |memory, used| memory.complete(used, positions, id, written));
    }

    fn is_in_order(&self) -> bool {
        self.memory.area().terms.is_in_order
    }

    /// Says so of any buffer, whether or not it makes sense.
    pub fn complete_falsely(&mut self, id: u32, written: u32) {
        let given_back = self.memory.given_back(self.used, 1, &[]);
        self.go_on(&given_back, 1, |memory, used| memory.complete(used, 1, id, written));
    }

    /// Goes on by `distance` positions, or as many as can be, without saying anything about buffers.
    pub fn jump(&mut self, distance: u16) {
        let before = self.used;
        let Some(positions) = self.memory.jump(before, distance) else {
            return self.complain(Violation::QueueOutsideMemory { queue: self.queue() });
        };
        let given_back = self.memory.given_back(before, positions, &[]);
        self.go_on(&given_back, positions, |_, _| Some(()));
    }

    /// Tells the driver something at the position up to which the device has completed, and goes on by so many `positions`.
    fn go_on(
        &mut self,
        given_back: &[u16],
        positions: u64,
        tell: impl FnOnce(&mut dyn QueueMemory, u64) -> Option<()>,
    ) {
        given_back.iter().for_each(|number| _ = self.kept.remove(number));
        let before = self.used;
        self.used += positions;
        if tell(&mut *self.memory, before).is_none() {
            self.complain(Violation::QueueOutsideMemory { queue: self.queue() });
        }
        self.notify(before);
    }
}
