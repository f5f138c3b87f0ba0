//! Interrupts: the processor's own controller, lines for cards, a timer, and sleeping until one of them comes.
//!
//! ```text
//! card ─ message ─► local APIC ─► stub ─► handle ─► the line's handler: sets pending words ─► end of interrupt
//! timer ──────────►     "          "        "       nothing
//!                                                        the processor goes on behind its hlt, and looks
//! ```
//!
//! They are taken when somebody wants to wait for them, and not before: an application that only spins runs as if there
//! were none. From then on an interrupt may come at any instruction. A handler takes no lock and allocates nothing, so it
//! does not matter which.
//!
//! The two 8259 of a PC are masked. Lines that lead there or to an I/O APIC (those of the serial port and of cards without
//! messages) have no interrupt here: waiting for them is looking now and then.

mod lines;
mod local_apic;
mod sleep;
mod timer;

use alloc::boxed::Box;
use core::fmt;

use millrace_drivers::hal::{Hal, InterruptLine};
use nm_core::platform::Sleeper;
use spin::Once;

use crate::ports::IoPort;
use local_apic::LocalApic;
use timer::Timer;

/// The timer's vector.
const TIMER: u8 = 0xfe;
/// The vector of an interrupt that went away while it was being delivered (Intel SDM volume 3, 11.9).
const SPURIOUS: u8 = 0xff;

static INTERRUPTS: Once<Interrupts> = Once::new();

/// The interrupts of this machine, once they are taken.
struct Interrupts {
    apic: LocalApic,
    timer: Timer,
}

/// Why the machine takes no interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InterruptError {
    /// The processor has no local APIC, or does not let it be enabled.
    ApicMissing,
    /// The local APIC's registers cannot be mapped.
    RegistersUnmapped,
    /// Its timer does not run.
    TimerStopped,
}

impl fmt::Display for InterruptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InterruptError::ApicMissing => "the processor has no local APIC",
            InterruptError::RegistersUnmapped => "the registers of the local APIC cannot be mapped",
            InterruptError::TimerStopped => "the timer of the local APIC does not run",
        })
    }
}

/// Takes interrupts from here on. Where that is not possible, waiting stays looking again and again.
pub fn take(hal: &dyn Hal) {
    // Nothing is to come by a way that has no handler.
    IoPort::PIC_1_MASK.write(0xff_u8);
    IoPort::PIC_2_MASK.write(0xff_u8);
    match Interrupts::new(hal) {
        Ok(interrupts) => {
            let Interrupts { apic, timer } = INTERRUPTS.call_once(|| interrupts);
            log::info!(target: "interrupts", "{apic}, {timer}, {} lines", lines::COUNT);
            x86_64::instructions::interrupts::enable();
        }
        Err(error) => log::warn!(target: "interrupts", "none, so waiting is looking: {error}"),
    }
}

impl Interrupts {
    fn new(hal: &dyn Hal) -> Result<Self, InterruptError> {
        let apic = LocalApic::enable(hal, SPURIOUS)?;
        let timer = Timer::new(&apic, TIMER).ok_or(InterruptError::TimerStopped)?;
        Ok(Self { apic, timer })
    }
}

/// How to sleep, once interrupts are taken.
pub(crate) fn sleeper() -> Option<&'static dyn Sleeper> {
    INTERRUPTS.get().map(|interrupts| interrupts as &dyn Sleeper)
}

/// A line that no card has, once interrupts are taken.
pub(crate) fn line() -> Option<Box<dyn InterruptLine>> {
    lines::take(INTERRUPTS.get()?.apic.message_address()?)
}

/// What runs on each interrupt, with interrupts held back.
pub(crate) fn handle(vector: u8) {
    match vector {
        // Was never in service, so its end is not told.
        SPURIOUS => return,
        // It has woken the processor, which is what it is for.
        TIMER => {}
        vector => lines::run(vector),
    }
    if let Some(interrupts) = INTERRUPTS.get() {
        interrupts.apic.end_interrupt();
    }
}
