//! Frequencies that a processor or a hypervisor states.

use super::plausible;

/// What KVM answers in ebx, ecx and edx of its first CPUID leaf (Linux, Documentation/virt/kvm/x86/cpuid.rst).
const KVM_SIGNATURE: [u8; 12] = *b"KVMKVMKVM\0\0\0";

/// CPUID leaf 15H (Intel SDM volume 2, CPUID): the TSC runs at `numerator / denominator` of a crystal's frequency, which
/// is in Hz. `None` when the processor leaves one of them out, as 0.
pub fn from_crystal(denominator: u32, numerator: u32, crystal: u32) -> Option<u64> {
    let hertz = u64::from(crystal) * u64::from(numerator);
    hertz.checked_div(u64::from(denominator)).and_then(plausible)
}

/// CPUID leaf 4000_0010H, eax: the frequency in kHz, as VMware defined it and QEMU and others state it.
pub fn from_khz(khz: u32) -> Option<u64> {
    plausible(u64::from(khz) * 1000)
}

/// CPUID leaf 16H, eax bits 15 to 0: the base frequency in MHz, at which the TSC of such processors runs. It is the
/// specified one, rounded.
pub fn from_base_mhz(eax: u32) -> Option<u64> {
    plausible(u64::from(eax & 0xffff) * 1_000_000)
}

/// kvm-clock (Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW): nanoseconds are
/// `((ticks << shift) * multiplier) >> 32`, where a negative shift is one to the right.
pub fn from_pvclock(multiplier: u32, shift: i8) -> Option<u64> {
    let scaled = (1_000_000_000_u128 << 32).checked_div(multiplier.into())?;
    let distance = u32::from(shift.unsigned_abs());
    // 1e9 << 32 has 62 bits, so that 64 more have room; a longer shift is no frequency either way.
    let hertz = match shift {
        ..0 if distance <= 64 => scaled << distance,
        0.. if distance <= 64 => scaled >> distance,
        _ => return None,
    };
    u64::try_from(hertz).ok().and_then(plausible)
}

/// Whether ebx, ecx and edx of a hypervisor's first CPUID leaf are KVM's.
pub fn is_kvm(registers: [u32; 3]) -> bool {
    registers.map(u32::to_le_bytes).as_flattened() == KVM_SIGNATURE
}
