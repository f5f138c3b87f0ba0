//! The local APIC: each processor's own interrupt controller, by which processors also send messages to each other.
//!
//! All processors have theirs at the same address, so there is one value for all of them. It is found once
//! ([`find`]); until then, messages are not sent.

mod local_apic;
mod vectors;

use millrace_drivers::hal::Hal;
use spin::Once;

pub(crate) use local_apic::{ApicError, Ipi, LocalApic, MASKED, Offset, message_address};
pub(crate) use vectors::{SPURIOUS, TIMER, WAKE};

static APIC: Once<LocalApic> = Once::new();

/// Finds the local APIC, unless that was done before, and enables that of the processor that runs this.
pub(crate) fn find(hal: &dyn Hal) -> Result<&'static LocalApic, ApicError> {
    APIC.try_call_once(|| LocalApic::find(hal))
}

/// The local APIC, once it was found.
pub(crate) fn get() -> Option<&'static LocalApic> {
    APIC.get()
}

/// Whether the processor that runs this has the local APIC with this number.
pub(crate) fn is_at(apic_id: u32) -> bool {
    APIC.get().is_some_and(|apic| apic.id() == apic_id)
}

/// Whether a message to this number is for one processor: the highest of 8 or 32 bits is for all.
pub(crate) fn is_single(apic_id: u32) -> bool {
    APIC.get().is_some_and(|apic| apic_id < apic.everybody())
}

/// Sends a message to the processor whose local APIC has this number.
pub(crate) fn send(to: u32, message: Ipi) {
    if let Some(apic) = APIC.get() {
        apic.send(to, message);
    }
}
