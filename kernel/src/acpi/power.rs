//! Power-off (ACPI 6.5, 7.4.2 and 16.1): the sleep types of `\_S5` are written to the control registers that the FADT gives.
//!
//! `\_PTS`, which prepares the firmware, is not called: it may access hardware that operation regions are refused here, and no
//! virtual machine needs it.

use core::hint::spin_loop;

use millrace_acpi::aml::{NamespacePath, Value};
use millrace_acpi::tables::{AcpiEnable, FixedHardware, RegisterAddress};
use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;

use crate::{clock, registers};

/// Fields of a PM1 control register (4.8.3.2.1).
const SCI_EN: u16 = 1;
const SLP_TYP_SHIFT: u32 = 10;
const SLP_EN: u16 = 1 << 13;
/// Fields of a sleep control register (4.8.3.7).
const CONTROL_SLP_TYP_SHIFT: u32 = 2;
const CONTROL_SLP_EN: u8 = 1 << 5;
/// Sleep types have three bits.
const SLP_TYP: u64 = 0b111;

/// How long the firmware may take to hand over the registers, in microseconds.
const ENABLE_US: u64 = 300_000;
/// How long power-off may take, in microseconds.
const OFF_US: u64 = 1_000_000;

/// Powers the machine off. Returns if that is not possible or does not happen within a second. Needs the heap.
pub(crate) fn power_off() {
    let Some(acpi) = super::ACPI.get() else { return };
    let Some(hardware) = acpi.description.fixed_hardware else { return };
    let hal = acpi.hal.as_ref();
    let Some([a, b]) = sleep_types() else { return };
    match hardware {
        FixedHardware::SleepControl(register) => {
            let value = a << CONTROL_SLP_TYP_SHIFT | u64::from(CONTROL_SLP_EN);
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

/// The sleep types of `\_S5` for PM1a and PM1b.
fn sleep_types() -> Option<[u64; 2]> {
    let elements = super::interpreter()?.elements(&NamespacePath::root().join(*b"_S5_")).ok()?;
    let number = |value: Option<&Value>| match value {
        Some(Value::Integer(number)) => Some(number & SLP_TYP),
        _ => None,
    };
    let a = number(elements.first())?;
    Some([a, number(elements.get(1)).unwrap_or(a)])
}

/// Enters a sleep state by a PM1 control register; the other bits are preserved.
fn sleep(hal: &dyn Hal, register: RegisterAddress, sleep_type: u64) {
    with(hal, register, 2, |bank| {
        let others = bank.read16(0) & !((SLP_TYP as u16) << SLP_TYP_SHIFT | SLP_EN);
        bank.write16(0, others | (sleep_type as u16) << SLP_TYP_SHIFT | SLP_EN);
    });
}

/// Takes control of the PM1 registers, unless the operating system has it already (4.8.2.5).
fn enable_acpi(hal: &dyn Hal, register: RegisterAddress, enable: Option<AcpiEnable>) {
    let is_enabled = || {
        let mut is_enabled = true;
        with(hal, register, 2, |bank| is_enabled = bank.read16(0) & SCI_EN != 0);
        is_enabled
    };
    let Some(AcpiEnable { port, value }) = enable.filter(|_| !is_enabled()) else { return };
    with(hal, RegisterAddress::Port(port), 1, |bank| bank.write8(0, value));
    wait(ENABLE_US, is_enabled);
}

/// Calls `access` with a register of `bytes` bytes, if it can be accessed.
fn with(hal: &dyn Hal, register: RegisterAddress, bytes: u16, access: impl FnOnce(&dyn IoRegion)) {
    if let Some(bank) = registers::open(hal, register, bytes) {
        access(bank.as_ref());
    }
}

/// Polls until `is_done`, at most `us` microseconds.
fn wait(us: u64, is_done: impl Fn() -> bool) {
    let end = clock::ticks().saturating_add(clock::ticks_in_us(us));
    while clock::ticks() < end && !is_done() {
        spin_loop();
    }
}
