//! The lines that cards interrupt by: a vector each, handed out once.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};

use millrace_drivers::hal::{Handler, InterruptLine, Message};
use spin::Once;

/// How many there are: two for each pair of queues, of eight cards on a dozen processors. The queues of a card that finds fewer
/// share them, and a card that finds none has no interrupts.
pub(super) const COUNT: usize = 192;
/// The vector of the first.
const FIRST: u8 = 0x20;

static LINES: [Line; COUNT] =
    [const { Line { is_taken: AtomicBool::new(false), handler: Once::new() } }; COUNT];

struct Line {
    is_taken: AtomicBool,
    handler: Once<Handler>,
}

/// A line that is taken, without a handler yet.
struct Taken {
    line: &'static Line,
    message: Message,
    is_connected: bool,
}

/// A free line; its messages go to `address`.
pub(super) fn take(address: u64) -> Option<Box<dyn InterruptLine>> {
    // Acquire: behind the Release of who gave it back.
    let is_free = |line: &Line| !line.is_taken.swap(true, Ordering::Acquire);
    let (vector, line) = (FIRST..).zip(&LINES).find(|(_, line)| is_free(line))?;
    // Fixed delivery, on the edge: all that is in the data is the vector (Intel SDM volume 3, 11.11.2).
    let message = Message { address, data: vector.into() };
    Some(Box::new(Taken { line, message, is_connected: false }))
}

/// Runs the handler of the line with this vector, if it has one.
pub(super) fn run(vector: u8) {
    let line = vector.checked_sub(FIRST).and_then(|number| LINES.get(usize::from(number)));
    if let Some(handler) = line.and_then(|line| line.handler.get()) {
        handler();
    }
}

impl InterruptLine for Taken {
    fn connect(mut self: Box<Self>, handler: Handler) -> Message {
        self.line.handler.call_once(|| handler);
        self.is_connected = true;
        self.message
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_connected {
            self.line.is_taken.store(false, Ordering::Release);
        }
    }
}
