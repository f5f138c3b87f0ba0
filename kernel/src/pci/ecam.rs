//! Configuration space through memory (PCI Express Base Specification, 7.2.2: ECAM): 4 KiB for each function, in one window
//! for all buses or in several for some buses each.
#![expect(unsafe_code, reason = "`ConfigSpace` carries a contract about what an access reaches")]

use alloc::sync::Arc;
use alloc::vec::Vec;

use millrace_acpi::tables::ConfigWindow;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{Address, ConfigSpace};
use millrace_drivers::registers::IoRegion;

/// Bytes for each bus: 32 devices of 8 functions of 4 KiB.
const BUS_BYTES: usize = 1 << 20;
/// Bytes of a function's configuration space.
const FUNCTION_BYTES: u16 = 4096;

/// The windows that are mapped. A bus is reached through the first that has it.
pub(super) struct Windows(Vec<Ecam>);

impl Windows {
    /// Maps the windows; `None` when none can be. What is left out is logged.
    pub(super) fn map(hal: &dyn Hal, windows: &[ConfigWindow]) -> Option<Self> {
        let mapped = windows.iter().filter_map(|window| {
            let mapped = Ecam::map(hal, *window);
            if mapped.is_none() {
                let ConfigWindow { base, first_bus, last_bus } = window;
                log::warn!(
                    target: "pci",
                    "configuration space of buses {first_bus} to {last_bus} cannot be mapped: based at {base:#x}"
                );
            }
            mapped
        });
        let mapped: Vec<_> = mapped.collect();
        (!mapped.is_empty()).then_some(Self(mapped))
    }

    /// The windows.
    pub(super) fn mapped(&self) -> impl Iterator<Item = ConfigWindow> {
        self.0.iter().map(|mapped| mapped.window)
    }

    /// The window that reaches a register, and the register's offset there.
    fn register(&self, at: Address, offset: u16) -> Option<(&dyn IoRegion, usize)> {
        self.0.iter().find_map(|window| Some((window.registers.as_ref(), window.offset(at, offset)?)))
    }
}

/// The mapped configuration space of a range of buses.
struct Ecam {
    registers: Arc<dyn IoRegion>,
    window: ConfigWindow,
}

impl Ecam {
    /// Maps the window; `None` when it lies where nothing can.
    fn map(hal: &dyn Hal, window: ConfigWindow) -> Option<Self> {
        let buses = usize::from(window.last_bus.checked_sub(window.first_bus)?) + 1;
        let first = window.base.checked_add(u64::from(window.first_bus) * BUS_BYTES as u64)?;
        Some(Self { registers: hal.map_mmio(first, buses * BUS_BYTES)?, window })
    }

    /// The offset of a register; `None` outside the window.
    fn offset(&self, at: Address, offset: u16) -> Option<usize> {
        let is_inside = (self.window.first_bus..=self.window.last_bus).contains(&at.bus());
        if !is_inside || offset >= FUNCTION_BYTES {
            return None;
        }
        let function = usize::from(at.routing_id() - (u16::from(self.window.first_bus) << 8));
        Some(function * usize::from(FUNCTION_BYTES) + usize::from(offset & !0b11))
    }
}

// SAFETY: the windows are those that the firmware describes as configuration space, and a region makes each access, in order.
unsafe impl ConfigSpace for Windows {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        self.register(at, offset).map_or(u32::MAX, |(registers, offset)| registers.read32(offset))
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        if let Some((registers, offset)) = self.register(at, offset) {
            registers.write32(offset, value);
        }
    }
}
