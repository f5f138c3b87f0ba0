//! What the tables say, in one value.

use alloc::vec::Vec;
use core::fmt;

use super::madt::Controllers;
use super::{
    ConfigWindow, FixedHardware, IoApic, Iommu, IsaLine, Override, PmTimer, Polarity, Tables, Trigger, fadt,
    hpet, iommu, mcfg,
};

/// What the tables say about the machine. Where one is missing:
///
/// | without | there is |
/// |---|---|
/// | MADT | the processor that runs, and no I/O APIC |
/// | MCFG | no window: configuration space is looked for at its io ports |
/// | HPET | no high precision event timer |
/// | FADT | no power-off, no PM timer |
/// | DMAR, IVRS | no IOMMU of Intel or AMD |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Numbers of the local APICs of the processors that can be used: of the one that runs first, then the others in the
    /// order of the table. 1024 at most.
    pub processors: Vec<u32>,
    /// Further processors that the table lists.
    pub processors_omitted: usize,
    /// Controllers that the lines of devices lead to, 16 at most.
    pub io_apics: Vec<IoApic>,
    /// Interrupts of the ISA bus that lead elsewhere than to the input of their own number, 64 at most.
    pub overrides: Vec<Override>,
    /// Windows to PCI configuration space, of segment group 0.
    pub config_windows: Vec<ConfigWindow>,
    /// The registers by which the machine is switched off.
    pub fixed_hardware: Option<FixedHardware>,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// Physical address of the registers of the high precision event timer (HPET).
    pub hpet: Option<u64>,
    /// Units that can translate the addresses that devices use, 16 of each maker at most.
    pub iommus: Vec<Iommu>,
}

impl Description {
    /// Reads the tables, on the processor whose local APIC has this number.
    pub fn read(tables: &Tables<'_>, running: u32) -> Self {
        let mut controllers = Controllers::of(running);
        if let Some(madt) = tables.madt {
            controllers.read(madt.bytes());
        }
        let Controllers { processors, processors_omitted, io_apics, overrides } = controllers;
        Self {
            processors,
            processors_omitted,
            io_apics,
            overrides,
            config_windows: tables.mcfg.map_or_else(Vec::new, |mcfg| mcfg::config_windows(mcfg.bytes())),
            fixed_hardware: tables.fadt.and_then(|fadt| fadt::fixed_hardware(fadt.bytes())),
            pm_timer: tables.fadt.and_then(|fadt| fadt::pm_timer(fadt.bytes())),
            hpet: tables.hpet.and_then(|hpet| hpet::address(hpet.bytes())),
            iommus: iommu::read(tables.dmar, tables.ivrs),
        }
    }

    /// How many processors the tables list, and that run or can be started: at least 1.
    pub fn processor_count(&self) -> usize {
        self.processors.len().saturating_add(self.processors_omitted)
    }

    /// Where the interrupt `irq` of the ISA bus leads: as an override says, else to the input of its number, as a high
    /// edge.
    pub fn isa_line(&self, irq: u8) -> IsaLine {
        let usual = IsaLine { gsi: irq.into(), polarity: Polarity::High, trigger: Trigger::Edge };
        self.overrides.iter().find(|entry| entry.irq == irq).map_or(usual, |entry| entry.line)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processors, io_apics) = (self.processor_count(), self.io_apics.len());
        write!(f, "processors {processors}, I/O APICs {io_apics}, overrides {}", self.overrides.len())
    }
}
