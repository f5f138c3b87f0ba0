//! Doorbells and interrupts of a queue (sections 2.7.7, 2.7.10 and 2.8.10).

use super::DeviceRing;
use crate::testing::device::Violation;

/// Interrupts.
impl DeviceRing {
    /// Tells the driver that the device has gone on from the position `before`, if the driver wants to hear it.
    pub fn notify(&mut self, before: u64) {
        self.check_events();
        if self.memory.is_interrupt_wanted(before, self.used) {
            self.bells.interrupt();
        }
    }

    /// The driver goes to sleep, having taken `taken` completions since the start (modulo 65536), each of one position.
    pub fn driver_sleeps(&mut self, taken: u16) {
        let queue = self.queue();
        self.check_events();
        let not_taken = (self.used as u16).wrapping_sub(taken);
        let is_armed = self.memory.is_armed(self.used.wrapping_sub(not_taken.into()), self.used);
        let is_woken = core::mem::take(&mut self.bells.is_interrupt_pending);
        if !is_armed {
            self.complain(Violation::SleepsUnarmed { queue });
        } else if not_taken != 0 && !is_woken {
            self.complain(Violation::LostWakeUp { queue });
        }
    }

    fn check_events(&mut self) {
        let complaint = self.memory.event_complaint();
        self.violations.extend(complaint);
    }
}

/// Doorbells.
impl DeviceRing {
    /// The driver rings.
    pub fn doorbell(&mut self) {
        let queue = self.queue();
        let published = self.memory.published(self.seen).unwrap_or_else(|violation| {
            self.complain(violation);
            self.seen
        });
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
        self.memory.set_quiet(is_quiet);
        self.ask_for_doorbell();
    }

    /// Asks for a doorbell behind what was read, or for none.
    pub fn ask_for_doorbell(&mut self) {
        let is_quiet = self.bells.is_quiet;
        self.memory.ask(self.seen, is_quiet);
        self.bells.waiting_from = (!is_quiet).then_some(self.seen);
    }

    /// Complains if the device waits for a doorbell, and buffers up to `published` came without.
    pub fn check_doorbell_came(&mut self, published: u64) {
        if self.bells.waiting_from.is_some_and(|from| from != published) {
            self.complain(Violation::DoorbellMissed { queue: self.queue() });
        }
    }
}
