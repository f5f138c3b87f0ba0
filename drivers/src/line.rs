//! A card's own interrupt line, for a card that sends no messages: one line for all that the card has to tell.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::hal::{Hal, Handler, LineSource, SharedLine};

/// A look at the register by which a card says why it interrupts, in which the card is told that it was heard. Handlers run
/// it, so it takes no lock.
pub(crate) type Acknowledge = Box<dyn Fn() -> IrqStatus + Send + Sync>;

/// Why a card interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IrqStatus {
    /// It does.
    pub(crate) is_ours: bool,
    /// The receive queue has something.
    pub(crate) receive: bool,
    /// The transmit queue has.
    pub(crate) transmit: bool,
}

/// The line of a card, from being asked for to being handled.
pub(crate) enum IntxLine {
    /// There is none.
    None,
    /// It has no handler yet.
    Free(Box<dyn SharedLine>),
    /// It is handled.
    Connected,
}

impl IntxLine {
    /// The line that leads there from `source`, if there is one.
    pub(crate) fn find(hal: &dyn Hal, source: Option<LineSource>) -> Self {
        source.and_then(|source| hal.shared_line(source)).map_or(Self::None, Self::Free)
    }

    /// Has the line handled: `handlers` are those of the receive queue and the transmit queue of each pair. Whether there is a
    /// line.
    pub(crate) fn connect_line(&mut self, handlers: Vec<Handler>, acknowledge: Acknowledge) -> bool {
        let Self::Free(line) = core::mem::replace(self, Self::None) else { return false };
        *self = Self::Connected;
        line.connect(Box::new(move || {
            let causes = acknowledge();
            let are_meant = [causes.receive, causes.transmit].into_iter().cycle();
            for (handler, is_meant) in handlers.iter().zip(are_meant) {
                if is_meant {
                    handler();
                }
            }
            causes.is_ours
        }));
        true
    }

    /// Whether it is handled.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }
}

impl IrqStatus {
    /// Of a device that only says whether any of its queues has something.
    pub(crate) fn any_queue(has_used: bool, is_ours: bool) -> Self {
        Self { is_ours, receive: has_used, transmit: has_used }
    }
}

impl fmt::Debug for IntxLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Free(_) => "Free",
            Self::Connected => "Connected",
        })
    }
}
