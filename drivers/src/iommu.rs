//! IOMMUs, as far as it takes to know whether cards reach memory by its physical addresses.
//!
//! No IOMMU is driven here, and none is needed: after a reset an IOMMU of Intel or AMD passes addresses on as they are, and
//! QEMU's virtio IOMMU does so until a driver takes it over, unless it was told otherwise. One that firmware or a loader has
//! left on, or that blocks from the start, keeps cards from memory. A card behind it would run and move no frame, so it is not
//! used.
//!
//! | IOMMU | found by | keeps cards from memory if |
//! |---|---|---|
//! | Intel VT-d | the table DMAR | the bit TES of its global status register is set |
//! | AMD | the table IVRS | the bit IommuEn of its control register is set |
//! | virtio | its PCI function | it does not offer BYPASS_CONFIG, or its register `bypass` is 0 |
//!
//! Which cards are behind which IOMMU is not looked at: one that is active counts for all cards, except virtio cards that do
//! not offer ACCESS_PLATFORM, which access memory directly.

use core::fmt;

use crate::hal::Hal;
use crate::pci::{Address, ConfigSpace, RootBuses, functions};
use crate::virtio;

/// Length of the registers of a unit up to the one that is read.
const UNIT_BYTES: usize = 0x20;
/// Global status register of an Intel unit, 32 bits, and its bit "translation enable status" (VT-d specification 4.1,
/// section 11.4.4.2).
const INTEL_GLOBAL_STATUS: usize = 0x1c;
const INTEL_TRANSLATES: u32 = 1 << 31;
/// Lower half of an AMD unit's control register, and its bit IommuEn (AMD I/O Virtualization Technology specification 3.08,
/// section 3.4.1).
const AMD_CONTROL: usize = 0x18;
const AMD_ENABLED: u32 = 1;

/// An IOMMU that keeps cards from memory. Its text says so, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveIommu {
    /// An Intel VT-d unit that translates.
    Intel {
        /// Physical address of its registers.
        registers: u64,
    },
    /// An AMD unit that is on.
    Amd {
        /// Physical address of its registers.
        registers: u64,
    },
    /// A virtio IOMMU that blocks endpoints without a domain.
    Virtio {
        /// Its place.
        function: Address,
    },
}

impl ActiveIommu {
    /// The Intel unit whose registers are at `registers`, if it translates. A unit whose registers cannot be mapped counts as
    /// one that does not.
    pub fn intel(hal: &dyn Hal, registers: u64) -> Option<Self> {
        let status = unit_register(hal, registers, INTEL_GLOBAL_STATUS)?;
        (status & INTEL_TRANSLATES != 0).then_some(Self::Intel { registers })
    }

    /// The same for an AMD unit.
    pub fn amd(hal: &dyn Hal, registers: u64) -> Option<Self> {
        let control = unit_register(hal, registers, AMD_CONTROL)?;
        (control & AMD_ENABLED != 0).then_some(Self::Amd { registers })
    }

    /// The first virtio IOMMU on these root buses and behind their bridges that blocks. A device whose registers cannot be
    /// reached counts as one that does not block.
    pub fn virtio(hal: &dyn Hal, config: &dyn ConfigSpace, roots: &RootBuses) -> Option<Self> {
        let blocks = |function: &_| virtio::iommu::blocks(hal, config, function) == Some(true);
        let is_blocking = |function: &_| virtio::iommu::is_one(function) && blocks(function);
        let found = functions(config, roots).find(is_blocking)?;
        Some(Self::Virtio { function: found.address })
    }
}

/// A register of a unit. All ones are of one that is not there.
fn unit_register(hal: &dyn Hal, registers: u64, offset: usize) -> Option<u32> {
    let value = hal.map_mmio(registers, UNIT_BYTES)?.read32(offset);
    (value != u32::MAX).then_some(value)
}

impl fmt::Display for ActiveIommu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intel { registers } => {
                write!(f, "the Intel IOMMU at {registers:#x} translates its addresses")?
            }
            Self::Amd { registers } => write!(f, "the AMD IOMMU at {registers:#x} translates its addresses")?,
            Self::Virtio { function } => {
                write!(f, "the virtio IOMMU at {function} blocks its memory accesses")?
            }
        }
        f.write_str(", and this image drives no IOMMU: ")?;
        f.write_str(match self {
            Self::Intel { .. } | Self::Amd { .. } => "have firmware and loader leave it off",
            Self::Virtio { .. } => "have it bypass (boot-bypass=on)",
        })
    }
}
