//! Configuration space through memory (PCI Express Base Specification, 7.2.2: ECAM): 4 KiB for each function, in one window
//! for all buses or in several for some buses each.
#![expect(unsafe_code, reason = "reads and writes device registers")]

use alloc::vec::Vec;
use core::ptr::NonNull;

use millrace_boot::acpi::ConfigWindow;
use millrace_drivers::hal::Hal;
use millrace_drivers::pci::{Address, ConfigSpace};

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

    fn register(&self, at: Address, offset: u16) -> Option<*mut u32> {
        self.0.iter().find_map(|window| window.register(at, offset))
    }
}

/// The mapped configuration space of a range of buses.
struct Ecam {
    registers: NonNull<u8>,
    window: ConfigWindow,
}

// SAFETY: the pointer leads to device registers, not to memory of a thread; each access is a single one of 32
// bits, so that two of them at the same time do not mix.
unsafe impl Send for Ecam {}
// SAFETY: as above.
unsafe impl Sync for Ecam {}

impl Ecam {
    /// Maps the window; `None` when it lies where nothing can.
    fn map(hal: &dyn Hal, window: ConfigWindow) -> Option<Self> {
        let buses = usize::from(window.last_bus.checked_sub(window.first_bus)?) + 1;
        let first = window.base.checked_add(u64::from(window.first_bus) * BUS_BYTES as u64)?;
        Some(Self { registers: hal.map_mmio(first, buses * BUS_BYTES)?, window })
    }

    /// Where a register is; `None` outside the window.
    fn register(&self, at: Address, offset: u16) -> Option<*mut u32> {
        let is_inside = (self.window.first_bus..=self.window.last_bus).contains(&at.bus());
        if !is_inside || offset >= FUNCTION_BYTES {
            return None;
        }
        let function = usize::from(at.routing_id() - (u16::from(self.window.first_bus) << 8));
        let byte = function * usize::from(FUNCTION_BYTES) + usize::from(offset & !0b11);
        // SAFETY: the bus is one of those mapped, and the function and offset lie inside its megabyte.
        Some(unsafe { self.registers.as_ptr().add(byte).cast() })
    }
}

impl ConfigSpace for Windows {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        let Some(register) = self.register(at, offset) else { return u32::MAX };
        // SAFETY: a mapped register (see `register`), aligned to 4 bytes; configuration space is always
        // readable.
        unsafe { register.read_volatile() }
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        let Some(register) = self.register(at, offset) else { return };
        // SAFETY: a mapped register, as above. What a write does to the function is the driver's
        // responsibility, which enables bus mastering only for a device that it controls.
        unsafe { register.write_volatile(value) }
    }
}
