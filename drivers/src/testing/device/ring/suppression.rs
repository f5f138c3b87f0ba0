//! The event suppression structure, by which a side of a packed queue says when it wants to be notified (sections 2.8.10 and
//! 2.8.14).

use crate::testing::FakeMachine;
use crate::testing::device::Violation;

/// Whenever there is something.
const FLAGS_ENABLE: u16 = 0;
/// Never.
const FLAGS_DISABLE: u16 = 1;
/// At one place in one lap, for who has agreed on event indices.
const FLAGS_DESC: u16 = 2;
/// The wrap counter in the first field; the place is below.
const WRAP: u16 = 1 << 15;

/// The structure as it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppression {
    pub event: u16,
    pub flags: u16,
}

/// A place, and the wrap counter of the lap that is meant: 1 in the first and then every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub offset: u16,
    pub has_wrap: bool,
}

impl Suppression {
    pub const ENABLE: Self = Self { event: 0, flags: FLAGS_ENABLE };
    pub const DISABLE: Self = Self { event: 0, flags: FLAGS_DISABLE };

    /// Wants to be notified when something happens at one place.
    pub fn at(event: Event) -> Self {
        Self { event: event.offset | if event.has_wrap { WRAP } else { 0 }, flags: FLAGS_DESC }
    }

    pub fn read(machine: &FakeMachine, address: u64) -> Option<Self> {
        // The flags first: they say whether the event counts.
        let flags = machine.load16(address + 2)?;
        Some(Self { event: machine.load16(address)?, flags })
    }

    pub fn write(self, machine: &FakeMachine, address: u64) {
        // The flags last, for the same reason.
        machine.store16(address, self.event);
        machine.store16(address + 2, self.flags);
    }

    pub fn is_disabled(self) -> bool {
        self.flags == FLAGS_DISABLE
    }

    /// The one place, if it is one.
    pub fn event(self) -> Option<Event> {
        let event = Event { offset: self.event & !WRAP, has_wrap: self.event & WRAP != 0 };
        (self.flags == FLAGS_DESC).then_some(event)
    }

    /// What is wrong with the driver's structure.
    pub fn complaint(self, queue: u16, size: u16, has_event_idx: bool) -> Option<Violation> {
        let Self { event, flags } = self;
        match flags {
            FLAGS_ENABLE | FLAGS_DISABLE => None,
            FLAGS_DESC if !has_event_idx => Some(Violation::EventWithoutEventIdx { queue }),
            FLAGS_DESC => (event & !WRAP >= size).then_some(Violation::EventOutsideRing { queue, event }),
            _ => Some(Violation::EventFlagsReserved { queue, flags }),
        }
    }
}
