//! Doorbells and interrupts of a queue (sections 2.7.7 and 2.7.10).

use super::{DeviceRing, Violation};

/// What passes between the two sides besides buffers.
#[derive(Debug)]
pub struct Bells {
    /// Times that the doorbell rang.
    pub doorbells: u64,
    /// Published index when it rang last.
    at_last_doorbell: u16,
    /// The index up to which the device had read when it asked for a doorbell; `None` when it rang or asked for none.
    waiting_from: Option<u16>,
    /// The device wants no doorbells.
    is_quiet: bool,
    /// Interrupts so far.
    pub interrupts: u64,
    /// An interrupt came since the driver went to sleep last.
    is_interrupt_pending: bool,
    /// An interrupt came that the driver has not acknowledged.
    pub is_asserted: bool,
}

impl Bells {
    /// Those of a device that has just been set running: it waits for the first doorbell.
    pub fn new() -> Self {
        Self {
            doorbells: 0,
            at_last_doorbell: 0,
            waiting_from: Some(0),
            is_quiet: false,
            interrupts: 0,
            is_interrupt_pending: false,
            is_asserted: false,
        }
    }

    /// An interrupt is sent.
    pub fn interrupt(&mut self) {
        self.interrupts += 1;
        self.is_interrupt_pending = true;
        self.is_asserted = true;
    }
}

/// Interrupts.
impl DeviceRing {
    /// Whether the driver wants an interrupt when the used index goes from `before` to `after`.
    pub fn is_interrupt_wanted(&mut self, before: u16, after: u16) -> bool {
        let (flags, event) = self.armed();
        if !self.has_event_idx {
            return flags & 1 == 0;
        }
        if flags != 0 {
            self.complain(Violation::FlagWithEventIdx { queue: self.queue });
        }
        // The event is one of the entries `before..after`, modulo 65536.
        event.wrapping_sub(before) < after.wrapping_sub(before)
    }

    /// The driver's flags and `used_event`.
    fn armed(&self) -> (u16, u16) {
        let event_at = self.place.available + 4 + 2 * u64::from(self.place.size);
        let load = |at| self.machine.load16(at).unwrap_or(0);
        (load(self.place.available), load(event_at))
    }

    /// The driver goes to sleep, having taken `taken` completions since the start (modulo 65536).
    pub fn driver_sleeps(&mut self, taken: u16) {
        let queue = self.queue;
        let (flags, event) = self.armed();
        let is_armed = if self.has_event_idx { event == taken || self.used != taken } else { flags & 1 == 0 };
        let is_woken = core::mem::take(&mut self.bells.is_interrupt_pending);
        if !is_armed {
            self.complain(Violation::SleepsUnarmed { queue });
        } else if self.used != taken && !is_woken {
            self.complain(Violation::LostWakeUp { queue });
        }
    }
}

/// Doorbells.
impl DeviceRing {
    /// The driver rings.
    pub fn doorbell(&mut self) {
        let queue = self.queue;
        let published = self.published();
        let last = core::mem::replace(&mut self.bells.at_last_doorbell, published);
        self.bells.doorbells += 1;
        if published == last {
            self.complain(Violation::DoorbellWithoutBuffers { queue });
        } else if self.bells.is_quiet {
            self.complain(Violation::DoorbellUnwanted { queue });
        }
        self.bells.waiting_from = None;
    }

    /// The device looks at the queue on its own from now on, or waits for the doorbell again.
    pub fn set_quiet(&mut self, is_quiet: bool) {
        self.bells.is_quiet = is_quiet;
        self.bells.waiting_from = None;
        let flag = u16::from(is_quiet && !self.has_event_idx);
        self.machine.store16(self.place.used, flag);
        self.ask_for_doorbell();
    }

    /// Asks for a doorbell at the next entry behind those read, or far away from them.
    pub fn ask_for_doorbell(&mut self) {
        let event = if self.bells.is_quiet { self.seen.wrapping_add(0x8000) } else { self.seen };
        if self.has_event_idx {
            self.machine.store16(self.place.used + 4 + 8 * u64::from(self.place.size), event);
        }
        self.bells.waiting_from = (!self.bells.is_quiet).then_some(self.seen);
    }

    /// Complains if the device waits for a doorbell, and buffers up to `published` came without.
    pub fn check_doorbell_came(&mut self, published: u16) {
        if self.bells.waiting_from.is_some_and(|from| from != published) {
            self.complain(Violation::DoorbellMissed { queue: self.queue });
        }
    }

    /// Makes up the notification fields of the used ring: flags and `avail_event`.
    pub fn scribble(&mut self, flags: u16, event: u16) {
        self.machine.store16(self.place.used, flags);
        self.machine.store16(self.place.used + 4 + 8 * u64::from(self.place.size), event);
    }
}
