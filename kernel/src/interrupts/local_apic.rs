//! The local APIC (Intel SDM volume 3, chapter 11; AMD manual volume 2, chapter 16): its registers in memory (xAPIC), or
//! as model-specific registers (x2APIC) where the firmware has switched it to that.
#![expect(unsafe_code, reason = "model-specific registers")]

use core::arch::x86_64::__cpuid;
use core::fmt;

use millrace_drivers::hal::Hal;
use millrace_drivers::mmio::{MmioWindow, ReadWrite};
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

use super::InterruptError;

/// Bytes of its registers in memory.
const BYTES: usize = 4096;
/// CPUID leaf 1, edx: there is one.
const CPUID_APIC: u32 = 1 << 9;
/// The model-specific register that the one at offset 0 is in x2APIC mode.
const FIRST_MSR: u32 = 0x800;
/// In the spurious vector register: the APIC takes interrupts.
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// In an entry of the local vector table: it does not interrupt.
pub(super) const MASKED: u32 = 1 << 16;
/// Where messages for processors are written (11.11.1).
const MESSAGES: u64 = 0xfee0_0000;

/// Where a register is, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(super) enum Offset {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    SpuriousVector = 0xf0,
    TimerEntry = 0x320,
    /// The entry of the pin that the 8259 is at.
    Pin0Entry = 0x350,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    Divider = 0x3e0,
}

/// The local APIC of the processor that runs.
pub(super) struct LocalApic {
    registers: Registers,
}

enum Registers {
    Memory(MmioWindow),
    ModelSpecific,
}

impl LocalApic {
    /// Has the APIC take interrupts; `spurious` is the vector of those that are none.
    pub(super) fn enable(hal: &dyn Hal, spurious: u8) -> Result<Self, InterruptError> {
        let apic = Self { registers: Registers::find(hal)? };
        apic.write(Offset::TaskPriority, 0);
        apic.write(Offset::TimerEntry, MASKED);
        apic.write(Offset::Pin0Entry, MASKED);
        apic.write(Offset::SpuriousVector, SOFTWARE_ENABLE | u32::from(spurious));
        Ok(apic)
    }

    /// Where a card writes messages for this processor; `None` when its number is beyond what a message can name.
    pub(super) fn message_address(&self) -> Option<u64> {
        let id = match self.registers {
            Registers::Memory(_) => self.read(Offset::Id) >> 24,
            Registers::ModelSpecific => self.read(Offset::Id),
        };
        (id < 0xff).then(|| MESSAGES | u64::from(id) << 12)
    }

    /// The interrupt that is being handled has been.
    pub(super) fn end_interrupt(&self) {
        self.write(Offset::EndOfInterrupt, 0);
    }

    /// Reads a register. All of them lie in what was mapped.
    pub(super) fn read(&self, offset: Offset) -> u32 {
        match &self.registers {
            Registers::Memory(window) => {
                window.register::<u32, ReadWrite>(offset as usize).map_or(0, |register| register.read())
            }
            // SAFETY: the registers of x2APIC are there in its mode, and reading one has no effect on memory.
            Registers::ModelSpecific => unsafe { msr(offset).read() as u32 },
        }
    }

    /// Writes a register.
    pub(super) fn write(&self, offset: Offset, value: u32) {
        match &self.registers {
            Registers::Memory(window) => {
                if let Ok(register) = window.register::<u32, ReadWrite>(offset as usize) {
                    register.write(value);
                }
            }
            // SAFETY: as above; what is written makes the processor take interrupts for which there are handlers.
            Registers::ModelSpecific => unsafe { msr(offset).write(value.into()) },
        }
    }
}

impl Registers {
    /// Where they are, with the APIC switched on.
    fn find(hal: &dyn Hal) -> Result<Self, InterruptError> {
        if __cpuid(1).edx & CPUID_APIC == 0 {
            return Err(InterruptError::ApicMissing);
        }
        let (base, flags) = ApicBase::read();
        if !flags.contains(ApicBaseFlags::LAPIC_ENABLE) {
            // SAFETY: the registers stay where they are, and nothing else is there.
            unsafe { ApicBase::write(base, flags | ApicBaseFlags::LAPIC_ENABLE) };
        }
        let (base, flags) = ApicBase::read();
        match () {
            () if !flags.contains(ApicBaseFlags::LAPIC_ENABLE) => Err(InterruptError::ApicMissing),
            () if flags.contains(ApicBaseFlags::X2APIC_ENABLE) => Ok(Self::ModelSpecific),
            () => MmioWindow::map(hal, base.start_address().as_u64(), BYTES)
                .map(Self::Memory)
                .map_err(|_| InterruptError::RegistersUnmapped),
        }
    }
}

fn msr(offset: Offset) -> Msr {
    Msr::new(FIRST_MSR + offset as u32 / 16)
}

impl fmt::Display for LocalApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.registers {
            Registers::Memory(_) => "local APIC in memory",
            Registers::ModelSpecific => "local APIC in x2APIC mode",
        })
    }
}
