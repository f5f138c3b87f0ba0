//! The local APIC (Intel SDM volume 3, chapter 11; AMD manual volume 2, chapter 16): its registers in memory (xAPIC), or
//! as model-specific registers (x2APIC) where the firmware has switched it to that.
#![expect(unsafe_code, reason = "model-specific registers")]

use alloc::sync::Arc;
use core::arch::x86_64::{__cpuid, _mm_lfence};
use core::fmt;
use core::sync::atomic::{Ordering, fence};

use millrace_drivers::hal::Hal;
use millrace_drivers::registers::IoRegion;
use x86_64::instructions::interrupts;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

use super::vectors::{SPURIOUS, WAKE};

/// Bytes of its registers in memory.
const BYTES: usize = 4096;
/// CPUID leaf 1, edx: there is one.
const CPUID_APIC: u32 = 1 << 9;
/// The model-specific register that the one at offset 0 is in x2APIC mode.
const FIRST_MSR: u32 = 0x800;
/// In the spurious vector register: the APIC takes interrupts.
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// In an entry of the local vector table: it does not interrupt.
pub(crate) const MASKED: u32 = 1 << 16;
/// In the lower half of the command register: the message was not delivered yet (11.6.1).
const PENDING: u32 = 1 << 12;
/// The level of every message but one that this does not send.
const ASSERT: u32 = 1 << 14;
/// The command register in x2APIC mode, one of 64 bits.
const COMMAND_MSR: Msr = Msr::new(0x830);
/// Looks at whether a message was delivered, before the next one is sent all the same.
const PATIENCE: u32 = 100_000;
/// Where messages for processors are written (11.11.1).
const MESSAGES: u64 = 0xfee0_0000;

/// Where a register is, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(crate) enum Offset {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    SpuriousVector = 0xf0,
    CommandLow = 0x300,
    /// Upper eight bits: destination of the message.
    CommandHigh = 0x310,
    TimerEntry = 0x320,
    /// The entry of the pin that the 8259 is at.
    Pin0Entry = 0x350,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    Divider = 0x3e0,
}

/// A message from one processor to another (11.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ipi {
    /// An interrupt with no other meaning than to end a sleep.
    Wake,
    /// An interrupt that cannot be held back: the other stands still from there on.
    Halt,
    /// The other is reset, and waits for a start message.
    Reset,
    /// One that was reset starts in real mode, in this page.
    Start(u8),
}

impl Ipi {
    /// The lower half of the command register.
    fn command(self) -> u32 {
        ASSERT
            | match self {
                Ipi::Wake => u32::from(WAKE),
                Ipi::Halt => 0b100 << 8,
                Ipi::Reset => 0b101 << 8,
                Ipi::Start(page) => 0b110 << 8 | u32::from(page),
            }
    }
}

/// Why there is no local APIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApicError {
    /// The processor has none, or does not let it be enabled.
    Missing,
    /// Its registers cannot be mapped.
    RegistersUnmapped,
}

impl fmt::Display for ApicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApicError::Missing => "the processor has no local APIC",
            ApicError::RegistersUnmapped => "the registers of the local APIC cannot be mapped",
        })
    }
}

/// The local APIC of the processor that runs. All have theirs at the same place.
pub(crate) struct LocalApic {
    registers: Registers,
}

enum Registers {
    Memory(Arc<dyn IoRegion>),
    ModelSpecific,
}

impl LocalApic {
    /// Finds the APIC, and has it take interrupts on this processor.
    pub(crate) fn find(hal: &dyn Hal) -> Result<Self, ApicError> {
        let apic = Self { registers: Registers::find(hal)? };
        apic.enable();
        Ok(apic)
    }

    /// Has the APIC of another processor, which runs this, take interrupts.
    pub(crate) fn join(&self) {
        switch_on(match self.registers {
            Registers::Memory(_) => ApicBaseFlags::LAPIC_ENABLE,
            Registers::ModelSpecific => ApicBaseFlags::LAPIC_ENABLE | ApicBaseFlags::X2APIC_ENABLE,
        });
        self.enable();
    }

    fn enable(&self) {
        self.write(Offset::TaskPriority, 0);
        self.write(Offset::TimerEntry, MASKED);
        self.write(Offset::Pin0Entry, MASKED);
        self.write(Offset::SpuriousVector, SOFTWARE_ENABLE | u32::from(SPURIOUS));
    }

    /// The number by which messages find this processor.
    pub(crate) fn id(&self) -> u32 {
        match self.registers {
            Registers::Memory(_) => self.read(Offset::Id) >> 24,
            Registers::ModelSpecific => self.read(Offset::Id),
        }
    }

    /// The number that is for all processors, above that of any.
    pub(crate) fn everybody(&self) -> u32 {
        match self.registers {
            Registers::Memory(_) => u8::MAX.into(),
            Registers::ModelSpecific => u32::MAX,
        }
    }

    /// Sends a message to the processor with this number, with interrupts held back: a handler may send one, too.
    pub(crate) fn send(&self, to: u32, message: Ipi) {
        interrupts::without_interrupts(|| match self.registers {
            Registers::Memory(_) => {
                // One that it cannot name gets none.
                let Ok(to) = u8::try_from(to) else { return };
                let is_free = || self.read(Offset::CommandLow) & PENDING == 0;
                let _ = (0..PATIENCE).find(|_| is_free());
                self.write(Offset::CommandHigh, u32::from(to) << 24);
                self.write(Offset::CommandLow, message.command());
            }
            Registers::ModelSpecific => {
                // What was written before the message is to be seen by the processor that it wakes; this write waits for nothing by itself
                // (11.12.3).
                fence(Ordering::SeqCst);
                // SAFETY: every 64-bit processor has it.
                unsafe { _mm_lfence() };
                let mut register = COMMAND_MSR;
                // SAFETY: the register is there in this mode. The message makes another processor run a handler, halt, or
                // start where the caller has put what it needs.
                unsafe { register.write(u64::from(to) << 32 | u64::from(message.command())) };
            }
        });
    }

    /// The interrupt that is being handled has been.
    pub(crate) fn end_interrupt(&self) {
        self.write(Offset::EndOfInterrupt, 0);
    }

    /// Reads a register. All of them lie in what was mapped.
    pub(crate) fn read(&self, offset: Offset) -> u32 {
        match &self.registers {
            Registers::Memory(region) => region.read32(offset as usize),
            // SAFETY: the registers of x2APIC are there in its mode, and reading one has no effect on memory.
            Registers::ModelSpecific => unsafe { msr(offset).read() as u32 },
        }
    }

    /// Writes a register.
    pub(crate) fn write(&self, offset: Offset, value: u32) {
        match &self.registers {
            Registers::Memory(region) => region.write32(offset as usize, value),
            // SAFETY: as above; what is written makes the processor take interrupts for which there are handlers.
            Registers::ModelSpecific => unsafe { msr(offset).write(value.into()) },
        }
    }
}

impl Registers {
    /// Where they are, with the APIC switched on.
    fn find(hal: &dyn Hal) -> Result<Self, ApicError> {
        if __cpuid(1).edx & CPUID_APIC == 0 {
            return Err(ApicError::Missing);
        }
        switch_on(ApicBaseFlags::LAPIC_ENABLE);
        let (base, flags) = ApicBase::read();
        match () {
            () if !flags.contains(ApicBaseFlags::LAPIC_ENABLE) => Err(ApicError::Missing),
            () if flags.contains(ApicBaseFlags::X2APIC_ENABLE) => Ok(Self::ModelSpecific),
            () => hal
                .map_mmio(base.start_address().as_u64(), BYTES)
                .map(Self::Memory)
                .ok_or(ApicError::RegistersUnmapped),
        }
    }
}

/// Has the APIC of the processor that runs this be in this mode, unless it is.
fn switch_on(mode: ApicBaseFlags) {
    let (base, flags) = ApicBase::read();
    if !flags.contains(mode) {
        // SAFETY: the registers stay where they are, and nothing else is there.
        unsafe { ApicBase::write(base, flags | mode) };
    }
}

/// Where a card writes messages for the processor of this number; `None` when that is beyond what a message can name.
pub(crate) fn message_address(id: u32) -> Option<u64> {
    (id < 0xff).then(|| MESSAGES | u64::from(id) << 12)
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
