//! CPUID: what processor and hypervisor state.

use core::arch::x86_64::{__cpuid, CpuidResult};

use millrace_boot::tsc;

/// Whether there is a hypervisor: ecx bit 31.
const LEAF_FEATURES: u32 = 1;
/// Ratio of TSC and crystal, frequency of the crystal.
const LEAF_TSC: u32 = 0x15;
/// Base frequency.
const LEAF_BASE_FREQUENCY: u32 = 0x16;
/// The first of the hypervisor's leaves.
const LEAF_HYPERVISOR: u32 = 0x4000_0000;
/// Frequency of the TSC in kHz.
const LEAF_HYPERVISOR_TIMING: u32 = 0x4000_0010;

/// Leaf 15H.
pub(super) fn by_processor() -> Option<u64> {
    let CpuidResult { eax: denominator, ebx: numerator, ecx: crystal, .. } = leaf(0, LEAF_TSC)?;
    tsc::from_crystal(denominator, numerator, crystal)
}

/// Leaf 4000_0010H.
pub(super) fn by_hypervisor() -> Option<u64> {
    let timing = is_guest().then(|| leaf(LEAF_HYPERVISOR, LEAF_HYPERVISOR_TIMING)).flatten()?;
    tsc::from_khz(timing.eax)
}

/// Leaf 16H.
pub(super) fn base_frequency() -> Option<u64> {
    tsc::from_base_mhz(leaf(0, LEAF_BASE_FREQUENCY)?.eax)
}

/// Whether there is a hypervisor.
pub(super) fn is_guest() -> bool {
    __cpuid(LEAF_FEATURES).ecx & 1 << 31 != 0
}

/// The leaf `number`, when the range that begins at `first` goes so far.
pub(super) fn leaf(first: u32, number: u32) -> Option<CpuidResult> {
    (__cpuid(first).eax >= number).then(|| __cpuid(number))
}
