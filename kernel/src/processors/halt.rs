//! The end of the machine with a report: one processor makes it, the others stand still.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::table;
use crate::apic::{self, Ipi};

/// Looks at how many stand still before going on without the rest: one that has its interrupts held back by firmware does
/// not hear.
const PATIENCE: u32 = 10_000_000;
/// No processor.
const NONE: usize = usize::MAX;

/// The processor that ends the machine.
static OWNER: AtomicUsize = AtomicUsize::new(NONE);
/// Who stands still, a bit for each: one that does may be told to again.
static HALTED: AtomicU32 = AtomicU32::new(0);

const _: () = assert!(table::MAX <= u32::BITS as usize);

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The others stand still.
    First,
    /// This processor has claimed before, and what came of it is why it does so again.
    Again,
}

/// Claims the end of the machine for this processor. Does not come back if another has it.
pub(crate) fn claim_end() -> Claim {
    let this = table::number();
    match OWNER.compare_exchange(NONE, this, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            halt_others();
            Claim::First
        }
        Err(owner) if owner == this => Claim::Again,
        Err(_) => stand_still(),
    }
}

/// Whether this processor is to stand still, which it was told by an interrupt that nothing holds back.
pub(crate) fn is_halted() -> bool {
    ![NONE, table::number()].contains(&OWNER.load(Ordering::Acquire))
}

fn halt_others() {
    let count = table::others().map(|processor| apic::send(processor.apic_id(), Ipi::Halt)).count();
    for _ in 0..PATIENCE {
        if HALTED.load(Ordering::Acquire).count_ones() as usize >= count {
            break;
        }
        spin_loop();
    }
}

/// Does nothing any more.
pub(crate) fn stand_still() -> ! {
    x86_64::instructions::interrupts::disable();
    HALTED.fetch_or(1 << table::number(), Ordering::Release);
    loop {
        x86_64::instructions::hlt();
    }
}
