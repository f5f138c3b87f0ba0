//! Bringing a card to rest.
//!
//! | step | how it is known to be done |
//! |---|---|
//! | no interrupts | |
//! | receiver and transmitter off | nothing says so: what is under way gets [`DRAIN_NS`], if they were on |
//! | no requests on PCI Express | STATUS, within [`QUIET_NS`] |
//! | reset | CTRL, within [`RESET_NS`]; then [`RELOAD_NS`] for the EEPROM's content to be loaded |
//!
//! Nothing is written that is so already: QEMU's cards take in nothing for a second after RCTL was written.

use nm_driver::platform::Platform;

use super::registers::{Registers, cause, ctrl, rctl, status, tctl};
use super::{Model, Offset, StartError};
use crate::wait::wait_until;

/// How long a frame that is under way may take: a long one at 10 Mbit/s needs 13 ms, a usual one 1.2.
const DRAIN_NS: u64 = 10_000_000;
/// How long requests on PCI Express may take to end (82574L datasheet, master disable).
const QUIET_NS: u64 = 100_000_000;
/// How long a reset may take.
const RESET_NS: u64 = 100_000_000;
/// How long the card takes to load its station address and its settings after a reset.
const RELOAD_NS: u64 = 5_000_000;
/// How long registers are left alone after a reset was asked for (section 13.4.1).
const HANDS_OFF_NS: u64 = 1_000;

/// Stops the card and resets it: no interrupts, no access to memory, nothing left of its settings.
pub(super) fn reset(registers: &Registers, model: Model, platform: &dyn Platform) -> Result<(), StartError> {
    registers.write(Offset::Imc, cause::ALL);
    if switch_off(registers) {
        wait(platform, DRAIN_NS);
    }
    let quiet = if model.is_express() { end_requests(registers, model, platform) } else { Ok(()) };
    registers.write(Offset::Ctrl, registers.read(Offset::Ctrl) | ctrl::RESET);
    wait(platform, HANDS_OFF_NS);
    if !wait_until(platform, RESET_NS, || registers.read(Offset::Ctrl) & ctrl::RESET == 0) {
        return Err(StartError::NoReset(model));
    }
    wait(platform, RELOAD_NS);
    // The reset may have brought the mask back to what the EEPROM says.
    registers.write(Offset::Imc, cause::ALL);
    quiet
}

/// Switches receiver and transmitter off; returns whether one of them was on.
fn switch_off(registers: &Registers) -> bool {
    let mut was_on = false;
    for (offset, enable) in [(Offset::Rctl, rctl::ENABLE), (Offset::Tctl, tctl::ENABLE)] {
        let before = registers.read(offset);
        if before & enable != 0 {
            registers.write(offset, before & !enable);
            was_on = true;
        }
    }
    was_on
}

/// Has the card make no new requests on PCI Express, and waits until the last has ended.
fn end_requests(registers: &Registers, model: Model, platform: &dyn Platform) -> Result<(), StartError> {
    registers.write(Offset::Ctrl, registers.read(Offset::Ctrl) | ctrl::MASTER_DISABLE);
    let is_quiet = || registers.read(Offset::Status) & status::MASTER_ENABLED == 0;
    if wait_until(platform, QUIET_NS, is_quiet) { Ok(()) } else { Err(StartError::NotQuiet(model)) }
}

/// Lets `ns` pass.
fn wait(platform: &dyn Platform, ns: u64) {
    wait_until(platform, ns, || false);
}
