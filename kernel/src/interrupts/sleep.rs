//! Sleeping until an interrupt.
#![expect(unsafe_code, reason = "halts the processor")]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use nm_core::platform::{Sleeper, Slept};
use x86_64::instructions::interrupts;

use super::shared;
use super::timer::Timer;
use crate::apic::LocalApic;
use crate::{clock, processors};

/// The longest sleep while there are cards that cannot interrupt any more, in microseconds.
const ASK_AGAIN_US: u64 = 1000;

/// Set when the boot processor has an event to attend to, which also ends its sleep.
static BOOT_EVENT: AtomicBool = AtomicBool::new(false);

/// Sleeping by interrupts, with a timer for the end of a sleep.
pub(super) struct InterruptSleeper {
    pub(super) apic: &'static LocalApic,
    pub(super) timer: Timer,
}

impl Sleeper for InterruptSleeper {
    fn waker(&self) -> Waker {
        processors::current().waker().clone()
    }

    fn sleep(&self, is_due: &dyn Fn() -> bool, deadline_ns: Option<u64>) -> Slept {
        let mut deadline = deadline_ns.map(clock::ticks_at_ns);
        let this = processors::current();
        // An interrupt that comes behind the question is held back until the processor halts, and wakes it. So is that of
        // another processor that has something for this one: it sends none to one that does not sleep.
        interrupts::disable();
        this.fall_asleep();
        if shared::ask_masked() {
            let soon = clock::ticks().saturating_add(clock::ticks_in_us(ASK_AGAIN_US));
            deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let is_over = deadline.is_some_and(|deadline| clock::ticks() >= deadline);
        if is_over || is_due() {
            this.get_up();
            interrupts::enable();
            return Slept::On;
        }
        if is_called() {
            this.get_up();
            interrupts::enable();
            return Slept::Interrupted;
        }
        if let Some(deadline) = deadline {
            self.timer.set(self.apic, deadline);
        }
        halt();
        this.get_up();
        if deadline.is_some() {
            self.timer.clear(self.apic);
        }
        if is_called() { Slept::Interrupted } else { Slept::On }
    }
}

/// Whether this is the boot processor, and it has an event to attend to.
fn is_called() -> bool {
    processors::number() == 0 && has_boot_event()
}

/// Whether the boot processor has an event to attend to.
pub(crate) fn has_boot_event() -> bool {
    BOOT_EVENT.load(Ordering::Acquire)
}

/// Notes, or forgets, that the boot processor has an event to attend to. An interrupt handler may note one; it ends a sleep
/// since the interrupt itself does.
pub(crate) fn set_boot_event(is_due: bool) {
    BOOT_EVENT.store(is_due, Ordering::Release);
}

/// Lets interrupts in and halts until one has been handled.
pub(crate) fn halt() {
    // SAFETY: handlers leave all registers as they were, and write only to atomics and device registers. The processor
    // lets interrupts in behind the instruction that follows `sti`: none can come between the two and leave it halted.
    unsafe { asm!("sti", "hlt") };
}
