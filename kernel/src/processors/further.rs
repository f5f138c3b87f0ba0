//! What a further processor does: it gets ready, and then one job after the other.

use core::sync::atomic::Ordering;

use x86_64::instructions::tlb;

use super::table::{self, Processor, State};
use crate::{clock, cpu, interrupts};

/// Where it comes to from [`processor_start`](millrace_boot::processor_start), on its own stack.
pub(super) extern "C" fn enter(number: u64) -> ! {
    table::set_number(number as usize);
    let this = table::current();
    if let Some(segments) = this.segments.get() {
        cpu::init_further(segments);
    }
    interrupts::join();
    this.arrived_at.store(clock::ticks(), Ordering::Relaxed);
    if this.change(State::Started, State::Running) {
        work(this)
    }
    // Too late: the first processor goes on without this one.
    loop {
        x86_64::instructions::hlt();
    }
}

fn work(this: &Processor) -> ! {
    loop {
        let job = wait_for_job(this);
        // Pages may have been taken out of the tables since the last one.
        tlb::flush_all();
        if interrupts::are_taken() {
            x86_64::instructions::interrupts::enable();
        }
        job();
    }
}

fn wait_for_job(this: &Processor) -> table::Job {
    loop {
        x86_64::instructions::interrupts::disable();
        // Who leaves a job sends an interrupt afterwards, which is held back until the processor halts, and wakes it.
        if let Some(job) = this.job.lock().take() {
            return job;
        }
        interrupts::halt();
    }
}
