//! The boot processor's loop: rounds of the first worker, and in between the tasks that are due.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::convert::Infallible;

use millrace::{ExitCode, clock, exit};
use nm_apps::APPS;
use nm_apps::console::{CommandInfo, Console, Context, StopRequest};
use nm_apps::links::Links;
use nm_apps::report::CounterReport;
use nm_apps::task::Tasks;
use nm_core::Netmap;

use super::failure::Failure;
use super::tasks::{Answers, MaskedLines, Terminal};
use super::workers::WorkerPool;

/// Runs workers and tasks until a command ends the run or a worker fails.
pub(super) fn run(mut workers: WorkerPool, netmap: &Netmap) -> Result<Infallible, Failure> {
    let (report, stop) = (Arc::new(CounterReport::new(netmap)), StopRequest::default());
    let now_ns = || netmap.now_ns();
    let mut tasks = tasks(netmap, &report, &stop);
    let mut next_ticks = 0;
    loop {
        if let Err(error) = workers.round() {
            drop(workers);
            report.print(netmap, &mut Answers);
            return Err(error.into());
        }
        if tasks.are_notified() || clock::ticks() >= next_ticks {
            tasks.run(&now_ns);
            if stop.is_sent() {
                drop(workers);
                finish(netmap, &report);
            }
            next_ticks = tasks.next_ns().map_or(u64::MAX, clock::ticks_at_ns);
        }
    }
}

fn tasks(netmap: &Netmap, report: &Arc<CounterReport>, stop: &StopRequest) -> Tasks {
    let mut console = Console::new(netmap.clone(), report.clone(), stop.clone(), APPS);
    for &(keys, name, help, run) in FAULT_COMMANDS {
        let info = CommandInfo { name, keys, arguments: "", help };
        let run = move |context: &mut Context<'_>, _: &[&str]| {
            run(context.netmap);
            Ok(())
        };
        console.add(info, Box::new(run));
    }
    let mut tasks = Tasks::default();
    tasks.add(Links::new(netmap.clone()));
    tasks.add(MaskedLines);
    tasks.add(Terminal(console));
    tasks
}

/// A command of test images: key, name, help, and what runs.
type FaultCommand = (&'static str, &'static str, &'static str, fn(&Netmap));

#[cfg(feature = "fault-injection")]
const FAULT_COMMANDS: &[FaultCommand] = &[
    ("r", "reset-cards", "resets the cards of all open ports", millrace::faults::reset_cards),
    ("f", "overflow-elsewhere", "overflows the stack of processor 1", |_| {
        millrace::faults::overflow_elsewhere()
    }),
    ("k", "mask-levels", "masks the level-triggered interrupt lines", |_| millrace::faults::mask_levels()),
    ("l", "read-low-page", "reads the page that processors start in", |_| millrace::faults::read_low_page()),
];
#[cfg(not(feature = "fault-injection"))]
const FAULT_COMMANDS: &[FaultCommand] = &[];

/// Ends the machine after its ports were closed: every buffer must be back in the pool.
fn finish(netmap: &Netmap, report: &CounterReport) -> ! {
    let memory = report.print(netmap, &mut Answers);
    if memory.lost() > 0 || memory.held > 0 {
        let (held, lost) = (memory.held, memory.lost());
        exit(
            ExitCode::Kernel,
            format_args!("buffers are missing after the ports were closed: held={held} lost={lost}"),
        );
    }
    exit(ExitCode::Done, format_args!("stopped from the console"))
}
