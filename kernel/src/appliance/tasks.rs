//! The tasks of this machine: its serial port as the console's terminal, and its interrupt lines.

use core::fmt;

use millrace::console::Output as Sent;
use millrace::{console, interrupts, logger};
use nm_apps::console::Console;
use nm_apps::report::Output;
use nm_apps::task::{Task, Turn};

/// Time between two looks at the port, in nanoseconds, where no interrupt announces a key.
const KEYS_PERIOD_NS: u64 = 5_000_000;
/// The same while text waits for the port: a serial port at full speed sends the content of its FIFO in 1.4 ms.
const OUTPUT_PERIOD_NS: u64 = 1_000_000;
/// Keys that are handled in one turn: as many as the FIFO of a serial port holds.
const KEYS_PER_TURN: usize = 16;
/// Time between two looks at masked interrupt lines, in nanoseconds.
const LINES_PERIOD_NS: u64 = 5_000_000;

/// Answers go to the log's output, whatever the log level.
pub(super) struct Answers;

impl Output for Answers {
    fn line(&mut self, target: &str, text: fmt::Arguments<'_>) {
        logger::answer(target, text);
    }
}

/// Reads keys from the serial port, runs the commands, and sends the text that waits for the port.
pub(super) struct Terminal(pub(super) Console);

impl Task for Terminal {
    fn is_notified(&self) -> bool {
        console::has_event()
    }

    fn poll(&mut self, turn: &Turn<'_>) -> Option<u64> {
        for byte in core::iter::from_fn(console::poll).take(KEYS_PER_TURN) {
            self.0.type_byte(byte, &mut Answers);
            if turn.is_over() {
                break;
            }
        }
        // After the keys: an interrupt of the port is an edge only when there was neither key nor room before.
        let period_ns = if console::send() == Sent::Idle { KEYS_PERIOD_NS } else { OUTPUT_PERIOD_NS };
        Some(turn.now_ns.saturating_add(period_ns))
    }
}

/// Reports interrupt lines that were masked because no card acknowledged their interrupts, and polls the cards on them.
pub(super) struct MaskedLines;

impl Task for MaskedLines {
    fn poll(&mut self, turn: &Turn<'_>) -> Option<u64> {
        interrupts::report_masked();
        Some(turn.now_ns.saturating_add(LINES_PERIOD_NS))
    }
}
