//! The contents of all tables as one value.

use alloc::vec::Vec;
use core::fmt;

use super::fadt::{self, FixedHardware, PmTimer};
use super::find::Tables;
use super::hpet;
use super::interrupt::{InterruptInput, Polarity, SourceOverride, Trigger};
use super::iommu::{self, Iommu};
use super::madt::{IoApic, MadtEntries};
use super::mcfg::{self, ConfigWindow};

/// What the tables say about the machine. Without a table, its part has this fallback:
///
/// | absent | fallback |
/// |---|---|
/// | MADT | the running processor only, no I/O APIC |
/// | MCFG | no window: configuration space is accessed through I/O ports |
/// | HPET | no high precision event timer |
/// | FADT | no power-off, no PM timer |
/// | DMAR, IVRS | no Intel or AMD IOMMU |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Local APIC ids of the usable processors: the running processor first, then the others in the order of the MADT. At
    /// least 1, at most 1024.
    pub processors: Vec<u32>,
    /// Number of usable processors beyond those in `processors`.
    pub processors_omitted: usize,
    /// I/O APICs, at most 16.
    pub io_apics: Vec<IoApic>,
    /// Interrupt source overrides of the ISA bus, at most 64.
    pub overrides: Vec<SourceOverride>,
    /// Windows to the PCI configuration space of segment group 0, at most 16.
    pub config_windows: Vec<ConfigWindow>,
    /// The registers for power-off.
    pub fixed_hardware: Option<FixedHardware>,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// Physical address of the registers of the high precision event timer (HPET).
    pub hpet: Option<u64>,
    /// IOMMUs of segment group 0, at most 16 of each vendor.
    pub iommus: Vec<Iommu>,
}

impl Description {
    /// Decodes the tables. `running` is the local APIC id of the running processor.
    pub fn read(tables: &Tables<'_>, running: u32) -> Self {
        let mut entries = MadtEntries::without_table(running);
        if let Some(madt) = tables.madt {
            entries.read(madt.bytes());
        }
        let MadtEntries { processors, processors_omitted, io_apics, overrides } = entries;
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

    /// Number of usable processors, at least 1.
    pub fn processor_count(&self) -> usize {
        self.processors.len().saturating_add(self.processors_omitted)
    }

    /// The input that interrupt `irq` of the ISA bus is connected to: as a source override says, else the input of the same
    /// number, on an active-high edge (5.2.12.5).
    pub fn isa_input(&self, irq: u8) -> InterruptInput {
        let usual = InterruptInput { gsi: irq.into(), polarity: Polarity::High, trigger: Trigger::Edge };
        self.overrides.iter().find(|entry| entry.irq == irq).map_or(usual, |entry| entry.input)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processors, io_apics) = (self.processor_count(), self.io_apics.len());
        write!(f, "processors {processors}, I/O APICs {io_apics}, overrides {}", self.overrides.len())
    }
}
