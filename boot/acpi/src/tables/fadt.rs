//! FADT: addresses of the DSDT and the PM timer, and registers for power-off (5.2.9).

use millrace_boot::little_endian::{u32_at, u64_at};

use super::register::RegisterAddress;

/// Offsets in the table (table 5.9). Fields whose names begin with X_ are the extended ones: 64-bit addresses and Generic Address
/// Structures, which take precedence.
const DSDT: usize = 40;
const SMI_CMD: usize = 48;
const ACPI_ENABLE: usize = 52;
const PM1A_CNT_BLK: usize = 64;
const PM1B_CNT_BLK: usize = 68;
const PM_TMR_BLK: usize = 76;
const PM_TMR_LEN: usize = 91;
const FLAGS: usize = 112;
const X_DSDT: usize = 140;
const X_PM1A_CNT_BLK: usize = 172;
const X_PM1B_CNT_BLK: usize = 184;
const X_PM_TMR_BLK: usize = 208;
const SLEEP_CONTROL_REG: usize = 244;

/// Flags (table 5.10): the PM timer has 32 bits instead of 24.
const TMR_VAL_EXT: u32 = 1 << 8;
/// Flags: there are no PM registers, but there may be a sleep control register.
const HW_REDUCED_ACPI: u32 = 1 << 20;
/// PM_TMR_LEN of a machine that has a PM timer.
const PM_TMR_BYTES: u8 = 4;

/// How the operating system takes control of the ACPI hardware registers (4.8.2.5): by writing `value` to `port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcpiEnable {
    /// The SMI command port.
    pub port: u16,
    /// The command, not 0.
    pub value: u8,
}

/// The registers that put the machine into a sleep state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedHardware {
    /// 16-bit PM1 control registers (4.8.3.2).
    Pm1 {
        /// PM1a control register.
        a: RegisterAddress,
        /// PM1b control register, on a machine that splits the register's functions over two.
        b: Option<RegisterAddress>,
        /// How to take control of the registers; `None` if that is not needed.
        enable: Option<AcpiEnable>,
    },
    /// The 8-bit sleep control register of hardware-reduced ACPI (4.8.3.7).
    SleepControl(RegisterAddress),
}

/// The power management timer, which counts up at 3.579545 MHz (4.8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmTimer {
    /// The 32-bit register with the count.
    pub register: RegisterAddress,
    /// The bits of the count: the lowest 24 or all 32.
    pub mask: u32,
}

/// The addresses at which the DSDT may be, in order of precedence.
pub(super) fn dsdt_addresses(fadt: &[u8]) -> impl Iterator<Item = u64> {
    let extended = u64_at(fadt, X_DSDT);
    let short = u32_at(fadt, DSDT).map(u64::from);
    [extended, short].into_iter().flatten().filter(|address| *address != 0)
}

/// The PM timer; `None` on a machine without one.
pub(super) fn pm_timer(fadt: &[u8]) -> Option<PmTimer> {
    let flags = u32_at(fadt, FLAGS)?;
    if *fadt.get(PM_TMR_LEN)? != PM_TMR_BYTES || flags & HW_REDUCED_ACPI != 0 {
        return None;
    }
    let mask = if flags & TMR_VAL_EXT != 0 { u32::MAX } else { u32::MAX >> 8 };
    Some(PmTimer { register: register(fadt, X_PM_TMR_BLK, PM_TMR_BLK)?, mask })
}

/// The registers for power-off; `None` if the table gives none.
pub(super) fn fixed_hardware(fadt: &[u8]) -> Option<FixedHardware> {
    let is_reduced = u32_at(fadt, FLAGS).is_some_and(|flags| flags & HW_REDUCED_ACPI != 0);
    if is_reduced {
        return RegisterAddress::generic(fadt, SLEEP_CONTROL_REG).map(FixedHardware::SleepControl);
    }
    let a = register(fadt, X_PM1A_CNT_BLK, PM1A_CNT_BLK)?;
    let b = register(fadt, X_PM1B_CNT_BLK, PM1B_CNT_BLK);
    Some(FixedHardware::Pm1 { a, b, enable: acpi_enable(fadt) })
}

/// The register at offset `extended`, a Generic Address Structure, else the I/O port at offset `port`.
fn register(fadt: &[u8], extended: usize, port: usize) -> Option<RegisterAddress> {
    RegisterAddress::generic(fadt, extended).or_else(|| RegisterAddress::port(fadt, port))
}

fn acpi_enable(fadt: &[u8]) -> Option<AcpiEnable> {
    let RegisterAddress::Port(port) = RegisterAddress::port(fadt, SMI_CMD)? else { return None };
    let value = *fadt.get(ACPI_ENABLE)?;
    (value != 0).then_some(AcpiEnable { port, value })
}
