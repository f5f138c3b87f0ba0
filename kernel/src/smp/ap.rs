//! What a further processor does: it gets ready, and then one job after the other.

use core::hint::spin_loop;
use core::sync::atomic::Ordering;

use x86_64::instructions::tlb;

use crate::processors::{self, Job, Processor, State};
use crate::{apic, clock, interrupts, traps};

/// Where it comes to from [`processor_start`](millrace_boot::processor_start), on its own stack.
pub(super) extern "C" fn enter(number: u64) -> ! {
    processors::set_number(number as usize);
    let this = processors::current();
    let segments = this.segments.lock().take();
    if let Some(segments) = segments {
        segments.load();
        traps::load();
        interrupts::join();
        this.arrived_at.store(clock::ticks(), Ordering::Relaxed);
        // Another one than was called, which had been given up before, has come in its place.
        let is_meant = apic::is_at(this.apic_id());
        if is_meant && this.change(State::Started, State::Arrived) && is_accepted(this) {
            work(this)
        }
    }
    // The first processor goes on without this one.
    loop {
        x86_64::instructions::hlt();
    }
}

/// Waits until the first processor has looked at this one. Until then it holds no lock: it may be reset at any moment.
fn is_accepted(this: &Processor) -> bool {
    while this.state() == State::Arrived {
        spin_loop();
    }
    this.state() == State::Running
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

fn wait_for_job(this: &Processor) -> Job {
    loop {
        x86_64::instructions::interrupts::disable();
        // Who leaves a job sends an interrupt afterwards, which is held back until the processor halts, and wakes it.
        if let Some(job) = this.job.lock().take() {
            return job;
        }
        interrupts::halt();
    }
}
