//! Sleeping until an interrupt.
#![expect(unsafe_code, reason = "halts the processor")]

use core::arch::asm;
use core::task::Waker;

use nm_core::platform::{Sleeper, Slept};
use x86_64::instructions::interrupts;

use super::Interrupts;
use crate::clock;

impl Sleeper for Interrupts {
    /// One that does nothing. There is one processor, and whoever calls a waker runs on it, so nobody sleeps at that moment
    /// and there is nothing to end. The next sleep asks `is_due` first, to which the calls of wakers are known. Handlers
    /// call none: their interrupt itself ends the sleep.
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn sleep(&self, is_due: &dyn Fn() -> bool, deadline_ns: Option<u64>) -> Slept {
        let deadline = deadline_ns.map(clock::ticks_at_ns);
        // An interrupt that comes behind the question is held back until the processor halts, and wakes it.
        interrupts::disable();
        let is_over = deadline.is_some_and(|deadline| clock::ticks() >= deadline);
        if is_over || is_due() {
            interrupts::enable();
            return Slept::On;
        }
        if let Some(deadline) = deadline {
            self.timer.set(&self.apic, deadline);
        }
        halt();
        if deadline.is_some() {
            self.timer.clear(&self.apic);
        }
        Slept::On
    }
}

/// Lets interrupts in and halts until one has been handled.
fn halt() {
    // SAFETY: handlers leave all registers as they were, and write only to atomics and device registers. The processor
    // lets interrupts in behind the instruction that follows `sti`: none can come between the two and leave it halted.
    unsafe { asm!("sti", "hlt") };
}
