//! The processors: one that the loader starts, and further ones that it leaves waiting.
//!
//! ```text
//! first       start ─► … ─► start(apic ids) ───── run(n, job) ────────────► works itself
//!                             │ INIT, start message      │ wakes it
//! further                     └─► enter ─► Running ─► waits for a job ─► works ─► waits …
//! ```
//!
//! All run in the same page tables. Each has its own stacks, segments, local APIC and timer, and sleeps on its own: what
//! one finds for another, it wakes the other for (`table`). A handler does not know which processor waits for what it
//! has noted: if the one that it interrupted sleeps, that one looks and calls whom it concerns, else all that sleep look.
//!
//! The one that reports a fault of the kernel, or panics, halts all others first (`halt`).

mod further;
mod halt;
mod start;
mod table;

pub(crate) use halt::{Claim, claim_end, is_halted, stand_still};
pub use start::start;
pub use table::{Job, MAX, number};
pub(crate) use table::{current, get, guard_page, others, set_number};

/// Has processor `number` do `job`, behind what it was given before. Gives the job back if there is no such processor, or if
/// it has not begun with the last one.
pub fn run(number: usize, job: Job) -> Result<(), Job> {
    match get(number).filter(|processor| processor.state() == table::State::Running) {
        Some(processor) => processor.give(job),
        None => Err(job),
    }
}

/// The processor whose worker has the queues of this pair, where there are as many workers as processors.
pub(crate) fn for_pair(pair: u16) -> &'static table::Processor {
    let count = 1 + others().count();
    get(usize::from(pair) % count).unwrap_or(current())
}

/// Has all other processors that sleep look around: something was noted that one of them may wait for.
pub(crate) fn wake_others() {
    others().for_each(table::Processor::wake);
}
