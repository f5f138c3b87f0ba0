//! The console: COM1 at 115200 baud, written line by line, read one key at a time.
//!
//! ```text
//! line ──► LINES: whole lines, lost and counted when full ──► PORT: as much as it accepts, never waiting
//!               ▲ sent on: behind each new line, by the service loop, and by `flush` at the end, which waits
//! ```
//!
//! A serial port that stops taking bytes must not stop the machine: what it does not accept waits in the queue
//! ([`line_queue`](millrace_boot::line_queue)), whose lines are lost whole when it is full. A step sends a bounded number
//! of bytes, since each is an access that leaves a virtual machine, and frames wait meanwhile.
//!
//! Where the port's interrupt is known, it ends a sleep when a key has come, or when the port accepts output that waits. Its
//! handler only notes that there was one: the service loop reads and writes the port. So the line must count edges, as the
//! ISA bus has it; a level would stay until then, and the port is only polled.
//!
//! Locks, in the order in which they are taken: `LINES`, then `PORT`.
#![expect(unsafe_code, reason = "names the serial port; takes the console from a faulting owner")]

use alloc::boxed::Box;
use core::fmt::{self, Write};

use millrace_acpi::tables::Trigger;
use millrace_boot::line_queue::LineQueue;
use millrace_drivers::hal::{Hal, LineSource};
use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::{IER, LSR};
use uart_16550::{BaudRate, Config, Uart16550};

use crate::clock::Stamp;
use crate::time_limit::TimeLimit;
use crate::{acpi, interrupts};

/// First I/O port of COM1.
const COM1: u16 = 0x3f8;
/// Its interrupt on the ISA bus.
const COM1_LINE: LineSource = LineSource::Number(4);
/// Bytes of text that wait for the port at most. At full speed the port takes 2.8 s for them.
const QUEUE_BYTES: usize = 32 * 1024;
/// Bytes of waiting text that one step sends.
const STEP_BYTES: usize = 256;
/// How long [`flush`] waits for a port that accepts nothing, in microseconds.
const STUCK_US: u64 = 2_000_000;
/// How long it waits in all.
const FLUSH_US: u64 = 10_000_000;

static LINES: Mutex<Lines> = Mutex::new(Lines::new());

static PORT: Mutex<Port> = Mutex::new(Port {
    // SAFETY: nothing else in this program names COM1's ports, and they do not touch memory.
    uart: match unsafe { Uart16550::new_port(COM1) } {
        Ok(uart) => Some(uart),
        Err(_) => None,
    },
    is_set_up: false,
    is_listening: false,
    awaits_room: false,
});

type Lines = LineQueue<QUEUE_BYTES>;

/// What became of the text that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// There is none.
    Idle,
    /// Some was sent, and some waits.
    Moving,
    /// The port accepts none.
    Stuck,
}

struct Port {
    uart: Option<Uart16550<PioBackend>>,
    is_set_up: bool,
    /// Whether its interrupt ends a sleep.
    is_listening: bool,
    /// Whether it interrupts when it accepts bytes.
    awaits_room: bool,
}

/// Looks for the port. Where there is none, all output is dropped from here on.
pub fn init() {
    let mut port = PORT.lock();
    let is_present = port.uart.as_mut().is_some_and(Uart16550::check_present);
    if !is_present {
        port.uart = None;
    }
}

/// Ends sleeps by the port's interrupt from here on, once interrupts are taken.
pub fn listen(hal: &dyn Hal) {
    let counts_edges = acpi::input(COM1_LINE).is_some_and(|line| line.trigger == Trigger::Edge);
    let line = if counts_edges { hal.shared_line(COM1_LINE) } else { None };
    let Some(line) = line else { return };
    line.connect(Box::new(|| {
        interrupts::set_boot_event(true);
        true
    }));
    let mut port = PORT.lock();
    port.is_listening = true;
    if port.is_set_up
        && let Some(uart) = port.uart.as_mut()
    {
        uart.enable_interrupts(IER::DATA_READY);
    }
    // A key that came before has no edge any more.
    interrupts::set_boot_event(true);
}

/// Whether the port has interrupted since it was read last. Always false without its interrupt.
pub fn has_event() -> bool {
    interrupts::has_boot_event()
}

/// Writes one line. What the port does not accept at once waits, see [`send`].
pub fn line(text: fmt::Arguments<'_>) {
    let mut lines = LINES.lock();
    let waiting = lines.len();
    lines.push(text, lost_note);
    // More than was added: a queue that got long becomes shorter with each line.
    let added = lines.len().saturating_sub(waiting);
    PORT.lock().send(&mut lines, added + STEP_BYTES);
}

/// Sends waiting text, as much as the port accepts and a step may take. For the service loop.
pub fn send() -> Output {
    let mut lines = LINES.lock();
    PORT.lock().send(&mut lines, STEP_BYTES)
}

/// The next byte that was typed, if there is one.
pub fn poll() -> Option<u8> {
    // Cleared before the port is read: a key that comes afterwards interrupts again, if the port was empty by then.
    interrupts::set_boot_event(false);
    let key = PORT.lock().uart.as_mut()?.try_receive_byte().ok();
    if key.is_some() && interrupts::are_taken() {
        interrupts::set_boot_event(true);
    }
    key
}

/// Lets lines use the part of the queue that is kept for the report of a fault and the last line of a run.
pub(crate) fn begin_last_words() {
    LINES.lock().begin_last_words();
}

/// Waits until the port has sent all text, but no longer than [`STUCK_US`] without progress, and [`FLUSH_US`] in all.
pub(crate) fn flush() {
    let (mut all, mut stuck) = (TimeLimit::after_us(FLUSH_US), TimeLimit::after_us(STUCK_US));
    while !all.is_over() && !stuck.is_over() {
        match try_send() {
            Output::Idle => return,
            Output::Moving => stuck = TimeLimit::after_us(STUCK_US),
            Output::Stuck => {}
        }
    }
}

/// Sends waiting text, unless another processor, which may have been halted meanwhile, has the console. The output is idle only
/// when the last byte has left the port.
pub(crate) fn try_send() -> Output {
    let (Some(mut lines), Some(mut port)) = (LINES.try_lock(), PORT.try_lock()) else { return Output::Stuck };
    match port.send(&mut lines, STEP_BYTES) {
        Output::Idle if !port.has_sent_all() => Output::Stuck,
        output => output,
    }
}

/// Makes the console usable for a dump, even if what faulted was writing a line. That line is lost; if its bytes were being
/// sent, a few of them may come twice.
///
/// # Safety
/// The holder of the console never runs again: called on the way out, while the other processors stand still.
pub(crate) unsafe fn seize() {
    // SAFETY: the holder never runs again, so this does not let two writers in.
    unsafe {
        if LINES.is_locked() {
            LINES.force_unlock();
        }
        if PORT.is_locked() {
            PORT.force_unlock();
        }
    }
    begin_last_words();
}

fn lost_note(out: &mut dyn Write, count: u64) -> fmt::Result {
    let lines = if count == 1 { "line" } else { "lines" };
    write!(out, "{} WARN console: {count} {lines} lost: the serial port did not accept them", Stamp::now())
}

impl Port {
    /// Sends at most `limit` bytes, without waiting.
    fn send(&mut self, lines: &mut Lines, limit: usize) -> Output {
        if self.uart.is_none() {
            lines.clear();
        }
        if lines.is_empty() {
            return Output::Idle;
        }
        self.set_up();
        let Some(uart) = self.uart.as_mut().filter(|_| self.is_set_up) else { return Output::Stuck };
        if uart.ready_to_send().is_err() {
            self.interrupt_on_room(true);
            return Output::Stuck;
        }
        // Else each byte would interrupt.
        self.interrupt_on_room(false);
        self.send_ready(lines, limit);
        if lines.is_empty() {
            return Output::Idle;
        }
        self.interrupt_on_room(true);
        Output::Moving
    }

    /// Sends at most `limit` bytes to a port that is set up.
    fn send_ready(&mut self, lines: &mut Lines, limit: usize) {
        let Some(uart) = self.uart.as_mut() else { return };
        let mut left = limit;
        lines.note_lost(lost_note);
        while left > 0 {
            let front = lines.front();
            let count = uart.send_bytes(front.get(..left).unwrap_or(front));
            if count == 0 {
                return;
            }
            left = left.saturating_sub(count);
            lines.consume(count);
            lines.note_lost(lost_note);
        }
    }

    /// Sets the port up, unless bytes of the firmware are still in it: that would wait until they have left.
    fn set_up(&mut self) {
        let Some(uart) = self.uart.as_mut().filter(|_| !self.is_set_up) else { return };
        if !uart.lsr().contains(LSR::TRANSMITTER_EMPTY) {
            return;
        }
        let interrupts = if self.is_listening { IER::DATA_READY } else { IER::empty() };
        let config = Config { baud_rate: BaudRate::Baud115200, interrupts, ..Config::DEFAULT };
        self.is_set_up = uart.init(config).is_ok();
    }

    /// Has the port interrupt, or not, when it accepts bytes.
    fn interrupt_on_room(&mut self, is_wanted: bool) {
        let Some(uart) = self.uart.as_mut().filter(|_| self.is_listening) else { return };
        if self.awaits_room == is_wanted {
            return;
        }
        if is_wanted {
            uart.enable_interrupts(IER::THR_EMPTY);
        } else {
            uart.disable_interrupts(IER::THR_EMPTY);
        }
        self.awaits_room = is_wanted;
    }

    /// Whether nothing is left in the port.
    fn has_sent_all(&mut self) -> bool {
        self.uart.as_mut().is_none_or(|uart| uart.lsr().contains(LSR::TRANSMITTER_EMPTY))
    }
}
