//! The memory of a split queue (section 2.7).

use alloc::vec::Vec;

use super::area::Area;
use super::memory::{Chain, FLAG_NEXT, QueueMemory};
use super::owned::Part;
use crate::testing::device::Violation;

/// Descriptors, available ring and used ring. A position is an entry of one of the rings.
#[derive(Debug)]
pub struct SplitMemory {
    area: Area,
    /// The next descriptor in ring order.
    next: u16,
}

/// The index that is in memory for a position: its lower 16 bits.
fn index(position: u64) -> u16 {
    position as u16
}

impl SplitMemory {
    pub fn new(area: Area) -> Self {
        Self { area, next: 0 }
    }

    /// The address of the entry in a ring that begins at `ring`.
    fn entry(&self, ring: u64, position: u64, bytes: u64) -> u64 {
        ring + 4 + bytes * u64::from(index(position) & self.area.place.size.wrapping_sub(1))
    }

    /// Complains about a descriptor that is not the next in ring order, where that is agreed on (section 2.7.5).
    fn check_order(&mut self, id: u16) -> Result<(), Violation> {
        let expected = self.next;
        self.next = id.wrapping_add(1) & self.area.place.size.wrapping_sub(1);
        if self.area.terms.is_in_order && id != expected {
            return Err(Violation::NotInRingOrder { queue: self.area.queue, id });
        }
        Ok(())
    }

    fn publish_used(&self, used: u64) -> Option<()> {
        self.area.machine.store16(self.area.place.used + 2, index(used))
    }

    /// The driver's flags and `used_event` (section 2.7.6).
    fn armed(&self) -> (u16, u16) {
        let Area { machine, place, .. } = &self.area;
        let load = |at| machine.load16(at).unwrap_or(0);
        (load(place.available), load(place.available + 4 + 2 * u64::from(place.size)))
    }

    fn write_available_event(&self, event: u16) {
        let Area { machine, place, .. } = &self.area;
        machine.store16(place.used + 4 + 8 * u64::from(place.size), event);
    }
}

impl QueueMemory for SplitMemory {
    fn area(&self) -> &Area {
        &self.area
    }

    fn published(&self, seen: u64) -> Result<u64, Violation> {
        let published = self.area.machine.load16(self.area.place.available + 2).ok_or(self.area.gone())?;
        Ok(seen + u64::from(published.wrapping_sub(index(seen))))
    }

    fn room(&self, _seen: u64, _used: u64) -> u64 {
        self.area.place.size.into()
    }

    fn oddity(&mut self, _seen: u64) -> Option<Violation> {
        None
    }

    /// An entry of the available ring, and the descriptors from there on.
    fn chain(&mut self, seen: u64) -> Result<Chain, Violation> {
        let Area { queue, place, .. } = self.area;
        let entry = self.entry(place.available, seen, 2);
        let head = self.area.machine.load16(entry).ok_or(self.area.gone())?;
        let mut parts = Vec::new();
        let mut next = Some(head);
        while let Some(id) = next {
            if id >= place.size || parts.len() >= usize::from(place.size) {
                return Err(Violation::NoSuchDescriptor { queue, id });
            }
            self.check_order(id)?;
            let descriptor = self.area.descriptor(id)?;
            let [flags, following] = descriptor.last;
            parts.push(Part::new(id, &descriptor, flags));
            next = (flags & FLAG_NEXT != 0).then_some(following);
        }
        Ok(Chain { id: head, parts, positions: 1 })
    }

    fn rewriting(&self, id: u16, _then: &[u8; 16], _now: Option<&[u8; 16]>) -> Violation {
        Violation::DescriptorChanged { queue: self.area.queue, id }
    }

    fn given_back(&self, _used: u64, _positions: u64, parts: &[Part]) -> Vec<u16> {
        parts.iter().map(|part| part.number).collect()
    }

    fn complete(&mut self, used: u64, positions: u64, id: u32, written: u32) -> Option<()> {
        let [a, b, c, d] = id.to_le_bytes();
        let [e, f, g, h] = written.to_le_bytes();
        let entry = self.entry(self.area.place.used, used, 8);
        self.area.machine.write(entry, &[a, b, c, d, e, f, g, h])?;
        self.publish_used(used + positions)
    }

    fn jump(&mut self, used: u64, distance: u16) -> Option<u64> {
        let distance = u64::from(distance);
        self.publish_used(used + distance)?;
        Some(distance)
    }

    fn event_complaint(&self) -> Option<Violation> {
        let is_wrong = self.area.terms.has_event_idx && self.armed().0 != 0;
        is_wrong.then_some(Violation::FlagWithEventIdx { queue: self.area.queue })
    }

    /// By the flag, or whether the event is one of the entries `before..after`, modulo 65536 (section 2.7.7).
    fn is_interrupt_wanted(&self, before: u64, after: u64) -> bool {
        let (flags, event) = self.armed();
        if self.area.terms.has_event_idx {
            event.wrapping_sub(index(before)) < index(after).wrapping_sub(index(before))
        } else {
            flags & 1 == 0
        }
    }

    fn is_armed(&self, taken: u64, used: u64) -> bool {
        let (flags, event) = self.armed();
        if self.area.terms.has_event_idx { event == index(taken) || used != taken } else { flags & 1 == 0 }
    }

    /// By `avail_event`, at the next entry or far away from it (section 2.7.10).
    fn ask(&self, seen: u64, is_quiet: bool) {
        if self.area.terms.has_event_idx {
            self.write_available_event(index(seen).wrapping_add(if is_quiet { 0x8000 } else { 0 }));
        }
    }

    fn set_quiet(&self, is_quiet: bool) {
        self.area
            .machine
            .store16(self.area.place.used, u16::from(is_quiet && !self.area.terms.has_event_idx));
    }

    fn scribble(&self, flags: u16, event: u16) {
        self.area.machine.store16(self.area.place.used, flags);
        self.write_available_event(event);
    }
}
