//! The console: COM1 at 115200 baud, written line by line, read one letter at a time.
//!
//! A serial port that stops taking bytes must not stop the machine: after a bounded wait the rest of the text
//! is dropped, and further text waits no more until the port accepts again.
//!
//! A letter that comes while the machine sleeps ends the sleep, where the port's interrupt is known. Its handler only notes
//! that there is one: the port is read by who answers. So it must be one that counts edges, as the ISA bus has it; on a
//! level, which would stay until then, the port goes on being looked at now and then.
#![expect(unsafe_code, reason = "names the serial port; takes the console from a faulting owner")]

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use millrace_boot::acpi::Trigger;
use millrace_drivers::hal::{Hal, LineSource};
use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{BaudRate, Config, Uart16550};

use crate::{acpi, interrupts};

/// First I/O port of COM1.
const COM1: u16 = 0x3f8;
/// Its interrupt on the ISA bus.
const COM1_LINE: LineSource = LineSource::Number(4);
/// Status reads before a port counts as stuck; each takes about a microsecond, a full queue drains in 1.4 ms.
const PATIENCE: u32 = 200_000;
/// Bytes that are collected before they go out together.
const CHUNK: usize = 64;

/// Set by the interrupt, taken back by who reads the port.
static HAS_LETTER: AtomicBool = AtomicBool::new(false);

static CONSOLE: Mutex<Console> = Mutex::new(Console {
    // SAFETY: nothing else in this program names COM1's ports, and they do not touch memory.
    uart: match unsafe { Uart16550::new_port(COM1) } {
        Ok(uart) => Some(uart),
        Err(_) => None,
    },
    is_stuck: false,
});

struct Console {
    uart: Option<Uart16550<PioBackend>>,
    is_stuck: bool,
}

/// Sets the port up. Where there is none, all output is dropped from here on.
pub fn init() {
    let mut console = CONSOLE.lock();
    let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
    let is_present = console.uart.as_mut().is_some_and(|uart| uart.init(config).is_ok());
    if !is_present {
        console.uart = None;
    }
}

/// Has letters interrupt from here on, once interrupts are taken.
pub fn listen(hal: &dyn Hal) {
    let counts_edges = acpi::input(COM1_LINE).is_some_and(|line| line.trigger == Trigger::Edge);
    let line = if counts_edges { hal.shared_line(COM1_LINE) } else { None };
    let Some(line) = line else { return };
    line.connect(Box::new(|| {
        HAS_LETTER.store(true, Ordering::Release);
        true
    }));
    if let Some(uart) = CONSOLE.lock().uart.as_mut() {
        uart.enable_interrupts(IER::DATA_READY);
    }
    // One that came before has no edge any more.
    HAS_LETTER.store(true, Ordering::Release);
}

/// Whether a letter has come since the port was read last. Without its interrupt nobody knows: no.
pub fn has_letter() -> bool {
    HAS_LETTER.load(Ordering::Acquire)
}

/// Writes one line.
pub fn line(text: fmt::Arguments<'_>) {
    let mut console = CONSOLE.lock();
    let mut out = Chunks { console: &mut console, bytes: [0; CHUNK], len: 0 };
    // `Chunks` never fails; a `Display` that does loses the rest of its line.
    let _ = out.write_fmt(text);
    out.push_all(b"\r\n");
    out.flush();
}

/// The next byte that somebody typed, if there is one.
pub fn poll() -> Option<u8> {
    // In front of the look: a letter that comes behind it interrupts again, if the port was empty by then.
    HAS_LETTER.store(false, Ordering::Release);
    let letter = CONSOLE.lock().uart.as_mut()?.try_receive_byte().ok();
    if letter.is_some() && interrupts::are_taken() {
        HAS_LETTER.store(true, Ordering::Release);
    }
    letter
}

/// Makes the console usable for a dump, even if what faulted was just writing a line.
///
/// # Safety
/// Whoever holds the console never runs again: called on the way out, while the other processors stand still.
pub(crate) unsafe fn seize() {
    if CONSOLE.is_locked() {
        // SAFETY: the holder never runs again, so this does not let two writers in.
        unsafe { CONSOLE.force_unlock() };
        line(format_args!(""));
    }
}

impl Console {
    fn send(&mut self, mut bytes: &[u8]) {
        let Some(uart) = self.uart.as_mut() else { return };
        while !bytes.is_empty() {
            let patience = if self.is_stuck { 1 } else { PATIENCE };
            let sent = (0..patience).map(|_| uart.send_bytes(bytes)).find(|sent| *sent > 0);
            self.is_stuck = sent.is_none();
            let Some(rest) = sent.and_then(|sent| bytes.get(sent..)) else { return };
            bytes = rest;
        }
    }
}

/// Collects the pieces of formatted text, so that the port's status is asked once for several bytes.
struct Chunks<'a> {
    console: &'a mut Console,
    bytes: [u8; CHUNK],
    len: usize,
}

impl Chunks<'_> {
    fn push_all(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.len == CHUNK {
                self.flush();
            }
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }

    fn flush(&mut self) {
        self.console.send(self.bytes.get(..self.len).unwrap_or(&[]));
        self.len = 0;
    }
}

impl Write for Chunks<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_all(text.as_bytes());
        Ok(())
    }
}
