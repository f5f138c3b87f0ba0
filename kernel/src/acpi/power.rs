//! Switching the machine off (ACPI 6.5, 7.4.2 and 16.1): what `\_S5` says goes into the registers that the FADT names.
//!
//! `\_PTS`, by which firmware is told beforehand, is not called: it may want hardware that it does not get here, and no
//! virtual machine needs it.

use core::hint::spin_loop;

use millrace_acpi::aml::{NamespacePath, Value};
use millrace_acpi::tables::{AcpiEnable, FixedHardware, RegisterAddress};
use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;

use crate::{clock, registers};

/// In a PM1 control register (4.8.3.2.1): ACPI is on; what kind of sleep; sleep.
const ACPI_ON: u16 = 1;
const KIND_SHIFT: u32 = 10;
const SLEEP: u16 = 1 << 13;
/// The same in a sleep control register (4.8.3.7).
const REDUCED_KIND_SHIFT: u32 = 2;
const REDUCED_SLEEP: u8 = 1 << 5;
/// Kinds of sleep have three bits.
const KINDS: u64 = 0b111;

/// How long the firmware may take to hand over the registers, in microseconds.
const ENABLE_US: u64 = 300_000;
/// How long the machine may take to go off.
const OFF_US: u64 = 1_000_000;

/// Switches the machine off. Comes back when that cannot be done, or does not happen. Needs the heap.
pub(crate) fn power_off() {
    let Some(acpi) = super::ACPI.get() else { return };
    let Some(hardware) = acpi.description.fixed_hardware else { return };
    let hal = acpi.hal.as_ref();
    let Some([a, b]) = kinds() else { return };
    match hardware {
        FixedHardware::SleepControl(register) => {
            let value = a << REDUCED_KIND_SHIFT | u64::from(REDUCED_SLEEP);
            with(hal, register, 1, |bank| bank.write8(0, value as u8));
        }
        FixedHardware::Pm1 { a: first, b: second, enable } => {
            enable_acpi(hal, first, enable);
            sleep(hal, first, a);
            if let Some(second) = second {
                sleep(hal, second, b);
            }
        }
    }
    wait(OFF_US, || false);
}

/// What `\_S5` says for either register.
fn kinds() -> Option<[u64; 2]> {
    let elements = super::interpreter()?.elements(&NamespacePath::root().join(*b"_S5_")).ok()?;
    let number = |value: Option<&Value>| match value {
        Some(Value::Integer(number)) => Some(number & KINDS),
        _ => None,
    };
    let a = number(elements.first())?;
    Some([a, number(elements.get(1)).unwrap_or(a)])
}

/// Writes a PM1 control register; its other bits stay.
fn sleep(hal: &dyn Hal, register: RegisterAddress, kind: u64) {
    with(hal, register, 2, |bank| {
        let others = bank.read16(0) & !((KINDS as u16) << KIND_SHIFT | SLEEP);
        bank.write16(0, others | (kind as u16) << KIND_SHIFT | SLEEP);
    });
}

/// Takes control of the PM1 registers, unless the operating system has it already (4.8.2.5).
fn enable_acpi(hal: &dyn Hal, register: RegisterAddress, enable: Option<AcpiEnable>) {
    let is_on = || {
        let mut is_on = true;
        with(hal, register, 2, |bank| is_on = bank.read16(0) & ACPI_ON != 0);
        is_on
    };
    let Some(AcpiEnable { port, value }) = enable.filter(|_| !is_on()) else { return };
    with(hal, RegisterAddress::Port(port), 1, |bank| bank.write8(0, value));
    wait(ENABLE_US, is_on);
}

/// Does something with a register, if it can be reached.
fn with(hal: &dyn Hal, register: RegisterAddress, bytes: u16, access: impl FnOnce(&dyn IoRegion)) {
    if let Some(bank) = registers::open(hal, register, bytes) {
        access(bank.as_ref());
    }
}

/// Waits until `is_done`, for `us` at most.
fn wait(us: u64, is_done: impl Fn() -> bool) {
    let end = clock::ticks().saturating_add(clock::ticks_in_us(us));
    while clock::ticks() < end && !is_done() {
        spin_loop();
    }
}
