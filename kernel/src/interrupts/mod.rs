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
//! They are taken when somebody wants to wait for them, and not before: an application that only spins runs as if there
//! were none, but for the interrupts by which further processors are started and halted. From then on an interrupt may come at any instruction. A handler takes no lock but that of an
//! I/O APIC's registers, whose holders hold interrupts back, and allocates nothing, so it
//! does not matter which.
//!
//! The two 8259 of a PC are masked. A line whose input at an I/O APIC nobody knows has no interrupt here: waiting for its
//! cards is looking now and then.

mod io_apic;
mod lines;
mod local_apic;
mod shared;
mod sleep;
mod timer;

use alloc::boxed::Box;
use core::fmt;

use millrace_drivers::hal::{Hal, InterruptLine, LineSource, SharedLine};
use nm_core::platform::Sleeper;
use spin::Once;

use crate::acpi;
use crate::ports::IoPort;
use crate::processors;
use io_apic::IoApics;
pub(crate) use local_apic::Ipi;
use local_apic::LocalApic;
pub(crate) use sleep::halt;
use timer::Timer;

/// The vector of other processors that end a sleep.
const WAKE: u8 = 0xfd;
/// The timer's vector.
const TIMER: u8 = 0xfe;
/// The vector of an interrupt that went away while it was being delivered (Intel SDM volume 3, 11.9).
const SPURIOUS: u8 = 0xff;

/// The local APIC, once it is in use.
static APIC: Once<LocalApic> = Once::new();
/// The interrupts of this machine, once they are taken.
static INTERRUPTS: Once<Interrupts> = Once::new();

/// What waiting for interrupts takes.
struct Interrupts {
    apic: &'static LocalApic,
    timer: Timer,
    io_apics: IoApics,
}

/// Why the machine takes no interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterruptError {
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
    match find_apic(hal).and_then(|apic| Interrupts::new(hal, apic)) {
        Ok(interrupts) => {
            let Interrupts { apic, timer, io_apics } = INTERRUPTS.call_once(|| interrupts);
            log::info!(target: "interrupts", "{apic}, {timer}, {} lines, {} inputs", lines::COUNT, io_apics.inputs());
            x86_64::instructions::interrupts::enable();
        }
        Err(error) => log::warn!(target: "interrupts", "interrupts unavailable; polling: {error}"),
    }
}

/// Has the local APIC of the first processor take interrupts, which the processor itself does not do by that.
pub(crate) fn prepare(hal: &dyn Hal) -> Result<(), InterruptError> {
    find_apic(hal).map(drop)
}

fn find_apic(hal: &dyn Hal) -> Result<&'static LocalApic, InterruptError> {
    let apic = APIC.try_call_once(|| LocalApic::find(hal))?;
    processors::current().set_apic_id(apic.id());
    Ok(apic)
}

/// The same on another processor, which runs this; with its timer, if interrupts are taken.
pub(crate) fn join() {
    let Some(apic) = APIC.get() else { return };
    apic.join();
    if let Some(Interrupts { timer, .. }) = INTERRUPTS.get() {
        timer.join(apic);
    }
}

/// Whether interrupts are taken.
pub(crate) fn are_taken() -> bool {
    INTERRUPTS.get().is_some()
}

/// Whether the processor that runs this has the local APIC with this number.
pub(crate) fn is_at(apic_id: u32) -> bool {
    APIC.get().is_some_and(|apic| apic.id() == apic_id)
}

/// Whether a message to this number is for one processor: the highest of 8 or 32 bits is for all.
pub(crate) fn is_single(apic_id: u32) -> bool {
    APIC.get().is_some_and(|apic| apic_id < apic.everybody())
}

/// Sends a message to the processor whose local APIC has this number.
pub(crate) fn send(to: u32, message: Ipi) {
    if let Some(apic) = APIC.get() {
        apic.send(to, message);
    }
}

impl Interrupts {
    fn new(hal: &dyn Hal, apic: &'static LocalApic) -> Result<Self, InterruptError> {
        let timer = Timer::find(apic).ok_or(InterruptError::TimerStopped)?;
        let io_apics = acpi::description().map_or_else(IoApics::none, |acpi| IoApics::find(hal, acpi));
        Ok(Self { apic, timer, io_apics })
    }
}

/// How to sleep, once interrupts are taken.
pub(crate) fn sleeper() -> Option<&'static dyn Sleeper> {
    INTERRUPTS.get().map(|interrupts| interrupts as &dyn Sleeper)
}

/// A line that no card has, once interrupts are taken, to the processor of this pair of queues.
pub(crate) fn line(pair: u16) -> Option<Box<dyn InterruptLine>> {
    INTERRUPTS.get()?;
    lines::take(local_apic::message_address(processors::for_pair(pair).apic_id())?)
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
    shared::take(interrupts, line).inspect_err(|error| without(error)).ok()
}

/// Says which inputs were masked since the last time because nobody acknowledged their interrupts, and asks the cards at those
/// that are, for who never sleeps. Not for handlers.
pub fn complain() {
    shared::ask_masked();
    for gsi in shared::newly_masked() {
        log::warn!(target: "interrupts", "input {gsi} is masked: it interrupts continuously and no NIC reports the cause");
    }
}

/// Masks the lines of cards that are levels.
#[cfg(feature = "fault-injection")]
pub(crate) fn mask_levels() {
    if let Some(interrupts) = INTERRUPTS.get() {
        shared::mask_levels(interrupts);
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
            // One that sleeps looks around when it goes on, and calls whom it concerns.
            if !processors::current().is_asleep() {
                processors::wake_others();
            }
        }
    }
    if let Some(apic) = APIC.get() {
        apic.end_interrupt();
    }
}
