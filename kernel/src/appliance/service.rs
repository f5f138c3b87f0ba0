//! The loop that the machine spends its life in, and the few letters that a person can type meanwhile.

use alloc::boxed::Box;
use core::convert::Infallible;

use millrace::{ExitCode, clock, console, exit};
use nm_apps::Application;
use nm_apps::config::Wait;
use nm_apps::worker::{PATIENCE_US, Worker};
use nm_core::Netmap;

use super::{Failure, report};

/// Time from one look at the console to the next, in microseconds; longer while the application waits, by
/// [`LONGEST_WAIT`](nm_apps::worker::LONGEST_WAIT) at most.
const CONSOLE_PERIOD_US: u64 = 5_000;

/// Lets the application work until a letter from the console ends it, or until it fails.
pub(super) fn run(app: Box<dyn Application>, wait: Wait, netmap: &Netmap) -> Result<Infallible, Failure> {
    let period = clock::ticks_in_us(CONSOLE_PERIOD_US);
    let mut next_look = clock::ticks();
    let mut worker = Worker::new(app, wait, clock::ticks_in_us(PATIENCE_US));
    loop {
        if let Err(error) = worker.round(clock::ticks) {
            drop(worker);
            report::print(netmap);
            return Err(error.into());
        }
        if clock::ticks() >= next_look {
            next_look = clock::ticks() + period;
            match console::poll() {
                Some(b'q') => {
                    drop(worker);
                    finish(netmap);
                }
                Some(letter) => answer(letter, netmap),
                None => {}
            }
        }
    }
}

/// Does what a letter asks for; ignores those that ask for nothing.
fn answer(letter: u8, netmap: &Netmap) {
    match letter {
        b's' => {
            report::print(netmap);
        }
        b'm' => report::print_regions(netmap),
        b't' => report::print_tunables(netmap),
        b'h' | b'?' => console::line(format_args!(
            "s: counters, m: memory regions, t: tunables, q: stop and account for every buffer, h: this"
        )),
        _ => {}
    }
}

/// Ends the machine after its ports were closed: every buffer must be back in the pool.
fn finish(netmap: &Netmap) -> ! {
    let memory = report::print(netmap);
    if memory.lost() > 0 || memory.held > 0 {
        let (held, lost) = (memory.held, memory.lost());
        exit(
            ExitCode::Kernel,
            format_args!("buffers are missing after the ports were closed: held={held} lost={lost}"),
        );
    }
    exit(ExitCode::Done, format_args!("stopped from the console"))
}
