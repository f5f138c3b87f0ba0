//! Lines that lead to an I/O APIC, and that several cards may share.
//!
//! ```text
//! card ─ line ─► I/O APIC, input (GSI) ─ vector ─► local APIC ─► each card's handler in turn: was it yours?
//! ```
//!
//! An input gets a vector when it is first requested. A line that no card acknowledges would interrupt again as soon
//! as it was handled, and nothing else would run: after [`UNHANDLED_MAX`] in a row that no card says were its own, the input
//! is masked. Its cards are then [asked](ask_masked) by processors that want to sleep, which then sleep for a short time only.
//!
//! An edge is not there again for a card that asserts the line while another holds it. So all cards at such an input are
//! asked again until none says that it was its own.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use millrace_acpi::tables::{InterruptInput, Trigger};
use millrace_drivers::hal::{InterruptLine, SharedHandler, SharedLine};
use spin::{Mutex, Once};

use super::io_apic::IoApics;
use super::lines;
use crate::{apic, processors};

/// Inputs that are used: those of the usual I/O APIC.
const INPUTS: usize = 24;
/// Cards at one input.
const CARDS: usize = 16;
/// Rounds in which the cards at an input for edges are asked, at most.
const ROUNDS_MAX: u32 = 16;
/// Spurious interrupts in a row after which an input is masked.
const UNHANDLED_MAX: u32 = 10_000;

static INPUT: [Input; INPUTS] = [const { Input::new() }; INPUTS];
/// Whether there is one that is masked: seldom, and asked often.
static IS_ANY_MASKED: AtomicBool = AtomicBool::new(false);

struct Input {
    /// What leads there, once it was requested.
    line: Once<InterruptInput>,
    /// Its vector, until the first card is connected.
    vector: Mutex<Option<Box<dyn InterruptLine>>>,
    handlers: [Once<SharedHandler>; CARDS],
    taken: AtomicUsize,
    unhandled: AtomicU32,
    is_masked: AtomicBool,
    is_told: AtomicBool,
}

/// A card's place at an input. A card that gives it up leaves it empty.
struct Place {
    input: &'static Input,
    number: usize,
    io_apics: &'static IoApics,
}

/// Why there is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoLine {
    /// All inputs, vectors or places at the input are taken.
    AllTaken,
    /// The line would be level-triggered in one way for one card and in another for another.
    Conflict,
}

/// A place at the input that `line` leads to.
pub(super) fn take(io_apics: &'static IoApics, line: InterruptInput) -> Result<Box<dyn SharedLine>, NoLine> {
    let is_it = |input: &&Input| input.line.get().is_none_or(|other| other.gsi == line.gsi);
    let input = INPUT.iter().find(is_it).ok_or(NoLine::AllTaken)?;
    if input.line.get().is_none() {
        let address = apic::message_address(processors::current().apic_id()).ok_or(NoLine::AllTaken)?;
        *input.vector.lock() = Some(lines::take(address).ok_or(NoLine::AllTaken)?);
        input.line.call_once(|| line);
    }
    if input.line.get() != Some(&line) {
        return Err(NoLine::Conflict);
    }
    let number = input.taken.fetch_add(1, Ordering::Relaxed);
    if number >= CARDS {
        return Err(NoLine::AllTaken);
    }
    Ok(Box::new(Place { input, number, io_apics }))
}

/// The inputs that were masked since the last time: their numbers.
pub(super) fn newly_masked() -> impl Iterator<Item = u32> {
    let is_news = |input: &&Input| {
        input.is_masked.load(Ordering::Relaxed) && !input.is_told.swap(true, Ordering::Relaxed)
    };
    INPUT.iter().filter(is_news).filter_map(|input| input.line.get().map(|line| line.gsi))
}

/// Asks the cards at all inputs that are masked, as their interrupts would. Whether there are such.
pub(super) fn ask_masked() -> bool {
    let is_any = IS_ANY_MASKED.load(Ordering::Relaxed);
    if is_any {
        let masked = INPUT.iter().filter(|input| input.is_masked.load(Ordering::Relaxed));
        // Whose it was does not matter any more.
        masked.flat_map(|input| &input.handlers).filter_map(Once::get).for_each(|handler| _ = handler());
    }
    is_any
}

/// Masks all inputs for levels, as if each had interrupted without end.
#[cfg(feature = "fault-injection")]
pub(super) fn mask_levels(io_apics: &IoApics) {
    let is_level = |input: &&Input| input.line.get().is_some_and(|line| line.trigger == Trigger::Level);
    INPUT.iter().filter(is_level).for_each(|input| input.mask(io_apics));
}

impl SharedLine for Place {
    fn connect(self: Box<Self>, handler: SharedHandler) {
        let Self { input, number, io_apics } = *self;
        if let Some(place) = input.handlers.get(number) {
            place.call_once(|| handler);
        }
        let vector = input.vector.lock().take();
        if let (Some(vector), Some(line)) = (vector, input.line.get()) {
            let message = vector.connect(Box::new(move || input.run(io_apics)));
            io_apics.connect(*line, message);
        }
    }
}

impl Input {
    const fn new() -> Self {
        Self {
            line: Once::new(),
            vector: Mutex::new(None),
            handlers: [const { Once::new() }; CARDS],
            taken: AtomicUsize::new(0),
            unhandled: AtomicU32::new(0),
            is_masked: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
        }
    }

    /// How often all cards are asked at most.
    fn rounds(&self) -> u32 {
        let is_edge = self.line.get().is_some_and(|line| line.trigger == Trigger::Edge);
        let is_shared = self.handlers.iter().filter_map(Once::get).count() > 1;
        if is_edge && is_shared { ROUNDS_MAX } else { 1 }
    }

    /// Asks every card: a level stays until all that hold it were heard.
    fn run(&self, io_apics: &IoApics) {
        let mut is_anybodys = false;
        for _ in 0..self.rounds() {
            let handlers = self.handlers.iter().filter_map(Once::get);
            if handlers.filter(|handler| handler()).count() == 0 {
                break;
            }
            is_anybodys = true;
        }
        if is_anybodys {
            self.unhandled.store(0, Ordering::Relaxed);
        } else if self.unhandled.fetch_add(1, Ordering::Relaxed) >= UNHANDLED_MAX {
            self.mask(io_apics);
        }
    }

    /// From now on it does not interrupt.
    fn mask(&self, io_apics: &IoApics) {
        if let Some(line) = self.line.get() {
            io_apics.mask(line.gsi);
            self.is_masked.store(true, Ordering::Relaxed);
            IS_ANY_MASKED.store(true, Ordering::Relaxed);
        }
    }
}

impl core::fmt::Display for NoLine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::AllTaken => "all interrupt vectors are in use",
            Self::Conflict => "another NIC uses the same input with a different trigger mode or polarity",
        })
    }
}
