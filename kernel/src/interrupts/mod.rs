//! Interrupts: the processor's own controller, lines for cards, a timer, and sleeping until one of them comes.
//!
//! ```text
//! card ─ line ─► I/O APIC ─┐                           (lines that several cards share)
//! card ─ message ─► local APIC ─► stub ─► handle ─► the line's handler: sets pending words ─► end of interrupt
//! timer ──────────►     "          "        "       nothing
//! other processors ►    "          "        "       nothing
//!                                                        the processor goes on behind its hlt, and looks
//! ```
//!
//! They are enabled when a worker wants to wait for them, and not before: an application that only spins runs as if there
//! were none, but for the interrupts by which further processors are started and halted. From then on an interrupt may come at any instruction. A handler takes no lock but that of an
//! I/O APIC's registers, whose holders hold interrupts back, and allocates nothing, so it
//! does not matter which.
//!
//! The two 8259 of a PC are masked. A line whose I/O APIC input is unknown has no interrupt here: waiting for its
//! cards is looking now and then.

mod io_apic;
mod lines;
mod shared;
mod sleep;
mod timer;

use alloc::boxed::Box;
use core::fmt;

use millrace_drivers::hal::{Hal, InterruptLine, LineSource, SharedLine};
use nm_core::platform::Sleeper;
use spin::Once;

use crate::apic::{ApicError, LocalApic, SPURIOUS, TIMER, WAKE};
use crate::ports::IoPort;
use crate::{acpi, apic, processors};
use io_apic::IoApics;
use sleep::InterruptSleeper;
use timer::Timer;

pub(crate) use sleep::{halt, has_boot_event, set_boot_event};

/// The interrupts of this machine, once they are taken.
static INTERRUPTS: Once<Interrupts> = Once::new();

/// What waiting for interrupts takes.
struct Interrupts {
    sleeper: InterruptSleeper,
    io_apics: IoApics,
}

/// Why the machine takes no interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InterruptError {
    /// There is no local APIC.
    Apic(ApicError),
    /// Its timer does not run.
    TimerStopped,
}

impl fmt::Display for InterruptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterruptError::Apic(error) => error.fmt(f),
            InterruptError::TimerStopped => f.write_str("the timer of the local APIC does not run"),
        }
    }
}

/// Takes interrupts from here on. Where that is not possible, waiting stays looking again and again.
pub fn take(hal: &dyn Hal) {
    // Nothing is to come by a way that has no handler.
    IoPort::PIC_1_MASK.write(0xff_u8);
    IoPort::PIC_2_MASK.write(0xff_u8);
    match Interrupts::find(hal) {
        Ok(interrupts) => {
            let Interrupts { sleeper, io_apics } = INTERRUPTS.call_once(|| interrupts);
            let InterruptSleeper { apic, timer } = sleeper;
            log::info!(target: "interrupts", "{apic}, {timer}, {} lines, {} inputs", lines::COUNT, io_apics.inputs());
            x86_64::instructions::interrupts::enable();
        }
        Err(error) => log::warn!(target: "interrupts", "interrupts unavailable; polling: {error}"),
    }
}

/// Has the local APIC of the first processor take interrupts, which the processor itself does not do by that.
pub(crate) fn prepare(hal: &dyn Hal) -> Result<&'static LocalApic, ApicError> {
    let apic = apic::find(hal)?;
    processors::current().set_apic_id(apic.id());
    Ok(apic)
}

/// The same on another processor, which runs this; with its timer, if interrupts are taken.
pub(crate) fn join() {
    let Some(apic) = apic::get() else { return };
    apic.join();
    if let Some(Interrupts { sleeper, .. }) = INTERRUPTS.get() {
        sleeper.timer.join(apic);
    }
}

/// Whether interrupts are taken.
pub(crate) fn are_taken() -> bool {
    INTERRUPTS.get().is_some()
}

impl Interrupts {
    fn find(hal: &dyn Hal) -> Result<Self, InterruptError> {
        let apic = prepare(hal).map_err(InterruptError::Apic)?;
        let timer = Timer::find(apic).ok_or(InterruptError::TimerStopped)?;
        let io_apics = acpi::description().map_or_else(IoApics::none, |acpi| IoApics::find(hal, acpi));
        Ok(Self { sleeper: InterruptSleeper { apic, timer }, io_apics })
    }
}

/// How to sleep, once interrupts are taken.
pub(crate) fn sleeper() -> Option<&'static dyn Sleeper> {
    INTERRUPTS.get().map(|interrupts| &interrupts.sleeper as &dyn Sleeper)
}

/// A line that no card has, once interrupts are taken, to the processor of this pair of queues.
pub(crate) fn line(pair: u16) -> Option<Box<dyn InterruptLine>> {
    INTERRUPTS.get()?;
    lines::take(apic::message_address(processors::for_pair(pair).apic_id())?)
}

/// A place at the line that leads there from `source`, once interrupts are taken.
pub(crate) fn shared_line(source: LineSource) -> Option<Box<dyn SharedLine>> {
    let interrupts = INTERRUPTS.get()?;
    let without = |why: &dyn fmt::Display| {
        log::info!(target: "interrupts", "{source}: interrupts unavailable; polling its NIC: {why}");
    };
    let Some(line) = acpi::input(source).filter(|line| interrupts.io_apics.has(line.gsi)) else {
        without(&"no route to an interrupt controller is known");
        return None;
    };
    log::debug!(target: "interrupts", "{source}: input {}", line.gsi);
    shared::take(&interrupts.io_apics, line).inspect_err(|error| without(error)).ok()
}

/// Reports the inputs that were masked since the last call because no card acknowledged their interrupts, and polls the cards on
/// all masked inputs, for processors that never sleep. Not for handlers.
pub fn report_masked() {
    shared::ask_masked();
    for gsi in shared::newly_masked() {
        log::warn!(target: "interrupts", "input {gsi} is masked: it interrupts continuously and no NIC reports the cause");
    }
}

/// Masks the lines of cards that are levels.
#[cfg(feature = "fault-injection")]
pub(crate) fn mask_levels() {
    if let Some(interrupts) = INTERRUPTS.get() {
        shared::mask_levels(&interrupts.io_apics);
    }
}

/// What runs on each interrupt, with interrupts held back.
pub(crate) fn handle(vector: u8) {
    match vector {
        // Was never in service, so its end is not told.
        SPURIOUS => return,
        // They have woken the processor, which is what they are for.
        TIMER | WAKE => {}
        vector => {
            lines::run(vector);
            // A processor that was halted handles the event itself when it goes on.
            if !processors::current().is_asleep() {
                processors::wake_others();
            }
        }
    }
    if let Some(apic) = apic::get() {
        apic.end_interrupt();
    }
}
