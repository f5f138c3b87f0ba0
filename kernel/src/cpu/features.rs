//! What this processor can do.

use core::arch::x86_64::{__cpuid, CpuidResult};

const LEAF_FEATURES: u32 = 1;
const LEAF_TOPOLOGY: u32 = 0xb;
const LEAF_EXTENDED: u32 = 0x8000_0000;
const LEAF_EXTENDED_FEATURES: u32 = 0x8000_0001;
const LEAF_ADDRESS_SIZES: u32 = 0x8000_0008;

fn extended(number: u32) -> Option<CpuidResult> {
    (__cpuid(LEAF_EXTENDED).eax >= number).then(|| __cpuid(number))
}

/// The number of this processor's local APIC: that of 32 bits where the processor tells it.
pub fn apic_id() -> u32 {
    let topology = (__cpuid(0).eax >= LEAF_TOPOLOGY).then(|| __cpuid(LEAF_TOPOLOGY));
    // A leaf that is there and says nothing has no logical processors in it.
    let wide = topology.filter(|leaf| leaf.ebx != 0).map(|leaf| leaf.edx);
    wide.unwrap_or_else(|| __cpuid(LEAF_FEATURES).ebx >> 24)
}

/// Whether page tables can map 1 GiB with one entry.
pub fn has_gib_pages() -> bool {
    extended(LEAF_EXTENDED_FEATURES).is_some_and(|leaf| leaf.edx & 1 << 26 != 0)
}

/// Bits of a physical address, 36 to 52.
pub fn physical_bits() -> u32 {
    extended(LEAF_ADDRESS_SIZES).map_or(36, |leaf| leaf.eax & 0xff).clamp(36, 52)
}
