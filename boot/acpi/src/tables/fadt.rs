//! FADT: where the DSDT and the PM timer are, and the registers by which the machine is switched off (ACPI 6.5, 5.2.9).

use millrace_boot::little_endian::{u32_at, u64_at};

/// Offsets in the table (table 5.9).
const DSDT: usize = 40;
const SMI_COMMAND: usize = 48;
const ACPI_ENABLE: usize = 52;
const PM1A_CONTROL: usize = 64;
const PM1B_CONTROL: usize = 68;
const PM_TIMER: usize = 76;
const PM_TIMER_LENGTH: usize = 91;
const FLAGS: usize = 112;
const X_DSDT: usize = 140;
const X_PM1A_CONTROL: usize = 172;
const X_PM1B_CONTROL: usize = 184;
const X_PM_TIMER: usize = 208;
const SLEEP_CONTROL: usize = 244;

/// In the flags: the PM timer has 32 bits instead of 24.
const PM_TIMER_32: u32 = 1 << 8;
/// In the flags: there are no PM registers, but perhaps a sleep control register.
const HARDWARE_REDUCED: u32 = 1 << 20;

/// A register that a table describes (5.2.3.2: Generic Address Structure).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// An io port.
    Port(u16),
    /// In memory, at this physical address.
    Memory(u64),
}

/// How ACPI is switched on where the firmware has the hardware to itself at first (4.8.2.5): `value` is written to `port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchOn {
    /// The firmware's command port.
    pub port: u16,
    /// What it is told.
    pub value: u8,
}

/// The registers by which the machine is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedHardware {
    /// Control registers of 16 bits (4.8.3.2).
    Pm1 {
        /// The first.
        a: Register,
        /// The second, where its function is spread over two.
        b: Option<Register>,
        /// What may have to be done first.
        switch_on: Option<SwitchOn>,
    },
    /// The one of 8 bits of machines without them (4.8.3.7).
    SleepControl(Register),
}

/// The power management timer, which counts up at 3.579545 MHz (4.8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmTimer {
    /// The register, of 32 bits.
    pub register: Register,
    /// The highest count, all bits of which are set.
    pub mask: u32,
}

/// Where the DSDT may be: the address of 64 bits goes first.
pub(super) fn dsdt(fadt: &[u8]) -> impl Iterator<Item = u64> {
    let wide = u64_at(fadt, X_DSDT);
    let narrow = u32_at(fadt, DSDT).map(u64::from);
    [wide, narrow].into_iter().flatten().filter(|address| *address != 0)
}

/// The PM timer; `None` when there is none.
pub(super) fn pm_timer(fadt: &[u8]) -> Option<PmTimer> {
    let flags = u32_at(fadt, FLAGS)?;
    let is_there = *fadt.get(PM_TIMER_LENGTH)? == 4 && flags & HARDWARE_REDUCED == 0;
    let mask = if flags & PM_TIMER_32 != 0 { u32::MAX } else { u32::MAX >> 8 };
    let register = is_there.then(|| register(fadt, X_PM_TIMER).or_else(|| port(fadt, PM_TIMER))).flatten()?;
    Some(PmTimer { register, mask })
}

/// The registers for power-off; `None` when it names none.
pub(super) fn fixed_hardware(fadt: &[u8]) -> Option<FixedHardware> {
    let is_reduced = u32_at(fadt, FLAGS).is_some_and(|flags| flags & HARDWARE_REDUCED != 0);
    if is_reduced {
        return register(fadt, SLEEP_CONTROL).map(FixedHardware::SleepControl);
    }
    let a = register(fadt, X_PM1A_CONTROL).or_else(|| port(fadt, PM1A_CONTROL))?;
    let b = register(fadt, X_PM1B_CONTROL).or_else(|| port(fadt, PM1B_CONTROL));
    Some(FixedHardware::Pm1 { a, b, switch_on: switch_on(fadt) })
}

fn switch_on(fadt: &[u8]) -> Option<SwitchOn> {
    let Register::Port(port) = port(fadt, SMI_COMMAND)? else { return None };
    let value = *fadt.get(ACPI_ENABLE)?;
    (value != 0).then_some(SwitchOn { port, value })
}

/// An io port that is given as a number.
fn port(fadt: &[u8], offset: usize) -> Option<Register> {
    let port = u32_at(fadt, offset).filter(|port| *port != 0)?;
    u16::try_from(port).ok().map(Register::Port)
}

/// A register that is given as a structure; those in other spaces than memory and ports are not reached.
pub(super) fn register(table: &[u8], offset: usize) -> Option<Register> {
    let address = u64_at(table, offset + 4).filter(|address| *address != 0)?;
    match *table.get(offset)? {
        0 => Some(Register::Memory(address)),
        1 => u16::try_from(address).ok().map(Register::Port),
        _ => None,
    }
}
