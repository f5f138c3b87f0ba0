//! The loop that the machine spends its life in; in between, links are looked at, and letters that a person has typed.

use core::convert::Infallible;

use millrace::console::Output;
use millrace::{ExitCode, clock, console, exit, interrupts};
use nm_core::Netmap;

use super::crew::Crew;
use super::failure::Failure;
use super::links::Links;
use super::report::{self, Report};

/// Time from one look at the console to the next, in microseconds; longer while the application waits, by
/// [`LONGEST_WAIT`](nm_apps::worker::LONGEST_WAIT) at most, where the console does not interrupt.
const CONSOLE_PERIOD_US: u64 = 5_000;
/// The same while text waits for the port: a serial port at full speed sends what it can hold in 1.4 ms.
const OUTPUT_PERIOD_US: u64 = 1_000;

/// Letters that are answered in one look, as many as a serial port keeps: frames do not wait for a pasted text.
const LETTERS: usize = 16;

/// Lets the workers work until a letter from the console ends it, or until one fails.
pub(super) fn run(mut crew: Crew, netmap: &Netmap) -> Result<Infallible, Failure> {
    let (period, output_period) =
        (clock::ticks_in_us(CONSOLE_PERIOD_US), clock::ticks_in_us(OUTPUT_PERIOD_US));
    let mut next_look = clock::ticks();
    let mut links = Links::new();
    let mut report = Report::new();
    loop {
        if let Err(error) = crew.round() {
            drop(crew);
            report.print(netmap);
            return Err(error.into());
        }
        if console::has_event() || clock::ticks() >= next_look {
            links.watch(netmap);
            interrupts::complain();
            for letter in core::iter::from_fn(console::poll).take(LETTERS) {
                if letter == b'q' {
                    drop(crew);
                    finish(netmap, &mut report);
                }
                answer(letter, netmap, &mut report);
            }
            // Behind the keys: an interrupt of the port is an edge only when there was neither key nor room before.
            let is_waiting = console::send() != Output::Idle;
            next_look = clock::ticks() + if is_waiting { output_period } else { period };
        }
    }
}

/// Answers a key; ignores keys without a meaning.
fn answer(letter: u8, netmap: &Netmap, report: &mut Report) {
    match letter {
        b's' => {
            report.print(netmap);
        }
        b'm' => report::print_regions(netmap),
        b't' => report::print_tunables(netmap),
        #[cfg(feature = "fault-injection")]
        b'r' => millrace::faults::reset_cards(netmap),
        #[cfg(feature = "fault-injection")]
        b'f' => millrace::faults::overflow_elsewhere(),
        #[cfg(feature = "fault-injection")]
        b'k' => millrace::faults::mask_levels(),
        #[cfg(feature = "fault-injection")]
        b'l' => millrace::faults::read_low_page(),
        b'h' | b'?' => console::line(format_args!(
            "s: counters, m: memory regions, t: tunables, q: stop and check that every buffer was returned, h: this help"
        )),
        _ => {}
    }
}

/// Ends the machine after its ports were closed: every buffer must be back in the pool.
fn finish(netmap: &Netmap, report: &mut Report) -> ! {
    let memory = report.print(netmap);
    if memory.lost() > 0 || memory.held > 0 {
        let (held, lost) = (memory.held, memory.lost());
        exit(
            ExitCode::Kernel,
            format_args!("buffers are missing after the ports were closed: held={held} lost={lost}"),
        );
    }
    exit(ExitCode::Done, format_args!("stopped from the console"))
}
