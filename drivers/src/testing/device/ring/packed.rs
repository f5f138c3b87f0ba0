//! The memory of a packed queue (section 2.8).

use alloc::vec;
use alloc::vec::Vec;

use super::area::Area;
use super::memory::{Chain, FLAG_NEXT, FLAG_WRITE, QueueMemory};
use super::owned::Part;
use super::suppression::{Event, Suppression};
use crate::testing::device::Violation;

/// The buffer was made available in the lap with this wrap counter (section 2.8.1).
const FLAG_AVAIL: u16 = 1 << 7;
/// The buffer was used in the lap with this wrap counter, if FLAG_AVAIL is the same.
const FLAG_USED: u16 = 1 << 15;
const BOTH: u16 = FLAG_AVAIL | FLAG_USED;

/// The ring of descriptors, and an event suppression structure for each side. A position is a place in the ring, and the lap.
#[derive(Debug)]
pub struct PackedMemory {
    area: Area,
    /// FLAG_AVAIL and FLAG_USED of each place as they were when the device read or wrote it last. The driver has set all to
    /// zero before it enabled the queue (section 2.8.13).
    last: Vec<u16>,
}

impl PackedMemory {
    pub fn new(area: Area) -> Self {
        let last = vec![0; area.place.size.into()];
        Self { area, last }
    }

    fn size(&self) -> u64 {
        self.area.place.size.max(1).into()
    }

    /// The place in the ring.
    fn place(&self, position: u64) -> u16 {
        (position % self.size()) as u16
    }

    /// The wrap counter: it is 1 in the first lap, 0 in the second, and so on.
    fn has_wrap(&self, position: u64) -> bool {
        (position / self.size()).is_multiple_of(2)
    }

    /// FLAG_AVAIL and FLAG_USED of a buffer that was made available at this position: as the wrap counter, and its inverse.
    fn available(&self, position: u64) -> u16 {
        if self.has_wrap(position) { FLAG_AVAIL } else { FLAG_USED }
    }

    /// The same of one that was used: both as the wrap counter.
    fn used(&self, position: u64) -> u16 {
        if self.has_wrap(position) { BOTH } else { 0 }
    }

    fn flags_address(&self, position: u64) -> u64 {
        self.area.place.descriptors + 16 * u64::from(self.place(position)) + 14
    }

    fn flags(&self, position: u64) -> Result<u16, Violation> {
        self.area.machine.load16(self.flags_address(position)).ok_or(self.area.gone())
    }

    /// Writes the flags of a place that the device has used, after everything else in it.
    fn write_used(&mut self, position: u64, others: u16) -> Option<()> {
        let used = self.used(position);
        self.note(position, used);
        self.area.machine.store16(self.flags_address(position), used | others)
    }

    /// Remembers how the flags of a place were left.
    fn note(&mut self, position: u64, flags: u16) {
        let place = usize::from(self.place(position));
        if let Some(last) = self.last.get_mut(place) {
            *last = flags & BOTH;
        }
    }

    fn driver_events(&self) -> Suppression {
        Suppression::read(&self.area.machine, self.area.place.available).unwrap_or(Suppression::ENABLE)
    }

    /// How far behind `from` the place and lap come next at which the driver wants an interrupt. `None` if it has not asked for
    /// one in this way.
    fn distance_to_event(&self, from: u64) -> Option<u64> {
        let Event { offset, has_wrap } =
            self.driver_events().event().filter(|_| self.area.terms.has_event_idx)?;
        if offset >= self.area.place.size {
            return Some(u64::MAX);
        }
        let laps = 2 * self.size();
        let event = u64::from(offset) + if has_wrap { 0 } else { self.size() };
        Some((event + laps - from % laps) % laps)
    }
}

impl QueueMemory for PackedMemory {
    fn area(&self) -> &Area {
        &self.area
    }

    fn published(&self, seen: u64) -> Result<u64, Violation> {
        let mut position = seen;
        while position < seen + self.size() && self.flags(position)? & BOTH == self.available(position) {
            position += 1;
        }
        Ok(position)
    }

    /// Those that the device has not completed lie behind their last in the ring.
    fn room(&self, seen: u64, used: u64) -> u64 {
        self.size().saturating_sub(seen.saturating_sub(used))
    }

    /// A place says that it was used in the lap before, as it does from the start, or what it said before. What else is not
    /// made available was to be, and with the wrong wrap counter. Said once.
    fn oddity(&mut self, seen: u64) -> Option<Violation> {
        let flags = self.flags(seen).ok()? & BOTH;
        let place = self.place(seen);
        let last = self.last.get(usize::from(place)).copied();
        let is_as_before = last.is_none_or(|last| last == flags) || flags == self.used(seen) ^ BOTH;
        let is_odd = !is_as_before && flags != self.available(seen);
        self.note(seen, flags);
        is_odd.then_some(Violation::WrongWrapCounter { queue: self.area.queue, place })
    }

    /// Descriptors in consecutive places, with the id in the last (section 2.8.6).
    fn chain(&mut self, seen: u64) -> Result<Chain, Violation> {
        let mut parts = Vec::new();
        for position in seen..seen + self.size() {
            let number = self.place(position);
            let descriptor = self.area.descriptor(number)?;
            let [id, flags] = descriptor.last;
            if flags & BOTH != self.available(position) {
                return Err(Violation::WrongWrapCounter { queue: self.area.queue, place: number });
            }
            self.note(position, flags);
            parts.push(Part::new(number, &descriptor, flags & !BOTH));
            if flags & FLAG_NEXT == 0 {
                return Ok(Chain { id, positions: parts.len() as u64, parts });
            }
        }
        Err(Violation::ChainTooLong { queue: self.area.queue })
    }

    /// A place that is made available in the next lap, with the device behind in this one, is one too many.
    fn rewriting(&self, id: u16, then: &[u8; 16], now: Option<&[u8; 16]>) -> Violation {
        let bits = |descriptor: &[u8; 16]| {
            let [.., low, high] = *descriptor;
            u16::from_le_bytes([low, high]) & BOTH
        };
        let queue = self.area.queue;
        match now {
            Some(now) if bits(now) == bits(then) ^ BOTH => Violation::Overrun { queue },
            _ => Violation::DescriptorChanged { queue, id },
        }
    }

    /// Places, whichever buffers are completed by them.
    fn given_back(&self, used: u64, positions: u64, _parts: &[Part]) -> Vec<u16> {
        (used..used + positions.min(self.size())).map(|position| self.place(position)).collect()
    }

    /// The length and the id, and then the flags: FLAG_WRITE says whether there is a length (sections 2.8.3 and 2.8.4).
    fn complete(&mut self, used: u64, _positions: u64, id: u32, written: u32) -> Option<()> {
        let [a, b, c, d] = written.to_le_bytes();
        let [e, f, ..] = id.to_le_bytes();
        self.area.machine.write(self.flags_address(used) - 6, &[a, b, c, d, e, f])?;
        let is_said = written > 0 && self.area.terms.has_write_flag;
        self.write_used(used, if is_said { FLAG_WRITE } else { 0 })
    }

    /// By their flags alone.
    fn jump(&mut self, used: u64, distance: u16) -> Option<u64> {
        let distance = u64::from(distance).min(self.size());
        for position in used..used + distance {
            let others = self.flags(position).ok()? & !BOTH;
            self.write_used(position, others)?;
        }
        Some(distance)
    }

    fn event_complaint(&self) -> Option<Violation> {
        let Area { queue, place, terms, .. } = self.area;
        match Suppression::read(&self.area.machine, place.available) {
            Some(events) => events.complaint(queue, place.size, terms.has_event_idx),
            None => Some(self.area.gone()),
        }
    }

    fn is_interrupt_wanted(&self, before: u64, after: u64) -> bool {
        match self.distance_to_event(before) {
            Some(distance) => distance < after - before,
            None => !self.driver_events().is_disabled(),
        }
    }

    fn is_armed(&self, taken: u64, used: u64) -> bool {
        match self.distance_to_event(taken) {
            Some(distance) => distance == 0 || used != taken,
            None => !self.driver_events().is_disabled(),
        }
    }

    /// At the next place or everywhere, or nowhere (section 2.8.10).
    fn ask(&self, seen: u64, is_quiet: bool) {
        let suppression = match (is_quiet, self.area.terms.has_event_idx) {
            (true, _) => Suppression::DISABLE,
            (false, true) => {
                Suppression::at(Event { offset: self.place(seen), has_wrap: self.has_wrap(seen) })
            }
            (false, false) => Suppression::ENABLE,
        };
        suppression.write(&self.area.machine, self.area.place.used);
    }

    fn set_quiet(&self, _is_quiet: bool) {}

    fn scribble(&self, flags: u16, event: u16) {
        Suppression { event, flags }.write(&self.area.machine, self.area.place.used);
    }
}
