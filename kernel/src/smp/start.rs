//! Starting further processors (Intel SDM volume 3, 9.4.4; MultiProcessor Specification 1.4, B.4).
#![expect(unsafe_code, reason = "leaves what a processor starts with")]

use alloc::vec::Vec;
use core::fmt;
use core::hint::spin_loop;
use core::num::NonZeroUsize;
use core::sync::atomic::Ordering;

use millrace_acpi::tables::Description;
use millrace_boot::{AddrRange, PAGE_BYTES, processor_start, trampoline};
use millrace_drivers::hal::Hal;

use super::ap;
use crate::apic::{self, Ipi};
use crate::cpu::{self, EXCEPTION_STACK_BYTES, EXCEPTION_STACKS, Segments};
use crate::memory::{self, LowPage};
use crate::processors::{self, MAX, Processor, State};
use crate::{clock, interrupts};

/// From a reset to the start message, in microseconds.
const RESET_US: u64 = 10_000;
/// From the first start message to the second, which is for processors that were not ready for the first.
const AGAIN_US: u64 = 200;
/// How long a processor may take until it runs. On a virtual machine, its host may have other things to do.
const PATIENCE_US: u64 = 2_000_000;

/// Starts the processors that ACPI describes, up to [`MAX`] with the first, which runs this. Returns how many run. One that
/// does not start is named in a message, and the others go on.
pub fn start(hal: &dyn Hal, acpi: &Description) -> NonZeroUsize {
    let mut count = NonZeroUsize::MIN;
    if acpi.processors.len() < 2 {
        return count;
    }
    if let Err(error) = interrupts::prepare(hal) {
        log::warn!(target: "processors", "only the boot processor runs: {error}");
        return count;
    }
    let Some(mut page) = LowPage::take() else {
        log::warn!(target: "processors", "only the boot processor runs: no free RAM below 640 KiB for the startup code of the others");
        return count;
    };
    page.write(processor_start::real_mode());
    let apic_ids = choose(&acpi.processors);
    apic_ids.iter().for_each(|&id| apic::send(id, Ipi::Reset));
    wait(RESET_US, || false);
    processors::current().set_state(State::Running);
    for id in apic_ids {
        match launch(count.get(), id, &page) {
            Ok(()) => count = count.saturating_add(1),
            Err(failure) => {
                processor_start::withdraw();
                apic::send(id, Ipi::Reset);
                log::warn!(target: "processors", "the processor with local APIC ID {id} does not run: {failure}");
            }
        }
    }
    match acpi.processor_count() {
        found if found > MAX => {
            log::info!(target: "processors", "{count} of {found} run: this image uses {MAX} at most");
        }
        _ => log::info!(target: "processors", "{count} run"),
    }
    count
}

/// The processors to start, of those whose local APICs have these numbers.
fn choose(apic_ids: &[u32]) -> Vec<u32> {
    // The first is known by what its own APIC says, whatever the tables say.
    let own = processors::current().apic_id();
    let others = apic_ids.iter().copied().filter(|&id| id != own);
    // The highest number means all processors, and without x2APIC mode one has 8 bits.
    let (usable, unreachable): (Vec<u32>, Vec<u32>) = others.partition(|&id| apic::is_single(id));
    if usable.len() < MAX - 1 && !unreachable.is_empty() {
        let count = unreachable.len();
        log::warn!(target: "processors", "{count} are not used: the numbers of their local APICs need x2APIC mode");
    }
    usable.into_iter().take(MAX - 1).collect()
}

/// Why a processor does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// There is no memory for its stacks, or no place in the table.
    Table,
    /// It does not answer.
    Silent,
    /// Its time stamp counter is ahead of that of the first, or behind, and time would go back.
    Clock,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Table => "no memory for its stacks",
            Failure::Silent => "it does not answer",
            Failure::Clock => "its time stamp counter differs from the boot processor's",
        })
    }
}

/// Starts one processor as `number`, and waits until it runs.
fn launch(number: usize, apic_id: u32, page: &LowPage) -> Result<(), Failure> {
    let place = processors::get(number).ok_or(Failure::Table)?;
    let stack_top = give_stacks(place).ok_or(Failure::Table)?;
    let tables = memory::page_tables().ok_or(Failure::Table)?;
    place.set_apic_id(apic_id);
    place.set_state(State::Started);
    let start = processor_start::Start { tables, stack_top, entry: ap::enter, argument: number as u64 };
    // SAFETY: what was prepared before was taken or withdrawn. The tables are those in use, and map the stack, which was made
    // for this launch.
    unsafe { processor_start::prepare(start) };
    let sent_at = clock::ticks();
    let has_come = || place.state() == State::Arrived;
    apic::send(apic_id, Ipi::Start(page.number()));
    if !wait(AGAIN_US, has_come) {
        apic::send(apic_id, Ipi::Start(page.number()));
        wait(PATIENCE_US, has_come);
    }
    let now = clock::ticks();
    if place.change(State::Started, State::Absent) {
        return Err(Failure::Silent);
    }
    let is_in_time = (sent_at..=now).contains(&place.arrived_at.load(Ordering::Relaxed));
    place.set_state(if is_in_time { State::Running } else { State::Absent });
    if is_in_time { Ok(()) } else { Err(Failure::Clock) }
}

/// Makes the stacks of a processor and the segments that name them. Returns the upper end of the one that it works on.
fn give_stacks(place: &Processor) -> Option<u64> {
    let work = memory::new_stack(trampoline::BOOT_STACK_BYTES)?;
    let mut stacks = [work; EXCEPTION_STACKS];
    for stack in &mut stacks {
        *stack = memory::new_stack(EXCEPTION_STACK_BYTES as u64)?;
    }
    *place.segments.lock() = Some(Segments::further(stacks.map(|stack| stack.end())));
    let names = cpu::exception_stack_names().into_iter().chain(["stack of a further processor"]);
    let below = |stack: AddrRange| AddrRange::sized(stack.start().checked_sub(PAGE_BYTES)?, PAGE_BYTES);
    let guards =
        names.zip(stacks.into_iter().chain([work])).filter_map(|(name, stack)| Some((name, below(stack)?)));
    let guards = guards.collect();
    *place.guards.lock() = guards;
    Some(work.end())
}

/// Waits until `is_over` says so, and tells whether it did, but no longer than so many microseconds.
fn wait(us: u64, is_over: impl Fn() -> bool) -> bool {
    let (start, ticks) = (clock::ticks(), clock::ticks_in_us(us));
    while !is_over() {
        if clock::ticks().saturating_sub(start) >= ticks {
            return false;
        }
        spin_loop();
    }
    true
}
