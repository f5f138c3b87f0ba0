//! What the kernel knows of each processor: its state, its job, and whether it sleeps.
//!
//! The processors share the page tables. Each has its own stacks, segments, local APIC and timer, and sleeps on its own.
//! A processor that notes something for another one wakes it (`table`). An interrupt handler does not know which processor
//! waits for what it has noted: if the interrupted processor slept, that processor checks and wakes the one concerned, else all
//! sleeping processors are woken and check.
//!
//! A processor that reports a fault of the kernel, or panics, halts all others first (`halt`). How the processors are started is
//! in [`smp`](crate::smp).

mod halt;
mod table;

pub(crate) use halt::{Claim, claim_end, is_halted, stand_still};
pub use table::{Job, MAX, number};
pub(crate) use table::{Processor, State, current, get, guard_page, others, set_number};

/// Has processor `number` do `job`, behind what it was given before. Gives the job back if there is no such processor, or if
/// it has not begun with the last one.
pub fn run(number: usize, job: Job) -> Result<(), Job> {
    match get(number).filter(|processor| processor.state() == State::Running) {
        Some(processor) => processor.give(job),
        None => Err(job),
    }
}

/// The processor whose worker has the queues of this pair, where there are as many workers as processors.
pub(crate) fn for_pair(pair: u16) -> &'static Processor {
    let count = 1 + others().count();
    get(usize::from(pair) % count).unwrap_or(current())
}

/// Has all other processors that sleep look around: something was noted that one of them may wait for.
pub(crate) fn wake_others() {
    others().for_each(Processor::wake);
}
